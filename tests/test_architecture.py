"""The rules of the package that no linter of `make lint` knows, and a proof that ruff's rules reject what they should.

The layers are a contract of import-linter, and banned calls are rules of ruff: both are in pyproject.toml.
"""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

from amr_tf import registry

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES, TESTS, BENCHMARKS, SITE = (
    sorted((ROOT / folder).rglob("*.py")) for folder in ("amr_tf", "tests", "benchmarks", "docs")
)
# Modules that are imported before the flags are known to be valid.
LIGHT = (
    *("train", "evaluate", "export", "report", "sweep", "serving.client", "registry", "config.command_line"),
    *("data", "data.catalog", "runs.folder", "runtime.interruption", "sweeping.worker"),
)
# Import names of the distributions whose name on PyPI differs.
IMPORT_NAMES = {
    "absl-py": "absl",
    "grpcio": "grpc",
    "import-linter": "importlinter",
    "pillow": "PIL",
    "protobuf": "google",
    "scikit-learn": "sklearn",
    "tensorflow-serving-api": "tensorflow_serving",
}
TABLES = {name: table for name, table in vars(registry).items() if isinstance(table, dict) and name.isupper()}


def nodes(path: pathlib.Path, *kinds: type) -> list:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def imports(path: pathlib.Path) -> set[str]:
    """Full names of the imported modules and attributes."""
    names = {alias.name for node in nodes(path, ast.Import) for alias in node.names}
    for node in nodes(path, ast.ImportFrom):
        names |= {f"{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def test_light_modules_import_no_tensorflow():
    heavy = "{'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules)"
    code = f"import sys, {', '.join(f'amr_tf.{name}' for name in LIGHT)}; sys.exit(str({heavy} or ''))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("table", TABLES)
def test_registry_entries_can_be_loaded(table):
    assert all(registry.load(TABLES[table], name) is not None for name in TABLES[table])


def test_absl_flags_are_declared_by_binaries_only():
    users = {str(path.relative_to(ROOT / "amr_tf")) for path in SOURCES if "absl.flags" in str(imports(path))}
    assert users <= {
        "config/command_line.py",
        "evaluate.py",
        "export.py",
        "report.py",
        "serving/client.py",
        "sweep.py",
    }


def declared(*files: str) -> set[str]:
    """The top-level modules of the distributions that these requirements files list."""
    text = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    names = re.findall(r"^[A-Za-z][\w-]*", text, flags=re.MULTILINE)
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


@pytest.mark.parametrize(
    ("paths", "files"),
    [
        ([*SOURCES, *BENCHMARKS], ["requirements.txt"]),
        (SITE, ["requirements.txt", "requirements-docs.txt"]),
        (TESTS, ["requirements.txt", "requirements-dev.txt"]),
    ],
    ids=["package", "site", "tests"],
)
def test_imports_are_declared_dependencies(paths, files):
    # `make test-engines` has environments with these. Grimp is a dependency of import-linter.
    engines = {"openvino", "huggingface_hub", "kserve", "tritonclient", "triton_python_backend_utils"}
    known = declared(*files) | sys.stdlib_module_names | {"amr_tf", "benchmarks", "tests", "grimp"} | engines
    tops = {name.split(".")[0]: str(path) for path in paths for name in imports(path)}
    assert {name: path for name, path in tops.items() if name not in known} == {}


def test_no_module_compares_the_name_of_a_model_or_mixer():
    """Facts about a method are attributes of its class; its name is for the registry alone."""
    pattern = re.compile(r"\b(model|mixer)\b\s*(==|!=|(not )?in [({\[])|\b(model|mixer)\.startswith")
    allowed = {ROOT / "amr_tf" / "registry.py", ROOT / "amr_tf" / "config" / "aliases.py"}
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in SOURCES
        if path not in allowed
        for line in path.read_text(encoding="utf-8").splitlines()
        if pattern.search(line)
    ]
    assert found == []


def test_test_names_have_at_most_60_characters():
    names = [node.name for path in TESTS for node in nodes(path, ast.FunctionDef)]
    assert [name for name in names if name.startswith("test_") and len(name) > 60] == []


