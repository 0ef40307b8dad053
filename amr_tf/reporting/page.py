"""A report as one HTML file that needs no other files. It contains tables, curves as SVG, and images."""

import base64
import pathlib
from typing import Any

import jinja2

from amr_tf.reporting import curves
from amr_tf.reporting.groups import Group
from amr_tf.reporting.tables import MISSING, Report, summary_line

_PNG = b"\x89PNG\r\n\x1a\n"


def html(report: Report) -> str:
    """Returns the HTML page. The template escapes all texts of the report."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        report=report,
        charts=curves.charts_of(report.groups),
        strips=[strip for group in report.groups if (strip := _strip(group))],
        missing=MISSING,
        summary_line=summary_line,
        data_url=_data_url,
    )


def _data_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _strip(group: Group) -> dict[str, Any] | None:
    """Returns the newest image of interpolations of a group, and the run and the epoch of this image.

    The image is from the first run of the group that has such an image.
    """
    for run in group.counted:
        path = run.interpolations
        if path and (content := path.read_bytes()).startswith(_PNG):
            return {
                "url": _data_url("png", content),
                "label": group.label,
                "seed": run.config.seed,
                "epoch": int(path.name.split("_")[1]),
                "folder": run.folder,
            }
    return None
