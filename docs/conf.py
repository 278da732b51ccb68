"""How Sphinx builds the documentation: `make docs`."""

import shutil
import sys
from pathlib import Path

from sphinx_gallery.utils import scale_image

import sktransfer

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # for the extension of this folder

# Examples that take minutes are shown as they stand, with a picture that a run has left.
NOT_RUN = {
    "plot_dann_mnist_m": "dann_mnist_m.png",
    "plot_finetune_digits": "finetune_digits.png",
}

project = "sktransfer"
copyright = "The sktransfer developers"
version = release = sktransfer.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "set_formulas",
    "sphinx-mathjax-offline",  # MathJax out of the build: pages need no network
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "user_guide/scorers_table.rst"]
default_role = "py:obj"  # `name` is a link where there is something of this name
highlight_language = "none"  # formulas are no Python; what follows a prompt is recognised
pygments_style = "friendly"
suppress_warnings = ["myst.header"]  # the changelog stands below a title of its own

autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # autodoc shows them

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": rf"/(?!({'|'.join(NOT_RUN)})\.py)plot_",
    "ignore_pattern": r"/(?!plot_)[^/]*\.py$",
    "copyfile_regex": r"index\.rst$",  # groups the examples by family
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sktransfer",),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sktransfer"
html_static_path = ["_static"]
html_css_files = ["sktransfer.css"]
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"whats_new": []}
html_theme_options = {
    "logo": {"text": "sktransfer"},
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def skip_what_is_scikit_learns(app, what, name, obj, skip, options):
    """Leave out methods that come from elsewhere, and properties, which are Attributes."""
    if what != "class":
        return None
    module = getattr(obj, "__module__", None) or ""
    return isinstance(obj, property) or not module.startswith("sktransfer") or None


def bring_results(app):
    """Put the tables of the benchmarks where their page finds them."""
    for table in (DOCS.parent / "benchmarks").glob("RESULTS*.md"):
        shutil.copy(table, DOCS / "benchmarks" / table.name)


def add_picture(app, docname, source):
    """Put the stored picture below the opening words of an example that is not run."""
    picture = NOT_RUN.get(Path(docname).name)
    if docname.startswith("auto_examples/") and picture:
        at = source[0].index(".. GENERATED FROM PYTHON SOURCE LINES")  # the first code
        shown = f".. image:: /images/{picture}\n   :class: sphx-glr-single-img\n\n"
        source[0] = source[0][:at] + shown + source[0][at:]


def add_thumbnails(app):
    """Make the thumbnails of examples that are not run from their stored pictures."""
    for example, picture in NOT_RUN.items():
        thumbnail = DOCS / f"auto_examples/images/thumb/sphx_glr_{example}_thumb.png"
        if thumbnail.exists():
            scale_image(str(DOCS / "images" / picture), str(thumbnail), 400, 280)


def setup(app):
    """Connect what is above."""
    app.connect("autodoc-skip-member", skip_what_is_scikit_learns)
    app.connect("builder-inited", bring_results)
    app.connect("builder-inited", add_thumbnails, priority=900)  # after the gallery's
    app.connect("source-read", add_picture)
