"""Runs in the cells of the paper's tables: differences, marks, and missing runs."""

import pytest

from amr_tf.reporting import tables
from amr_tf.reporting.published import TABLES
from tests.reporting.run_folders import grouped, write_run

SIX = {"dataset": "mnist", "latent": 2}
DSPRITES = {"dataset": "dsprites", "lambda_": 1.0}


def rows(report, column):
    (section,) = (section for section in report.sections if section.title == column)
    return {row[0]: dict(zip(section.head, row, strict=True)) for row in section.rows}


def record(report, column, method):
    (found,) = (row for row in report.records if (row["column"], row["method"]) == (column, method))
    return found


def test_a_cell_shows_the_paper_ours_and_the_difference(three):
    """90, 92 and 97: mean 93, sd sqrt(13); 93 - 98.01 = -5.01; half an interval is 4.302653 sqrt(13 / 3)."""
    report = tables.paper_table(TABLES["1"], grouped(*three.iterdir()))
    assert list(rows(report, "MNIST, d_h = 32")["AMR mixup k=2"].items()) == [
        ("method", "AMR mixup k=2"), ("paper (lambda)", "98.01 +- 0.10 (10)"), ("measured", "93.00 +- 3.61"),
        ("95 % t interval", "84.04 to 101.96"), ("measured - paper", "-5.01"), ("test at that epoch", "92.00 +- 3.61"),
        ("seeds", "3: 0, 1, 2"), ("settings", "not the paper's [1]"),
    ]  # fmt: skip
    assert report.footnotes[0] == "Not the paper's protocol: epochs 2 instead of 2000."
    found = record(report, "MNIST, d_h = 32", "AMR mixup k=2")
    assert found["ours_minus_paper"] == pytest.approx(93 - 98.01)
    assert found["ours_n"] == 3
    assert found["settings"] == "Not the paper's protocol: epochs 2 instead of 2000."
    assert found["runs"].count("amr_s") == 3
    # A cell without a run
    assert list(rows(report, "KMNIST, d_h = 32")["AE+GAN"].values()) == [
        "AE+GAN", "76.18 +- 1.79 (10)", "no run", "-", "-", "-", "-", "-",
    ]  # fmt: skip
    empty = record(report, "KMNIST, d_h = 32", "AE+GAN")
    assert (empty["ours_mean"], empty["settings"], empty["runs"]) == (None, "no run", None)


def test_published_settings_come_first_and_are_not_marked(tmp_path):
    """Both groups lie in the same cell: the recipe in minutes is marked, the published one is not."""
    fast = write_run(tmp_path / "fast", [0.9], **SIX, arch="amr_fixed", lambda_=3.0, steps_per_epoch=500)
    long = write_run(tmp_path / "long", [0.98], **SIX, epochs=2000)
    report = tables.paper_table(TABLES["1"], grouped(fast, long))
    section = report.sections[0]
    found = [(row[2], row[-1]) for row in section.rows if row[0] == "AMR mixup k=2"]
    assert found == [("98.00", "the paper's"), ("90.00", "not the paper's [1]")]
    assert report.footnotes[0] == (
        "Not the paper's protocol: arch amr_fixed instead of amr, lambda 3 instead of 10, epochs 1 instead of 2000, "
        "steps_per_epoch 500 instead of 0."
    )
    assert report.remarks == [
        "In progress: mnist, amr mixup k=2, arch=amr, lambda=10, epochs=2000, steps_per_epoch=0, "
        "seed 0 at epoch 1 of 2000; its numbers so far."
    ]


