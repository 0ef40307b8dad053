"""--lambdas: a run for each of them, in its own folder, and a table in which the validation split names the best."""

import signal

import pytest

from amr_tf import train
from amr_tf.config import Config, command_line
from amr_tf.runs.folder import RunError, RunFolder, read_rows, write_rows
from amr_tf.runtime.errors import DivergedError, Interrupted, UserError
from amr_tf.training import walk

SMALL = ["--dataset=spiral", "--depth=2", "--epochs=1", "--steps_per_epoch=2"]


def walk_with(train, config: Config) -> None:
    walk.run(train, config, dict.fromkeys(vars(config), "flag"))


def pretended(accuracies: dict[float, float]):
    """Instead of training: writes down a run's accuracy, given by its lambda. Without one it diverges."""

    def train(config, sources, stop_at=None):
        if config.lambda_ not in accuracies:
            raise DivergedError("Training diverged at step 3")
        row = {
            "epoch": 1,
            "step": 2,
            "val_probe_accuracy": accuracies[config.lambda_],
            "test_probe_accuracy": 0.5,
        }
        folder = RunFolder(config)
        folder.path.mkdir(parents=True)
        write_rows(folder.metrics, [row])

    return train


def table(text: str) -> list[list[str]]:
    """What stands in it, line by line, in words."""
    return [line.split() for line in text[text.index("\nlambda  ") + 1 :].splitlines()]


def losses(folder) -> list[dict]:
    rows = read_rows(folder / "metrics.csv")
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in rows]


@pytest.mark.slow
def test_each_lambda_is_trained_in_a_folder_of_its_own_and_the_same_command_goes_on(tmp_path, capsys):
    command = [*SMALL, "--lambdas=5,0.5", f"--run_dir={tmp_path / 'walk'}"]
    with pytest.raises(Interrupted, match="at step 1 of 2, which is saved"):
        train.train(*command_line.parse(command), stop_at=1)
    assert [path.name for path in (tmp_path / "walk").iterdir()] == ["lambda_5"]
    assert train.main(command) == 0
    said = capsys.readouterr().out
    assert "resuming after step 1, in epoch 1" in said
    assert [line[0] for line in table(said)] == ["lambda", "5", "0.5"]
    for value in (5.0, 0.5):
        flags = tmp_path / "walk" / f"lambda_{value:g}" / "flags.txt"
        config, _ = command_line.parse([f"--flagfile={flags}"])
        assert (config.lambda_, config.lambdas) == (value, "")
        assert f"# source: --lambdas\n--lambda={value}\n" in flags.read_text()
        # As a run of this lambda alone ends, in one go.
        alone = tmp_path / f"alone_{value:g}"
        assert train.main([*SMALL, f"--lambda={value}", f"--run_dir={alone}"]) == 0
        assert losses(flags.parent) == losses(alone)


def test_without_a_folder_the_runs_have_their_usual_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    walk_with(pretended({2: 0.1, 50: 0.2}), Config(dataset="mnist", lambdas="2,50"))
    names = sorted(path.name for path in (tmp_path / "runs" / "mnist").iterdir())
    assert names == ["amr_mixup_k2_lambda2_s0", "amr_mixup_k2_lambda50_s0"]


def test_the_validation_split_names_the_best(tmp_path, capsys):
    walk_with(pretended({2: 0.3, 5: 0.7, 10: 0.4}), Config(lambdas="2,5,10", run_dir=str(tmp_path)))
    assert table(capsys.readouterr().out) == [
        ["lambda", "validation", "test", "run", "folder"],
        ["2", "30.00%", "50.00%", f"{tmp_path}/lambda_2"],
        ["5", "70.00%", "50.00%", f"{tmp_path}/lambda_5", "<-", "best", "by", "validation"],
        ["10", "40.00%", "50.00%", f"{tmp_path}/lambda_10"],
    ]


def test_a_run_that_diverges_does_not_end_the_others_and_fails_the_walk(tmp_path, capsys):
    with pytest.raises(DivergedError, match="2 of 3 runs diverged, those with lambda 2, 10"):
        walk_with(pretended({5: 0.7}), Config(lambdas="2,5,10", run_dir=str(tmp_path)))
    said = capsys.readouterr().out
    assert "lambda 2: Training diverged at step 3" in said
    assert [line[:2] for line in table(said)[1:]] == [["2", "diverged"], ["5", "70.00%"], ["10", "diverged"]]
    with pytest.raises(DivergedError, match="1 of 1 runs diverged"):
        walk_with(pretended({}), Config(lambdas="2", run_dir=str(tmp_path)))


def test_another_failure_ends_the_walk(tmp_path):
    def fail(config, sources, stop_at=None):
        raise UserError("no data")

    with pytest.raises(UserError, match="no data"):
        walk_with(fail, Config(lambdas="2,5", run_dir=str(tmp_path)))


def test_every_folder_is_looked_at_before_the_first_run(tmp_path):
    (tmp_path / "lambda_5").mkdir()
    (tmp_path / "lambda_5" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="lambda_5 contains other files and no run"):
        walk_with(pretended({2: 0.1, 5: 0.1}), Config(lambdas="2,5", run_dir=str(tmp_path)))
    assert not (tmp_path / "lambda_2").exists()


def test_a_folder_that_holds_a_run_is_not_shared_with_it(tmp_path):
    (tmp_path / "flags.txt").write_text("--seed=1\n")
    with pytest.raises(RunError, match="holds a run: choose another --run_dir for those of --lambdas"):
        walk_with(pretended({2: 0.1}), Config(lambdas="2", run_dir=str(tmp_path)))


def test_smoke_tries_the_first_lambda_only(tmp_path, capsys):
    walk_with(pretended({2: 0.1}), Config(lambdas="2,5", smoke=True, run_dir=str(tmp_path)))
    assert [line[0] for line in table(capsys.readouterr().out)] == ["lambda", "2"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_two_runs_ends_the_walk(tmp_path, number):
    def interrupted(config, sources, stop_at=None):
        signal.raise_signal(number)

    with pytest.raises(Interrupted, match=r"by SIG(INT|TERM) between two runs") as raised:
        walk_with(interrupted, Config(lambdas="2,5", run_dir=str(tmp_path)))
    assert raised.value.exit_code == 128 + number
