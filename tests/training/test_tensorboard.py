"""TensorBoard's files hold the numbers of a run under the right names, read back as TensorBoard reads them."""

import contextlib
import resource
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from amr_tf.config import Config
from amr_tf.data import Arrays, pixels
from amr_tf.data.catalog import LINES, SPIRAL
from amr_tf.models.build import build_model
from amr_tf.registry import MODELS
from amr_tf.runs.folder import RunFolder
from amr_tf.training import pictures, tensorboard

TINY = {"arch": "acai", "depth": 2, "latent": 2, "latent_width": 16, "batch_size": 8, "epochs": 150}
EXAMPLES = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 1), np.uint8)
VALIDATION = Arrays(EXAMPLES, np.arange(30) % 10, LINES)
LOGS = {
    "recon": 0.5, "gan_mix": 0.7, "disc_real": 0.6, "gen_gradient_norm": 3.0, "images_per_second": 90.0,
    "probe_accuracy": 0.1, "val_recon": 0.4, "val_probe_accuracy": 0.2, "test_probe_accuracy": 0.3, "novelty": 1.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return build()


def build(**settings):
    return build_model(Config(**(TINY | settings)), (32, 32, 1), 10)


@contextlib.contextmanager
def started(run_dir, model, new_run=False, **settings):
    """The callback of a run. Its second epoch and every second one after it are drawn."""
    run = RunFolder(Config(**(TINY | settings), run_dir=str(run_dir)))
    run.images.mkdir(parents=True, exist_ok=True)
    callback = tensorboard.TensorBoard(run, VALIDATION, new_run)
    callback.set_model(model)
    with contextlib.closing(callback):
        callback.on_train_begin()
        yield callback


def write(run_dir, model, logs, steps, new_run=True, **settings):
    """Writes what a run does whose epochs end after `steps`."""
    with started(run_dir, model, new_run, **settings) as callback:
        for epoch, step in enumerate(steps):
            model.step.assign(step)
            callback.on_epoch_end(epoch, logs)


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def curve(events, tag):
    return [(event.step, pytest.approx(tf.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]


def session_groups(logdir):
    """The rows of the HPARAMS tab, from TensorBoard's own code: {trial: (settings, {(tag, split): last value})}."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request_context = context.RequestContext()
    columns = backend.experiment_from_metadata(
        request_context, "", True, backend.hparams_metadata(request_context, ""), None
    ).metric_infos
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        allowed_statuses=api_pb2.Status.values(),
        col_params=[api_pb2.ColParams(metric=column.name) for column in columns],
    )
    rows = list_session_groups.Handler(request_context, backend, "", request).run().session_groups
    return {
        row.name: (
            {name: value.number_value or value.string_value for name, value in row.hparams.items()},
            {(metric.name.tag, metric.name.group): metric.value for metric in row.metric_values},
        )
        for row in rows
    }


@pytest.mark.parametrize("name", MODELS)
def test_every_logged_number_has_a_tag_and_a_description(name):
    """All terms with a consistency loss, in groups, described, and no two under one tag."""
    beta = {"beta": 1.0} if name in ("amr", "amr_supervised", "acai_rerun") else {}
    model = build(model=name, arch="acai", latent_width=16, **beta)
    tags = tensorboard.tags(model)
    logged = {metric.name for metric in model.metrics}
    assert {"recon", "probe_accuracy"} <= logged <= set(tags)
    assert len({tag.name for tag in tags.values()}) == len(tags)
    assert all(tag.description and "/" in tag.name for tag in tags.values())


def test_curves_of_splits_share_their_names(model, tmp_path):
    """The axis is the model's step: runs with epochs of other lengths can be compared. They are read at once."""
    with started(tmp_path, model, new_run=True) as callback:
        folder = tmp_path / "tensorboard"
        assert read(folder / "train").Tags()["graph"]
        for epoch, step in enumerate((40, 80)):
            model.step.assign(step)
            callback.on_epoch_end(epoch, LOGS)
        train, validation, test = (read(folder / part) for part in ("train", *tensorboard.SPLITS.values()))
    assert set(train.Tags()["tensors"]) == {
        "generator/recon", "generator/gan_mix", "discriminator/disc_real", "gradient_norm/generator",
        "speed/images_per_second", "probe/accuracy", "novelty",
    }  # fmt: skip
    assert set(validation.Tags()["tensors"]) == {"generator/recon", "probe/accuracy"}
    assert set(test.Tags()["tensors"]) == {"probe/accuracy"}
    assert curve(train, "probe/accuracy") == [(40, 0.1), (80, 0.1)]
    assert curve(validation, "probe/accuracy") == [(40, 0.2), (80, 0.2)]
    assert curve(test, "probe/accuracy") == [(40, 0.3), (80, 0.3)]
    assert curve(train, "novelty") == [(40, 1.5), (80, 1.5)], "unknown names are logged as well"
    described = train.SummaryMetadata("generator/gan_mix").summary_description
    assert described == tensorboard.tags(model)["gan_mix"].description
    assert "l(D(x_m), 1)" in described


def test_a_resumed_run_continues_the_same_curves(model, tmp_path):
    """Another process, another file: TensorBoard reads both, and the settings and the graph of the first."""
    write(tmp_path, model, LOGS, steps=[40])
    time.sleep(1.1)  # files are read in the order of their names, which have the second in them
    write(tmp_path, model, LOGS | {"recon": 0.25}, steps=[80], new_run=False)
    folder = tmp_path / "tensorboard"
    train = read(folder / "train")
    assert curve(train, "generator/recon") == [(40, 0.5), (80, 0.25)]
    assert train.Tags()["graph"]
    assert len(list((folder / "train").glob(tensorboard.EVENTS))) == 2
    assert len(list((folder / "evaluation").glob(tensorboard.EVENTS))) == 1


def test_hparams_tab_compares_runs_by_setting_and_outcome(model, tmp_path):
    """Every run is a separate row, also one with equal settings; the columns are the curves of both splits."""
    accuracies = {"a": 0.5, "b": 0.75, "c": 0.25}
    for name, weight in {"a": 2.0, "b": 50.0, "c": 2.0}.items():
        logs = LOGS | {"val_probe_accuracy": accuracies[name], "val_recon": 0.125}
        write(tmp_path / "lines" / name, model, logs, steps=[4], lambda_=weight)
    rows = session_groups(tmp_path)
    assert set(rows) == {f"lines/{name}/tensorboard/evaluation" for name in accuracies}
    for name, accuracy in accuracies.items():
        settings, metrics = rows[f"lines/{name}/tensorboard/evaluation"]
        assert settings["lambda"] == (50.0 if name == "b" else 2.0)
        assert settings["mixer"] == "mixup"
        assert "epochs" not in settings, "a run that goes on may have more of them"
        assert metrics == {
            ("probe/accuracy", "validation"): accuracy,
            ("probe/accuracy", "test"): pytest.approx(0.3),
            ("generator/recon", "validation"): 0.125,
        }


def test_new_run_removes_curves_of_a_stopped_first_epoch(model, tmp_path):
    """TensorBoard keeps the first settings it reads in a folder, so an older run's would be shown for ever."""
    write(tmp_path / "run", model, LOGS, steps=[1], lambda_=2.0)
    kept = tmp_path / "run/tensorboard/notes.txt"
    kept.write_text("of the user")
    write(tmp_path / "run", model, LOGS, steps=[4], lambda_=50.0)
    ((settings, _),) = session_groups(tmp_path).values()
    assert settings["lambda"] == 50.0
    assert curve(read(tmp_path / "run/tensorboard/train"), "generator/recon") == [(4, 0.5)]
    assert kept.exists()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("arch", ["acai", "amr"])
def test_the_graph_is_the_forward_computation_and_moves_nothing(name, arch):
    """Its outermost boxes are what the paper calls f, g, D, and the probe."""
    model = build(model=name, arch=arch, latent_width=16 if arch == "acai" else 8)
    before = [variable.numpy() for variable in model.weights]
    operations = tensorboard.forward_graph(model).get_operations()
    boxes = {operation.name.split("/")[0] for operation in operations}
    parts = {"encode", "decode", "probe"} | ({"discriminate"} if model.has_discriminator else set())
    assert boxes == {"images"} | parts
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_the_graph_of_a_model_on_two_replicas_can_be_drawn():
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(cpus) == 2
    with tf.distribute.MirroredStrategy(cpus).scope():
        model = build(arch="amr", latent_width=8)
    assert len(tensorboard.forward_graph(model).get_operations()) > 100


def test_projector_files_are_the_codes_labels_and_thumbnails(model, tmp_path):
    write(tmp_path, model, LOGS, steps=[4, 8])
    assert not list(tmp_path.rglob("codes.tsv")), "disabled by default"
    write(tmp_path, model, LOGS, steps=[4, 8], projector=True)
    folder = tmp_path / "tensorboard" / tensorboard.SPLITS["val_"]
    codes = np.loadtxt(folder / "codes.tsv", delimiter="\t")
    expected = model.encode(pixels.to_float(EXAMPLES)).numpy().reshape(30, -1)
    np.testing.assert_allclose(codes, expected, rtol=1e-4, atol=1e-6)
    assert np.loadtxt(folder / "labels.tsv", dtype=int).tolist() == VALIDATION.labels.tolist()
    thumbnails = np.asarray(Image.open(folder / "thumbnails.png"))
    assert thumbnails.shape == (6 * 32, 6 * 32, 3)
    np.testing.assert_array_equal(thumbnails[32:64, 64:96, 0], EXAMPLES[8, :, :, 0], "row 1, column 2 of six")
    text = (folder / "projector_config.pbtxt").read_text()
    for name in ("codes.tsv", "labels.tsv", "thumbnails.png", "single_image_dim: 32"):
        assert name in text


def test_points_have_codes_but_no_thumbnails(tmp_path):
    points = np.random.default_rng(0).uniform(-1, 1, (1100, 1, 1, 2)).astype("float32")
    model = build_model(Config(dataset="spiral"), (1, 1, 2), 10)
    validation = Arrays(points, np.arange(1100) % 10, SPIRAL)
    tensorboard.write_codes(tmp_path / "folder", model, validation)
    assert len((tmp_path / "folder" / "codes.tsv").read_text().splitlines()) == tensorboard.CODES
    assert not (tmp_path / "folder" / "thumbnails.png").exists()
    assert "sprite" not in (tmp_path / "folder" / "projector_config.pbtxt").read_text()


def test_pictures_are_written_as_files_and_events(model, tmp_path):
    """Events have the model's step, not the epoch. No picture, no file of events, which a new run would delete."""
    with started(tmp_path, model) as callback:
        for epoch in range(4):
            assert (tmp_path / "tensorboard/images").exists() == (epoch > 1)
            model.step.assign(10 * (epoch + 1))
            callback.on_epoch_end(epoch, {})
    names = ("interpolations", "mixes", "reconstructions")
    files = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert files == [f"epoch_0000{number}_{name}.png" for number in (2, 4) for name in names]
    events = read(tmp_path / "tensorboard/images")
    assert sorted(events.Tags()["tensors"]) == [f"pictures/{name}" for name in names]
    for name in names:
        first, second = events.Tensors(f"pictures/{name}")
        assert (first.step, second.step) == (20, 40)
        described = events.SummaryMetadata(f"pictures/{name}").summary_description
        assert described == pictures.DESCRIPTIONS[name]
        width, height, png = second.tensor_proto.string_val
        shown = tf.io.decode_png(png).numpy()
        assert shown.shape == (int(height), int(width), 3)
        np.testing.assert_array_equal(shown, Image.open(tmp_path / f"images/epoch_00004_{name}.png"))


@pytest.mark.parametrize(
    ("resumed_at", "at_once", "expected"),
    [(0, 1, [2, 3]), (3, 1, [3]), (4, 1, []), (0, 4, [0]), (0, 2, [2])],
)
def test_profile_covers_the_requested_future_steps(
    monkeypatch, model, tmp_path, resumed_at, at_once, expected
):
    """--profile_steps=3,4 counts from 1; `running` lists the number of steps before each profiled call.

    All steps of a call are profiled if one of them is requested.
    """
    monkeypatch.setattr(model, "epoch_length", 4)
    running = []
    with started(tmp_path, model, profile_steps="3,4", steps_per_execution=at_once) as callback:
        for step in range(resumed_at, 8, at_once):
            epoch, batch = divmod(step, 4)
            callback.on_epoch_begin(epoch)
            callback.on_train_batch_begin(batch)
            running += [step] * callback.profiling
            callback.on_train_batch_end(batch + at_once - 1)
        assert not callback.profiling
    assert running == expected
    assert len(list(tmp_path.rglob("plugins/profile/*/*.xplane.pb"))) == bool(expected)


def test_a_profile_under_way_ends_with_the_run(model, tmp_path):
    """An error in the middle of it: a second profile could not start otherwise."""
    for name in ("a", "b"):
        with started(tmp_path / name, model, profile_steps="1,100") as callback:
            callback.on_epoch_begin(0)
            callback.on_train_batch_begin(0)
            assert callback.profiling
            callback.close()
        assert list((tmp_path / name).glob("tensorboard/train/plugins/profile/*/*.xplane.pb"))


def test_a_full_disk_is_an_error(model, tmp_path):
    """Here a limit on the size of files: what was not written must not go unnoticed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with started(tmp_path, model) as callback:
        callback.on_epoch_end(0, LOGS)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises((OSError, tf.errors.OpError)):  # noqa: PT012 (the file fills up at some epoch)
                for _ in range(100):
                    callback.on_epoch_end(0, LOGS)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
