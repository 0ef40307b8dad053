"""Command lines of the training: values, sources and refusals, without TensorFlow."""

import dataclasses
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr_tf.config import Config, ConfigError, command_line, flag_name

FIELDS = dataclasses.fields(Config)
FLAGS = [flag_name(field.name) for field in FIELDS]
ROOT = command_line.PACKAGE.parent

VALUES = st.one_of(
    st.sampled_from([str(choice) for field in FIELDS for choice in field.metadata["choices"] or ()]),
    st.integers(-1, 100).map(str),
    st.integers().map(str),
    st.floats().map(str),
    st.text(),
    st.sampled_from(
        ["", "1_0", "0x10", "2.0", "None", "~no-such-user/x", "~", "/", "\x00", "\ud800", "9" * 5000]
    ),
)
NAMES = st.sampled_from([*FLAGS, "flagfile", "undefok", "help", "helpfull", "lamda", "nok", ""]) | st.text()
WORDS = st.one_of(
    st.builds("{}{}={}".format, st.sampled_from(["--", "--", "--", "-", "---", ""]), NAMES, VALUES),
    st.builds("--{}".format, NAMES),
    VALUES,
    st.sampled_from(["--", "-", "=", "--=", "# a comment"]),
)


@pytest.fixture(scope="module", autouse=True)
def empty_folder(tmp_path_factory):
    """Runs the tests in an empty folder, where no word names a file by chance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        yield


def sources_of(*words: str) -> dict[str, str]:
    """Returns the sources of all values that are not defaults."""
    return {name: source for name, source in command_line.parse([*words])[1].items() if source != "default"}


def assert_parses_or_refuses(words: list[str]) -> None:
    refusal = ""
    try:
        config, sources = command_line.parse(words)
    except ConfigError as error:
        refusal = str(error) or "\n"
    assert refusal.isprintable()
    if refusal:
        return
    assert list(sources) == [field.name for field in FIELDS]
    config.check_networks(config.image_width)


@settings(max_examples=500)
@given(st.lists(WORDS, max_size=5))
def test_parse_any_words_parses_or_refuses(words):
    assert_parses_or_refuses(words)


@settings(max_examples=200)
@given(
    content=st.binary() | st.lists(WORDS).map(lambda words: "\n".join(words).encode(errors="surrogatepass"))
)
def test_parse_any_flag_file_parses_or_refuses(preset_path, content):
    preset_path.write_bytes(content)
    assert_parses_or_refuses([f"--flagfile={preset_path}"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epoch=3"], "Unknown command line flag 'epoch'. Did you mean: epochs ? (flag; --help lists the flags)"),
        (["--k=4", "extra"], "Flags are written --name=value. Received: 'extra' (flag)"),
        (["--k=4", ""], "Flags are written --name=value. Received: '' (flag)"),
        (["--k=2.0"], "--k takes a whole number. Received: --k='2.0'"),
        (["--k=0x10"], "--k takes a whole number. Received: --k='0x10'"),
        (["--k="], "--k takes a whole number. Received: --k=''"),
        (["--lambda=ten"], "--lambda takes a number. Received: --lambda='ten'"),
        (["--undefok=x", "--x=3"], "Unknown flags fail. Received: --undefok=x (flag; --help lists the flags)"),
        (["--run_dir=a\nb"], "Flags are printable text on one line. Received: '--run_dir=a\\nb' (flag)"),
        (["--flagfile"], "--flagfile names no readable file. Received: --flagfile="),
        (["--flagfile=missing"], "--flagfile names no readable file. Received: --flagfile=missing"),
        (["--flagfile=" + "x" * 300], "--flagfile names no readable file. Received: --flagfile=" + "x" * 300),
        (["--flagfile=~/no such"], "--flagfile names no readable file. Received: --flagfile=~/no such"),
        (["--flagfile=/"], "--flagfile names no readable file. It is a folder. Received: --flagfile=/"),
        (
            ["--flagfile=/dev/null"],
            "--flagfile names no readable file. It is not a regular file. Received: --flagfile=/dev/null",
        ),
    ],
)  # fmt: skip
def test_parse_refusal_names_the_received_value(words, message):
    with pytest.raises(ConfigError) as error:
        command_line.parse(words)
    assert str(error.value) == message


def test_parse_without_words_gives_defaults():
    config, sources = command_line.parse([])
    assert config == Config()
    assert set(sources.values()) == {"default"}


@pytest.mark.parametrize(
    "words", [["--lambda=5"], ["-lambda=5"], ["--lambda", "5"], ["--lambda=1", "--lambda=5"]]
)
def test_parse_a_flag_sets_its_field(words):
    assert command_line.parse(words)[0] == Config(lambda_=5.0)
    assert sources_of(*words, "--k=2", "--run_dir=") == dict.fromkeys(["lambda_", "k", "run_dir"], "flag")


def test_describe_lists_every_flag():
    rows = command_line.describe(*command_line.parse(["--lambda=5"]))
    assert [flag for flag, _, _ in rows] == [f"--{flag}" for flag in FLAGS]
    assert ("--lambda", "5.0", "flag") in rows
    assert ("--k", "2", "default") in rows


def test_help_shows_every_field():
    shown = [" ".join(section.split()) for section in command_line.train_help().split("\n--")[1:]]
    sections = dict(zip(FLAGS, shown, strict=True))
    for field in FIELDS:
        words = sections[flag_name(field.name)]
        assert words.startswith(f"{flag_name(field.name)} ")
        assert field.metadata["help"] in words
        assert f"Default: {field.metadata['default']!r}" in words
        assert all(str(choice) in words for choice in field.metadata["choices"] or ())
    published = (
        "Default: 10.0 (1.0 with --model=ae or vae or acai or denoising or dropout or aae or vqvae; 0.0 with"
    )
    assert published in sections["lambda"]
    assert "2 with --model=acai or denoising or dropout or aae --dataset=lines" in sections["latent_width"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--k=1", "--k must be at least 2. Received: --k=1"),
        ("--flagfile=missing", "--flagfile names no readable file"),
        ("--latent_width=5", "--latent_width=5 (images of 32 px)"),
        ("stray", "Flags are written --name=value"),
    ],
)
def test_train_bad_flag_is_refused_before_tensorflow(word, message):
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "amr_tf.train", word],
        capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    trace = [line for line in process.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rsplit("|")[-1].strip() for line in trace}
    (line,) = [line for line in process.stderr.splitlines() if line not in trace]
    assert line.startswith("amr_tf.train: ")
    assert message in line
    assert (process.returncode, process.stdout) == (2, "")
    assert "amr_tf.config" in imported
    assert not imported & {"tensorflow", "keras"}
