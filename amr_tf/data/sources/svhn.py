"""SVHN without the 1.24 GiB `extra` file, which the paper does not use."""

from typing import Any, ClassVar

import tensorflow_datasets as tfds

_OFFICIAL: Any = tfds.builder_cls("svhn_cropped")


class SvhnTrainTest(_OFFICIAL, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """TFDS's svhn_cropped with only the splits train and test.

    The separate name distinguishes this data set from the full svhn_cropped in a shared data_dir. Both use the same
    downloads.
    """

    name: ClassVar = "svhn_cropped_train_test"
    url_infos: ClassVar = {
        url: info for url, info in _OFFICIAL.url_infos.items() if info.filename != "extra_32x32.mat"
    }

    def _split_generators(self, dl_manager):
        urls = {info.filename.partition("_")[0]: url for url, info in self.url_infos.items()}
        files = dl_manager.download(urls)
        return {split: self._generate_examples(f"{split}_", files[split]) for split in ("train", "test")}

    def _make_download_manager(self, **kwargs):
        manager = super()._make_download_manager(**kwargs)
        # This name determines the folder of the download cache, and nothing else (tensorflow-datasets 4.9).
        manager._dataset_name = _OFFICIAL.name
        return manager