def test_acai_as_published_is_compared_by_its_last_tests(tmp_path):
    """Footnotes say that its training data were larger."""
    run = write_run(tmp_path / "run", [0.9, 0.5, 0.5], tests=[0.1, 0.2, 0.6], model="acai", **SIX, epochs=256)
    report = tables.paper_table(TABLES["1"], grouped(run))
    row = rows(report, "MNIST, d_h = 32")["ACAI as published"]
    assert (row["paper (lambda)"], row["measured"], row["measured - paper"], row["test at that epoch"]) == (
        "98.25 +- 0.11 [1]", "20.00", "-78.25", "10.00",
    )  # fmt: skip
    assert rows(report, "SVHN, d_h = 32")["ACAI as published"]["paper (lambda)"] == "34.47 +- 1.14 [2]"
    assert "all 60,000 training images of MNIST" in report.footnotes[0]
    assert "604,388" in report.footnotes[1]


def test_a_preset_with_own_settings_is_not_the_papers(tmp_path):
    """The discriminator of AE+GAN on dSprites differs; the other cells of the table have their script's settings."""
    ours = write_run(tmp_path / "ours", [0.9], **DSPRITES, model="aegan", epochs=500)
    other = write_run(tmp_path / "other", [0.9], dataset="dsprites", model="aegan", epochs=500, lambda_=2.0)
    script = write_run(tmp_path / "script", [0.9], **DSPRITES, epochs=500)
    report = tables.paper_table(TABLES["3"], grouped(ours, other, script))
    found = [(row[0], row[1], row[-1]) for row in report.sections[0].rows if row[2] != "no run"]
    assert found == [
        ("AE+GAN", "45.12 +- 2.68 [1]", "the preset's"),
        ("AE+GAN", "45.12 +- 2.68 [1]", "not the preset's [2]"),
        ("AMR mixup k=2", "49.00 +- 6.72 (1)", "the paper's"),
    ]
    assert "64 feature maps" in report.footnotes[0]
    assert report.footnotes[1] == "Not the preset's settings: lambda 2 instead of 1."


def test_runs_of_no_cell_are_named(tmp_path):
    few = write_run(tmp_path / "few", [0.9], **SIX, train_examples=1000)
    report = tables.paper_table(TABLES["1"], grouped(few))
    assert report.groups == []
    assert report.remarks == ["Belongs to no cell of this table: mnist, amr mixup k=2 (seeds 1: 0)."]
    assert {row["measured"] for row in rows(report, "MNIST, d_h = 32").values()} == {"no run"}


@pytest.mark.parametrize("weight", [10.0, 5.0])
def test_low_data_is_compared_with_its_preset(tmp_path, weight):
    """No number is published, and the paper's lambda for few examples is unknown."""
    settings = {"dataset": "svhn", "latent": 2, "train_examples": 5000, "epochs": 6000, "lambda_": weight}
    report = tables.paper_table(TABLES["low_data"], grouped(write_run(tmp_path / "few", [0.3], **settings)))
    found = rows(report, "SVHN, 5,000 training examples, d_h = 32")
    row = found["AMR mixup k=2"]
    assert (row["paper (lambda)"], row["measured"], row["measured - paper"]) == (
        "not in our sources",
        "30.00",
        "-",
    )
    assert found["AE+GAN"]["measured"] == "no run"
    same = weight == 10
    assert row["settings"] == ("the preset's" if same else "not the preset's [1]")
    assert report.footnotes == ([] if same else ["Not the preset's settings: lambda 5 instead of 10."])


