"""How the site is built: Markdown by MyST, the theme Furo, equations as MathML, nothing fetched from elsewhere."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import amr_tf  # noqa: E402 (found by the line above)

project, author = "amr_tf", "the amr_tf contributors"
project_copyright = author
release = amr_tf.__version__

extensions = ["myst_parser", "site_math", "site_tables"]
exclude_patterns = ["serving"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
highlight_language = "text"
smartquotes = False  # they make -- of a flag a dash

html_theme = "furo"
html_title = "amr_tf"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
