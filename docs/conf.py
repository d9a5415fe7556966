"""Settings of Sphinx for the documentation: `make docs` builds it into `docs/_build/html`."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

import reference  # noqa: E402

import edaemo  # noqa: E402

project = "edaemo"
author = copyright = "the edaemo developers"
release = version = edaemo.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "code"
nitpicky = True
# Inventories of other projects are not read, so only names of edaemo are checked.
nitpick_ignore_regex = [("py:.*", r"(?!edaemo).*")]

myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 4

python_maximum_signature_line_length = 88
autodoc_typehints = "none"  # the types are in the docstrings
autosummary_context = {
    "list_contents": reference.list_contents,
    "list_members": reference.list_members,
}
suppress_warnings = ["config.cache"]  # of the two functions
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_.*\.py$",
    "doc_module": ("edaemo",),
    "reference_url": {"edaemo": None},
    "backreferences_dir": "gallery/backreferences",
    "download_all_examples": False,
    "remove_config_comments": True,
    "within_subsection_order": "reference.PicturesFirst",
    "show_memory": False,
    "write_computation_times": False,
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {"first-result": [], "leak-check": [], "extend": []}  # pages without subpages
html_title = "edaemo"
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 8,
}


def setup(app: object) -> None:
    """Connect the reference with autodoc and the resolution of names."""
    app.connect("autodoc-process-docstring", reference.describe_constants, priority=400)
    app.connect("autodoc-process-docstring", reference.link_pages)
    app.connect("missing-reference", reference.resolve_alias)
    app.connect("source-read", reference.link_files)
