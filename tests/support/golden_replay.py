"""Replays recordings of the reference implementations on our models.

A recording holds initial weights, batches, permutations and mixing coefficients, and what two steps made of them.
"""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

HERE = pathlib.Path(__file__).parents[1]
# The dSprites recording is too large for the repository.
SHARED = HERE.parents[1] / "shared"
PLACES = (HERE / "golden", SHARED / "golden", SHARED / "golden_gaia")


class Fixed:
    """A mixer whose draw is given; `set` changes it without a new trace of the step."""

    def __init__(self, indices, weights):
        self.indices = tf.Variable(np.asarray(indices, "int32"), trainable=False)
        self.weights = tf.Variable(np.asarray(weights, "float32"), trainable=False)

    def set(self, indices, weights):
        self.indices.assign(np.asarray(indices, "int32"))
        self.weights.assign(np.asarray(weights, "float32"))

    def sample(self, batch_size, code_shape, seed):
        return self.indices.value(), self.weights.value()


def load(name: str) -> tuple[dict[str, np.ndarray], dict]:
    """All arrays of a recording, and its settings."""
    for place in PLACES:
        path = place / f"{name}.npz"
        if path.exists():
            with np.load(path) as archive:
                arrays = {key: archive[key] for key in archive.files}
            return arrays, json.loads(str(arrays.pop("meta")))
    pytest.skip(f"{name}.npz is not in any of {[str(p) for p in PLACES]}")


def recorded_layers(arrays: dict, prefix: str) -> list[dict[str, np.ndarray]]:
    """The layers under `prefix` in order of appearance, each {"kernel": ..., "bias": ..., ...}."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key in arrays:
        if key.startswith(prefix + "/"):
            layer, weight = key[len(prefix) + 1 :].rsplit("/", 1)
            found.setdefault(layer, {})[weight] = arrays[key]
    return list(found.values())


def model_layers(network) -> list[dict]:
    """The variables of a network in order of appearance, as `recorded_layers` groups them."""
    owners = [layer for layer in network._flatten_layers(include_self=False) if layer._trainable_variables]
    return [{v.name: v for v in layer.weights} for layer in owners]


def pairs(arrays: dict, moment: str, networks: dict, channel_first: tuple[int, int, int] | None):
    """(network's name, variable, recorded value) of every weight, flattened maps put into Keras's order."""
    for name, network in networks.items():
        ours, theirs = model_layers(network), recorded_layers(arrays, f"{moment}/{name}")
        assert len(ours) == len(theirs) > 0
        rank_before = None
        for variables, values in zip(ours, theirs, strict=True):
            assert set(variables) == set(values) - {"v"}
            rank = values["kernel"].ndim if "kernel" in values else rank_before
            for weight, variable in variables.items():
                value = values[weight]
                if channel_first and rank == 2 and weight != "u":
                    rows = weight == "kernel" and rank_before != 2
                    value = _from_channel_first(value, channel_first, rows)
                assert tuple(variable.shape) == value.shape, (name, variable.path)
                yield name, variable, value
            rank_before = rank


def _from_channel_first(value, shape, rows):
    """Reorders rows or columns of a dense layer at a flattened map: (c, h, w) -> (h, w, c)."""
    h, w, c = shape
    order = np.arange(h * w * c).reshape(c, h, w).transpose(1, 2, 0).ravel()
    if rows and value.shape[0] == order.size:
        return value[order]
    return value[..., order] if value.shape[-1] == order.size else value


def assign(arrays: dict, networks: dict, channel_first=None) -> None:
    """Loads the recorded initial weights."""
    for _, variable, value in pairs(arrays, "init", networks, channel_first):
        variable.assign(value)


def differences(arrays: dict, networks: dict, channel_first=None) -> dict[str, np.ndarray]:
    """|computed - recorded| of all final trainable weights, by network."""
    found: dict[str, list] = {}
    for name, variable, value in pairs(arrays, "final", networks, channel_first):
        if variable.trainable:
            found.setdefault(name, []).append(np.abs(variable.numpy() - value).ravel())
    return {name: np.concatenate(parts) for name, parts in found.items()}
