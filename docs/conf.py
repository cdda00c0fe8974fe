"""The documentation as a site (Sphinx, Furo, MyST): `make docs-site` builds build/site, which works from a folder and asks no other host for anything.

Sphinx reads a copy of docs/ with README.md as its first page (scripts/docs_site.py).
"""

project = "Tidemark"
author = "the authors of Tidemark"
copyright = author
extensions = ["myst_parser", "sphinx_copybutton"]
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
source_suffix = {".md": "markdown"}
root_doc = "index"
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # indented blocks are shown as text where they are no Python
highlight_language = "text"
html_theme = "furo"
html_title = "Tidemark"
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
