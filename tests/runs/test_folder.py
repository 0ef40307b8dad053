"""Names of run folders, and files that are whole or not there."""

import os
import pathlib

import pytest

from amr_tf.config import Config, command_line
from amr_tf.runs.folder import NEEDED, RunError, RunFolder, default_path, read_rows, write_rows
from amr_tf.runtime import files


def test_folder_names_tell_runs_apart():
    assert str(default_path(Config())) == "runs/lines/amr_mixup_k2_lambda10_s0"
    assert str(default_path(Config(dataset="svhn", k=4, seed=3))) == "runs/svhn/amr_mixup_k4_lambda10_s3"
    assert str(default_path(Config(model="aegan"))) == "runs/lines/aegan_lambda10_s0"
    assert str(default_path(Config(model="acai"))) == "runs/lines/acai_lambda1_s0"
    assert default_path(Config(model="aegan", k=3)).name == "aegan_lambda10_k-3_s0"
    name = default_path(Config(latent=2, beta=50.0, epochs=7)).name
    assert name == "amr_mixup_k2_lambda10_beta-50.0_latent-2_s0"


def test_a_scheduled_run_is_named_by_its_epochs_too():
    name = default_path(Config(schedule="cosine", epochs=7)).name
    assert name == "amr_mixup_k2_lambda10_epochs-7_schedule-cosine_s0"


def test_places_do_not_name_the_folder():
    elsewhere = Config(dataset="mnist", data_dir="/a", raw_dir="b")
    assert default_path(elsewhere) == default_path(Config(dataset="mnist"))


def test_an_unknown_users_home_is_a_name_like_any_other():
    assert str(RunFolder(Config(run_dir="~nobody-of-that-name/run")).path) == "~nobody-of-that-name/run"


def test_flags_that_the_user_wrote_are_not_taken_for_a_runs(tmp_path):
    """Without a checkpoint beside it, ours is taken over with what a killed run has left."""
    folder = RunFolder(Config(run_dir=str(tmp_path)))
    folder.flags.write_text("# my notes\n--dataset=lines\n")
    (tmp_path / "thesis.txt").write_text("mine")
    for act in (folder.check, lambda: folder.started({}).__enter__()):
        with pytest.raises(RunError, match=r"holds other files and no run.*flags\.txt, thesis\.txt"):
            act()
    assert folder.flags.read_text().startswith("# my notes")
    folder.flags.write_text(command_line.flagfile_text(folder.config, {}))
    folder.check()


@pytest.mark.parametrize("name", ["two\nlines", os.fsdecode(b"latin\xe9")])
def test_a_run_goes_on_wherever_it_lies(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    folder = RunFolder(Config(run_dir="run"))
    with folder.started(dict.fromkeys(vars(folder.config), "flag")):
        (folder.checkpoints / "step_0000000001").mkdir()
    folder.check()
    assert folder.config_before == folder.config


def test_write_replaces_whole_files_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "file.txt"
    files.write(path, "first")
    files.write(path, b"second")
    assert path.read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    files.write(path, "old")

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_never_holds_what_json_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not pathlib.Path(tmp_path / "x.json").exists()


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
        "epoch,recon\n1\n", "recon\n1\n", "epoch\none\n", "epoch\n\xff\n",
        f"{HEADER}\n1,{'9' * 400},0,0\n", f"{HEADER}\n1,2,0,\n", f"{HEADER}\n1,2,nan,0\n",
    ],
)  # fmt: skip
def test_damaged_rows_are_one_line(tmp_path, text):
    (tmp_path / "metrics.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match="cannot be read") as error:
        read_rows(tmp_path / "metrics.csv")
    assert "\n" not in str(error.value)


def test_a_pipe_is_no_metrics(tmp_path):
    os.mkfifo(tmp_path / "metrics.csv")
    with pytest.raises(RunError, match=r"metrics\.csv is no file"):
        read_rows(tmp_path / "metrics.csv")


@pytest.mark.parametrize(
    "text",
    [
        "[]", '{"best": 1e400}', f'{{"best": {"9" * 400}}}', '{"best": NaN}',
        '{"metrics": [1]}', '{"metrics": {"probe": 1}}', '{"versions": 1}',
        '{"examples": [1]}', '{"examples": {"train": "many"}}', '{"image_shape": [7, 32, 32, 3]}',
        '{"image_shape": 32}', '{"image_shape": [32, 32, "3"]}', '{"image_shape": [32, -32, 3]}', '{"classes": null}',
    ],
)  # fmt: skip
def test_results_of_another_form_are_one_line_that_names_the_file(tmp_path, text):
    folder = RunFolder(Config(run_dir=str(tmp_path)))
    folder.results.write_text(text)
    with pytest.raises(RunError, match=r"results\.json: ") as error:
        folder.read_results()
    assert "\n" not in str(error.value)
    assert folder.results.read_text() == text


def test_results_are_read_as_they_were_written(tmp_path):
    folder = RunFolder(Config(run_dir=str(tmp_path)))
    assert folder.read_results() == {}
    results = {
        "metrics": {"probe": {"score": None}},
        "examples": {"train": 3},
        "image_shape": [1, 1, 2],
        "classes": 2,
    }
    files.write_json(folder.results, results)
    assert folder.read_results() == results


def test_a_failure_of_a_call_that_knows_a_number_only_names_the_file():
    """/dev/full takes no byte, and /dev/null cannot be brought to a disk."""
    with pytest.raises(OSError, match=r"Invalid argument: '/dev/null'"):
        files.sync(pathlib.Path("/dev/null"))
    with (
        pytest.raises(OSError, match=r"No space left on device: 'results.json'"),
        files._naming("results.json"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
