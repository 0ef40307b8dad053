"""Run folders that a command names, and the errors of those that cannot be read."""

import json

import pytest

from amr_tf.reporting import reading
from amr_tf.runs.best import ACCURACY
from amr_tf.runs.folder import RunError
from tests.reporting.run_folders import write_run


def test_folders_are_searched_in_depth_each_run_once(three, tmp_path):
    deep = write_run(tmp_path / "runs" / "walk" / "lambda_2", [0.5])
    (tmp_path / "link").symlink_to(deep)
    found = reading.find([str(three), str(deep), str(tmp_path / "runs" / "amr_s*"), str(tmp_path / "link")])
    assert sorted(path.resolve().name for path in found) == ["amr_s0", "amr_s1", "amr_s2", "lambda_2"]


def test_a_folder_whose_name_looks_like_a_pattern_is_a_folder(tmp_path):
    folder = write_run(tmp_path / "a[1]", [0.5])
    write_run(tmp_path / "a1", [0.5])
    assert reading.find([str(folder)]) == [folder]


@pytest.mark.parametrize("word", ["nothing", "nothing*", "x" * 5000, "a\0b", "."])
def test_a_word_that_names_no_run_is_refused(tmp_path, word):
    (tmp_path / "results.json").write_text("{}")
    message = r"No results\.json beside a flags\.txt" if word == "." else "No such folder"
    with pytest.raises(RunError, match=message) as error:
        reading.find([str(tmp_path / word)])
    assert error.value.args[0].isprintable()


def test_a_run_is_read_as_it_was_written(tmp_path):
    scores = {"probe": {"score": 0.94, "checkpoint": "best"}, "lines": {"score": None}, "votes": {"n": 3}}
    folder = write_run(tmp_path / "run", [0.5, 0.75, 0.7], scores, epochs=4, k=3, lambda_=2.0)
    run = reading.read(folder)
    assert (run.config.k, run.config.lambda_, run.epoch, run.finished) == (3, 2.0, 3, False)
    best = {"epoch": 2, "step": 20, "val_probe_accuracy": 0.75, "test_probe_accuracy": 0.74}
    assert run.best.items() >= best.items()
    assert run.by is ACCURACY
    assert run.scores == {"probe": 0.94}
    assert run.checkpoints["probe"] == "best"
    assert (run.device, run.versions, run.data) == ("a CPU, 2 cores", "keras 3.15.1", "lines")
    # 30 steps of 64 images at 32 images/s
    assert run.hours == pytest.approx(60 / 3600)
    assert run.interpolations == folder / "images" / "epoch_00003_interpolations.png"


def test_the_newest_picture_is_taken(tmp_path):
    folder = write_run(tmp_path / "run", [0.5])
    for epoch in ("00012", "00009", "x"):
        (folder / "images" / f"epoch_{epoch}_interpolations.png").write_bytes(b"")
    assert reading.read(folder).interpolations.name == "epoch_00012_interpolations.png"


def test_results_of_earlier_versions_are_read(tmp_path):
    """Later settings have their defaults; renamed models and metrics are read under their new names."""
    folder = write_run(tmp_path / "run", [0.5], {"factor_vae_dlib": {"score": 0.5, "checkpoint": "last"}})
    content = json.loads((folder / "results.json").read_text())
    del content["config"]["schedule"]
    content["config"] |= {"model": "acai_amr", "lambdas": ""}
    (folder / "results.json").write_text(json.dumps(content))
    run = reading.read(folder)
    assert (run.config.schedule, run.config.model) == ("constant", "acai_rerun")
    assert run.scores == {"factor_vae_disentanglement_lib": 0.5}
    assert run.checkpoints == {"factor_vae_disentanglement_lib": "last"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.json", ""),
        ("results.json", "[]"),
        ("results.json", "{}"),
        ("results.json", '{"config": {"model": "amr"}, "best": null}'),
        ("results.json", '{"config": {"model": "\\n"}, "best": {}}'),
        ("results.json", '{"config": {"colour": 1}, "best": {}}'),
        ("results.json", "[" * 100_000),
        ("results.json", "\xff"),
        ("metrics.csv", "epoch,recon\n1\n"),
        ("metrics.csv", ""),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path, name, text):
    folder = write_run(tmp_path / "run", [0.5])
    (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError) as error:
        reading.read(folder)
    assert str(folder) in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("metrics", [[1], {"probe": 3}, {"probe": None}])
def test_invalid_metrics_are_damage(tmp_path, metrics):
    folder = write_run(tmp_path / "run", [0.5], about={"metrics": metrics})
    with pytest.raises(RunError, match=r"results\.json"):
        reading.read(folder)


def test_unprintable_characters_become_question_marks():
    assert reading.printable("a\x1b[2Jb\n\udcff\N{ZERO WIDTH SPACE}ü") == "a?[2Jb???ü"
