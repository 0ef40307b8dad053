"""Layouts of folders of pictures: splits by their names, links, and what is left out."""

import collections
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr_tf.data.sources import folder_layout
from amr_tf.runtime.errors import DataError

SPELLINGS = {
    "training": ("train", "training", "Train", "TRAIN", "training_set", "train-images", "Train Data"),
    "validation": (
        "val",
        "valid",
        "validation",
        "dev",
        "Val",
        "VALIDATION",
        "eval",
        "val_set",
        "valid_images",
    ),
    "test": ("test", "testing", "Test", "test_set", "testing.data"),
}


def fill(folder, count=40, suffix=".png"):
    """Makes empty files: a layout is read without opening any."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:03}{suffix}").touch()


def find(root):
    return folder_layout.find(f"folder:{root}")


def below(found, root):
    """The pictures of each split by their paths below the folder."""
    return [{str(picture.path.relative_to(root)) for picture in split} for split in found.splits]


@settings(max_examples=30)
@given(
    spelled=st.tuples(*(st.sampled_from(names) for names in SPELLINGS.values())),
    left=st.sets(st.sampled_from(["validation", "test"])),
    classes=st.sampled_from([(), ("cat",), ("cat", "dog")]),
)
def test_split_folders_in_any_spelling_are_the_splits(tmp_path_factory, spelled, left, classes):
    """A missing split comes from the training pictures, by the hash that divides other folders."""
    root = tmp_path_factory.mktemp("pics")
    names = dict(zip(SPELLINGS, spelled, strict=True))
    kept = {split: name for split, name in names.items() if split not in left}
    for name in kept.values():
        for label in classes or [""]:
            fill(root / name / label)
    if set(kept) == {"training"} and not classes:
        return  # one class that is called train
    found = find(root)
    assert found.classes == (classes or (root.name,))
    splits = below(found, root)
    assert sum(map(len, splits)) == 40 * len(kept) * max(1, len(classes))
    for split, paths in zip(SPELLINGS, splits, strict=True):
        home = kept.get(split, names["training"])
        assert {path.split("/")[0] for path in paths} == {home}
        assert (f"{split} in {home}" if split in kept else f"{split} from training pictures") in found.divided
    assert {picture.label for split in found.splits for picture in split} == set(range(max(1, len(classes))))


@pytest.mark.parametrize(
    "folders",
    [
        ("train/cat", "val/cat", "dog"),
        ("train/cat", "dog"),
        ("train", "val", "dog"),
        ("train/cat", "Train/cat"),
        ("train/cat", "val/cat", "valid/cat"),
        ("val/cat", "test/cat"),
        ("train/cat", "test/dog"),
        ("train/cat", "test"),
        ("data/train/cat", "data/test/cat"),
        ("cat/train", "cat/val", "dog/train", "dog/val"),
    ],
    ids=" ".join,
)
def test_split_folders_in_a_mixture_are_refused(tmp_path, folders):
    for folder in folders:
        fill(tmp_path / folder)
    with pytest.raises(DataError) as error:
        find(tmp_path)
    assert "\n" not in str(error.value)
    assert "Received: " in str(error.value)


@pytest.mark.parametrize(
    "names", [("bus", "train"), ("trainer", "trainset of a railway"), ("dataset", "valley")]
)
def test_class_with_a_name_like_a_split_is_a_class(tmp_path, names):
    """Pictures of vehicles: trains beside buses."""
    for name in names:
        fill(tmp_path / name)
    found = find(tmp_path)
    assert (found.classes, found.divided) == (names, "")


def test_links_to_folders_are_followed_without_loops(tmp_path):
    """A class that is a link, a link within a class, and links that lead back to a folder around them."""
    root, store = tmp_path / "pics", tmp_path / "store"
    fill(store / "dog")
    fill(store / "more" / "deeper", 30)
    fill(root / "cat")
    (root / "dog").symlink_to(store / "dog")
    (root / "cat" / "more").symlink_to(store / "more")
    (root / "cat" / "self").symlink_to(root / "cat")
    (root / "cat" / "all").symlink_to(root)
    (root / "whole").symlink_to(tmp_path)
    (store / "more" / "back").symlink_to(root / "cat")
    found = find(root)
    assert found.classes == ("cat", "dog")
    assert collections.Counter(p.label for split in found.splits for p in split) == {0: 70, 1: 40}
    assert len(found.left_out["links to a folder around them"]) == 4


SYSTEM = [
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "._001.png",
    "__MACOSX/cat/._001.png",
    "@eaDir/001.png/x.jpg",
]
SYSTEM += [
    ".ipynb_checkpoints/a.png",
    "$RECYCLE.BIN/a.png",
    "System Volume Information/a.png",
    "lost+found/a.png",
]


@given(names=st.sets(st.sampled_from(SYSTEM), min_size=1), place=st.sampled_from(["", "cat"]))
def test_files_of_systems_are_no_pictures_and_no_classes(tmp_path_factory, names, place):
    root = tmp_path_factory.mktemp("pics")
    fill(root / "cat")
    fill(root / "dog")
    for name in names:
        path = root / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = find(root)
    assert found.classes == ("cat", "dog")
    assert sum(map(len, found.splits)) == 80
    assert sum(map(len, found.left_out.values())) == len({name.split("/")[0] for name in names})
    assert set(found.left_out) <= {"hidden", "of the system"}


def test_what_is_left_out_is_counted_by_kind(tmp_path):
    fill(tmp_path / "cat")
    fill(tmp_path / "cat", 3, ".svg")
    fill(tmp_path / "cat", 2, ".TIF")
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "cat" / "round.png").symlink_to("round.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "notes").touch()
    found = find(tmp_path)
    counts = {kind: len(paths) for kind, paths in found.left_out.items()}
    assert counts == {
        ".svg": 3,
        ".tif": 2,
        "dangling links": 2,
        "pipes and devices": 1,
        "without a suffix": 1,
    }
    assert sum(map(len, found.splits)) == 40


def test_folder_named_like_a_picture_is_a_folder(tmp_path):
    fill(tmp_path / "cat")
    fill(tmp_path / "cat" / "more.png", 20)
    assert sum(map(len, find(tmp_path).splits)) == 60
