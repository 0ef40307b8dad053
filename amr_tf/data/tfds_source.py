"""Data sets from TFDS, read into memory in the order of their official files.

A prepared data_dir is read without any network. Otherwise the set is prepared by TFDS's own builder, from files at
hand (see `preflight`) or from the network; TFDS checks the sha256 of all that it downloads.
"""

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.download import downloader, resource

from amr_tf.data import archives, preflight
from amr_tf.data.archives import Archive
from amr_tf.data.catalog import DatasetSpec
from amr_tf.data.generated import Examples
from amr_tf.runtime.errors import DataError

# TFDS's own 10 retries double their pause up to 100 s each; the network was seen to work moments before.
_DOWNLOAD_RETRIES = 3
READ_BATCH = 1_000


def check(spec: DatasetSpec, data_dir: str, raw_dir: str | None = None) -> None:
    """Finds out within seconds, and without TensorFlow, whether `read` will have its files.

    Raises:
        DataError: see `preflight.gather`.
    """
    root = _path(data_dir)
    if _prepared_builder(spec, root) is None:
        _gather(spec, root, raw_dir)


def at_hand(spec: DatasetSpec, data_dir: str) -> bool:
    """Whether data_dir has all that `read` needs: the prepared set, or its archives."""
    root = _path(data_dir)
    if _prepared_builder(spec, root) is not None:
        return True
    downloads = root / "downloads"
    missing = [archive for archive in _archives(spec, downloads) if not archive.cached]
    return len(preflight.of_right_size(missing, downloads / "manual")) == len(missing)


def read(spec: DatasetSpec, data_dir: str, raw_dir: str | None = None) -> tuple[Examples, Examples]:
    """Reads the official train and test split, preparing the data set first where that was not done yet.

    Args:
        spec: a data set with a `tfds_name`.
        data_dir: folder of TFDS's prepared data sets; `~` is the home folder.
        raw_dir: folder with the official archives to prepare from without a network (or empty).

    Returns:
        (images, labels) of train and of test: uint8 [N, H, W, C] as stored (MNIST: 28 x 28) and int64 [N], in the
        order of the official files.

    Raises:
        DataError: see `opened`.
    """
    with opened(spec, data_dir, raw_dir) as builder:
        return _read_split(builder, "train"), _read_split(builder, "test")


@contextlib.contextmanager
def opened(
    spec: DatasetSpec, data_dir: str, raw_dir: str | None = None
) -> Iterator[tfds.core.DatasetBuilder]:
    """The builder of a data set to read from, which is prepared first where that was not done yet.

    Raises:
        DataError: see `preflight.gather`; also when data_dir cannot be written, or reading fails: a damaged set.
    """
    root = _path(data_dir)
    if _prepared_builder(spec, root) is None:
        _prepare(spec, root, raw_dir)
    cls = _prepared_builder(spec, root) or _builder_classes(spec)[-1]
    # Whatever a damaged set makes TensorFlow, protobuf or TFDS raise, the remedy is the same.
    try:
        yield cls(data_dir=root)
    except Exception as error:
        raise DataError(
            f"The prepared data set in {_folder(cls, root)} cannot be read ({_brief(error)}). Remove that folder and "
            "run again"
        ) from error


def _path(text: str) -> Path:
    # Unlike pathlib's, this expanduser takes the name of an unknown user for a folder's.
    return Path(os.path.expanduser(text))


def _builder_classes(spec: DatasetSpec) -> list[type[tfds.core.DatasetBuilder]]:
    """The builders whose prepared data will do; the last one is what gets prepared."""
    if spec.name == "zappos":
        from amr_tf.data.zappos import UtZappos50k

        return [UtZappos50k]
    official = tfds.builder_cls(spec.tfds_name)
    if spec.tfds_name != "svhn_cropped":
        return [official]
    from amr_tf.data.svhn import SvhnTrainTest

    return [official, SvhnTrainTest]


def _prepared_builder(spec: DatasetSpec, root: Path) -> type[tfds.core.DatasetBuilder] | None:
    """The first builder that has its data in data_dir, or None.

    A folder without dataset_info.json is what an unfinished copy leaves; a killed preparation leaves a folder under
    another name, which is never looked at.

    Raises:
        DataError: data_dir cannot be looked into.
    """
    ready = (cls for cls in _builder_classes(spec) if (_folder(cls, root) / "dataset_info.json").exists())
    try:
        return next(ready, None)
    except OSError as error:
        raise DataError(
            f"data_dir {root} cannot be read ({error.strerror}): give another one with --data_dir"
        ) from error


def _folder(cls: type[tfds.core.DatasetBuilder], root: Path) -> Path:
    return root / cls.name / str(cls.VERSION)


