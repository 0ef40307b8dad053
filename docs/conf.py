"""How the site is built: Markdown by MyST, the theme Furo, equations as MathML, nothing fetched from elsewhere."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
os.environ["PYTHONPATH"] = str(HERE.parent)  # for the process that runs the code cells

import amr_tf  # noqa: E402 (found by the line above)

project, author = "amr_tf", "the amr_tf contributors"
project_copyright = author
release = amr_tf.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "site_math", "site_tables"]
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
html_use_index = False  # the search finds names; a page of all of them is too wide for a phone

nb_execution_mode = "force"  # pages with code cells, such as notebook.md
nb_execution_in_temp = True  # the cells write files
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # messages of TensorFlow
nb_execution_timeout = 900  # seconds that a cell may take on a slow machine

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes and units are in the text
autodoc_typehints_format = "short"
# Names of errors and types in docstrings, which have no page of their own.
nitpick_ignore_regex = [("py:(class|exc|obj)", ".*")]
