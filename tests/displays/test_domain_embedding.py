"""Points and colours of the features of both domains."""

import copy
import pickle

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    FineTuneClassifier,
    make_transfer_pipeline,
)
from sktransfer.datasets import make_shifted_moons
from sktransfer.displays import DomainEmbeddingDisplay
from sktransfer.displays._domain_embedding import UNLABELLED
from sktransfer.displays._drawing import SOURCE, TARGET
from sktransfer.finetuning import SourceTraining

Xs, ys, Xt, yt = make_shifted_moons(60, random_state=0)
Xt, yt = Xt[:50], yt[:50]
NAMES = np.array(["under", "over"])


@pytest.fixture(scope="module")
def dann():
    return DANNClassifier(max_epochs=3, random_state=0).fit(Xs, ys, X_target=Xt)


@pytest.fixture(scope="module")
def plain():
    return DANNClassifier(lambda_=0, max_epochs=3, random_state=0).fit(Xs, ys)


def draw(estimator, **more):
    arguments = {"y_source": ys, "y_target": yt, "n_samples": 40, "random_state": 0, **more}
    return DomainEmbeddingDisplay.from_estimator(estimator, Xs, Xt, **arguments)


def colors_of(scatter):
    return [tuple(color[:3]) for color in scatter.get_facecolors()]


def legend_colors(display):
    handles = display.legend_.legend_handles
    return {handle.get_label(): to_rgba(handle.get_color())[:3] for handle in handles}


def test_points_are_features_in_the_plane_of_their_principal_components(dann):
    display = draw(dann)
    features = np.concatenate(
        [dann.transform(Xs[display.source_rows]), dann.transform(Xt[display.target_rows])]
    )
    centred = features - features.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    points = np.concatenate([display.source_points["features"], display.target_points["features"]])
    np.testing.assert_allclose(np.abs(points), np.abs(centred @ vectors[:, [-1, -2]]), atol=1e-8)


def test_each_panel_shows_all_points_of_both_domains(dann, plain):
    display = draw(dann, before=plain, n_samples=None)
    assert display.axes_.shape == (2, 2)
    assert display.scatters_.shape == (2, 2, 2)
    for row, name in enumerate(("before", "after")):
        for source, target in display.scatters_[row]:
            np.testing.assert_array_equal(source.get_offsets(), display.source_points[name])
            np.testing.assert_array_equal(target.get_offsets(), display.target_points[name])
            assert (len(source.get_offsets()), len(target.get_offsets())) == (60, 50)
    titles = [ax.get_title() for ax in display.axes_.ravel()]
    assert titles == [
        "before, by domain",
        "before, by class",
        "after, by domain",
        "after, by class",
    ]


def test_before_and_after_draw_the_same_rows(dann, plain):
    display = draw(dann, before=plain)
    alone = draw(dann)
    np.testing.assert_array_equal(display.source_rows, alone.source_rows)
    np.testing.assert_array_equal(display.source_points["after"], alone.source_points["features"])
    only_plain = draw(plain)
    np.testing.assert_array_equal(
        display.target_points["before"], only_plain.target_points["features"]
    )


def test_domains_have_their_colors_and_markers(dann):
    (source, target), _ = draw(dann).scatters_[0]
    assert set(colors_of(source)) == {to_rgba(SOURCE)[:3]}
    assert set(colors_of(target)) == {to_rgba(TARGET)[:3]}
    assert len(source.get_paths()[0].vertices) > len(target.get_paths()[0].vertices)  # o and x


def test_each_class_has_the_color_of_its_legend(dann):
    display = draw(dann, y_source=NAMES[ys], y_target=NAMES[yt])
    colors = legend_colors(display)
    assert list(colors) == ["source", "target", "over", "under"]
    assert list(display.classes_) == ["over", "under"]
    for scatter, labels in zip(
        display.scatters_[0, 1], (display.y_source, display.y_target), strict=True
    ):
        assert len(labels) == 40
        assert colors_of(scatter) == [colors[label] for label in labels]


def test_target_without_labels_is_grey_and_below(dann):
    display = draw(dann, y_target=None)
    source, target = display.scatters_[0, 1]
    assert set(colors_of(target)) == {to_rgba(UNLABELLED)[:3]}
    assert target.get_zorder() < source.get_zorder()
    assert list(legend_colors(display)) == ["source", "target", "0", "1", "no label"]
    assert display.y_target is None


