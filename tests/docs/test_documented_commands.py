"""Documented commands are valid: every flag exists and takes its value."""

import importlib
import pathlib
import re
import shlex

import pytest

from amr_tf import evaluate, export, report, sweep
from amr_tf.config import Config, ConfigError, command_line
from amr_tf.registry import MODELS
from amr_tf.runtime.errors import UserError
from amr_tf.serving import client
from tests.docs.documents import DOCUMENTS, PAGES, ROOT, commands, words

COMMANDS = [
    pytest.param(command, id=f"{page.relative_to(ROOT)}: {command}"[:100])
    for page in DOCUMENTS
    for command in commands(page)
]
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
PARSERS = {
    "amr_tf.train": command_line.parse,
    "amr_tf.evaluate": evaluate.parse,
    "amr_tf.export": export.parse,
    "amr_tf.report": report.parse,
    "amr_tf.sweep": sweep.parse,
    "amr_tf.serving.client": client.parse,
}
NOT_OURS = ("tensorboard.main", "pip", "pytest")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the presets only; some parsers look for the runs that they are given."""
    (tmp_path / "flags").symlink_to(ROOT / "flags")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(module: str, arguments: list[str], place: pathlib.Path) -> None:
    """Raises the error with which the binary itself would refuse the command."""
    if module == "make":
        targets = [word for word in arguments if "=" not in word]
        assert set(targets) <= set(TARGETS), targets
        passed_on = [word.removeprefix("ARGS=") for word in arguments if word.startswith("ARGS=")]
        if targets == ["train"] and passed_on:
            check("amr_tf.train", shlex.split(passed_on[0]), place)
    elif "--help" in arguments or module in NOT_OURS:
        return
    elif module.startswith("benchmarks."):
        importlib.import_module(module).arguments_parser().parse_args(arguments)
    else:
        for pattern in re.findall(r"--run_dir=(\S+)", " ".join(arguments)):
            (place / pattern.replace("*", "any").lstrip("/")).mkdir(parents=True, exist_ok=True)
        PARSERS[module](arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_is_admitted(command, place):
    check(*words(command), place)


@pytest.mark.parametrize(
    "command",
    [
        "make trian",
        'make train ARGS="--dataset=minst"',
        "python -m amr_tf.train --mixer=mixup --kk=4",
        "CUDA_VISIBLE_DEVICES=1 .venv/bin/python -m amr_tf.train --flagfile=flags/table1/none.flags",
        "python -m amr_tf.evaluate --run_dir=RUN --metrics=probes",
        "python -m amr_tf.export --run_dir=RUN --also=caffe",
        "python -m amr_tf.report runs --table=4",
        "python -m amr_tf.sweep flags/table9",
        "python -m amr_tf.serving.client interpolate a.png",
        "python -m benchmarks.serving --pictures=3",
    ],
)
def test_a_wrong_command_is_seen(command, place):
    with pytest.raises((UserError, AssertionError, SystemExit)):
        check(*words(command), place)


def test_commands_are_found_in_both_kinds_of_blocks():
    """At least so many that a change of style in the documents cannot empty the test above unseen."""
    found = {page.relative_to(ROOT).as_posix(): len(commands(page)) for page in DOCUMENTS}
    assert found["README.md"] >= 12
    assert found["docs/serving.md"] >= 4
    assert found["docs/quickstart.md"] >= 6
    assert sum(found.values()) >= 45


def test_presets_in_the_text_exist():
    named = {
        preset
        for page in PAGES
        for preset in re.findall(r"flags/[\w/]+\.flags", page.read_text(encoding="utf-8"))
    }
    assert len(named) > 8
    assert [preset for preset in named if not (ROOT / preset).is_file()] == []


def test_flags_in_the_text_exist():
    """Every `--flag=value` between backquotes that is one of training's is admitted, by the page's method."""
    fields = {f"--{name.rstrip('_')}" for name in Config.__dataclass_fields__}
    refused = {}
    for page in PAGES:
        of_page = [f"--model={page.stem}"] if page.stem in MODELS else []
        text = re.sub(r"\(earlier versions: [^)]*\)", "", page.read_text(encoding="utf-8"))
        for word in re.findall(r"`(--\w+=[^`\s]+)`", text):
            if word.split("=")[0] not in fields or re.search(r"[A-Z]{4}|\.\.\.", word):
                continue
            try:
                command_line.parse([*of_page, word])
            except ConfigError as error:
                refused[f"{page.name}: {word}"] = str(error)
    assert refused == {}
