"""Data sets of TFDS, read into memory in the order of their official files.

Data that are already prepared in data_dir are read without a network. Otherwise TFDS's builder prepares the data set
from local files (see `preflight`) or downloads. TFDS checks the SHA-256 of all downloads.
"""

import contextlib
import io
import os
import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.download import downloader, resource

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.sources import Examples, archives, preflight
from amr_tf.data.sources.archives import Archive
from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError, one_line

# TFDS's default is 10 retries with pauses of up to 100 s. Fewer suffice, because `preflight` has just reached the URLs.
_DOWNLOAD_RETRIES = 3
READ_BATCH = 1_000


def check(spec: DatasetSpec, places: Places) -> None:
    """Checks that `read` will find its files. The check takes seconds and does not import TensorFlow.

    Raises:
        DataError: see `preflight.gather`.
    """
    if _prepared_builder(spec, places) is None:
        _gather(spec, places)


def at_hand(spec: DatasetSpec, places: Places) -> bool:
    """Returns true if data_dir has the files that `read` needs: the prepared data set or all its archives."""
    if _prepared_builder(spec, places) is not None:
        return True
    manual = _downloads(places) / "manual"
    return all(archive.cached or archive.find_shared(manual) for archive in _archives(spec, places))


def read(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Reads a data set with official training and test splits. `hold_out` divides the training split.

    Raises:
        DataError: see `opened`.
    """
    train, test = official(spec, places)
    return spec, [*hold_out(train, spec.validation), test]


def official(spec: DatasetSpec, places: Places) -> tuple[Examples, Examples]:
    """Reads the official training and test split in the order of the official files. Images keep their original size.

    Raises:
        DataError: see `opened`.
    """
    with opened(spec, places) as builder:
        return _read_split(builder, "train"), _read_split(builder, "test")


def hold_out(examples: Examples, share: float) -> tuple[Examples, Examples]:
    """Divides a training split, in the order of the official files, as AMR's reference implementation does.

    `RandomState(0)` shuffles the examples. The last examples, a fraction `share` and at least 1, are the validation
    split. All other examples are the training split.
    """
    order = np.arange(len(examples.labels))
    np.random.RandomState(0).shuffle(order)
    train = len(order) - max(1, round(share * len(order)))
    return examples.take(order[:train]), examples.take(order[train:])


@contextlib.contextmanager
def opened(spec: DatasetSpec, places: Places) -> Iterator[tfds.core.DatasetBuilder]:
    """Yields a builder that reads prepared data. Prepares the data set first if necessary.

    Raises:
        DataError: see `preflight.gather`; also if data_dir cannot be written, or the prepared data are damaged.
    """
    if _prepared_builder(spec, places) is None:
        _prepare(spec, places)
    cls = _prepared_builder(spec, places) or _builder_classes(spec)[-1]
    # The remedy is the same for all errors of TensorFlow, protobuf and TFDS.
    try:
        yield cls(data_dir=places.data_dir)
    except Exception as error:
        raise DataError(
            f"The prepared data set in {_folder(cls, places)} cannot be read ({one_line(error)}). Remove that "
            "folder and run again"
        ) from error


def stored(
    builder: tfds.core.DatasetBuilder, split: str, change: Callable | None = None, **keywords
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the examples of a split in stored order, in batches of READ_BATCH: arrays by name of the feature.

    `change` transforms the `tf.data.Dataset` of single examples. `keywords` are passed to `as_dataset`.
    """
    # With interleaved files, the order would depend on the number of files.
    reading = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1, skip_prefetch=True)
    examples = builder.as_dataset(split=split, read_config=reading, **keywords)
    if change:
        examples = change(examples)
    return examples.batch(READ_BATCH).as_numpy_iterator()


def _builder_classes(spec: DatasetSpec) -> list[type[tfds.core.DatasetBuilder]]:
    return [pkgutil.resolve_name(name) if ":" in name else tfds.builder_cls(name) for name in spec.builders]