@pytest.mark.parametrize("missing", [None, np.nan])
def test_single_rows_without_a_label_are_grey(dann, missing):
    y_target = np.array([missing if i % 2 else label for i, label in enumerate(yt)], dtype=object)
    display = draw(dann, y_target=y_target, n_samples=None)
    grey = [color == to_rgba(UNLABELLED)[:3] for color in colors_of(display.scatters_[0, 1, 1])]
    assert grey == [row % 2 == 1 for row in display.target_rows]
    assert list(display.classes_) == [0, 1]


def test_without_any_labels_there_is_but_the_panel_by_domain(dann):
    display = draw(dann, y_source=None, y_target=None)
    assert display.axes_.shape == (1, 1)
    assert list(legend_colors(display)) == ["source", "target"]


def test_ten_classes_have_ten_colors(dann):
    labels = np.arange(60) % 10
    display = draw(dann, y_source=labels, y_target=labels[:50], n_samples=None)
    assert len(set(colors_of(display.scatters_[0, 1, 0]))) == 10
    assert list(legend_colors(display))[2:] == [str(i) for i in range(10)]


def test_same_random_state_draws_the_same(dann):
    first, again, other = (draw(dann, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.source_rows, again.source_rows)
    np.testing.assert_array_equal(first.source_points["features"], again.source_points["features"])
    assert list(first.source_rows) != list(other.source_rows)
    assert len(set(first.source_rows)) == 40


@pytest.mark.usefixtures("still_generators")
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_estimator_rows_and_generators_are_left_as_they_were(dann, method):
    before, rows = pickle.dumps(dann), copy.deepcopy((Xs, ys, Xt, yt))
    draw(dann, method=method, n_samples=20)
    assert pickle.dumps(dann) == before
    for now, then in zip((Xs, ys, Xt, yt), rows, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    "estimator",
    [
        DeepCORALClassifier(max_epochs=2, random_state=0),
        FineTuneClassifier(
            source_training=SourceTraining(epochs=2, pseudo_label_threshold=0.0), random_state=0
        ),
        make_transfer_pipeline(StandardScaler(), DANNClassifier(max_epochs=2, random_state=0)),
    ],
)
def test_other_methods_and_pipelines_are_drawn(estimator):
    estimator.fit(Xs, ys, X_target=Xt)
    display = draw(estimator)
    assert display.source_points["features"].shape == (40, 2)


def test_search_and_plain_transformer_are_drawn():
    clf = DANNClassifier(lambda_=0, max_epochs=2, random_state=0)
    search = GridSearchCV(clf, {"learning_rate": [0.01]}, cv=2).fit(Xs, ys)
    display = draw(search, before=make_pipeline(StandardScaler()).fit(Xs))
    assert list(display.source_points) == ["before", "after"]


def test_axes_given_are_used_and_arguments_passed_on(dann):
    figure, axes = plt.subplots(1, 2)
    display = draw(dann, ax=axes, scatter_kwargs={"s": 77, "alpha": 0.25})
    assert display.figure_ is figure
    assert list(display.axes_[0]) == list(axes)
    assert {tuple(scatter.get_sizes()) for scatter in display.scatters_.ravel()} == {(77,)}
    with pytest.raises(ValueError, match="draws 1 here: features, by domain"):
        draw(dann, ax=axes, y_source=None, y_target=None)


def test_second_plot_draws_the_same_in_a_new_figure(dann):
    display = draw(dann)
    first, scatters = display.figure_, display.scatters_
    assert display.plot() is display
    assert display.figure_ is not first
    for old, new in zip(scatters.ravel(), display.scatters_.ravel(), strict=True):
        np.testing.assert_array_equal(old.get_offsets(), new.get_offsets())


def test_legend_hides_no_panel(dann, plain):
    display = draw(dann, before=plain)
    display.figure_.canvas.draw()
    legend = display.legend_.get_window_extent()
    assert not any(legend.overlaps(ax.get_window_extent()) for ax in display.axes_.ravel())
    assert legend.x1 <= display.figure_.bbox.x1


def test_bad_arguments_are_told(dann):
    with pytest.raises(NotFittedError):
        draw(DANNClassifier())
    with pytest.raises(NotFittedError):
        draw(dann, before=DANNClassifier())
    with pytest.raises(ValueError, match="method must be one of"):
        draw(dann, method="umap")
    with pytest.raises(ValueError, match="y_source 3 labels"):
        draw(dann, y_source=[1, 2, 3])