@pytest.mark.parametrize(
    ("scores", "ours", "difference", "correct"),
    [
        ([(0.48, 0.60), (0.52, 0.70)], "50.00 +- 2.83", "+1.00", "65.00 +- 7.07"),
        ([(0.5, 0.6), None], "50.00 (n = 1)", "+1.00", "60.00 (n = 1)"),
        ([None], "-", "-", "-"),
    ],
    ids=["evaluated", "one of two evaluated", "not evaluated"],
)
def test_table_3_has_the_published_and_the_correct_score(tmp_path, scores, ours, difference, correct):
    for seed, pair in enumerate(scores):
        names = ("amr_dfv", "factor_vae")
        metrics = {name: {"score": score} for name, score in zip(names, pair or (), strict=False)}
        write_run(tmp_path / str(seed), [0.9], metrics, **DSPRITES, seed=seed, epochs=1)
    report = tables.paper_table(TABLES["3"], grouped(*tmp_path.iterdir()))
    row = rows(report, "dSprites, flat code of 10")["AMR mixup k=2"]
    assert (row["paper (lambda)"], row["measured"], row["measured - paper"], row["factor_vae"]) == (
        "49.00 +- 6.72 (1)", ours, difference, correct,
    )  # fmt: skip
    assert row["seeds"] == {1: "1: 0", 2: "2: 0, 1"}[len(scores)]
    assert "its ceiling is 80 %, and a collapsed code scores 80 %" in report.protocol


def test_a_cell_without_a_preset_is_missing(three, monkeypatch, tmp_path):
    monkeypatch.setattr(tables.command_line, "PRESET_ROOTS", (tmp_path,))
    report = tables.paper_table(TABLES["3"], grouped(*three.iterdir()))
    assert {row[2] for row in report.sections[0].rows} == {"no run"}


def test_all_groups_show_what_differs_and_every_metric(tmp_path):
    a = write_run(tmp_path / "a", [0.9], {"probe": {"score": 0.5}, "mig": {"score": 0.25}}, lambda_=2.0)
    b = write_run(tmp_path / "b", [0.8], {"probe": {"score": 0.7}}, lambda_=2.0, seed=1)
    c = write_run(tmp_path / "c", [0.7], lambda_=5.0)
    report = tables.all_groups(grouped(a, b, c))
    (section,) = report.sections
    assert section.head == (
        "data set", "model", "lambda", "validation", "95 % t interval", "test at that epoch", "mig", "probe", "seeds",
    )  # fmt: skip
    assert section.rows == [
        (
            "lines", "amr", "2", "85.00 +- 7.07", "21.47 to 148.53", "84.00 +- 7.07", "0.250 (n = 1)", "0.600 +- 0.141",
            "2: 0, 1",
        ),
        ("lines", "amr", "5", "70.00", "-", "69.00", "-", "-", "1: 0"),
    ]  # fmt: skip
    assert report.records[0]["probe_mean"] == pytest.approx(0.6)
    assert report.records[1]["probe_mean"] is None


def test_amr_dfv_is_always_shown_with_its_ceiling(tmp_path):
    run = write_run(tmp_path / "run", [0.9], {"amr_dfv": {"score": 0.8}})
    assert any("a collapsed code scores 80 %" in remark for remark in tables.all_groups(grouped(run)).remarks)


def test_remarks_on_the_runs_behind_a_mean(tmp_path):
    """A repeated seed, a run in progress, metrics of different checkpoints, and different data."""
    best, last = ({"probe": {"score": 0.5, "checkpoint": name}} for name in ("best", "last"))
    write_run(tmp_path / "a", [0.5, 0.5], best, when=2_000)
    write_run(tmp_path / "old", [0.5, 0.5], when=1_000)
    write_run(tmp_path / "b", [0.5, 0.5], last, seed=1, about={"data": "drawn anew"})
    write_run(tmp_path / "c", [0.5], seed=2, epochs=2)
    assert tables.all_groups(grouped(*tmp_path.iterdir())).remarks == [
        "In progress: lines, amr mixup k=2, seed 2 at epoch 1 of 2; not counted yet.",
        f"Seed 0 of lines, amr mixup k=2 is there twice: {tmp_path}/old does not count, a finished run or the "
        "newest one does.",
        "Runs of lines, amr mixup k=2 saw different data: lines, drawn anew.",
        "probe of lines, amr mixup k=2 comes from several checkpoints: best, last.",
    ]


