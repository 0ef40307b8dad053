"""Runs that differ by their seed: statistics by hand, seeds that count once, distinct names of groups."""

import pytest

from amr_tf.config import Config
from amr_tf.reporting import groups, reading
from amr_tf.reporting.published import BEST_VALIDATION, LAST_TESTS, TEST_AT_BEST
from tests.reporting.run_folders import grouped, write_run


def test_statistics_by_hand():
    """1, 2, 6: mean 3, sd sqrt((4 + 1 + 9) / 2); t(0.975, 2) = 4.302653, from a printed table.

    Two seeds have the wide interval of one degree of freedom; a single run has no spread.
    """
    half = 4.302653 * 7**0.5 / 3**0.5
    assert groups.summarise([1.0, 2.0, 6.0]) == pytest.approx((3, 3.0, 7**0.5, 3 - half, 3 + half))
    two = groups.summarise([93.83, 93.58])
    assert two.high - two.mean == pytest.approx(12.7062 * 0.1767767 / 2**0.5, rel=1e-5)
    assert groups.summarise([5.0]) == (1, 5.0, None, None, None)


def test_runs_that_differ_by_seed_only_are_one_group(three, tmp_path):
    other = write_run(tmp_path / "other", [0.8], dataset="mnist", latent=2, lambda_=5.0, epochs=2)
    found = grouped(*sorted(three.iterdir()), other)
    assert [len(group.runs) for group in found] == [3, 1]
    best = found[0].summary(BEST_VALIDATION)
    assert best.mean == pytest.approx(93.0)
    assert best.sd == pytest.approx(13**0.5)  # of 90, 92, 97
    assert found[0].summary(TEST_AT_BEST).mean == pytest.approx(92.0)


def test_acais_figure_is_the_median_of_the_last_twenty_tests(tmp_path):
    """25 evaluations whose last 20 are 0.06 .. 0.25: median 0.155; the validation split has no influence."""
    tests = [number / 100 for number in range(1, 26)]
    run = reading.read(write_run(tmp_path / "run", [0.5] * 25, tests=tests))
    assert groups.figure(run, LAST_TESTS) == pytest.approx(15.5)


@pytest.mark.parametrize("in_progress", [False, True])
def test_the_same_seed_twice_counts_once(tmp_path, in_progress):
    """A finished run before one in progress, else the newest."""
    old = write_run(tmp_path / "a_new_name", [0.5, 0.6], when=1_000)
    new = write_run(tmp_path / "a", [0.7] if in_progress else [0.7, 0.6], epochs=2, when=2_000)
    kept, dropped, best = (old, new, 60.0) if in_progress else (new, old, 70.0)
    (found,) = grouped(new, old)
    assert [run.path for run in found.runs] == [kept]
    assert [run.path for run in found.dropped] == [dropped]
    assert found.summary(BEST_VALIDATION) == (1, pytest.approx(best), None, None, None)


def test_runs_in_progress_count_only_without_finished_ones(tmp_path):
    begun = write_run(tmp_path / "1", [0.9], seed=1, epochs=2)
    finished = write_run(tmp_path / "0", [0.5, 0.6], seed=0)
    for folders, mean in (([begun], 90.0), ([begun, finished], 60.0)):
        (found,) = grouped(*folders)
        assert found.finished == (len(folders) == 2)
        assert found.summary(BEST_VALIDATION).mean == pytest.approx(mean)


def test_every_group_has_its_own_name(tmp_path):
    settings = [
        {}, {"k": 3}, {"lambda_": 3.0}, {"k": 3, "lambda_": 3.0}, {"mixer": "bernoulli"}, {"model": "aegan"},
        {"model": "aegan", "k": 3}, {"dataset": "svhn"}, {"batch_size": 8, "depth": 4},
    ]  # fmt: skip
    folders = [write_run(tmp_path / str(n), [0.5], picture=False, **some) for n, some in enumerate(settings)]
    labels = [group.label for group in grouped(*folders)]
    assert len(set(labels)) == len(settings)
    assert labels[4] == "lines, amr bernoulli k=2"
    assert labels[3] == "lines, amr mixup k=3, lambda=3"
    assert labels[5:7] == ["lines, aegan, k=2", "lines, aegan, k=3"]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"epochs": 5}, True),
        ({"lambda_": 3.0}, True),
        ({"arch": "amr_fixed"}, True),
        ({"latent": 8, "latent_width": 2}, True),  # d_h = 32 too
        ({"latent": 4}, False),
        ({"k": 3}, False),
        ({"mixer": "bernoulli"}, False),
        ({"model": "aegan"}, False),
        ({"dataset": "svhn"}, False),
        ({"train_examples": 1000}, False),
    ],
)
def test_what_decides_the_cell_of_a_run(changed, same):
    published = Config(dataset="mnist", latent=2)
    run = Config(**{"dataset": "mnist", "latent": 2} | changed)
    assert (groups.cell_key(run) == groups.cell_key(published)) is same
    assert groups.cell_key(Config(model="aegan", k=3)) == groups.cell_key(Config(model="aegan")), (
        "an unused k"
    )


def test_differences_name_both_values():
    ours, paper = {"epochs": 5, "lambda": 3.0, "k": 2}, {"epochs": 2000, "lambda": 10.0, "k": 2}
    assert groups.differences(ours, paper) == "epochs 5 instead of 2000, lambda 3 instead of 10"
    assert groups.differences(paper, paper) == ""
