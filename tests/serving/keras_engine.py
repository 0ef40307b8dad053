"""Keras alone, on JAX or PyTorch, runs the archives of an export: keras_engine.py FOLDER IN.npy OUT.npz"""

import importlib.util
import pathlib
import sys

import keras
import numpy as np


def main(folder: str, source: str, target: str) -> None:
    for package in ("tensorflow", "amr_tf"):
        assert importlib.util.find_spec(package) is None, f"{package} can be imported here"
    assert keras.backend.backend() in ("jax", "torch")
    encoder, decoder = (
        keras.saving.load_model(pathlib.Path(folder, f"{name}.keras")) for name in ("encoder", "decoder")
    )
    codes = encoder.predict(np.load(source, allow_pickle=False), verbose=0)
    np.savez(target, codes=codes, images=decoder.predict(codes, verbose=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
