"""Paths that a user names: read as an address, as a home folder or as they are written, and never as a pattern."""

import os
import pathlib

import pytest

from amr_tf.runtime import files
from amr_tf.runtime.errors import ConfigError

ADDRESSES = (
    "gs://bucket/run", "s3://bucket", "S3A://b/x", "hdfs://host:9000/x", "https://host/x", "file:///x", "ram://x",
    "gs:/bucket", "hdfs:/x", "abfss://c@account.host/x", "my+scheme.1-x://y",
)  # fmt: skip


@pytest.mark.parametrize("text", ADDRESSES)
def test_user_path_address_is_refused(text):
    """A local folder named gs: would be made, and be lost with the machine."""
    with pytest.raises(ConfigError, match=r"^--out takes a path of this machine.*Received: --out=") as error:
        files.user_path(text, "--out=")
    assert text in str(error.value)


@pytest.mark.parametrize(
    "text", ["", ".", "/", "a:b", "a/gs://b", "x:/y", "::", "1://x", "//a", "~x/".lstrip("~")]
)
def test_user_path_without_an_address_stays(text):
    assert files.user_path(text) == pathlib.Path(text)


@pytest.mark.parametrize("text", ["~nobody-of-that-name", "~nobody-of-that-name/x"])
def test_user_path_unknown_user_is_refused(text):
    with pytest.raises(ConfigError, match=f"home folder that is unknown here. Received: {text}"):
        files.user_path(text)


@pytest.mark.parametrize("home", ["~", "~/x", "~nobody-of-that-name"])
def test_user_path_home_that_is_no_folder_is_refused(monkeypatch, home):
    """As without HOME and an entry in /etc/passwd, `~` stays as it is."""
    monkeypatch.setenv("HOME", home)
    for text in ("~", "~/x"):
        with pytest.raises(ConfigError, match="Set HOME"):
            files.user_path(text)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_user_path_that_names_no_file_is_refused(text):
    with pytest.raises(ConfigError, match=r"no file name has. Received: a\?b") as error:
        files.user_path(text)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "text", ["~", "~/x", "./~", "./~/x", "./gs:/x", "./gs://x", "a b", "-x", os.fsdecode(b"\xe9")]
)
def test_user_path_again_is_the_same_place(monkeypatch, tmp_path, text):
    """pathlib drops the ./ that makes ~ a name; the path passes through flags of other commands."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    once = files.user_path(text)
    assert files.user_path(str(once)) == once
    assert ("home" in once.parts) == text.startswith("~")
    assert files.user_path(files.absolute(text)).absolute() == once.absolute()


def test_absolute_stays_where_the_folder_changes(monkeypatch, tmp_path):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    texts = ["", "~/x", "x", "../x", "./~", "/x"]
    stored = [files.absolute(text) for text in texts]
    assert stored == ["", "~/x", f"{tmp_path}/x", f"{tmp_path}/../x", f"{tmp_path}/~", "/x"]
    monkeypatch.chdir("other")
    assert [files.absolute(text) for text in stored] == stored


@pytest.mark.parametrize("path", ["~", "~x/y", "-x", "gs:/x", "a", "/~", "a/-x"])
def test_as_word_is_read_as_the_path(path):
    word = files.as_word(pathlib.Path(path))
    assert not word.startswith("-")
    assert files.user_path(word).absolute() == pathlib.Path(path).absolute()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("exp[1]", ["exp[1]"]),
        ("exp[1]/*", ["exp[1]/a", "exp[1]/b*"]),
        ("exp[1]/b*", ["exp[1]/b*"]),
        ("exp[1]/[a]", ["exp[1]/a"]),
        ("exp?", ["exp1"]),
        ("e*/a", ["exp1/a", "exp[1]/a"]),
        ("**/a", ["exp1/a", "exp[1]/a"]),
        ("none", []),
        ("exp[1]/none", []),
        (".", ["."]),
        ("exp[1]/../exp1", ["exp[1]/../exp1"]),
        ("x" * 5000, []),
    ],
)
def test_matching_takes_existing_parts_as_written(monkeypatch, tmp_path, pattern, found):
    for name in ("exp[1]/a", "exp[1]/b*", "exp1/a"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert files.matching(pattern) == found


@pytest.mark.parametrize("name", ["a", "a[1]", "a*", "a?", "a\\b", os.fsdecode(b"\xe9")])
def test_literal_has_no_pattern_and_is_the_folder(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with files.literal(folder) as path:
        assert not files.PATTERN.search(str(path))
        (path / "x").write_text("x")
        assert (path == folder) == (name == "a")
        assert path.samefile(folder)
    assert os.listdir(folder) == ["x"]
    assert len(os.listdir("/proc/self/fd")) == before
