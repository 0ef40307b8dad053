"""`--compare`: which groups a name means, which comparisons are refused, and the numbers of the sections."""

import numpy as np
import pytest

from amr_tf import report
from amr_tf.reporting import comparison
from amr_tf.runtime.errors import UserError
from tests.reporting.run_folders import grouped, write_run

RNG = np.random.default_rng(0)


def right(share, seed, count=200):
    """A record of the probe as `metrics.probe` makes it."""
    correct = np.random.default_rng(seed).random(count) < share
    return {"probe": {"score": float(correct.mean()), "right": {
        "examples": count, "bits": np.packbits(correct).tobytes().hex()}}}  # fmt: skip


def pair_of_groups(tmp_path, recorded=True, **settings):
    folders = []
    for method, offset in (("amr", 0.02), ("aegan", 0.0)):
        for seed in (1, 2, 3):
            folder = tmp_path / method / f"s{seed}"
            accuracy = 0.9 + offset + 0.001 * seed
            metrics = right(accuracy, seed) if recorded else None
            own = settings.get(method, {})
            folders.append(write_run(folder, [accuracy], metrics, model=method, seed=seed, **own))
    return grouped(*folders)


def test_comparison_by_seed_and_image(tmp_path):
    groups = pair_of_groups(tmp_path)
    found = comparison.compare(["amr", "aegan"], groups, 0.5, [])
    by_seed, by_image = found.sections
    (row,) = by_seed.rows
    assert row[:3] == ("amr - aegan", "3", "+2.00")
    assert row[4] == "0.25"
    assert [one[1] for one in by_image.rows] == ["1", "2", "3", "all"]
    assert any("cannot be below 0.25" in remark for remark in found.remarks)


def test_comparison_without_records_names_the_command(tmp_path):
    found = comparison.compare(["amr", "aegan"], pair_of_groups(tmp_path, recorded=False), 0.5, [])
    assert len(found.sections) == 1
    assert any("--metrics=probe" in remark for remark in found.remarks)


def test_settings_of_the_method_may_differ_and_others_are_named(tmp_path):
    groups = pair_of_groups(tmp_path, amr={"beta": 1.0, "lambda_": 5.0}, aegan={"depth": 8})
    with pytest.raises(
        UserError, match=r"more than what is compared: depth \(16 and 8\).*--despite=depth"
    ) as error:
        comparison.compare(["amr", "aegan"], groups, 0.5, [])
    assert "\n" not in str(error.value)
    assert comparison.compare(["amr", "aegan"], groups, 0.5, ["depth"]).sections


def test_one_setting_of_one_method_can_be_compared(tmp_path):
    folders = [
        write_run(tmp_path / f"rate{rate}" / f"s{seed}", [0.9 + rate * seed], learning_rate=rate, seed=seed)
        for rate in (1e-4, 1e-3)
        for seed in (1, 2)
    ]
    found = comparison.compare(["rate0.0001", "rate0.001"], grouped(*folders), 0.5, [])
    assert found.sections[0].rows[0][1] == "2"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["amr", "vae"], "No group has this name. Received: --compare=vae. Name one of: lines amr"),
        (["amr", "lines, amr mixup k=2"], "Both names are of the same group"),
    ],
)
def test_names_of_no_group_or_the_same_are_refused(tmp_path, names, said):
    with pytest.raises(UserError, match=said.replace("lines amr", "lines, amr")):
        comparison.compare(names, pair_of_groups(tmp_path), 0.5, [])


def test_groups_without_a_common_seed_are_refused(tmp_path):
    folders = [
        write_run(tmp_path / "a", [0.9], model="amr", seed=1),
        write_run(tmp_path / "b", [0.9], model="aegan", seed=2),
    ]
    with pytest.raises(UserError, match="no finished runs with a common seed"):
        comparison.compare(["amr", "aegan"], grouped(*folders), 0.5, [])


def test_one_common_seed_says_that_it_says_nothing(tmp_path):
    folders = [
        write_run(tmp_path / "a", [0.91], model="amr", seed=1),
        write_run(tmp_path / "b", [0.9], model="aegan", seed=1),
    ]
    found = comparison.compare(["amr", "aegan"], grouped(*folders), 0.5, [])
    assert any("says nothing about other seeds" in remark for remark in found.remarks)


def test_report_writes_the_comparison_in_every_format(tmp_path, capsys):
    pair_of_groups(tmp_path / "runs")
    out = tmp_path / "out"
    assert report.main([str(tmp_path / "runs"), "--compare=amr,aegan", f"--out={out}"]) == 0
    for text in (capsys.readouterr().out, (out / "report.md").read_text(), (out / "report.html").read_text()):
        assert "Comparison by seed" in text
        assert "Comparison by test image" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--compare=amr"], "two or more different groups"),
        (["--compare=amr,amr"], "two or more different groups"),
        (["--compare=amr,aegan", "--despite=colour"], "names of training flags. Received: colour"),
        (["--compare=amr,aegan", "--margin=-1"], "margin"),
    ],
)
def test_flags_of_a_comparison_are_checked(tmp_path, capsys, arguments, said):
    assert report.main([str(tmp_path), *arguments]) == 2
    assert said in capsys.readouterr().err
