"""Run folders: their names, what may be reused, and the validation of what a run has written."""

import os
import pathlib

import pytest

from amr_tf.config import Config, ConfigError, command_line
from amr_tf.runs.folder import NEEDED, RunError, RunFolder, default_path, read_rows, write_rows
from amr_tf.runtime import files


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({}, "lines/amr_mixup_k2_lambda10_s0"),
        ({"dataset": "svhn", "k": 4, "seed": 3}, "svhn/amr_mixup_k4_lambda10_s3"),
        ({"model": "aegan"}, "lines/aegan_lambda10_s0"),
        ({"model": "acai"}, "lines/acai_lambda1_s0"),
        ({"model": "aegan", "k": 3}, "lines/aegan_lambda10_k-3_s0"),
        ({"latent": 2, "beta": 50.0, "epochs": 7}, "lines/amr_mixup_k2_lambda10_beta-50.0_latent-2_s0"),
        ({"schedule": "cosine", "epochs": 7}, "lines/amr_mixup_k2_lambda10_epochs-7_schedule-cosine_s0"),
        ({"dataset": "mnist", "data_dir": "/a", "raw_dir": "b"}, "mnist/amr_mixup_k2_lambda10_s0"),
        ({"dataset": "folder:~/pics/"}, "folder_pics/amr_mixup_k2_lambda10_s0"),
    ],
)
def test_default_path_tells_runs_apart(settings, path):
    assert default_path(Config(**settings)) == pathlib.Path("runs", path)


def test_run_dir_of_an_unknown_user_is_refused():
    """A folder named ~nobody would be made in the working folder."""
    with pytest.raises(
        ConfigError, match=r"^--run_dir begins with a home folder .*=~nobody-of-that-name/run\. "
    ):
        RunFolder(Config(run_dir="~nobody-of-that-name/run"))


def test_check_flags_of_the_user_are_foreign(tmp_path):
    """Without a checkpoint, a folder with a run's own flags.txt is reused."""
    folder = RunFolder(Config(run_dir=str(tmp_path)))
    folder.flags.write_text("# my notes\n--dataset=lines\n")
    folder.tensorboard.mkdir()
    mine = [tmp_path / name for name in (".mine.tmp", "tensorboard/events.out.tfevents.1", "thesis.txt")]
    for path in mine:
        path.write_text("mine")
    for act in (folder.check, lambda: folder.started({}).__enter__()):
        with pytest.raises(RunError, match=r"other files and no run.*flags\.txt, tensorboard, thesis\.txt"):
            act()
    assert all(path.exists() for path in mine)
    assert folder.flags.read_text().startswith("# my notes")
    folder.flags.write_text(command_line.flagfile_text(folder.config, {}))
    folder.check()


@pytest.mark.parametrize("name", ["two\nlines", os.fsdecode(b"latin\xe9")])
def test_check_resumes_in_a_folder_of_any_name(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    folder = RunFolder(Config(run_dir="run"))
    with folder.started(dict.fromkeys(vars(folder.config), "flag")):
        (folder.checkpoints / "step_0000000001").mkdir()
    folder.check()
    assert folder.config_before == folder.config


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("metrics.csv", r"no checkpoint to resume from. Received: metrics\.csv"),
        ("results.json", r"no checkpoint to resume from. Received: results\.json"),
        ("checkpoints/damaged_step_0000000001/x", "no checkpoint to resume from. Received: damaged_step_0"),
        ("checkpoints/step_0000000001/x", r"checkpoints without a flags\.txt"),
    ],
)
def test_check_incomplete_run_is_refused(tmp_path, made, message):
    (tmp_path / made).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / made).touch()
    with pytest.raises(RunError, match=message):
        RunFolder(Config(run_dir=str(tmp_path))).check()


def test_write_replaces_whole_files_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    files.write(path, "old")
    files.write(path, b"new")
    assert path.read_text() == "new"
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"loss": float("nan")})

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        files.write(path, "newer")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_os_errors_without_a_name_name_the_file():
    """/dev/full accepts no byte, and /dev/null cannot be synced."""
    with pytest.raises(OSError, match=r"Invalid argument: '/dev/null'"):
        files.sync(pathlib.Path("/dev/null"))
    full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 (it is closed below)
    with pytest.raises(OSError, match=r"No space left on device: 'x.json'"), full, files._naming("x.json"):
        full.write(b"x")


def test_rows_survive_a_round_trip(tmp_path):
    first = {"epoch": 1, "step": 4, "val_probe_accuracy": 0.25, "test_probe_accuracy": 0.5}
    rows = [first, first | {"epoch": 2, "recon": 1e-7, "images_per_second": 3.5}]
    write_rows(tmp_path / "metrics.csv", rows)
    assert read_rows(tmp_path / "metrics.csv") == rows
    assert read_rows(tmp_path / "absent.csv") == []


HEADER = ",".join(NEEDED)


@pytest.mark.parametrize(
    "text",
    [
        "epoch,recon\n1\n", "recon\n1\n", "epoch\none\n", "epoch\n\xff\n", f"{HEADER}\n1,2,0,0,5\n",
        f"{HEADER}\n1,{'9' * 400},0,0\n", f"{HEADER}\n1,2,0,\n", f"{HEADER}\n1,2,nan,0\n", f"{HEADER}\n1,\0,0,0\n",
    ],
)  # fmt: skip
def test_read_rows_damaged_is_one_line(tmp_path, text):
    (tmp_path / "metrics.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"cannot be read: .*metrics\.csv") as error:
        read_rows(tmp_path / "metrics.csv")
    assert "\n" not in str(error.value)


def test_read_rows_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "metrics.csv")
    with pytest.raises(RunError, match=r"metrics\.csv is not a regular file"):
        read_rows(tmp_path / "metrics.csv")


@pytest.mark.parametrize(
    "text",
    [
        "[]", "[" * 100_000, '{"best": 1e400}', f'{{"best": {"9" * 400}}}', '{"best": NaN}', '{"best": {"epoch": 1}}',
        '{"metrics": [1]}', '{"metrics": {"probe": 1}}', '{"versions": 1}', '{"config": []}',
        '{"examples": [1]}', '{"examples": {"train": "many"}}', '{"image_shape": [7, 32, 32, 3]}',
        '{"image_shape": 32}', '{"image_shape": [32, 32, "3"]}', '{"image_shape": [32, -32, 3]}', '{"classes": null}',
    ],
)  # fmt: skip
def test_read_results_invalid_is_one_line(tmp_path, text):
    folder = RunFolder(Config(run_dir=str(tmp_path)))
    folder.results.write_text(text)
    with pytest.raises(RunError, match=r"results\.json: ") as error:
        folder.read_results()
    assert "\n" not in str(error.value)
    assert folder.results.read_text() == text


def test_results_survive_a_round_trip(tmp_path):
    folder = RunFolder(Config(run_dir=str(tmp_path)))
    assert folder.read_results() == {}
    results = {"metrics": {"probe": {"score": None}}, "examples": {"train": 3}, "image_shape": [1, 1, 2]}
    files.write_json(folder.results, results | {"classes": 2})
    assert folder.read_results() == results | {"classes": 2}
