"""Optional dependencies: the packages that each extra of amr_tf installs, and the error if one is missing."""

import importlib.util

from amr_tf.runtime.errors import UserError

# Import name: (name of the package on PyPI, extra of amr_tf that installs the package).
PACKAGES = {
    "tensorflow_datasets": ("tensorflow-datasets", "data"),
    "importlib_resources": (
        "importlib_resources",
        "data",
    ),  # tensorflow-datasets imports it without declaring it
    "tensorflow_serving": ("tensorflow-serving-api", "serving"),
    "tf2onnx": ("tf2onnx", "onnx"),
    "ai_edge_litert": ("ai-edge-litert", "litert"),
    "submitit": ("submitit", "slurm"),
}


def require(what: str, *modules: str) -> None:
    """Raises an error if an optional dependency is not installed. Does not import the dependency.

    Args:
        what: beginning of the message, such as "Reading svhn".
        modules: import names among `PACKAGES`.

    Raises:
        UserError: a package is not installed. The message names the package and the command that installs it.

    Example:
        >>> require("Reading svhn", "tensorflow_datasets")
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            package, extra = PACKAGES[module]
            raise UserError(f"{what} needs {package}. Install it: pip install 'amr_tf[{extra}]'")
