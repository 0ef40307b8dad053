"""The benchmarks count right, and run; how long anything takes is not tested."""

import collections
import json

import pytest
import tensorflow as tf

from amr_tf.config import Config
from amr_tf.models.build import build_model
from benchmarks import checkouts, convolutions, devices, measure, profile, start, train_step
from benchmarks import input as input_benchmark
from benchmarks import serving as serving_benchmark

REPEATS = 1


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
    kernels learn; no gradient goes on to the images. The generator's update: two passes of the discriminator more,
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
    ("arguments", "message"),
    [
        (["--k=1"], "--k must be at least 2"),
        (["--model=acai"], "ACAI predicts the coefficient of a pair"),
        (["--batch=0"], "whole numbers above 0"),
    ],
)
def test_bad_options_are_refused(arguments, message, capsys):
    try:
        code = train_step.main(arguments)
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_every_k_is_measured_in_turn_and_the_slow_ways_once():
    args = train_step.arguments_parser().parse_args(["--k=2,8", "--xla=both"])
    names = [variant.name() for variant in train_step.variants(args, batch=8, depth=4, all_kinds=True)]
    assert names == [
        f"k={k} batch=8 depth=4 {kind}"
        for k, kind in [
            (2, "compiled"),
            (2, "xla"),
            (8, "compiled"),
            (8, "xla"),
            (2, "both players"),
            (2, "bfloat16"),
            (2, "eager"),
        ]
    ]
    args = train_step.arguments_parser().parse_args(["--model=ae", "--k=2"])
    kinds = [variant.kind for variant in train_step.variants(args, batch=8, depth=4, all_kinds=True)]
    assert kinds == ["compiled", "bfloat16", "eager"]  # nothing is skipped where there is no second player


def lengths(rows):
    return {len(value) for row in rows for value in row.values() if isinstance(value, list)}


@pytest.mark.slow
def test_train_step(tmp_path, capsys):
    path = tmp_path / "report.json"
    options = ["--k=2", "--depth=2", "--batch=4", f"--repeats={REPEATS}", "--steps=5", f"--json={path}"]
    options.append("--xla=both")
    assert train_step.main(options) == 0
    report = json.loads(path.read_text())
    assert {"cpu", "cores", "gpus", "versions", "load_before", "load_after"} <= report["machine"].keys()
    assert [row["step"] for row in report["steps"]] == list(train_step.KINDS)
    assert lengths(report["steps"]) == lengths(report["limits"]) == {REPEATS}
    gflop = {row["step"]: row["gflop_per_step"] for row in report["steps"]}
    assert gflop["both players"] > gflop["compiled"] == report["limits"][0]["gflop_per_step"] > 0
    assert "both players' graphs on every step" in capsys.readouterr().out


@pytest.mark.soak
def test_input(tmp_path):
    path = tmp_path / "report.json"
    options = ["--batch=4,6", "--colours=3", "--depth=2", "--examples=50", "--batches=8", "--steps=5"]
    assert input_benchmark.main([*options, f"--repeats={REPEATS}", f"--json={path}"]) == 0
    report = json.loads(path.read_text())
    assert [(row["batch"], row["colours"]) for row in report["alone"]] == [(4, 3), (6, 3)]
    assert [row["steps"] for row in report["in_step"]] == [5, 5]
    assert lengths(report["alone"]) == lengths(report["in_step"]) == {REPEATS}


@pytest.mark.slow
def test_start(tmp_path):
    path = tmp_path / "report.json"
    assert start.main([f"--repeats={REPEATS}", "--depth=2", f"--json={path}"]) == 0
    seconds = json.loads(path.read_text())["seconds"]
    assert lengths([seconds]) == {REPEATS}
    assert list(seconds) == [
        "Python and the package", "import TensorFlow", "import the rest", "data", "build the model",
        "checkpoints, callbacks", "trace and take the first step", "from the command to the first step",
    ]  # fmt: skip


POINTS = ["--dataset=spiral", "--arch=mlp", "--depth=2", "--batch_size=8"]


@pytest.mark.soak
def test_a_checkout_beside_itself(tmp_path):
    path = tmp_path / "report.json"
    options = [f"--repeats={REPEATS}", "--steps=5", f"--json={path}"]
    assert checkouts.main([str(checkouts.HERE), *options, *POINTS]) == 0
    rows = json.loads(path.read_text())["steps"]
    assert [row["checkout"] for row in rows] == ["other", "this"]
    assert lengths(rows) == {REPEATS}
    assert min(row["peak_mb"] for row in rows) > 100
    assert checkouts.main([str(checkouts.HERE), "--k=1"]) == 2


@pytest.mark.soak
def test_devices(tmp_path):
    path = tmp_path / "report.json"
    options = [f"--repeats={REPEATS}", "--steps=5", "--counts=2", f"--json={path}"]
    assert devices.main([*options, *POINTS]) == 0
    rates = json.loads(path.read_text())["images_per_second"]
    assert list(rates) == ["one device", "2 replicas", "2 processes"]
    assert min(rate for one in rates.values() for rate in one) > 0


@pytest.mark.soak
def test_most_of_a_profile_is_operations_of_the_step(tmp_path):
    path = tmp_path / "report.json"
    assert profile.main(["--steps=5", "--depth=2", "--batch_size=8", f"--json={path}"]) == 0
    spent = json.loads(path.read_text())["ms"]
    assert list(spent.values()) == sorted(spent.values(), reverse=True)
    assert any("Conv2D" in kind for kind in list(spent)[:5])
    assert "ResourceApplyAdam" in spent
    assert profile.main(["--k=1"]) == 2


def test_start_refuses_what_training_refuses(capfd):
    assert start.main(["--repeats=1", "--k=1"]) == 2
    assert "--k must be at least 2" in capfd.readouterr().err


@pytest.mark.slow
def test_an_exported_model_is_measured_beside_keras(tmp_path, capsys):
    arguments = ["--images=8", "--batch=4", "--repeats=2", f"--json={tmp_path / 'report.json'}"]
    assert serving_benchmark.main(arguments) == 0
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    (row,) = report["encode"]
    assert [len(rates) for rates in row["images_per_second"].values()] == [2, 2]
    assert min(row["relative_speed"]) > 0
    assert report["export_seconds"] > 0
