"""The page in a browser: it fits a phone's screen, curves are legible, pictures are loaded."""

import pytest

from amr_tf import report
from amr_tf.reporting import curves

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("table", [[], ["--table=2"]])
def test_the_page_fits_wide_and_narrow_screens(browser, three, tmp_path, table):
    assert report.main([str(three), *table, f"--out={tmp_path / 'out'}"]) == 0
    address = (tmp_path / "out" / "report.html").as_uri()
    for width in (1280, 400):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(address)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        browser.save_screenshot(str(tmp_path / f"{width}.png"))
        beyond = """return Array.from(document.querySelectorAll('td span, th span, p, li')).filter(
            e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.textContent)"""
        assert browser.execute_script(beyond) == []
        for image in browser.find_elements("css selector", "img.strip"):
            assert image.get_property("naturalWidth") == 30
        for chart in browser.find_elements("css selector", "img:not(.strip)"):
            assert chart.get_property("naturalWidth") > 0
            assert chart.get_property("width") * curves.LETTERS / curves.WIDTH >= 10, "pixels of a letter"
