"""Sphinx configuration."""

from fastpanel import __version__

project = "fastpanel"
author = "the fastpanel developers"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"fastpanel {release}"
exclude_patterns = ["_build"]