# The rule of ruff, and lines of the package's code that it must reject.
REJECTED = {
    "S102": ["exec(text)"],
    "S202": ["tarfile.open(path).extractall(folder)"],
    "S306": ["tempfile.mktemp()"],
    "S307": ["eval(text)"],
    "S602": ["subprocess.run(words, shell=True)"],
    "S605": ["os.system(words)"],
    "S701": ["jinja2.Environment(autoescape=False)"],
    "NPY002": ["np.random.seed(0)", "np.random.permutation(3)"],
    "TID251": [
        "import pickle",
        "from joblib import load",
        "import yaml",
        "import random",
        "shutil.unpack_archive(path)",
        "ssl._create_unverified_context()",
        "keras.layers.Lambda(f)",
        "keras.models.model_from_json(text)",
        "keras.saving.deserialize_keras_object(content)",
        "keras.saving.load_model(path)",
        "keras.utils.get_file('x', url)",
        "keras.utils.set_random_seed(0)",
        "tf.saved_model.load(path)",
        "tf.random.set_seed(0)",
        "tf.random.uniform([3])",
        "f = tf.random.shuffle",
    ],
}
HEADER = """import os, shutil, ssl, subprocess, tarfile, tempfile
import jinja2, keras
import numpy as np
import tensorflow as tf
"""


def test_ruff_rejects_unsafe_and_unseeded_calls():
    expected = [(rule, line) for rule, lines in REJECTED.items() for line in lines]
    code = HEADER + "\n".join(line for _, line in expected)
    words = ("-m", "ruff", "check", "--output-format=concise", "--stdin-filename=amr_tf/x.py", "-")
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, input=code, capture_output=True, text=True, check=False
    )
    found = set(re.findall(r"^\S+?:(\d+):\d+: (\w+)", done.stdout, flags=re.MULTILINE))
    first = 1 + HEADER.count("\n")
    assert [row for number, row in enumerate(expected, first) if (str(number), row[0]) not in found] == []


# Without a seed these draw from the system's entropy or from a global generator.
NUMPY_DRAWS = re.compile(r"(.*\.)?(default_rng|RandomState|SeedSequence)")
KERAS_DRAWS = re.compile(
    r"keras\.random\.\w+|(.*\.)?SeedGenerator|.*initializers\.(?!Initializer|Zeros|Ones|Constant|get)\w+"
)
# Keyword arguments with which a library may run code from a file, and their only value in this package.
SAFE = {"allow_pickle": False, "safe_mode": True}


def unsafe_calls(tree: ast.AST) -> list[str]:
    """Unseeded draws and loaders that may run code, for which ruff has no rule."""
    found = []
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, words = ast.unparse(node.func), {keyword.arg: keyword.value for keyword in node.keywords}
        keras_unseeded = KERAS_DRAWS.fullmatch(name) and "seed" not in words
        numpy_unseeded = NUMPY_DRAWS.fullmatch(name) and not (node.args or "seed" in words)
        unsafe = [
            word for word in SAFE if word in words and getattr(words[word], "value", None) is not SAFE[word]
        ]
        if keras_unseeded or numpy_unseeded or unsafe:
            found.append(ast.unparse(node))
    return found


def test_package_makes_no_unsafe_call():
    found = {str(path): unsafe_calls(ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert {path: calls for path, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("np.load(path, allow_pickle=True)", 1),
        ("np.load(path, allow_pickle=flag)", 1),
        ("np.load(path, allow_pickle=False)", 0),
        ("keras.saving.x(path, safe_mode=False)", 1),
        ("np.random.default_rng()", 1),
        ("np.random.default_rng(seed)", 0),
        ("keras.initializers.HeNormal()", 1),
        ("initializers.RandomUniform(-1, 1)", 1),
        ("keras.initializers.HeNormal(seed=seed)", 0),
        ("keras.initializers.Zeros()", 0),
    ],
)
def test_unsafe_calls_finds_what_it_should(line, count):
    assert len(unsafe_calls(ast.parse(line))) == count
