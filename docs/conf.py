"""How the documentation is built: ``make docs``."""

import os
import sys
from pathlib import Path

# Compiled functions stay plain functions, so that their documentation can be read off them.
os.environ["NUMBA_DISABLE_JIT"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

import generate
from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

import stemtrial

project = "stemtrial"
author = "The stemtrial authors"
copyright = author
version = release = stemtrial.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3

# Errors are named without their module in docstrings; a class of the report may have the same name.
suppress_warnings = ["ref.python"]
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_default_options = {
    "members": True,
    "exclude-members": "model_config, model_fields, model_computed_fields, model_post_init, kernel",
}

html_theme = "furo"
html_title = f"stemtrial {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sphinx = False
html_math_renderer = "mathml"


def _as_mathml(display: bool):
    """Return the visitor that writes formulas as MathML, which needs no script and can be read aloud."""

    def visit(translator, node):
        translator.body.append(tex2mathml(node.astext(), as_block=display))
        raise SkipNode

    return visit


def setup(app):
    """Fill in the generated parts of the pages."""
    app.add_html_math_renderer("mathml", (_as_mathml(False), None), (_as_mathml(True), None))
    app.connect("source-read", lambda app, page, source: source.__setitem__(0, generate.fill(source[0])))
    app.connect(
        "env-get-outdated",
        lambda app, env, added, changed, removed: generate.pages(env.found_docs, Path(app.srcdir)),
    )
