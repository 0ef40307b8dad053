"""A report as one HTML file that needs nothing else: tables, curves drawn as SVG, pictures within."""

import base64
import pathlib
from typing import NamedTuple

import jinja2

from amr_tf.reporting import curves
from amr_tf.reporting.groups import Group
from amr_tf.reporting.tables import MISSING, Report, summary_line

_PNG = b"\x89PNG\r\n\x1a\n"


class Strip(NamedTuple):
    """A picture of interpolations as a data URL, and of what it is one."""

    url: str
    label: str
    seed: int
    epoch: int
    folder: str


def html(report: Report) -> str:
    """The page. Whatever is put into it is escaped by the template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        report=report,
        charts=curves.charts(report.groups),
        strips=[strip for group in report.groups if (strip := _strip(group))],
        area=curves,
        missing=MISSING,
        summary_line=summary_line,
    )


def _strip(group: Group) -> Strip | None:
    """The newest picture of the group's first run that has one."""
    for run in group.counted:
        path = run.interpolations
        if path and (content := path.read_bytes()).startswith(_PNG):
            url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
            epoch = int(path.name.split("_")[1])
            return Strip(url, group.label, run.config.seed, epoch, run.folder)
    return None
