"""Flag files: presets that include each other, and the flags.txt of a run, without TensorFlow."""

import dataclasses

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from amr_tf import evaluate, export, report, train
from amr_tf.config import Config, ConfigError, command_line
from amr_tf.registry import MODELS
from amr_tf.serving import client
from tests.config.test_command_line import sources_of


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes presets into an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("latin-1"))

    return write


@pytest.mark.parametrize("form", ["--flagfile=a.flags", "-flagfile=a.flags", "--flagfile a.flags"])
def test_preset_is_named_as_the_source(write, form):
    write("a.flags", "# comment\n\n// comment\n  --k=3  \n--seed=7\n")
    assert sources_of(*form.split()) == {"k": "preset a.flags", "seed": "preset a.flags"}
    assert command_line.parse(form.split())[0] == Config(k=3, seed=7)


def test_later_flags_and_presets_win(write):
    write("base.flags", "--k=3\n--seed=3\n--epochs=3\n")
    write("top.flags", "--k=4\n--flagfile=base.flags\n--seed=4\n--flagfile=base.flags\n--beta=1\n")
    words = ["--lambda=1", "--beta=2", "--flagfile=top.flags", "--epochs=5"]
    assert command_line.parse(words)[0] == Config(lambda_=1.0, k=3, seed=3, beta=1.0, epochs=5)
    base = "preset base.flags"
    expected = {"lambda_": "flag", "k": base, "seed": base, "beta": "preset top.flags", "epochs": "flag"}
    assert sources_of(*words) == expected


def test_nested_preset_beside_its_parent_comes_first(write, tmp_path, monkeypatch):
    write("presets/top.flags", "--flagfile=base/a.flags\n")
    write("elsewhere/base/a.flags", "--k=3\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command_line.parse(["--flagfile=../presets/top.flags"])[0].k == 3
    write("presets/base/a.flags", "--k=4\n")
    assert command_line.parse(["--flagfile=../presets/top.flags"])[0].k == 4


def test_presets_of_the_project_are_found_anywhere(write, tmp_path, monkeypatch):
    write("project/flags/a.flags", "--k=3\n")
    with pytest.raises(ConfigError, match="names no readable file"):
        command_line.parse(["--flagfile=flags/a.flags"])
    monkeypatch.setattr(command_line, "PRESET_ROOTS", (tmp_path / "project",))
    assert command_line.parse(["--flagfile=flags/a.flags"])[0].k == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--flagfile=a.flags", r"cannot include itself. Received: --flagfile=a\.flags"),
        ("--flagfile=b.flags", r"cannot include itself. Received: --flagfile=a\.flags"),
        ("--k=3\xff\n", "A preset is a text file of flags"),
    ],
)
def test_invalid_preset_is_refused(write, text, message):
    write("a.flags", text)
    write("b.flags", "--flagfile=a.flags\n")
    with pytest.raises(ConfigError, match=message):
        command_line.parse(["--flagfile=a.flags"])


ODD_FOLDERS = (
    *("# a", "//a", "a\\b", "'a'", '"a" b', "a=b", "=", "--k=3", "--flagfile=x"),
    *("~", "$HOME", "ø/日本", "a  b", "x" * 5000),
)


def parsed_again(config: Config, path) -> Config:
    sources = dict.fromkeys(dataclasses.asdict(config), "flag")
    path.write_text(command_line.flagfile_text(config, sources), encoding="utf-8")
    return command_line.parse([f"--flagfile={path}"])[0]


@pytest.mark.parametrize("folder", ODD_FOLDERS)
def test_flags_txt_keeps_odd_folder_names(preset_path, folder):
    config, _ = command_line.parse([f"--run_dir={folder}"])
    assert parsed_again(config, preset_path).run_dir == config.run_dir == folder


@pytest.mark.parametrize("folder", [" a", "a ", "a\t", "a\nb", "a\u2028b", "a\x85b", "\x1b", "\ud800"])
def test_run_dir_that_flags_txt_would_change_is_refused(folder):
    with pytest.raises(ConfigError, match="Received"):
        command_line.parse([f"--run_dir={folder}"])
    with pytest.raises(ConfigError, match="Received"):
        Config(run_dir=folder)


@settings(max_examples=200)
@given(
    model=st.sampled_from(sorted(MODELS)),
    lambda_=st.floats(0, 1e300),
    learning_rate=st.floats(1e-300, 1e300),
    seed=st.integers(0, 2**31 - 1),
    run_dir=st.text(),
)
def test_flags_txt_starts_the_same_run_again(preset_path, **keywords):
    try:
        config = Config(**keywords)
    except ConfigError:
        assume(False)
    assert parsed_again(config, preset_path) == config


def test_flag_file_of_an_earlier_version_is_read(preset_path):
    preset_path.write_text(f"{command_line.OWN_FIRST_LINE}\n--lambdas=\n--seed=3\n")
    assert command_line.parse_file(preset_path)[0] == Config(seed=3)


def test_flags_txt_groups_values_by_source(preset_path):
    preset_path.write_text("--k=3\n")
    text = command_line.flagfile_text(*command_line.parse([f"--flagfile={preset_path}", "--seed=7"]))
    groups = {block.splitlines()[0]: block.splitlines()[1:] for block in text.split("\n\n")[1:]}
    assert list(groups) == ["# source: default", f"# source: preset {preset_path}", "# source: flag"]
    assert groups[f"# source: preset {preset_path}"] == ["--k=3"]
    assert groups["# source: flag"] == ["--seed=7"]
    assert len(groups["# source: default"]) == len(dataclasses.fields(Config)) - 2


@pytest.mark.parametrize("binary", [report, evaluate, export, client], ids=lambda binary: binary.__name__)
def test_every_binary_refuses_a_binary_flag_file(binary, tmp_path, capsys):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    assert binary.main([f"--flagfile={tmp_path / 'picture.png'}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_of_any_system_is_read(preset_path, end, encoding):
    """A byte-order mark also begins the second of two files that were put together."""
    preset_path.write_bytes(end.join(["# \xfc", "--k=3", ""]).encode(encoding) * 2)
    assert command_line.parse([f"--flagfile={preset_path}"])[0] == Config(k=3)
    assert command_line.parse_file(preset_path)[0] == Config(k=3)
    preset_path.write_bytes(end.join(["# \xfc", "--run_dir=no-such-\xfc", ""]).encode(encoding))
    assert evaluate.main([f"--flagfile={preset_path}"]) == 2


@pytest.mark.parametrize(
    ("encoding", "said"),
    [(f"utf-{width}{order}", f"UTF-{width}") for width in (16, 32) for order in ("", "-le", "-be")]
    + [("latin-1", "in UTF-8"), ("cp1252", "in UTF-8")],
)
@pytest.mark.parametrize("main", [train.main, evaluate.main], ids=lambda main: main.program)
def test_text_in_another_encoding_is_refused(preset_path, refused, main, encoding, said):
    preset_path.write_bytes("# \xfc\r\n--k=3\r\n".encode(encoding))
    assert f" {said}" in refused(main, f"--flagfile={preset_path}")
