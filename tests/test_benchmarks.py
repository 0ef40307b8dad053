"""The benchmarks count operations correctly and run; times are not tested."""

import collections
import json

import pytest
import tensorflow as tf

from amr_tf.config import Config
from amr_tf.models.build import build_model
from benchmarks import (
    checkouts,
    convolutions,
    devices,
    gpu_check,
    measure,
    profile,
    start,
    time_to_accuracy,
    train_step,
)
from benchmarks import input as input_benchmark
from benchmarks import serving as serving_benchmark
from tests.reporting.run_folders import write_run

REPEATED = ("--repeats=1", "--steps=5")
POINTS = ("--dataset=spiral", "--arch=mlp", "--depth=2", "--batch_size=8")


def by_kind(counts):
    found = collections.Counter()
    for convolution, times in counts.items():
        found[convolution.kind] += times
    return dict(found)


@pytest.fixture(scope="module")
def graph():
    """Of AMR's step with the paper's networks, at depth 2."""
    model = build_model(Config(depth=2, batch_size=4), (32, 32, 1), 10)
    return convolutions.traced_step(model, tf.zeros([4, 32, 32, 1]), tf.zeros([4], tf.int64))


def test_flops_of_a_small_network_are_those_by_hand():
    """Two convolutions and the gradients of both kernels.

    8 x 8 x 3 -> 4 x 4 x 5 with a 3 x 3 kernel and stride 2, batch 2: 2 * 2*4*4*5 * 3*3*3 = 8,640 FLOPs.
    4 x 4 x 5 -> 4 x 4 x 1 with a 1 x 1 kernel: 2 * 2*4*4*1 * 1*1*5 = 320.
    Forward and the kernels' gradients of both, and the gradient of what is between them: 2 * 8,960 + 320. The images'
    gradient is traced too, but nothing needs it.
    """
    kernels = [tf.Variable(tf.ones([3, 3, 3, 5])), tf.Variable(tf.ones([1, 1, 5, 1]))]

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            y = tf.nn.conv2d(x, kernels[0], strides=2, padding="SAME")
            loss = tf.reduce_sum(tf.nn.conv2d(y, kernels[1], strides=1, padding="VALID"))
        for kernel, gradient in zip(kernels, tape.gradient(loss, kernels), strict=True):
            kernel.assign_sub(gradient)
        return loss

    graph = step.get_concrete_function(tf.TensorSpec([2, 8, 8, 3])).graph
    assert [op.type for op in graph.get_operations()].count("Conv2DBackpropInput") == 2
    counts = convolutions.per_step(graph, generator_share=1.0)
    assert by_kind(counts) == {"Conv2D": 2, "Conv2DBackpropFilter": 2, "Conv2DBackpropInput": 1}
    assert convolutions.flops(counts) == 2 * 8_960 + 320


def test_the_convolutions_of_both_kinds_of_step(graph):
    """Encoder, decoder and discriminator have 9, 8 and 9 convolutions: two at each of 3 scales, and 3, 2 and 3 more.

    Every step: one pass of the encoder, two of the decoder (reconstruction, mix), three of the discriminator, whose
    kernels learn; no gradient reaches the images. The generator's update: two passes of the discriminator more,
    of which the input's gradient is needed and the kernel's is not, both gradients of the two passes of the decoder,
    and those of the encoder, without the images'.
    """
    forward, kernels, inputs = 9 + 2 * 8 + 3 * 9, 3 * 9, 3 * (9 - 1)
    without = {"Conv2D": forward, "Conv2DBackpropFilter": kernels, "Conv2DBackpropInput": inputs}
    assert by_kind(convolutions.per_step(graph, 0.0)) == without
    due = {
        "Conv2D": forward + 2 * 9,
        "Conv2DBackpropFilter": kernels + 2 * 8 + 9,
        "Conv2DBackpropInput": inputs + 2 * 9 + 2 * 8 + (9 - 1),
    }
    assert by_kind(convolutions.per_step(graph, 1.0)) == due


def test_an_average_step_has_its_share_of_both(graph):
    fifth, due, rest = (convolutions.flops(convolutions.per_step(graph, share)) for share in (0.2, 1.0, 0.0))
    assert fifth == pytest.approx(0.2 * due + 0.8 * rest)
    assert rest < fifth < due


