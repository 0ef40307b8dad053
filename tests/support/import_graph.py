"""Prints the import graph of amr_tf by folder, as a table: python -m tests.support.import_graph [CHECKOUT]

A room is a sub-package or a module directly in `amr_tf/`; an arrow is an import between two rooms; a floor is one more
than the highest floor among the rooms that a room imports.
"""

import functools
import pathlib
import sys

import grimp


def rooms(checkout: str) -> dict[str, set[str]]:
    """The rooms of a checkout, each with those that it imports."""
    sys.path.insert(0, str(pathlib.Path(checkout).resolve()))
    graph = grimp.build_graph("amr_tf", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {"amr_tf"}:
        room = module.split(".")[1]
        others = {
            name.split(".")[1] for name in graph.find_modules_directly_imported_by(module) if "." in name
        }
        found.setdefault(room, set()).update(others - {room})
    return found


def main(checkout: str = ".") -> None:
    found = rooms(checkout)

    @functools.cache
    def floor(room: str) -> int:
        return 1 + max(map(floor, found[room]), default=0)

    print("| floor | room | imports |\n|---|---|---|")
    for room in sorted(found, key=lambda room: (-floor(room), room)):
        print(f"| {floor(room)} | {room} | {', '.join(sorted(found[room]))} |")
    arrows = sum(map(len, found.values()))
    print(f"\n{len(found)} rooms, {max(map(floor, found))} floors, {arrows} arrows")


if __name__ == "__main__":
    main(*sys.argv[1:])
