"""Draw the decision tree of the guide "The deep family" into docs/images/which_method.png.

    python docs/draw_which_method.py

What it says was measured: RESULTS_FAMILY.md, RESULTS_CLASS_SETS.md, RESULTS_TARGET_LABELS.md,
RESULTS_IMAGES.md and RESULTS_NATURAL.md in benchmarks/, and the guide's page on label shift. The
picture is as wide as a telephone's screen, 390 points.
"""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

PICTURE = Path(__file__).parent / "images" / "which_method.png"

# A question, and what to take where the answer is yes; where it is no, the next question.
QUESTIONS = [
    ("Are the source's rows\ngone?", "fitted.adapt(X_target)", "SHOT: windows +.25, tables -.03"),
    (
        "Has the target classes\nthat the source lacks?",
        "OpenSetClassifier",
        "digits: harmonic mean .93, .82",
    ),
    (
        "Do shares of classes differ,\nand nothing else?",
        "LabelShiftClassifier",
        "MNIST .91 to .97; digits: DANN -.15",
    ),
    (
        "Does it lack classes of\nthe source?",
        'DANNClassifier(\n  class_weighting="target")',
        "digits 0-4: +.06, without it -.07",
    ),
    (
        "Are some target rows\nlabelled?",
        "y_target=, in any of these",
        "5 a class: digits .47 to .74",
    ),
    (
        "Convolutions, and classes\nstill apart in the target?",
        "MCCClassifier",
        "digits +.12; on photos .60, DANN .94",
    ),
    (
        "Does the shift carry rows\nover borders (moons)?",
        "DeepJDOTClassifier",
        "moons +.22; DANN +.18, MCC -.02",
    ),
]
LAST = (
    "DANNClassifier",
    "of 52 tables 27 gain .01, 9 lose it: whichever it is,\ncompare it with its source_only()",
)
WIDTH, ROW, INK, ASKED, TAKEN = 3.9, 0.98, "#1b2a3a", "#e8eef5", "#fff3d6"


def box(axes, place, size, colour):
    """Draw a box with its lower left corner at a place, in inches."""
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch(place, *size, boxstyle=style, fc=colour, ec=INK, lw=0.8))


def arrow(axes, start, end, text, at):
    """Draw an arrow with a word beside it."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})
    axes.text(*at, text, fontsize=7.5, color=INK, style="italic")


def draw():
    """Return the figure."""
    height = ROW * (len(QUESTIONS) + 1)
    figure = plt.figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")
    for number, (question, name, why) in enumerate(QUESTIONS):
        bottom = height - ROW * (number + 1) + 0.28
        middle = bottom + 0.33
        box(axes, (0.06, bottom), (1.5, 0.66), ASKED)
        axes.text(0.81, middle, question, fontsize=7.5, ha="center", va="center", color=INK)
        box(axes, (1.92, bottom), (1.92, 0.66), TAKEN)
        of_name = {"fontsize": 7.5, "weight": "bold", "family": "monospace"}
        axes.text(1.98, bottom + 0.42, name, va="center", color=INK, **of_name)
        axes.text(1.98, bottom + 0.1, why, fontsize=7, va="center", color=INK)
        arrow(axes, (1.56, middle), (1.92, middle), "yes", (1.6, middle + 0.05))
        arrow(axes, (0.81, bottom), (0.81, bottom - 0.32), "no", (0.87, bottom - 0.19))
    box(axes, (0.06, 0.1), (WIDTH - 0.12, 0.84), TAKEN)
    name, why = LAST
    axes.text(WIDTH / 2, 0.72, name, ha="center", va="center", color=INK, **of_name)
    axes.text(WIDTH / 2, 0.34, why, ha="center", va="center", fontsize=7.5, color=INK)
    return figure


if __name__ == "__main__":
    draw().savefig(PICTURE, dpi=200)
