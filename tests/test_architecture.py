"""The shape of the package: who imports whom, the tables behind the flags, and what the code never does."""

import ast
import importlib
import pathlib
import re
import sys

import pytest

from amr_tf import config as config_lib
from amr_tf import registry

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "amr_tf").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
SITE = sorted((ROOT / "docs").rglob("*.py"))

# From the top of the house to its foundations: a module imports from its own package and from what stands below it.
# A name stands for a module or for a package with all that is in it, unless a longer name says otherwise.
LAYERS = (
    ("train", "evaluate", "report", "export", "serving.client", "sweep"),
    ("process", "smoke", "walk", "reporting", "evaluation", "sweeping"),
    ("measures", "figures", "serving"),
    ("point_figures",),
    ("trained",),
    ("experiment",),
    ("callbacks", "summaries", "loop", "data_record"),
    ("pictures",),
    ("checkpoints",),
    ("agreement",),
    ("models", "data", "distribution", "interruption"),
    ("runs",),
    ("networks", "mixing", "losses", "optimizers", "images"),
    ("networks.layers",),
    ("data.catalog", "data.pixels"),
    ("metrics", "figure_names"),
    ("command_line", "workers"),
    ("config",),
    ("rules",),
    ("startup", "files"),
    ("errors", ""),
)
# Loaded before the flags are known to be good, so they must load at once.
LIGHT = (
    "train", "process", "smoke", "walk", "interruption", "command_line", "config", "rules", "errors", "runs", "startup",
    "workers", "files", "",
    "data", "data.catalog", "data.decoding", "data.pixels", "data.sources", "data.sources.dsprites",
    "data.sources.folder", "data.sources.generated", "data.sources.progress", "data.sources.shapes",
    "evaluate", "figure_names", "metrics", "export",
    "serving.client", "serving.commands", "serving.rest", "serving.transport", "serving", "images",
    "report", "reporting.published", "reporting.reading", "reporting.groups", "reporting.tables", "reporting.text",
    "reporting.curves", "reporting.page", "reporting",
    "sweep", "sweeping", "sweeping.jobs", "sweeping.worker", "sweeping.executors", "sweeping.conduct",
    "sweeping.status",
)  # fmt: skip
# What a package on PyPI is called where that differs from what is imported.
IMPORT_NAMES = {
    "absl-py": "absl",
    "grpcio": "grpc",
    "pillow": "PIL",
    "protobuf": "google",
    "scikit-learn": "sklearn",
    "tensorflow-serving-api": "tensorflow_serving",
}


def module_name(path: pathlib.Path) -> str:
    """`networks.layers` for amr_tf/networks/layers.py; a package goes by its own name, and amr_tf by ''."""
    parts = path.relative_to(ROOT / "amr_tf").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def layer(name: str) -> tuple[int, str] | None:
    """(number, counted from the top; the name in LAYERS) of the longest name there that covers the module."""
    found = [
        (len(entry), number, entry)
        for number, entries in enumerate(LAYERS)
        for entry in entries
        if name == entry or (entry and name.startswith(f"{entry}."))
    ]
    return max(found)[1:] if found else None


