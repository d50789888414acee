"""The site: `sphinx-build -W -n docs docs/_build`, offline (pip install '.[docs]')."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]  # what is documented is what lies here

import fdref  # noqa: E402 - from there

project = "fdref"
author = "the fdref authors"
copyright = author  # noqa: A001 - Sphinx's name
version = release = fdref.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinxarg.ext",
    "mathml",
    "one_page_each",
    "live_pages",
    "confusion",
]
exclude_patterns = ["_build", "examples", "extensions"]
templates_path = ["_templates"]
nitpicky = True

# Pages. Links are relative files, so that they work on a code host, too.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
smartquotes_action = "q"  # dashes are options
html_math_renderer = "mathml"  # no script, no network
copybutton_exclude = ".linenos, .gp, .go"  # of a session in Python, what was typed

# The interface. Docstrings say types in words, with shapes.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "autolink"  # `decode` is a link where there is such a name
# What can be imported and has no page: attributes, which stand on their classes' pages (public
# names all have one: tests see to that), two modules that are shown elsewhere, and other people's,
# whose inventories would take a network.
nitpick_ignore_regex = [
    ("py:obj", r"\w+"),
    ("py:obj", r"fdref\.engines\.(compiled|reference)"),
    ("py:obj", r"(concurrent|numpy|onnx)\..*"),
]

# The gallery: a script, a page; an example that fails fails the site.
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "image_scrapers": ("figures", "matplotlib"),  # the latter closes its figures
    "reference_url": {"fdref": None},
    "doc_module": ("fdref",),
    "backreferences_dir": "api/examples",
    "image_srcset": ["2x"],
    "capture_repr": (),  # what is printed says enough
}

html_theme = "pydata_sphinx_theme"
html_title = "fdref"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_nav_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "header_links_before_dropdown": 6,
}
ALONE = ("look", "kit", "method", "siblings", "paper", "commands", "files", "measuring")
html_sidebars = {name: [] for name in ALONE}  # pages with none below them are wider
