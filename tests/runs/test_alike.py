"""Settings by which runs are grouped: sizes that have no effect on the networks do not count."""

import itertools

import pytest

from amr_tf import registry
from amr_tf.config import Config
from amr_tf.config.defaults import UNUSED_SIZES
from amr_tf.networks.base import Sizes
from amr_tf.networks.layers import Seeds
from amr_tf.runs import alike


def shapes_of(arch, depth, latent_width):
    """Returns the shapes of all weights of the networks of images of 64 px, or of points."""
    networks = registry.load(registry.ARCHS, arch)
    image_shape = (1, 1, 2) if arch == "mlp" else (64, 64, 3)
    sizes = Sizes(image_shape, networks.code_shape(image_shape, 4, latent_width), depth)
    made = [getattr(networks, part)(sizes, Seeds(0)) for part in ("encoder", "decoder")]
    return [tuple(weight.shape) for network in made for weight in network.weights]


@pytest.mark.parametrize("arch", registry.ARCHS)
def test_unused_sizes_are_those_that_change_no_weight(arch):
    first, deeper, wider = (shapes_of(arch, *size) for size in ((2, 4), (4, 4), (2, 8)))
    unused = {name for name, other in (("depth", deeper), ("latent_width", wider)) if other == first}
    assert unused == set(UNUSED_SIZES.get(arch, ()))


def test_runs_that_differ_by_an_unused_size_are_alike():
    configs = [Config(dataset="spiral", latent_width=width) for width in (2, 4)]
    first, second = map(alike.settings_of, configs)
    assert first == second
    assert alike.shown(first["latent_width"]) == "-"


@pytest.mark.parametrize(("dataset", "alike_"), [("lines", True), ("folder:a", True), ("mnist", False)])
def test_image_fit_counts_only_where_images_are_enlarged(dataset, alike_):
    first, second = (alike.settings_of(Config(dataset=dataset, image_fit=fit)) for fit in ("resize", "pad"))
    assert (first == second) == alike_


def test_varying_ignores_settings_without_effect():
    rows = [{"a": None, "b": 1}, {"a": 2, "b": 2}, {"a": 2, "b": None}]
    assert alike.varying(rows) == ["b"]
    for pair in itertools.permutations(rows[1:]):
        assert alike.varying([*pair]) == []
