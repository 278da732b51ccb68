"""What displays draw with: matplotlib, axes and colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import numpy as np

# Okabe and Ito's colours, told apart with every kind of colour vision; the yellow is left out,
# being faint on white.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILION, BLACK, GREY = "#56B4E9", "#D55E00", "#000000", "#999999"

SOURCE, TARGET = BLUE, VERMILION
FEW_CLASSES = [GREEN, PINK, ORANGE, SKY, BLUE, VERMILION]  # those of the domains come last

MOST_LEGEND_COLUMNS = 3
LEGEND_COLUMN, LEGEND_ROW, LEGEND_MARGIN = 1.75, 0.17, 0.18  # inches


def import_pyplot(display: str) -> ModuleType:
    """Return `matplotlib.pyplot`.

    Raises
    ------
    ImportError
        Where it is not installed, with the extra that holds it.
    """
    try:
        import_module("matplotlib")
        return import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ImportError(
            f"{display} draws with matplotlib, which cannot be imported ({error}). Install it: "
            "pip install 'sktransfer[plot]'."
        ) from error


def check_axes(ax, panels: Sequence[str], display: str) -> np.ndarray | None:
    """Return the axes given as an array with one for each panel, or None for none given.

    Raises
    ------
    TypeError, ValueError
        For what is no Axes, and for too few or too many of them.
    """
    plt = import_pyplot(display)
    if ax is None:
        return None
    axes = np.array(ax, dtype=object).ravel()
    for given in axes:
        if not isinstance(given, plt.Axes):
            raise TypeError(
                f"ax holds {given!r}; give matplotlib Axes, or None for those of a new figure."
            )
    if len(axes) != len(panels):
        raise ValueError(
            f"ax holds {len(axes)} Axes, but {display} draws {len(panels)} here: "
            f"{', '.join(panels)}. Give one for each, for example "
            f"ax=plt.subplots({len(panels)})[1], or None for those of a new figure."
        )
    return axes


def make_axes(
    ax, panels: Sequence[str], display: str, *, n_columns: int = 1, size=(6.4, 4.8), **subplots
) -> np.ndarray:
    """Return an array with one Axes for each panel: those given, or of a new figure."""
    axes = check_axes(ax, panels, display)
    if axes is None:
        plt = import_pyplot(display)
        n_rows = len(panels) // n_columns
        _, new = plt.subplots(
            n_rows, n_columns, figsize=size, squeeze=False, layout="constrained", **subplots
        )
        axes = new.ravel()
    return axes


def put_legend_above(handles: Sequence, limits: dict) -> None:
    """Put a legend into the first Axes and make room for it above all that is drawn.

    Parameters
    ----------
    handles : sequence of Artist
        What it explains; without any there is no legend.
    limits : dict of Axes to (float, float)
        The least and the greatest value drawn in these Axes, which lie upon each other.
    """
    ax = next(iter(limits))
    width, height = ax.bbox.size / ax.figure.dpi
    n_columns = min(max(1, int(width / LEGEND_COLUMN)), MOST_LEGEND_COLUMNS)
    if handles:
        look = {"ncols": n_columns, "fontsize": "small", "framealpha": 1}
        ax.legend(handles=handles, loc="upper left", **look)
    room = min(0.6, (LEGEND_MARGIN + LEGEND_ROW * math.ceil(len(handles) / n_columns)) / height)
    for scale, drawn in limits.items():
        transform = scale.yaxis.get_transform()
        low, high = transform.transform(np.array(drawn, dtype=float))
        span = (high - low) or 1.0
        scale.set_ylim(
            *transform.inverted().transform([low - 0.03 * span, low + span / (1 - room)])
        )
        if scale is not ax:  # its numbers would stand beside the legend
            least, most = transform.inverted().transform([low - 0.01 * span, high + 0.01 * span])
            scale.set_yticks([y for y in scale.get_yticks() if least <= y <= most])


def make_class_colors(n_classes: int, plt) -> list[str]:
    """Return a colour for each class: told apart by all for up to six, by most for up to ten."""
    if n_classes <= len(FEW_CLASSES):
        return FEW_CLASSES[:n_classes]
    if n_classes <= 10:
        rgb = plt.get_cmap("tab10")(range(n_classes), bytes=True)
    else:
        rgb = plt.get_cmap("turbo")(np.linspace(0.03, 0.97, n_classes), bytes=True)
    return ["#{:02x}{:02x}{:02x}".format(*color[:3]) for color in rgb]
