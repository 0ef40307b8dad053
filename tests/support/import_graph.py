"""Prints the import graph of amr_tf by folder, as a table: python -m tests.support.import_graph [CHECKOUT]

A package is a sub-package or a module directly in `amr_tf/`. Its layer is one above the highest layer that it imports.
"""

import functools
import pathlib
import sys

import grimp


def packages(checkout: str) -> dict[str, set[str]]:
    """The packages of a checkout, each with those that it imports."""
    sys.path.insert(0, str(pathlib.Path(checkout).resolve()))
    graph = grimp.build_graph("amr_tf", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {"amr_tf"}:
        package = module.split(".")[1]
        others = {
            name.split(".")[1] for name in graph.find_modules_directly_imported_by(module) if "." in name
        }
        found.setdefault(package, set()).update(others - {package})
    return found


def main(checkout: str = ".") -> None:
    found = packages(checkout)

    @functools.cache
    def layer(package: str) -> int:
        return 1 + max(map(layer, found[package]), default=0)

    print("| layer | package | imports |\n|---|---|---|")
    for package in sorted(found, key=lambda package: (-layer(package), package)):
        print(f"| {layer(package)} | {package} | {', '.join(sorted(found[package]))} |")
    arrows = sum(map(len, found.values()))
    print(f"\n{len(found)} packages, {max(map(layer, found))} layers, {arrows} imports")


if __name__ == "__main__":
    main(*sys.argv[1:])
