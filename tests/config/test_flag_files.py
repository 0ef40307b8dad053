"""Flag files: presets that include each other, and the flags.txt of a run, without TensorFlow."""

import dataclasses

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from amr_tf import evaluate, export, report
from amr_tf.config import Config, ConfigError, command_line
from amr_tf.registry import MODELS
from amr_tf.serving import client
from tests.config.test_command_line import sources_of

ROOT = command_line.PACKAGE.parent
PRESETS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "flags").rglob("*.flags"))


@pytest.mark.parametrize("form", ["--flagfile={}", "-flagfile={}", "--flagfile {}"])
def test_preset_is_named_as_the_source(tmp_path, monkeypatch, form):
    (tmp_path / "a.flags").write_text("# comment\n\n// comment\n  --k=3  \n--seed=7\n")
    monkeypatch.chdir(tmp_path)
    words = form.format("a.flags").split()
    assert sources_of(*words) == {"k": "preset a.flags", "seed": "preset a.flags"}
    assert command_line.parse(words)[0] == Config(k=3, seed=7)


def test_later_flags_and_presets_win(tmp_path):
    preset = tmp_path / "a.flags"
    preset.write_text("--k=3\n")
    before, after = ["--k=4", f"--flagfile={preset}"], [f"--flagfile={preset}", "--k=4"]
    assert command_line.parse(before)[0].k == 3
    assert sources_of(*before) == {"k": f"preset {preset}"}
    assert command_line.parse(after)[0].k == 4
    assert sources_of(*after) == {"k": "flag"}


def test_flags_after_a_nested_preset_win(tmp_path):
    (tmp_path / "base.flags").write_text("--k=3\n--seed=3\n--epochs=3\n")
    (tmp_path / "top.flags").write_text("--k=4\n--flagfile=base.flags\n--seed=4\n")
    words = [f"--flagfile={tmp_path / 'top.flags'}", "--epochs=5"]
    assert command_line.parse(words)[0] == Config(k=3, seed=4, epochs=5)
    top, base = f"preset {tmp_path / 'top.flags'}", "preset base.flags"
    assert sources_of(*words) == {"k": base, "seed": top, "epochs": "flag"}


def test_nested_preset_beside_its_parent_comes_first(tmp_path, monkeypatch):
    (tmp_path / "presets" / "base").mkdir(parents=True)
    (tmp_path / "elsewhere" / "base").mkdir(parents=True)
    (tmp_path / "presets" / "top.flags").write_text("--flagfile=base/a.flags\n")
    (tmp_path / "elsewhere" / "base" / "a.flags").write_text("--k=3\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = ["--flagfile=../presets/top.flags"]
    assert command_line.parse(words)[0].k == 3
    (tmp_path / "presets" / "base" / "a.flags").write_text("--k=4\n")
    assert command_line.parse(words)[0].k == 4


def test_presets_of_the_project_are_found_anywhere(tmp_path, monkeypatch):
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "a.flags").write_text("--k=3\n")
    with pytest.raises(ConfigError, match="names no readable file"):
        command_line.parse(["--flagfile=flags/a.flags"])
    monkeypatch.setattr(command_line, "PRESET_ROOTS", (tmp_path,))
    assert command_line.parse(["--flagfile=flags/a.flags"])[0].k == 3


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_parses_in_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command_line.parse([f"--flagfile={name}"])
    assert (ROOT / name).read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("included", ["a.flags", "b.flags"])
def test_preset_that_includes_itself_is_refused(tmp_path, included):
    (tmp_path / "a.flags").write_text(f"--flagfile={included}\n")
    (tmp_path / "b.flags").write_text("--flagfile=a.flags\n")
    with pytest.raises(ConfigError, match=r"cannot include itself. Received: --flagfile=a\.flags"):
        command_line.parse([f"--flagfile={tmp_path / 'a.flags'}"])


def test_preset_may_be_included_twice(tmp_path):
    (tmp_path / "a.flags").write_text("--k=3\n")
    (tmp_path / "b.flags").write_text("--flagfile=a.flags\n--k=4\n--flagfile=a.flags\n")
    assert command_line.parse([f"--flagfile={tmp_path / 'b.flags'}"])[0].k == 3


def test_preset_that_is_not_text_is_refused(preset_path):
    preset_path.write_bytes(b"--k=3\xff\n")
    with pytest.raises(ConfigError, match="A preset is a text file of flags"):
        command_line.parse([f"--flagfile={preset_path}"])


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