def _prepared_builder(spec: DatasetSpec, places: Places) -> type[tfds.core.DatasetBuilder] | None:
    """Returns the first builder with prepared data in data_dir, or None.

    Prepared data have a dataset_info.json. An unfinished copy lacks this file, and an unfinished preparation has a
    folder with another name.

    Raises:
        DataError: data_dir cannot be read.
    """
    classes = _builder_classes(spec)
    try:
        return next((cls for cls in classes if (_folder(cls, places) / "dataset_info.json").exists()), None)
    except OSError as error:
        raise DataError(
            f"data_dir {places.data_dir} cannot be read ({error.strerror}): give another one with --data_dir"
        ) from error


def _folder(cls: type[tfds.core.DatasetBuilder], places: Places) -> Path:
    return places.data_dir / cls.name / str(cls.VERSION)


def _downloads(places: Places) -> Path:
    return places.data_dir / "downloads"


def _gather(spec: DatasetSpec, places: Places) -> tuple[list[archives.Checked], list[Archive], Path | None]:
    """Returns the files to import, the archives to download, and the folder of an archive that is read in place.

    A builder class with a method `find_archive` reads an archive in place, without TFDS's download cache.
    """
    raw_dir = files.user_path(places.raw_dir, "--raw_dir=") if places.raw_dir else None
    # os.path.isdir does not raise an error, even if the name is too long or access is denied.
    if raw_dir and not (os.path.isdir(raw_dir) and os.access(raw_dir, os.X_OK)):
        raise DataError(
            f"raw_dir is not a readable folder. Received: {places.raw_dir}. Give the folder that contains the archives"
        )
    classes = _builder_classes(spec)
    folders = [_folder(cls, places) for cls in classes]
    target = preflight.Target(spec.name, folders, _downloads(places) / "manual", raw_dir)
    if find := getattr(classes[-1], "find_archive", None):
        return [], [], find(target).parent
    return *preflight.gather(target, _archives(spec, places)), None


def _prepare(spec: DatasetSpec, places: Places) -> None:
    found, missing, manual_dir = _gather(spec, places)
    size = sum(archive.size for archive in missing)
    download = f", {size / 1e6:.1f} MB to download" if missing else ""
    print(f"Preparing {spec.name} in {places.data_dir} (once{download})", flush=True)
    try:
        _downloads(places).mkdir(parents=True, exist_ok=True)
        # TFDS reuses an unpacked file with an archive's name, even of another data set or incomplete after a kill.
        workspace = tempfile.TemporaryDirectory(prefix="unpacked-", dir=_downloads(places))
    except OSError as error:
        raise DataError(
            f"data_dir {places.data_dir} cannot be written ({error.strerror}): give another one with --data_dir"
        ) from error
    with workspace as folder:
        try:
            archives.store(found)
            # Manual downloads were imported above, hence an empty folder suffices.
            _build(_builder_classes(spec)[-1](data_dir=places.data_dir), folder, str(manual_dir or folder))
        # Disk, network, archive readers and TFDS raise errors of many types.
        except Exception as error:
            # Another process may have prepared the same data set in the meantime.
            if _prepared_builder(spec, places) is None:
                hint = ". Files fetched by other means are imported with --raw_dir" if missing else ""
                raise DataError(
                    f"{spec.name} could not be prepared in {places.data_dir}: {one_line(error, 500)}{hint}"
                ) from error


def _archives(spec: DatasetSpec, places: Places) -> list[Archive]:
    """Returns the official files of the builder that prepares the data."""
    classes = _builder_classes(spec)
    cache = _downloads(places) / classes[0].name
    return [
        Archive(
            filename=info.filename,
            url=url,
            size=int(info.size),
            sha256=info.checksum,
            cache_path=cache / resource.get_dl_fname(url, info.checksum),
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


def _read_split(builder: tfds.core.DatasetBuilder, split: str) -> Examples:
    """Reads a split in the order of the official files.

    TFDS stores examples in the order of a hash, computed from the number of the example and the name of the split.
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
    return Examples(columns["image"][order], columns["label"][order])
