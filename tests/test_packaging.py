"""The package as it is installed: its contents, its extras, and its commands without any extra."""

import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

from amr_tf import __main__, export, sweep, train
from amr_tf.runtime import extras
from amr_tf.runtime.errors import UserError
from amr_tf.serving import client

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORE = {
    "tensorflow",
    "keras",
    "numpy",
    "absl-py",
    "pillow",
    "filelock",
    "scikit-learn",
    "scipy",
    "tensorboard",
}
# Makes the packages of all extras look as if they were not installed.
WITHOUT_EXTRAS = f"import sys\nsys.modules.update(dict.fromkeys({list(extras.PACKAGES)}))\n"


def in_order(requirement: str) -> str:
    """A requirement as metadata has it: a hyphen in the name, the versions in alphabetical order."""
    name, versions = re.fullmatch(r"([\w-]+(?:\[[\w-]+\])?)(.*)", requirement).groups()
    return name.replace("_", "-") + ",".join(sorted(versions.split(",")))


def of_requirements() -> dict[str, set[str]]:
    """The requirements in requirements.txt by extra, "" for the core."""
    found: dict[str, set[str]] = {"": set()}
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for section in re.split(r"^(?=# \[)", text, flags=re.MULTILINE):
        heading = re.match(r"# \[(\w+)\]", section)
        lines = re.findall(r"^[\w-]+[^\s#]*", section, flags=re.MULTILINE)
        found[heading[1] if heading else ""] = set(map(in_order, lines))
    return found


def test_extras_list_the_packages_that_commands_name():
    listed = of_requirements()
    assert {re.match(r"[\w-]+", line)[0] for line in listed[""]} >= CORE
    for package, extra in extras.PACKAGES.values():
        assert any(re.match(rf"{package.replace('_', '-')}\b", line) for line in listed[extra])


@pytest.mark.parametrize(
    ("module", "main", "words", "message"),
    [
        ("tensorflow_datasets", train.main, ["--dataset=svhn"], "Reading svhn needs tensorflow-datasets. {data}"),
        ("importlib_resources", train.main, ["--dataset=zappos"], "Reading zappos needs importlib_resources. {data}"),
        ("tensorflow_datasets", train.main, ["--dataset=dsprites"], "Reading dsprites needs tensorflow-d.*{data}"),
        ("tensorflow_serving", export.main, ["--run_dir=run"], "export of a run needs tensorflow-serving.*{serving}"),
        ("tf2onnx", export.main, ["--run_dir=run", "--also=onnx"], "--also=onnx needs tf2onnx. {onnx}"),
        ("tf2onnx", export.main, ["--run_dir=run", "--also=triton"], "--also=triton needs tf2onnx. {onnx}"),
        ("ai_edge_litert", export.main, ["--run_dir=run", "--also=litert"], "litert needs ai-edge-litert. {litert}"),
        ("submitit", sweep.main, ["flags/table1", "--executor=slurm"], "--executor=slurm needs submitit. {slurm}"),
    ],
)  # fmt: skip
def test_command_without_its_extra_names_it(refused, monkeypatch, tmp_path, module, main, words, message):
    """In one line, before anything slow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    (extra,) = re.findall(r"{(\w+)}", message)
    pattern = message.replace(f"{{{extra}}}", rf"Install it: pip install 'amr_tf\[{extra}\]'$")
    assert re.search(pattern, refused(main, *words).strip())
    assert [*tmp_path.iterdir()] == []


def test_grpc_without_its_extra_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    with pytest.raises(UserError, match=r"gRPC needs tensorflow-serving-api\. .*\[serving\]"):
        client.connect("grpc://localhost:8500", "amr", 1.0)


@pytest.mark.parametrize("word", ["trian", "--train", "serve"])
def test_unknown_sub_command_is_one_line_with_all_of_them(capsys, word):
    assert __main__.main([word]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"Received: {word!r}. Use {', '.join(__main__.COMMANDS)}" in err


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout; building it takes hatchling, which pip fetches."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", f"--wheel-dir={out}", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "hatchling" in done.stderr and "No matching distribution" in done.stderr:
        pytest.skip("needs a package index, from which pip fetches hatchling")
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.mark.slow
def test_wheel_has_the_files_command_and_extras(wheel):
    """The lines of requirements.txt are required, by the core or by the extra of its section."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (folder,) = {name.split("/")[0] for name in names} - {"amr_tf"}
        entry_points = archive.read(f"{folder}/entry_points.txt").decode()
        metadata = archive.read(f"{folder}/METADATA").decode()
    presets = {f"amr_tf/{path.relative_to(ROOT)}" for path in (ROOT / "flags").rglob("*.flags")}
    data = {
        f"amr_tf/{name}"
        for name in (
            "py.typed",
            "serving/card.md",
            "serving/hub.md",
            "reporting/page.html",
            "reporting/published.csv",
        )
    }
    assert presets | data <= set(names)
    assert "amr-tf = amr_tf.__main__:run" in entry_points
    required: dict[str, set[str]] = {}
    for line in re.findall(r"^Requires-Dist: (.+)$", metadata, flags=re.MULTILINE):
        requirement, _, condition = line.partition(";")
        extra = re.search(r"extra == '(\w+)'", condition)
        required.setdefault(extra[1] if extra else "", set()).add(in_order(requirement.strip()))
    assert set(required) == {"", "data", "serving", "onnx", "litert", "slurm", "cuda", "dev", "docs"}
    for extra, listed in of_requirements().items():
        assert required[extra] == listed
    assert all(line.startswith("tensorflow[and-cuda]") for line in required["cuda"])
    optional = (required[name] for name in ("data", "serving", "onnx", "litert", "slurm"))
    assert set().union(*optional) <= required["dev"]


@pytest.mark.slow
def test_wheel_without_extras_trains_and_evaluates(wheel, tmp_path):
    """From another folder, with the presets of the wheel: what a notebook on a new machine has."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT_EXTRAS)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    (tmp_path / "work").mkdir()

    def run(*words):
        command = [sys.executable, "-m", "amr_tf", *words]
        return subprocess.run(
            command,
            cwd=tmp_path / "work",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    small = ("--epochs=1", "--steps_per_epoch=2", "--depth=2", "--run_dir=run")
    for words in (
        (),
        ("train", "--flagfile=flags/fast/digits_amr_mixup_k2.flags", *small),
        ("evaluate", "--run_dir=run", "--metrics=probe,clustering", "--figures=interpolation"),
        ("report", "run", "--out=report"),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    done = run("train", "--dataset=mnist")
    assert done.stderr.count("\n") == 1
    assert "Reading mnist needs tensorflow-datasets. Install it: pip install 'amr_tf[data]'" in done.stderr
