"""The Hub's client reads a model card, and Keras on JAX the saves beside it: hub_engine.py FOLDER IN.npy OUT.npz"""

import importlib.util
import json
import pathlib
import sys

import huggingface_hub
import keras
import numpy as np


def main(folder: str, source: str, target: str) -> None:
    for package in ("tensorflow", "amr_tf"):
        assert importlib.util.find_spec(package) is None, f"{package} can be imported here"
    read = huggingface_hub.ModelCard.load(pathlib.Path(folder, "README.md"), ignore_metadata_errors=False)
    results = read.data.eval_results
    index = huggingface_hub.repocard_data.eval_results_to_model_index(read.data.model_name, results)
    again = huggingface_hub.ModelCardData(**read.data.to_dict() | {"model-index": index})
    assert again.to_dict() == read.data.to_dict()
    encoder, decoder, probe = (
        keras.saving.load_model(pathlib.Path(folder, name)) for name in ("encoder", "decoder", "probe")
    )
    codes = encoder.predict(np.load(source, allow_pickle=False), verbose=0)
    arrays = {"images": decoder.predict(codes, verbose=0), "logits": probe.predict(codes, verbose=0)}
    np.savez(target, codes=codes, **arrays, metadata=np.array(json.dumps(read.data.to_dict())))


if __name__ == "__main__":
    main(*sys.argv[1:])