def test_each_convolution_runs_alone_at_its_shapes(graph):
    for convolution in convolutions.per_step(graph, 0.2):
        x, kernel, y = (tf.zeros(shape) for shape in (convolution.x, convolution.kernel, convolution.y))
        made = {"Conv2D": y, "Conv2DBackpropInput": x, "Conv2DBackpropFilter": kernel}[convolution.kind]
        assert convolution.run(x, kernel, y).shape == made.shape


def test_measurements_are_taken_in_turn():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) or len(calls) for name in "abc"}
    assert measure.in_turn(contenders, 2) == {"a": [1, 4], "b": [2, 5], "c": [3, 6]}
    assert "".join(calls) == "abcabc"


@pytest.mark.parametrize(
    ("batch", "depth", "steps", "period", "expected"),
    [(64, 16, 20, 5, 20), (64, 16, 18, 5, 20), (256, 64, 20, 5, 5), (256, 16, 60, 5, 15), (4, 2, 20, 5, 20)],
)
def test_a_repeat_has_whole_periods(batch, depth, steps, period, expected):
    assert measure.steps_for(batch * depth**2, steps, period) == expected


@pytest.mark.parametrize(
    ("main", "option", "message"),
    [
        (train_step.main, "--k=1", "--k must be at least 2"),
        (start.main, "--k=1", "--k must be at least 2"),
        (profile.main, "--k=1", "--k must be at least 2"),
        (train_step.main, "--model=acai", "ACAI predicts the mixing coefficient of a pair"),
        (train_step.main, "--batch=0", "whole numbers above 0"),
    ],
)
def test_bad_options_are_refused(main, option, message, capfd):
    try:
        code = main([option])
    except SystemExit as left:
        code = left.code
    assert (code, message in capfd.readouterr().err) == (2, True)


def test_every_k_is_measured_in_turn_and_the_slow_ways_once():
    args = train_step.arguments_parser().parse_args(["--k=2,8", "--xla=both"])
    found = [variant.name() for variant in train_step.variants(args, batch=8, depth=4, all_kinds=True)]
    in_turn = ["2 compiled", "2 xla", "8 compiled", "8 xla", "2 both players", "2 bfloat16", "2 eager"]
    assert found == [f"k={k} batch=8 depth=4 {kind}" for k, kind in (name.split(" ", 1) for name in in_turn)]
    args = train_step.arguments_parser().parse_args(["--model=ae", "--k=2"])
    kinds = [variant.kind for variant in train_step.variants(args, batch=8, depth=4, all_kinds=True)]
    assert kinds == ["compiled", "bfloat16", "eager"]  # nothing is skipped where there is no second player


def lengths(rows):
    return {len(value) for row in rows for value in row.values() if isinstance(value, list)}


@pytest.fixture
def report(tmp_path):
    """report(main, *options): runs a benchmark and returns its JSON report."""

    def measured(main, *options):
        path = tmp_path / "report.json"
        assert main([*options, f"--json={path}"]) == 0
        return json.loads(path.read_text(encoding="utf-8"))

    return measured


@pytest.mark.slow
@pytest.mark.parametrize("xla", ["off", pytest.param("both", marks=pytest.mark.soak)])
def test_train_step(report, capsys, xla):
    found = report(train_step.main, "--k=2", "--depth=2", "--batch=4", f"--xla={xla}", *REPEATED)
    assert {"cpu", "cores", "gpus", "versions", "load_before", "load_after"} <= found["machine"].keys()
    kinds = [kind for kind in train_step.KINDS if kind != "xla" or xla == "both"]
    assert [row["step"] for row in found["steps"]] == kinds
    assert lengths(found["steps"]) == lengths(found["limits"]) == {1}
    gflop = {row["step"]: row["gflop_per_step"] for row in found["steps"]}
    assert gflop["both players"] > gflop["compiled"] == found["limits"][0]["gflop_per_step"] > 0
    assert "both players' graphs on every step" in capsys.readouterr().out


@pytest.mark.soak
def test_input(report):
    sizes = ("--batch=4,6", "--colours=3", "--depth=2", "--examples=50", "--batches=8")
    found = report(input_benchmark.main, *sizes, *REPEATED)
    assert [(row["batch"], row["colours"]) for row in found["alone"]] == [(4, 3), (6, 3)]
    assert [row["steps"] for row in found["in_step"]] == [5, 5]
    assert lengths(found["alone"]) == lengths(found["in_step"]) == {1}


