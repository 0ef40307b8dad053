"""Dependencies and extras of the package, read from the requirements files: each is listed once, with its reason."""

import pathlib
import re

from hatchling.metadata.plugin.interface import MetadataHookInterface

OF_A_CHECKOUT = ("dev", "docs")  # extras with a file of their own


class Requirements(MetadataHookInterface):
    """Fills in `dependencies` and `optional-dependencies`."""

    def update(self, metadata: dict) -> None:
        folder = pathlib.Path(self.root)
        extras = listed(folder / "requirements.txt")
        metadata["dependencies"] = extras.pop("")
        (tensorflow,) = (line for line in metadata["dependencies"] if re.match(r"tensorflow\b", line))
        extras["cuda"] = [tensorflow.replace("tensorflow", "tensorflow[and-cuda]", 1)]
        everything = ",".join(name for name in extras if name != "cuda")
        for name in OF_A_CHECKOUT:
            needed = listed(folder / f"requirements-{name}.txt")[""]
            extras[name] = [f"{metadata['name']}[{everything}{',docs' if name == 'dev' else ''}]", *needed]
        metadata["optional-dependencies"] = extras


def listed(path: pathlib.Path) -> dict[str, list[str]]:
    """Reads the requirements in a file by the name in the last heading "# [name]" above them; "" before the first."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"# \[(\w+)\]", line):
            name = heading[1]
        elif (requirement := re.sub(r"\s*#.*", "", line).strip()) and not requirement.startswith("-r"):
            found.setdefault(name, []).append(requirement)
    return found