def _gather(
    spec: DatasetSpec, root: Path, raw_dir: str | None
) -> tuple[list[archives.Checked], list[Archive], Path | None]:
    """What the data set is prepared from: `preflight.gather`'s files to import and archives to download.

    And the folder of an archive that the builder reads where it lies, checked: None where it reads no such.
    """
    classes, downloads = _builder_classes(spec), root / "downloads"
    folders = [_folder(cls, root) for cls in classes]
    target = preflight.Target(spec.name, folders, downloads / "manual", _raw_folder(raw_dir))
    if spec.name == "zappos":
        from amr_tf.data import zappos

        archive = zappos.find(target)
        zappos.check(archive)
        return [], [], archive.parent
    return *preflight.gather(target, _archives(spec, downloads)), None


def _raw_folder(raw_dir: str | None) -> Path | None:
    folder = _path(raw_dir) if raw_dir else None
    # Unlike pathlib's, this isdir takes any text for a name: too long, or where nobody may look.
    if folder and not (os.path.isdir(folder) and os.access(folder, os.X_OK)):
        raise DataError(
            f"raw_dir is no folder that can be read: give the one that holds the archives. Received: {raw_dir}"
        )
    return folder


def _prepare(spec: DatasetSpec, root: Path, raw_dir: str | None) -> None:
    builder_class, downloads = _builder_classes(spec)[-1], root / "downloads"
    found, missing, manual_dir = _gather(spec, root, raw_dir)
    size = sum(archive.size for archive in missing)
    download = f", {size / 1e6:.1f} MB to download" if missing else ""
    print(f"Preparing {spec.name} in {root} (once{download})", flush=True)
    with _workspace(downloads) as extract_dir:
        try:
            archives.store(found)
            # Files for manual downloads were imported above, checked, so mostly an empty folder will do.
            _build(builder_class(data_dir=root), extract_dir, str(manual_dir or extract_dir))
        # Disk, network, archive readers and TFDS each have errors of their own; to the user it is one failure.
        except Exception as error:
            # Another process may have prepared the same set meanwhile: then all is well.
            if _prepared_builder(spec, root) is None:
                hint = ". Files fetched by other means are imported with --raw_dir" if missing else ""
                raise DataError(
                    f"{spec.name} could not be prepared in {root}: {_brief(error)}{hint}"
                ) from error


def _archives(spec: DatasetSpec, downloads: Path) -> list[Archive]:
    """The official files of the builder that would be prepared."""
    classes = _builder_classes(spec)
    return [
        Archive(
            filename=info.filename,
            url=url,
            size=int(info.size),
            sha256=info.checksum,
            cache_path=downloads / classes[0].name / resource.get_dl_fname(url, info.checksum),
            content_sha256=spec.idx_sha256.get(info.filename),
        )
        for url, info in classes[-1].url_infos.items()
    ]


def _build(builder: tfds.core.DatasetBuilder, extract_dir: str, manual_dir: str) -> None:
    tfds.disable_progress_bar()
    downloader.MAX_RETRIES = _DOWNLOAD_RETRIES
    config = tfds.download.DownloadConfig(
        extract_dir=extract_dir,
        manual_dir=manual_dir,
        force_checksums_validation=True,
        try_download_gcs=False,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(download_config=config)


@contextlib.contextmanager
def _workspace(downloads: Path) -> Iterator[str]:
    """An empty folder to unpack archives in, removed afterwards.

    TFDS reuses what it finds unpacked under an archive's file name. In a folder shared by data sets, or by runs that
    start together, that can be another set's file or half a file.

    Raises:
        DataError: data_dir cannot be written.
    """
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="unpacked-", dir=downloads)
    except OSError as error:
        raise DataError(
            f"data_dir {downloads.parent} cannot be written ({error.strerror}): give another one with --data_dir"
        ) from error
    with folder as path:
        yield path


def stored(
    builder: tfds.core.DatasetBuilder, split: str, change: Callable | None = None, **keywords
) -> Iterator[dict[str, np.ndarray]]:
    """The examples of a split in the order in which they are stored, READ_BATCH at a time: the columns by name.

    Args:
        builder, split: what to read.
        change: what to do to the `tf.data.Dataset` of single examples before they are put together.
        keywords: more for `as_dataset`.
    """
    # Files one after the other: with interleaving, positions would depend on the number of files.
    reading = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1, skip_prefetch=True)
    examples = builder.as_dataset(split=split, read_config=reading, **keywords)
    if change:
        examples = change(examples)
    return examples.batch(READ_BATCH).as_numpy_iterator()


def _read_split(builder: tfds.core.DatasetBuilder, split: str) -> Examples:
    """(images, labels) of a split in raw order.

    TFDS stores examples in the order of a hash of their number, salted with the name of the split.
    """
    parts = list(stored(builder, split))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if "id" in columns:
        raw_numbers = np.array([int(name.rpartition(b"_")[2]) for name in columns["id"]])
    else:
        hasher = hashing.Hasher(split)
        hashes = [hasher.hash_key(number) for number in range(len(columns["label"]))]
        raw_numbers = np.argsort(hashes, kind="stable")
    order = np.argsort(raw_numbers)
    return columns["image"][order], columns["label"][order]


def _brief(error: Exception) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
