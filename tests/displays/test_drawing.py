"""Matplotlib, axes and colours."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from sktransfer import displays
from sktransfer.displays._drawing import (
    check_axes,
    import_pyplot,
    make_axes,
    make_class_colors,
    put_legend_above,
)


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_the_extra_is_named():
    with pytest.raises(ImportError, match=r"Some draws .* pip install 'sktransfer\[plot\]'"):
        import_pyplot("Some")


@pytest.mark.usefixtures("no_matplotlib")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("TrainingHistoryDisplay", {"epochs": [1], "losses": {}, "shares": {}}),
        ("DomainEmbeddingDisplay", {"source_points": {}, "target_points": {}}),
        (
            "UnfreezeDepthDisplay",
            {"depths": [], "mean_scores": [], "std_scores": [], "fold_scores": []},
        ),
        ("TransferMatrixDisplay", {"matrix": np.eye(2), "domain_names": ["a", "b"]}),
    ],
)
def test_every_display_is_made_without_matplotlib_and_names_the_extra_to_draw(name, arguments):
    display = getattr(displays, name)(**arguments)
    with pytest.raises(ImportError, match=rf"{name} draws .* pip install 'sktransfer\[plot\]'"):
        display.plot()


def test_axes_given_are_those_used():
    _, axes = plt.subplots(2, 2)
    used = make_axes(axes, list("abcd"), "Some")
    assert list(used) == [*axes[0], *axes[1]]
    assert len(plt.get_fignums()) == 1


def test_without_axes_a_new_figure_has_one_for_each_panel():
    axes = make_axes(None, list("abcdef"), "Some", n_columns=2)
    assert [ax.get_subplotspec().get_geometry()[:2] for ax in axes] == [(3, 2)] * 6


@pytest.mark.parametrize("n_axes", [1, 3])
def test_wrong_number_of_axes_is_told_with_the_panels(n_axes):
    axes = plt.subplots(n_axes)[1]
    with pytest.raises(
        ValueError, match=rf"ax holds {n_axes} Axes, but Some draws 2 here: up, down.*subplots\(2\)"
    ):
        check_axes(axes, ["up", "down"], "Some")


def test_what_is_no_axes_is_refused():
    with pytest.raises(TypeError, match="ax holds 'left'; give matplotlib Axes"):
        check_axes("left", ["panel"], "Some")


@pytest.mark.parametrize("n_classes", [1, 2, 6, 7, 10, 11, 30])
def test_classes_have_different_colors(n_classes):
    colors = make_class_colors(n_classes, plt)
    assert len({to_rgb(color) for color in colors}) == n_classes


def test_ten_classes_are_those_of_tab10():
    tab10 = [plt.get_cmap("tab10")(i)[:3] for i in range(10)]
    np.testing.assert_allclose([to_rgb(c) for c in make_class_colors(10, plt)], tab10, atol=1 / 255)


@pytest.mark.parametrize("size", [(7, 5), (5, 4)])
@pytest.mark.parametrize("n_handles", [1, 3, 8])
def test_legend_lies_above_all_that_is_drawn(size, n_handles):
    figure, ax = plt.subplots(figsize=size)
    handles = [ax.plot([0, 1], [2.0, 5.0], label="a")[0] for _ in range(n_handles)]
    put_legend_above(handles, {ax: (2.0, 5.0)})
    figure.canvas.draw()
    lowest_of_legend = ax.get_legend().get_window_extent().y0
    assert ax.transData.transform((0, 5.0))[1] < lowest_of_legend
    assert ax.get_ylim()[0] < 2.0


def test_legend_lies_above_curves_of_a_logarithmic_scale_and_of_one_on_the_right():
    figure, ax = plt.subplots()
    right = ax.twinx()
    ax.set_yscale("log")
    handles = ax.plot([0, 1], [1e-4, 5.0], label="a") + right.plot([-3.0, -1.0], label="b")
    put_legend_above(handles, {ax: (1e-4, 5.0), right: (-3.0, -1.0)})
    figure.canvas.draw()
    for scale, highest in ((ax, 5.0), (right, -1.0)):
        top = scale.transData.transform((0, highest))[1]
        assert top < ax.get_legend().get_window_extent().y0
    assert {-3.0, -1.0} <= set(right.get_yticks())
    assert all(-3 <= tick <= -1 for tick in right.get_yticks())


@pytest.mark.parametrize("width", [2.5, 4, 6])
def test_legend_is_no_wider_than_its_axes(width):
    figure, ax = plt.subplots(figsize=(width, 4), layout="constrained")
    names = ["domain accuracy", "source accuracy", "one standard deviation"]
    put_legend_above([ax.plot([0, 1], label=name)[0] for name in names], {ax: (0.0, 1.0)})
    figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x1 <= ax.bbox.x1


def test_no_legend_without_anything_to_explain():
    _, ax = plt.subplots()
    put_legend_above([], {ax: (1.0, 1.0)})
    assert ax.get_legend() is None
    assert ax.get_ylim()[0] < 1 < ax.get_ylim()[1]
