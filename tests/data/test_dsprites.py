"""dSprites: drawn by its formulas, or read from the official file."""

import hashlib
import io
import itertools
import json

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amr_tf import data
from amr_tf.data.catalog import DSPRITES
from amr_tf.data.sources import dsprites
from amr_tf.runtime.errors import DataError
from amr_tf.training import experiment

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5"
SIZES = dsprites.FACTOR_SIZES

pytestmark = pytest.mark.usefixtures("no_connections")


@pytest.fixture(scope="module")
def drawn():
    return dsprites.render()


def is_inside(shape, u, v):
    """One point, by the definition of each shape."""
    if shape == 0:
        return abs(u) <= 9.6 and abs(v) <= 9.6
    if shape == 1:
        return (u / 12.765) ** 2 + (v / 7.215) ** 2 <= 1
    t = np.linspace(0, 2 * np.pi, 150)
    corners_u = 9.6 * np.sin(t) ** 3
    corners_v = -0.662 * (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) - 1.44
    # Seen from a point inside, the corners go once around it: their turns add up to 2 pi, else to 0.
    turns = np.diff(np.unwrap(np.arctan2(corners_v - v, corners_u - u)))
    return abs(turns.sum()) > np.pi


def pixel_by_pixel(factors):
    """An image bool [64, 64], tested at every pixel's centre."""
    shape, scale, orientation, position_x, position_y = factors
    s, o = np.linspace(0.5, 1, 6)[scale], np.linspace(0, 2 * np.pi, 40)[orientation]
    image = np.zeros((64, 64), bool)
    for y, x in itertools.product(range(64), range(64)):
        dx = x + 0.5 - (16 + 32 * position_x / 31)
        dy = y + 0.5 - (16 + 32 * position_y / 31)
        u, v = (np.cos(o) * dx - np.sin(o) * dy) / s, (np.sin(o) * dx + np.cos(o) * dy) / s
        image[y, x] = np.hypot(u, v) < 15 and is_inside(shape, u, v)
    return image


def test_render_gives_the_same_bits_on_every_machine(drawn):
    """Hashes of every 1,009th image and of all, which distinguish one change from many."""
    assert (drawn.shape, drawn.dtype) == ((737_280, 512), np.uint8)
    hashes = [hashlib.sha256(part.tobytes()).hexdigest() for part in (drawn[::1009], drawn)]
    assert hashes == [
        "7de31f919a2c7ce27c0cafcae1437372a0f5679ca3c818dc501861b36dcad755",
        "673e13f7966f88cdfe0ac489546cb18e9fe3dadf0b049148d59928e5e9b8ea08",
    ]


@pytest.mark.parametrize("shape", range(3))
def test_render_equals_testing_each_pixel(drawn, shape):
    """Both ends of every factor and some draws, by a slower implementation."""
    ends = [(0, 0, 0, 0), (5, 39, 31, 31), (5, 13, 0, 31)]
    draws = np.random.default_rng(shape).integers(SIZES[1:], size=(7, 4))
    truth = dsprites.DSprites(drawn, dsprites.RE_RENDERED)
    for rest in (*ends, *draws):
        factors = np.array([(shape, *rest)])
        image = truth.sample_images(factors, np.random.default_rng(0))[0, :, :, 0]
        np.testing.assert_array_equal(image == 255, pixel_by_pixel(factors[0]), err_msg=str(factors))


@given(st.lists(st.integers(0, dsprites.COUNT - 1), min_size=1, max_size=20))
def test_numbers_of_inverts_factors_of(numbers):
    factors = dsprites.factors_of(np.array(numbers))
    shape, scale, orientation, position_x, position_y = factors.T
    by_hand = (((shape * 6 + scale) * 40 + orientation) * 32 + position_x) * 32 + position_y
    np.testing.assert_array_equal(by_hand, numbers)
    np.testing.assert_array_equal(dsprites.numbers_of(factors), numbers)


@pytest.mark.parametrize("wrong", [(3, 0, 0, 0, 0), (0, 0, 0, 0, 32), (0, -1, 0, 0, 0)])
def test_numbers_of_factor_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="invalid entry"):
        dsprites.numbers_of(np.array([wrong]))


def test_sample_factors_is_uniform_and_seeded(drawn):
    truth = dsprites.DSprites(drawn, dsprites.RE_RENDERED)
    assert (len(truth.factor_names), truth.factor_sizes) == (5, SIZES)
    draws = truth.sample_factors(2_000, np.random.default_rng(1))
    assert (draws.shape, draws.dtype) == ((2_000, 5), np.int64)
    for column, size in zip(draws.T, SIZES, strict=True):
        assert set(column) == set(range(size))
    np.testing.assert_array_equal(draws, truth.sample_factors(2_000, np.random.default_rng(1)))