def imports(tree: ast.AST) -> set[str]:
    """Full names of all that is imported: `x.y` for `import x.y` and for `from x import y`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def own_imports(tree: ast.AST) -> set[str]:
    """The modules of the package that are imported, whole or in part, named as in MODULES."""
    found = set()
    for name in imports(tree):
        top, *parts = name.split(".")
        if top == "amr_tf":
            found.add(".".join(parts) if ".".join(parts) in MODULES else ".".join(parts[:-1]))
    return found


def upward_imports(name: str, tree: ast.AST) -> list[str]:
    """What a module imports although it stands above it, or beside it in another package."""
    number, entry = layer(name)
    found = []
    for other in sorted(own_imports(tree)):
        other_number, other_entry = layer(other)
        if other_number < number or (other_number == number and other_entry != entry):
            found.append(f"{name} imports {other}")
    return found


def parse(path: pathlib.Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_every_module_has_a_layer_and_every_layer_modules():
    assert [name for name in MODULES if layer(name) is None] == []
    used = {layer(name)[1] for name in MODULES}
    assert [entry for entries in LAYERS for entry in entries if entry not in used] == []


def test_imports_go_downwards():
    assert [line for name, path in MODULES.items() for line in upward_imports(name, parse(path))] == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("networks.layers", "from amr_tf.networks import acai"),
        ("networks.layers", "import amr_tf.networks"),
        ("config", "from amr_tf import command_line"),
        ("models.amr", "def f():\n    from amr_tf.data import pipeline"),
        ("losses", "from amr_tf.mixing import mix"),
        ("images", "import amr_tf.data"),
    ],
)
def test_an_import_upwards_or_across_is_seen(name, line):
    assert upward_imports(name, ast.parse(line)) != []


@pytest.mark.parametrize("name", LIGHT)
def test_what_loads_before_the_flags_are_checked_is_light(name):
    statements = [node for node in parse(MODULES[name]).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = imports(ast.Module(statements, []))
    assert {
        other for other in names if other.split(".")[0] in {"tensorflow", "keras", "tensorflow_datasets"}
    } == set()
    assert own_imports(ast.Module(statements, [])) <= set(LIGHT)


def test_absl_flags_are_declared_in_one_place():
    imported = {name: " ".join(imports(parse(path))) for name, path in MODULES.items()}
    assert [name for name, names in imported.items() if "absl.flags" in names] == [
        "command_line",
        "evaluate",
        "export",
        "report",
        "serving.client",
        "sweep",
    ]


def declared(file: str) -> set[str]:
    """The top-level modules of the packages that a requirements file lists."""
    names = re.findall(r"^[A-Za-z][\w-]*", (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


def test_what_is_imported_is_the_standard_library_or_a_declared_dependency():
    # OpenVINO has an environment of its own: `make test-engines`.
    ours = {"amr_tf", "benchmarks", "tests", "openvino", *(path.stem for path in TESTS)}
    for paths, allowed in (
        ([*SOURCES, *BENCHMARKS], declared("requirements.txt")),
        (SITE, declared("requirements.txt") | declared("requirements-docs.txt")),
        (TESTS, declared("requirements.txt") | declared("requirements-dev.txt")),
    ):
        tops = {name.split(".")[0]: path for path in paths for name in imports(parse(path))}
        unknown = set(tops) - allowed - ours - sys.stdlib_module_names
        assert unknown == set(), {name: str(tops[name]) for name in unknown}


def test_metrics_are_for_anyones_codes():
    """They ask for arrays alone: NumPy, SciPy and scikit-learn besides the standard library."""
    allowed = {"amr_tf", "numpy", "scipy", "sklearn"} | sys.stdlib_module_names
    for name, path in MODULES.items():
        if name.split(".")[0] == "metrics":
            found = {imported.split(".")[0] for imported in imports(parse(path))}
            assert found <= allowed, (name, found - allowed)


@pytest.mark.parametrize(
    ("names", "module", "table"),
    [
        ("MODELS", "amr_tf.models", "MODELS"),
        ("MIXERS", "amr_tf.mixing", "MIXERS"),
        ("MASK_GRADIENTS", "amr_tf.mixing", "MASK_GRADIENTS"),
        ("ARCHS", "amr_tf.networks", "ARCHS"),
        ("RECON_LOSSES", "amr_tf.losses", "RECON_LOSSES"),
        ("GAN_LOSSES", "amr_tf.losses", "GAN_LOSSES"),
    ],
)
def test_the_choices_of_a_flag_are_the_keys_of_its_table(names, module, table):
    entries = getattr(importlib.import_module(module), table)
    assert isinstance(entries, dict)
    assert tuple(entries) == getattr(config_lib, names)


def test_the_widths_that_flags_are_checked_against_are_the_data_sets():
    widths = {name: registry.load(registry.DATASETS, name).width for name in registry.DATASETS}
    assert widths == config_lib.DATASET_WIDTHS


# Each pattern is matched against the dotted name of what is imported, called or referred to.
FORBIDDEN = {
    "code from data": r"(.*\.)?(eval|exec|__import__)",
    "unpickling": r"(pickle|cPickle|dill|cloudpickle|joblib|marshal|shelve)(\..*)?",
    "unchecked archives": r".*\.(extractall|extract|unpack_archive|extract_archive)",
    "a model file that may hold code": r".*\.(load_model|model_from_json)",
    "objects from data": r".*\.(deserialize_keras_object|enable_unsafe_deserialization)",
    "a graph that may read and write files": r"(.*\.)?saved_model\.load(_v2)?",
    "words for a shell": r"os\.(system|popen)|subprocess\.(getoutput|getstatusoutput)",
    "a name that another can take first": r"tempfile\.mktemp",
    "unchecked certificates": r".*\._create_unverified_context",
    "unchecked downloads": r".*\.(urlretrieve|get_file)",
    "a layer that is code": r"(.*\.)?Lambda",
    "a format that may hold code": r"(yaml|ruamel)(\..*)?",
    "the standard library's global randomness": r"(random|secrets)(\..*)?",
    "NumPy's global randomness": r"(np|numpy)\.random\.(?!Generator|default_rng|SeedSequence|RandomState).*",
    "TensorFlow's global randomness": r"(tf|tensorflow)\.random\.(?!stateless_|experimental\.|fold_in|split).*",
    "a global seed": r".*\.(set_random_seed|set_seed)",
}  # fmt: skip
# Without a seed these draw from the system's entropy or from a global generator.
NUMPY_DRAWS = r"(.*\.)?(default_rng|RandomState|SeedSequence)"
KERAS_DRAWS = (
    r"keras\.random\.\w+|(.*\.)?SeedGenerator|.*initializers\.(?!Initializer|Zeros|Ones|Constant|get)\w+"
)


def dotted(node: ast.AST) -> str:
    """`tf.random.uniform` for such an expression; what stands before the first name is left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def unsafe(tree: ast.AST) -> list[str]:
    """What the code does that this package never does, each with its line."""
    found = []
    names = [(getattr(node, "lineno", 0), dotted(node)) for node in ast.walk(tree)]
    for line, name in [*names, *((0, name) for name in imports(tree))]:
        found += [
            f"{name}: {why} (line {line})" for why, what in FORBIDDEN.items() if re.fullmatch(what, name)
        ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        words = {keyword.arg: keyword.value for keyword in node.keywords}
        for word, right in (("shell", False), ("safe_mode", True), ("autoescape", True), ("verify", True)):
            if word in words and getattr(words[word], "value", None) is not right:
                found.append(f"{word}: not {right} (line {node.lineno})")
        if "allow_pickle" in words and getattr(words["allow_pickle"], "value", True) is not False:
            found.append(f"allow_pickle: unpickling (line {node.lineno})")
        name, seeded = dotted(node.func), "seed" in words
        if re.fullmatch(KERAS_DRAWS, name) and not seeded:
            found.append(f"{name}: unseeded randomness (line {node.lineno})")
        if re.fullmatch(NUMPY_DRAWS, name) and not (node.args or seeded):
            found.append(f"{name}: unseeded randomness (line {node.lineno})")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_the_package_runs_no_foreign_code_and_draws_no_global_randomness(name):
    assert unsafe(parse(MODULES[name])) == []


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)",
        "builtins.exec(text)",
        "import pickle",
        "from joblib import load",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "tarfile.open(path).extractall(folder)",
        "shutil.unpack_archive(path)",
        "zipfile.ZipFile(path).extract(name)",
        "keras.utils.get_file('x', url)",
        "keras.models.model_from_json(text)",
        "keras.saving.deserialize_keras_object(content)",
        "tf.saved_model.load(path)",
        "os.system(words)",
        "subprocess.run(words, shell=True)",
        "keras.saving.x(path, safe_mode=False)",
        "jinja2.Environment(autoescape=False)",
        "tempfile.mktemp()",
        "ssl._create_unverified_context()",
        "keras.saving.load_model(path)",
        "from keras.models import load_model",
        "keras.layers.Lambda(f)",
        "from keras.layers import Lambda",
        "import yaml",
        "import random",
        "from random import shuffle",
        "np.random.seed(0)",
        "numpy.random.permutation(3)",
        "from numpy.random import rand",
        "tf.random.uniform([3])",
        "tf.random.set_seed(0)",
        "f = tf.random.shuffle",
        "keras.utils.set_random_seed(0)",
        "np.random.default_rng()",
        "default_rng()",
        "keras.initializers.HeNormal()",
        "initializers.RandomUniform(-1, 1)",
    ],
)
def test_what_the_package_never_does_is_seen(line):
    assert unsafe(ast.parse(line)) != []


@pytest.mark.parametrize(
    "line",
    [
        "rng = np.random.default_rng(seed)",
        "np.random.RandomState(0).permutation(3)",
        "keras.initializers.HeNormal(seed=seed)",
        "keras.initializers.Zeros()",
        "tf.random.stateless_uniform([3], seed)",
        "tf.random.fold_in(seed, 3)",
        "np.load(path, allow_pickle=False)",
        "evaluate(model)",
        "subprocess.run(words, check=False)",
        "jinja2.Environment(autoescape=True)",
        "'never eval() or pickle anything'",
    ],
)
def test_what_the_package_may_do_is_let_through(line):
    assert unsafe(ast.parse(line)) == []
