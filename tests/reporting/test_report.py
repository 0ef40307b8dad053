"""The command prints and writes a report, and refuses bad input in one line with exit code 2."""

import csv
import html.parser
import io
import re
import subprocess
import sys

import pytest

from amr_tf import report
from tests.reporting.run_folders import write_run

HOSTILE = "<script>alert(1)</script>|`x`[b]&\"'"


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def made(arguments, out):
    assert report.main([*map(str, arguments), f"--out={out}"]) == 0
    return {path.suffix: path.read_text(encoding="utf-8") for path in out.iterdir()}


def test_the_same_numbers_are_printed_and_written(three, tmp_path, capsys):
    files = made([three, "--table=1"], tmp_path / "out")
    said = capsys.readouterr().out
    parts = ("98.01 +- 0.10 (10)", "93.00 +- 3.61", "84.04 to 101.96", "-5.01", "epochs 2 instead of 2000")
    for text in (said, files[".md"], files[".html"].replace(" ± ", " +- ")):
        assert all(part in text for part in parts)
    rows = list(csv.DictReader(io.StringIO(files[".csv"])))
    assert len(rows) == 17
    assert float(rows[1]["ours_mean"]) == pytest.approx(93.0)
    assert rows[0]["ours_mean"] == ""
    assert set(files) == {".csv", ".html", ".md"}


def test_the_page_needs_no_other_file_and_describes_pictures(three, tmp_path):
    text = made([three], tmp_path / "out")[".html"]
    page = Page(text)
    kinds = [a["src"].split(";")[0] for a in page.all("img")]
    assert kinds == ["data:image/svg+xml", "data:image/svg+xml", "data:image/png"]
    assert page.all("script") + page.all("link") + page.all("iframe") == []
    assert re.findall(r"(?:https?:)?//[\w.]+", text) == []
    assert page.all("html") == [{"lang": "en"}]
    assert "width=device-width" in page.all("meta")[1]["content"]
    accuracy, reconstruction, strip = (image["alt"] for image in page.all("img"))
    assert accuracy == "mnist: validation accuracy of the probe, over training steps, 1 groups"
    assert reconstruction.startswith("mnist: reconstruction of validation images (l1)")
    assert strip.startswith("Interpolations of mnist, amr mixup k=2, seed 0, after epoch 2")
    assert page.text.count(f"Runs in {three}: amr_s0, amr_s1, amr_s2.") == 3, "the table and two charts"


def test_hostile_names_are_text(tmp_path, capsys):
    """Names of a folder (without the slash), a device, a version and a metric."""
    about = {"device": [HOSTILE], "commit": HOSTILE, "versions": {HOSTILE: HOSTILE}, "data": HOSTILE}
    folder = tmp_path / HOSTILE.replace("/", "")
    write_run(folder, [0.5], {HOSTILE: {"score": 0.5, "checkpoint": HOSTILE}}, about=about)
    write_run(tmp_path / "b", [0.5], {HOSTILE: {"score": 0.5, "checkpoint": "best"}}, seed=1, about=about)
    files = made([tmp_path], tmp_path / "out")
    page = Page(files[".html"])
    assert page.all("script") + page.all("b") == []
    assert page.text.count(HOSTILE) >= 5
    assert "<" not in files[".md"].replace("\\<", "")
    bars = [
        len(re.findall(r"(?<!\\)\|", line)) for line in files[".md"].splitlines() if line.startswith("| ")
    ]
    assert len(set(bars)) == 2, "two tables, whose rows have as many cells as their heads"
    assert HOSTILE[:8] in capsys.readouterr().out


def test_a_file_that_is_not_a_png_is_left_out(tmp_path):
    folder = write_run(tmp_path / "run", [0.5])
    (folder / "images" / "epoch_00001_interpolations.png").write_bytes(b"<svg onload=alert(1)>")
    page = Page(made([folder], tmp_path / "out")[".html"])
    assert not [image for image in page.all("img") if image.get("class") == "strip"]


def test_a_table_without_runs_is_made_too(tmp_path):
    run = write_run(tmp_path / "run", [0.5])
    files = made([run, "--table=low_data"], tmp_path / "out")
    assert files[".md"].count("not in our sources") == 20
    assert "Belongs to no cell of this table: lines, amr mixup k=2 (seeds 1: 0)." in files[".html"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "takes the folders of runs"),
        (["nothing"], "Received: "),
        (["runs", "nothing*"], "Received: "),
        (["runs", "--table=4"], "table"),
        (["runs", "--tabel=1"], "--help"),
        (["runs", "--flagfile=nothing"], "nothing"),
    ],
)
def test_bad_input_is_one_line(three, monkeypatch, refused, words, part):
    monkeypatch.chdir(three.parent)
    assert part in refused(report.main, *words)


def test_a_damaged_file_is_named_and_nothing_is_overwritten(three, tmp_path, refused, capsys):
    old = made([three], tmp_path / "out")
    capsys.readouterr()
    (three / "amr_s1" / "results.json").write_text("{")
    assert f"{three}/amr_s1/results.json" in refused(report.main, three, f"--out={tmp_path / 'out'}")
    assert {path.suffix: path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir()} == old


def test_a_run_without_an_epoch_is_left_out_with_a_remark(three, capsys):
    (three / "amr_s1" / "metrics.csv").unlink()
    assert report.main([str(three)]) == 0
    out, err = capsys.readouterr()
    assert err == f"amr_tf.report: left out, no metrics.csv yet: {three}/amr_s1\n"
    assert out
    for path in three.glob("*/metrics.csv"):
        path.unlink()
    assert report.main([str(three)]) == 2
    assert "\namr_tf.report: No run there has a metrics.csv" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line(three, refused):
    out = three / "amr_s0" / "flags.txt"
    assert "Choose another --out" in refused(report.main, three, f"--out={out}")


def test_files_are_written_although_the_pipe_is_closed(three, tmp_path):
    """`report ... | head -1` closes the pipe early."""
    command = [sys.executable, "-m", "amr_tf.report", str(three), "--table=2", f"--out={tmp_path / 'out'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_help_names_every_table(capsys):
    assert report.main(["--help"]) == 0
    assert "1, 2, 3, low_data" in capsys.readouterr().out


def test_it_starts_without_tensorflow(three):
    code = "import sys, amr_tf.report as r; r.main(sys.argv[1:]); sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(three)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "93.00 +- 3.61" in done.stdout