def test_load_trains_on_all_and_evaluates_on_fixed_draws(config):
    """As published, nothing is held out; the evaluated draws do not depend on the seed."""
    splits, other = data.load(config("dsprites")), data.load(config("dsprites", seed=1, train_examples=70))
    assert [len(part) for part in splits] == [737_280, 10_000, 10_000]
    assert len(other.train) == 70
    np.testing.assert_array_equal(splits.train.labels, np.repeat([0, 1, 2], 245_760))
    for part, same in zip(splits[1:], other[1:], strict=True):
        np.testing.assert_array_equal(part.images.bits, same.images.bits)
        assert len({image.tobytes() for image in part.images.bits}) > 9_000
        assert np.bincount(part.labels).min() > 3_000
    assert not np.array_equal(splits.validation.labels, splits.test.labels)
    assert {part.name for part in splits} == {"re-rendered dSprites"}
    assert splits.train.images[:2].shape == (2, *DSPRITES.image_shape)


def official_file(numbers):
    """An hdf5 like the official one with some of its images; image i has its first i + 1 pixels on."""
    images = (np.arange(64 * 64) <= np.arange(len(numbers))[:, None]).astype(np.uint8)
    classes = np.column_stack([np.zeros(len(numbers), np.int64), dsprites.factors_of(np.array(numbers))])
    file = io.BytesIO()
    with h5py.File(file, "w") as hdf5:
        hdf5["imgs"] = images.reshape(-1, 64, 64)
        hdf5["latents/classes"], hdf5["latents/values"] = classes, classes.astype(np.float64)
    return {FILE: file.getvalue()}


def test_load_prefers_the_official_file(config, put_in_cache, capfd):
    """In its own order: TFDS stores in the order of a hash, and pixels as 0 and 1."""
    numbers = list(range(0, dsprites.COUNT, 50_000))
    put_in_cache("dsprites", official_file(numbers))
    settings = config("dsprites")
    data.check(settings)
    splits = data.load(settings)
    assert capfd.readouterr().out.startswith("Preparing dsprites in ")
    assert {part.name for part in splits} == {"official dSprites"}
    images = splits.train.images[:]
    assert images.sum(axis=(1, 2, 3)).tolist() == [255 * (i + 1) for i in range(len(numbers))]
    np.testing.assert_array_equal(splits.train.labels, np.array(numbers) // 245_760)
    assert sorted(splits.test.images[:].sum(axis=(1, 2, 3))) == sorted(images.sum(axis=(1, 2, 3)))
    with pytest.raises(DataError, match=rf"need all 737280 images.* has {len(numbers)}: "):
        data.ground_truth(settings)


def test_raw_dir_without_the_official_file_is_an_error(config, tmp_path):
    """Nothing is drawn instead."""
    settings = config("dsprites", raw_dir=str(tmp_path))
    for call in (data.check, data.load, data.ground_truth):
        with pytest.raises(DataError, match=rf"lacks {FILE} of dsprites"):
            call(settings)


def test_ground_truth_has_the_images_that_are_trained_on(config):
    settings = config("dsprites", train_examples=64)
    data.check(settings)
    truth, train = data.ground_truth(settings), data.load(settings).train
    assert truth.origin == train.name == "re-rendered dSprites"
    numbers = np.random.default_rng((0, 64)).choice(dsprites.COUNT, 64, replace=False)
    factors = dsprites.factors_of(numbers)
    np.testing.assert_array_equal(truth.sample_images(factors, np.random.default_rng(0)), train.images[:])


def test_run_reports_re_rendered_images(config, tmp_path, capsys):
    """On the terminal and in results.json; Burgess's networks are the default."""
    short = {"model": "ae", "steps_per_epoch": 2, "epochs": 1, "batch_size": 4, "smoke": True}
    folder = experiment.run(config("dsprites", **short, run_dir=str(tmp_path / "run")))
    results = json.loads((folder / "results.json").read_text())
    assert results["data"] == "re-rendered dSprites"
    assert results["config"]["arch"] == "burgess"
    assert np.isfinite(results["last"]["recon"])
    assert "re-rendered dSprites: 512 training, 512 validation, 512 test examples" in capsys.readouterr().out