def test_each_run_is_named_with_where_it_was_made(three):
    report = tables.paper_table(TABLES["1"], grouped(*sorted(three.iterdir())))
    assert list(zip(report.provenance.head, report.provenance.rows[1], strict=True)) == [
        ("run folder", f"{three}/amr_s1"), ("group", "mnist, amr mixup k=2"), ("seed", "1"), ("epochs", "2 of 2"),
        ("training time", "0.01 h"), ("validation (best epoch)", "92.00 (1)"), ("test", "91.00"), ("data", "mnist"),
        ("commit", "c0ffeec0ffee"), ("hardware", "a CPU, 2 cores"), ("versions", "keras 3.15.1"),
    ]  # fmt: skip
    assert tables.summary_line(report.groups) == (
        f"Runs in {three}: amr_s0, amr_s1, amr_s2. Data: mnist. Commit: c0ffeec0ffee. Hardware: a CPU, 2 cores."
    )


def test_groups_without_labels_show_reconstruction(tmp_path):
    """The last of four epochs is the best. No accuracy of 100 % is shown as a result."""
    one_class = {"about": {"classes": 1}, "dataset": "folder:faces", "tests": [1.0] * 4}
    write_run(tmp_path / "a", [1.0] * 4, **one_class, seed=1)
    report = tables.all_groups(grouped(tmp_path / "a"))
    (section,) = report.sections
    assert section.title == "By reconstruction: all labels are the same"
    assert section.head == (
        "data set", "model", "validation reconstruction", "95 % t interval", "test at that epoch", "seeds",
    )  # fmt: skip
    assert section.rows == [("folder:faces", "amr", "0.2500", "-", "0.5000", "1: 1")]
    assert "lowest validation reconstruction" in report.protocol
    assert "highest validation accuracy" not in report.protocol
    (record,) = report.records
    assert (record["validation_reconstruction_mean"], record["validation_mean"], record["test_mean"]) == (
        0.25,
        None,
        None,
    )
    row = dict(zip(report.provenance.head, report.provenance.rows[0], strict=True))
    assert (row["validation (best epoch)"], row["test"]) == (
        "reconstruction 0.2500 (4)",
        "reconstruction 0.5000",
    )


def test_labelled_and_unlabelled_groups_are_two_tables(tmp_path):
    """Rows of report.csv have the same columns."""
    labelled = write_run(tmp_path / "labelled", [0.9])
    unlabelled = write_run(
        tmp_path / "unlabelled", [1.0], about={"classes": 1}, dataset="folder:faces", tests=[1.0]
    )
    report = tables.all_groups(grouped(unlabelled, labelled))
    assert [[row[0] for row in section.rows] for section in report.sections] == [["lines"], ["folder:faces"]]
    first, second = report.records
    assert list(first) == list(second)
    assert (first["validation_mean"], second["validation_reconstruction_mean"]) == (90.0, 1.0)


def test_sizes_without_effect_are_no_column(tmp_path):
    """Flat codes have no width: of the runs with feature maps one width is shown, and both flat runs are one group."""
    flat = {"dataset": "dsprites", "arch": "burgess"}
    folders = [
        write_run(tmp_path / "a", [0.9], **flat, latent_width=4, seed=1),
        write_run(tmp_path / "b", [0.9], **flat, latent_width=8, depth=32, seed=2),
        write_run(tmp_path / "c", [0.9], dataset="dsprites", arch="amr", recon_loss="l1", latent_width=8),
    ]
    report = tables.all_groups(grouped(*folders))
    assert "latent_width" not in report.sections[0].head
    assert [row[-1] for row in report.sections[0].rows] == ["2: 1, 2", "1: 0"]
    folders.append(
        write_run(tmp_path / "d", [0.9], dataset="dsprites", arch="amr", recon_loss="l1", latent_width=4)
    )
    section = tables.all_groups(grouped(*folders)).sections[0]
    column = section.head.index("latent_width")
    assert [row[column] for row in section.rows] == ["-", "8", "4"]
