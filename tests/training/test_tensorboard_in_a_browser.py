"""TensorBoard as a user sees it: two real runs, its own process, a headless browser.

Screenshots of every tab are left in the test's folder: pytest --basetemp=FOLDER keeps them where they are found.
"""

import io
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from amr_tf.runs.folder import read_rows
from amr_tf.training import experiment
from tests.support.config import tiny_config

SHORT = {"arch": "acai", "latent_width": 16, "epochs": 3, "steps_per_epoch": 4}
LAMBDAS = {"a": 2.0, "b": 50.0}
SECONDS = 300  # of patience on a busy machine

# TensorBoard's pages are web components within web components, which ordinary selectors do not enter.
EVERYWHERE = """
const found = [];
const walk = root => root.querySelectorAll("*").forEach(element => {
  if (element.matches(arguments[0])) found.push(element);
  if (element.shadowRoot) walk(element.shadowRoot);
});
walk(document);
return found"""
TEXTS = EVERYWHERE + ".map(element => element.innerText || element.textContent || '')"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    """Two finished runs that differ by lambda; the first has codes for the projector."""
    folder = tmp_path_factory.mktemp("runs")
    for name, weight in LAMBDAS.items():
        place = str(folder / "lines" / name)
        experiment.run(tiny_config(**SHORT, lambda_=weight, run_dir=place, projector=name == "a"))
    return folder


@pytest.fixture(scope="module")
def address(logdir, tmp_path_factory):
    """Address of a TensorBoard of these runs, at a free port."""
    log = tmp_path_factory.mktemp("tensorboard") / "log.txt"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--host", "127.0.0.1", "--port", "0"],
            stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()), log.read_text)[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=SECONDS)


def wait_for(look, explain=lambda: ""):
    """Waits until `look` returns a true value, and returns it."""
    end = time.monotonic() + SECONDS
    while not (found := look()):
        assert time.monotonic() < end, f"nothing after {SECONDS} s: {explain()}"
        time.sleep(0.2)
    return found


def open_tab(browser, address, tab):
    browser.get("about:blank")  # a change of the part after # alone would load nothing anew
    browser.get(f"{address}#{tab}")


def texts(browser, selector):
    return [text.strip() for text in browser.execute_script(TEXTS, selector)]


def keep(browser, folder, name):
    """A screenshot for people to look at, as pixels [H, W, 3]."""
    path = folder / f"{name}.png"
    browser.save_screenshot(str(path))
    return np.asarray(Image.open(path).convert("RGB"))


def has_curves(browser, selector, count):
    """True if the first charts show coloured curves on their grids."""
    charts = [chart for chart in browser.execute_script(EVERYWHERE, selector) if chart.is_displayed()][:count]
    shown = [np.asarray(Image.open(io.BytesIO(chart.screenshot_as_png)).convert("RGB")) for chart in charts]
    return len(shown) == count and all(np.ptp(pixels.astype(int), axis=-1).max() > 60 for pixels in shown)


def test_curves_of_all_splits_and_runs_are_there(browser, address, tmp_path):
    """Groups of tags as cards, a line for each run."""
    open_tab(browser, address, "timeseries")
    groups = {"discriminator", "generator", "probe", "pictures"}
    wait_for(lambda: groups <= set(texts(browser, "span.group-title")), lambda: texts(browser, "body"))
    wait_for(lambda: has_curves(browser, "line-chart canvas", 3))
    listed = texts(browser, "div.cell")
    for name in LAMBDAS:
        for part in ("train", "evaluation/validation", "evaluation/test"):
            assert f"lines/{name}/tensorboard/{part}" in listed
    keep(browser, tmp_path, "time_series")
    open_tab(browser, address, "scalars")
    wait_for(lambda: "discriminator/disc_mix" in texts(browser, "div.heading-label.name"))
    wait_for(lambda: has_curves(browser, "vz-line-chart2", 3))
    keep(browser, tmp_path, "scalars")


def test_pictures_are_loaded(browser, address, tmp_path):
    """Three pictures of each run, all of them in one group."""
    open_tab(browser, address, "images")
    loaded = "return Array.from(arguments[0]).filter(i => i.complete && i.naturalWidth > 300).length"

    def count():
        return browser.execute_script(loaded, browser.execute_script(EVERYWHERE, "img"))

    wait_for(lambda: count() == 3 * len(LAMBDAS), count)
    keep(browser, tmp_path, "images")


def test_hparams_compare_the_runs(browser, address, logdir, tmp_path):
    """lambda, in which they differ, is the first column, and the outcomes on both splits are filled in."""
    open_tab(browser, address, "hparams")
    wait_for(lambda: len(numbers(browser)) >= 2 * 6, lambda: texts(browser, "div.table-cell"))
    keep(browser, tmp_path, "hparams")
    headers = texts(browser, "div.table-header")
    assert headers[:3] == ["Trial ID", "Show Metrics", "lambda"]
    assert {"validation.probe/accuracy", "test.probe/accuracy", "validation.generator/recon"} <= set(headers)
    found = numbers(browser)
    for name, weight in LAMBDAS.items():
        last = read_rows(logdir / "lines" / name / "metrics.csv")[-1]
        for value in (weight, last["val_probe_accuracy"], last["test_probe_accuracy"], last["val_recon"]):
            assert any(number == pytest.approx(value, rel=1e-4) for number in found), (name, value)


def numbers(browser):
    """The numbers in the table of runs."""
    cells = texts(browser, "div.table-cell")
    return [float(cell) for cell in cells if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell)]


def test_the_graph_is_drawn(browser, address, tmp_path):
    open_tab(browser, address, "graphs")
    parts = {"images", "encode", "decode", "discriminate", "probe"}

    def boxes():
        nodes = browser.execute_script(EVERYWHERE, "g.node")
        return {node.get_attribute("data-name") for node in nodes if node.is_displayed()}

    wait_for(lambda: boxes() >= parts, boxes)
    assert boxes() == parts, "no loose ends beside them"
    keep(browser, tmp_path, "graph")


def test_the_projector_shows_the_codes(browser, address, tmp_path):
    """1000 thumbnails of black images on white ground: without them hardly a pixel is black."""
    open_tab(browser, address, "projector")
    for _ in range(2):  # the page of the plugin, and in it the projector's own
        browser.switch_to.frame(wait_for(lambda: browser.execute_script(EVERYWHERE, "iframe"))[0])
    try:
        wait_for(lambda: {"1000", "512"} <= set(texts(browser, "span.numDataPoints, span.dim")))
    finally:
        browser.switch_to.default_content()

    def black():
        middle = keep(browser, tmp_path, "projector")[150:-50, 450:-350]
        return np.mean(middle.max(axis=-1) < 10) > 0.01

    wait_for(black)
