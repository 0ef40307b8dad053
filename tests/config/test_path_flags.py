"""Every flag that takes a path, of every command: no address, no folder named ~, and the home folder in place of ~."""

import dataclasses
import os

import pytest
from absl import flags

from amr_tf import evaluate, export, report, sweep, train
from amr_tf.config import Config, ConfigError, command_line, flag_name
from amr_tf.serving import client

OWN = {
    evaluate: {"run_dir", "data_dir", "raw_dir", "out"},
    export: {"run_dir", "export_dir"},
    report: {"out"},
    sweep: {"out"},
    client: {"out"},
}
SETTINGS = {"data_dir": "", "raw_dir": "", "run_dir": "", "dataset": "folder:"}  # what precedes the path
# Text that names no path.
TEXTS = {"checkpoint", "grid", "slurm_partition", "url", "model", "attributes", "profile_steps"}
# Words before a path that is given without a flag.
WORDS = {evaluate: [], report: [], sweep: [], client: ["encode"]}
MNIST, SWEEP = ["--dataset=mnist"], ["flags/demo.flags", "--out=o"]
CASES = [
    *((train, [*MNIST, f"--{name}={prefix}"]) for name, prefix in SETTINGS.items()),
    *((sweep, [*SWEEP, *MNIST, f"--{name}={prefix}"]) for name, prefix in SETTINGS.items()),
    *((binary, [f"--{name}="]) for binary, names in OWN.items() for name in sorted(names)),
    *((binary, ["--flagfile="]) for binary in (train, *OWN) if binary is not sweep),
    (sweep, [*SWEEP, "--flagfile="]),
    *((binary, [*words, ""]) for binary, words in WORDS.items()),
]
IDS = [f"{binary.__name__}-{words[-1]}" for binary, words in CASES]


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty working folder, and a home folder beside it."""
    for name in ("empty", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path / "empty"


def test_list_of_path_flags_is_complete():
    """A new flag is declared as a path, or listed as text here."""
    for binary, names in OWN.items():
        values = binary.define_flags()
        kinds = {name: values[name].parser for name in set(values) - command_line.ABSL_FLAGS}
        assert {n for n, kind in kinds.items() if isinstance(kind, command_line.PathParser)} == names
        assert {n for n, kind in kinds.items() if type(kind) is flags.ArgumentParser} <= TEXTS
    fields = {flag_name(field.name): field for field in dataclasses.fields(Config)}
    assert {name for name, field in fields.items() if field.metadata["path"]} == set(SETTINGS)
    free = {n for n, field in fields.items() if field.type is str and not field.metadata["choices"]}
    assert free - set(SETTINGS) <= TEXTS


@pytest.mark.parametrize(
    "path", ["gs://bucket/x", "s3:/b/x", "file:///tmp/x", "~nobody-of-that-name/x", "~/x"]
)
@pytest.mark.parametrize(("binary", "words"), CASES, ids=IDS)
def test_unusable_path_is_refused_before_work(binary, words, path, empty, monkeypatch, refused):
    """Nothing is made in the working folder: neither gs: nor ~."""
    if path == "~/x":
        monkeypatch.setenv("HOME", "~")  # which names no folder, as where there is no HOME
    said = refused(binary.main, *words[:-1], words[-1] + path)
    assert f"Received: {words[-1]}{path}." in said
    assert os.listdir(empty) == []


@pytest.mark.parametrize(("binary", "name"), [(b, n) for b, names in OWN.items() for n in sorted(names)])
def test_own_path_flag_expands_the_home_folder(binary, name, empty):
    for text, place in (("~/x", empty.parent / "home/x"), ("./~/x", empty / "~/x")):
        values = binary.define_flags()
        assert command_line.read_own(values, "test", [f"--{name}={text}"]) == []
        value = values[name].value
        assert (value if isinstance(value, list) else [value]) == [place] * (1 if value else 0)
        assert value


@pytest.mark.parametrize(("name", "prefix"), SETTINGS.items())
def test_setting_that_is_a_path_expands_the_home_folder(name, prefix, empty):
    (empty / "a.flags").write_text(f"--{name}={prefix}~/x\n")
    more = ["--dataset=mnist"] if name == "raw_dir" else []
    for word in (f"--{name}={prefix}~/x", "--flagfile=a.flags"):
        config, _ = command_line.parse([*more, word])
        assert config.place(name) == empty.parent / "home/x"


@pytest.mark.parametrize("binary", [b for b in OWN if b is not sweep], ids=lambda binary: binary.__name__)
def test_path_in_a_flag_file_is_refused_alike(binary, empty, refused):
    """Also in a file that the file includes."""
    (empty / "b.flags").write_text("--flagfile=a.flags\n")
    name = sorted(OWN[binary])[0]
    (empty / "a.flags").write_text(f"--{name}=gs://bucket/x\n")
    assert f"Received: --{name}=gs://bucket/x." in refused(binary.main, "--flagfile=b.flags")


@pytest.mark.parametrize("value", ["gs://bucket/x", "~nobody-of-that-name/x"])
def test_tfds_variable_is_refused_by_its_name(value, empty, monkeypatch, refused):
    """A path that is not used does no harm."""
    monkeypatch.setenv("TFDS_DATA_DIR", value)
    assert f"Received: TFDS_DATA_DIR={value}." in refused(train.main, "--dataset=mnist")
    assert os.listdir(empty) == []
    assert command_line.parse(["--dataset=lines"])[0].data_dir == "~/tensorflow_datasets"
    assert command_line.parse(["--dataset=mnist", "--data_dir=x"])[0].place("data_dir").name == "x"


def test_tfds_variable_gives_the_default(monkeypatch, empty, preset_path):
    """TFDS reads it too. A run's flags.txt keeps the place."""
    monkeypatch.setenv("TFDS_DATA_DIR", "prepared")
    config, sources = command_line.parse(["--dataset=mnist"])
    assert (config.data_dir, sources["data_dir"]) == ("prepared", "TFDS_DATA_DIR")
    assert command_line.parse(["--dataset=mnist", "--data_dir=mine"])[0].data_dir == "mine"
    preset_path.write_text(command_line.flagfile_text(config, sources))
    monkeypatch.setenv("TFDS_DATA_DIR", "elsewhere")
    assert command_line.parse([f"--flagfile={preset_path}"])[0].data_dir == str(empty / "prepared")
    monkeypatch.setenv("TFDS_DATA_DIR", "")
    assert Config(dataset="mnist").data_dir == "~/tensorflow_datasets"


def test_unknown_home_folder_matters_where_it_is_used(monkeypatch, empty, refused):
    """Generated data need no folder; MNIST would be prepared in one named ~."""
    monkeypatch.setenv("HOME", "~")
    said = refused(train.main, "--dataset=mnist", "--run_dir=run")
    assert "Received: --data_dir=~/tensorflow_datasets." in said
    assert os.listdir(empty) == []
    command_line.parse(["--dataset=lines", "--run_dir=run"])


def test_config_of_an_old_run_opens_with_any_places(preset_path):
    """Places of an earlier version or another machine are checked where they are used."""
    preset_path.write_text("--dataset=mnist\n--data_dir=gs://bucket/x\n--run_dir=~nobody-of-that-name/x\n")
    config, _ = command_line.parse_file(preset_path)
    for name in ("data_dir", "run_dir"):
        with pytest.raises(ConfigError, match=f"Received: --{name}="):
            config.place(name)
