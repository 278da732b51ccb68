"""How Sphinx builds the documentation: `make docs`."""

import re
import shutil
import sys
import warnings
from pathlib import Path

from PIL import Image
from sphinx_gallery.utils import scale_image

import sktransfer

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # for the extensions of this folder

# Examples that take minutes are shown as they stand, with a picture that a run has left.
NOT_RUN = {
    "plot_dann_mnist_m": "dann_mnist_m.png",
    "plot_finetune_digits": "finetune_digits.png",
}

# The part of an example's picture that can be read on its card: left, top, right and bottom.
ON_THE_CARD = {
    "plot_alignment": (0.5, 0, 0.755, 1),
    "plot_dann_mnist_m": (0, 0, 0.46, 1),
    "plot_dann_moons": (0, 0, 0.345, 1),
    "plot_displays": (0.5, 0, 0.94, 0.5),
    "plot_few_shot_digits": (0, 0, 0.56, 1),
    "plot_finetune_digits": (0, 0, 0.51, 1),
    "plot_instance_weights": (0, 0, 0.53, 1),
    "plot_label_propagation": (0, 0, 0.53, 1),
    "plot_label_shift": (0.52, 0, 1, 1),
    "plot_rank_backbones": (0.68, 0, 1, 1),
    "plot_regression": (0, 0, 0.5, 1),
    "plot_search_without_labels": (0.1, 0, 0.58, 0.5),
    "plot_self_taught_digits": (0.58, 0, 1, 1),
    "plot_sensor_signals": (0, 0, 0.48, 1),
    "plot_several_tasks": (0, 0, 0.55, 1),
    "plot_sparse_text": (0, 0, 1, 1),
    "plot_transfer_pipeline": (0.33, 0, 0.69, 1),
    "plot_unlike_sensors": (0, 0, 0.51, 1),
    "plot_when_adaptation_fails": (0, 0, 0.52, 0.51),
    "plot_zero_shot": (0, 0, 1, 1),
}

# Methods that estimators, torch and skorch call.
HOOKS = {"extra_repr", "forward", "of", "optimizer"}

project = "sktransfer"
copyright = "The sktransfer developers"
version = release = sktransfer.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "dress_pages",
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
    "parallel": 2,  # examples side by side, each on one thread by the Makefile
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

# joblib renews a process that has grown, as those do that have run an example.
warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)

html_theme = "pydata_sphinx_theme"
html_title = "sktransfer"
html_static_path = ["_static"]
html_css_files = ["sktransfer.css"]
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"whats_new": [], "quick_start": [], "stability": []}
html_theme_options = {
    "logo": {"text": "sktransfer"},
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def skip_what_users_do_not_call(app, what, name, obj, skip, options):
    """Leave out methods from elsewhere, hooks, and properties, which are Attributes."""
    if what != "class":
        return None
    if name in HOOKS or name.startswith("on_"):
        return True
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


def picture_of(example):
    """Return the picture of an example: the stored one, or what its run has drawn."""
    if example in NOT_RUN:
        return DOCS / "images" / NOT_RUN[example]
    return DOCS / f"auto_examples/images/sphx_glr_{example}_001.png"


def add_thumbnails(app):
    """Show on each card a part of the picture that can be read there."""
    for example, box in ON_THE_CARD.items():
        picture = picture_of(example)
        thumbnail = DOCS / f"auto_examples/images/thumb/sphx_glr_{example}_thumb.png"
        if thumbnail.exists() and picture.exists():
            with Image.open(picture) as image:
                size = (*image.size, *image.size)
                part = image.crop([round(a * b) for a, b in zip(box, size, strict=True)])
                part.save(thumbnail)
            scale_image(str(thumbnail), str(thumbnail), 480, 336)


def let_pictures_scroll(app, pagename, templatename, context, doctree):
    """Put wide pictures into boxes that scroll on a phone, where nobody could read them."""

    def boxed(match):
        name = match[1].rsplit("/", 1)[-1]
        for folder in ("auto_examples/images", "images"):
            if (DOCS / folder / name).exists():
                with Image.open(DOCS / folder / name) as image:
                    width = image.width
                if width > 850:
                    style = f"--narrowest: {0.6 * width:.0f}px"
                    return f'<div class="wide-picture" style="{style}">{match[0]}</div>'
        return match[0]

    if "body" in context:
        context["body"] = re.sub(r'<img [^>]*src="([^"]+\.png)"[^>]*>', boxed, context["body"])


def setup(app):
    """Connect what is above."""
    app.connect("autodoc-skip-member", skip_what_users_do_not_call)
    app.connect("builder-inited", bring_results)
    app.connect("builder-inited", add_thumbnails, priority=900)  # after the gallery's
    app.connect("source-read", add_picture)
    app.connect("html-page-context", let_pictures_scroll)