@pytest.mark.slow
def test_start(report):
    seconds = report(start.main, REPEATED[0], "--depth=2")["seconds"]
    assert lengths([seconds]) == {1}
    assert list(seconds) == [
        "Python and the package", "import TensorFlow", "import the rest", "data", "build the model",
        "checkpoints, callbacks", "trace and take the first step", "from the command to the first step",
    ]  # fmt: skip


@pytest.mark.soak
def test_checkout_beside_itself(report):
    rows = report(checkouts.main, str(checkouts.HERE), *REPEATED, *POINTS)["steps"]
    assert [row["checkout"] for row in rows] == ["other", "this"]
    assert lengths(rows) == {1}
    assert min(row["peak_mb"] for row in rows) > 100
    assert checkouts.main([str(checkouts.HERE), "--k=1"]) == 2


@pytest.mark.soak
def test_devices(report):
    rates = report(devices.main, *REPEATED, "--counts=2", *POINTS)["images_per_second"]
    assert list(rates) == ["one device", "2 replicas", "2 processes"]
    assert min(rate for one in rates.values() for rate in one) > 0


@pytest.mark.soak
def test_profile_lists_the_operations_of_the_step(report):
    spent = report(profile.main, "--steps=5", "--depth=2", "--batch_size=8")["ms"]
    assert list(spent.values()) == sorted(spent.values(), reverse=True)
    assert any("Conv2D" in kind for kind in list(spent)[:5])
    assert "ResourceApplyAdam" in spent


@pytest.mark.slow
def test_exported_model_is_measured_beside_keras(report):
    found = report(serving_benchmark.main, "--images=8", "--batch=4", "--repeats=2")
    (row,) = found["encode"]
    assert [len(rates) for rates in row["images_per_second"].values()] == [2, 2]
    assert min(row["relative_speed"]) > 0
    assert found["export_seconds"] > 0


def test_time_to_accuracy_of_runs_by_hand(tmp_path, report):
    """Epochs of 10 steps of 64 images at 32 images/s take 20 s. Seed 0 passes 80 % in epoch 2, seed 1 in epoch 3."""
    write_run(tmp_path / "runs" / "a", [0.5, 0.8, 0.9])
    write_run(tmp_path / "runs" / "b", [0.5, 0.79, 0.85], seed=1)
    found = report(time_to_accuracy.main, str(tmp_path / "runs"), "--repeats=1", "--goals=80,90,95")
    assert [(row["goal"], row["runs"], row["seconds"], row["images"]) for row in found["goals"]] == [
        (80, 2, [40, 60], [1280, 1920]),
        (90, 2, [60], [1920]),
    ]
    assert found["matrix_gflop_per_second"][0] > 0


def test_time_to_accuracy_that_no_run_reaches_is_one_line(tmp_path, capsys):
    write_run(tmp_path / "a", [0.5])
    assert time_to_accuracy.main([str(tmp_path)]) == 2
    assert "no run reaches 80 %" in capsys.readouterr().err


def test_gpu_check_compares_losses_with_float32():
    """recon 1.0 and 1.1 differ by 0.1; a way that failed has no difference."""
    ways = {
        "float32": {"last_epoch": {"recon": 1.0, "disc_loss": 2.0}},
        "bfloat16": {"last_epoch": {"recon": 1.1, "disc_loss": 2.0}},
        "float16": {"error": "failed"},
    }
    gpu_check.compared(ways)
    assert ways["bfloat16"]["difference"] == pytest.approx(0.1)
    assert ways["float32"]["difference"] == 0
    assert "difference" not in ways["float16"]


@pytest.mark.slow
def test_gpu_check_on_cpu_devices(report):
    """Small networks; two logical CPU devices; a way that takes too long is a row, not an end."""
    options = ("--steps=4", "--depth=2", "--batch_size=8", "--cpu_devices=2")
    found = report(
        gpu_check.main, *options, "--ways=bfloat16;float16;float32, device_data;float32, mirrored"
    )["ways"]
    assert list(found) == ["float32", "bfloat16", "float16", "float32, device_data", "float32, mirrored"]
    assert found["float32, device_data"]["difference"] < 1e-6  # the order of a mean's sum
    assert 0 < found["bfloat16"]["difference"] < 0.2
    assert all(facts["last_epoch"]["images_per_second"] > 0 for facts in found.values())
    assert gpu_check.train(["--dataset=lines"], 0.01) == {"error": "not finished after 0.01 s"}
