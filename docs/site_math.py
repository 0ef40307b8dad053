"""Equations of the site as MathML, which every browser draws by itself: no script, no font, no LaTeX."""

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

LOG = logging.getLogger(__name__)


def mathml(node: nodes.Element, as_block: bool) -> str:
    """The equation of a node; one that docutils cannot read is a warning, and shown as it was written."""
    try:
        return tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        LOG.warning("%s in %s", error, node.astext(), location=node)
        return f"<code>{node.astext()}</code>"


def inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    # The theme lets its frame scroll where the page is narrow.
    translator.body.append(f"<div>{mathml(node, as_block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
