"""Scores by depth, against the results of the search."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy.stats import randint
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktransfer import FineTuneClassifier
from sktransfer.datasets import make_shifted_moons
from sktransfer.displays import UnfreezeDepthDisplay

X, y = np.arange(48.0).reshape(24, 2), np.tile(["a", "b"], 12)
GAINS = {0: 0.5, 1: 0.7, 2: 0.6, "all": 0.4, "conv2": 0.9, "conv1": 0.3}


class Tuned(ClassifierMixin, BaseEstimator):
    """Scores what its depth and rate are worth, a little else in each fold."""

    def __init__(self, unfreeze_depth=1, rate=0.0):
        self.unfreeze_depth = unfreeze_depth
        self.rate = rate

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.offset_ = X[0, 0] / 1000
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y):
        return GAINS[self.unfreeze_depth] - abs(self.rate - 0.2) + self.offset_


def grid(depths, estimator=None, **search):
    search = {"cv": 3, **search}
    return GridSearchCV(estimator or Tuned(), {"unfreeze_depth": depths}, **search).fit(X, y)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_scores_are_those_of_the_search():
    search = grid([2, "all", 0, 1])
    display = UnfreezeDepthDisplay.from_search(search)
    assert display.depths == [0, 1, 2, "all"]
    order = [2, 3, 0, 1]  # of the candidates
    folds = [[search.cv_results_[f"split{k}_test_score"][i] for k in range(3)] for i in order]
    np.testing.assert_array_equal(display.fold_scores, folds)
    np.testing.assert_allclose(display.mean_scores, [sum(row) / 3 for row in folds], rtol=1e-12)
    spread = [(sum((s - sum(row) / 3) ** 2 for s in row) / 3) ** 0.5 for row in folds]
    np.testing.assert_allclose(display.std_scores, spread, rtol=1e-9)
    assert display.best_depth == search.best_params_["unfreeze_depth"] == 1


def test_line_band_and_mark_show_the_scores():
    display = UnfreezeDepthDisplay.from_search(grid([2, "all", 0, 1]))
    mean, std = display.mean_scores, display.std_scores
    np.testing.assert_array_equal(display.line_.get_xydata(), np.c_[range(4), mean])
    corners = {tuple(corner) for corner in display.band_.get_paths()[0].vertices}
    assert corners >= {(i, mean[i] + sign * std[i]) for i in range(4) for sign in (-1, 1)}
    np.testing.assert_array_equal(display.best_point_.get_xydata(), [[1, mean[1]]])
    assert display.dropped_points_ is None
    assert texts(display.ax_) == ["mean of 3 folds", "one standard deviation", "chosen: 1"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == (
        "unfreeze_depth",
        "test accuracy",
    )


def draw_bands(**changed):
    given = {
        "depths": [0, 1, 2, "all"],
        "mean_scores": np.array([0.5, 0.7, 0.64, 0.69]),
        "std_scores": np.array([0.01, 0.02, 0.03, 0.05]),
        "fold_scores": np.zeros((4, 3)),
        "best_depth": 1,
    }
    return UnfreezeDepthDisplay(**{**given, **changed}).plot()


def test_depths_whose_bands_overlap_the_chosen_one_are_ringed():
    display = draw_bands()
    # Bands are 0.49 to 0.51, 0.68 to 0.72 (chosen), 0.61 to 0.67, 0.64 to 0.74.
    np.testing.assert_array_equal(display.overlapping_points_.get_xydata(), [[3, 0.69]])
    assert texts(display.ax_)[-2:] == ["chosen: 1", "band overlaps the chosen's"]
    wide = draw_bands(std_scores=np.full(4, 0.04))
    assert list(wide.overlapping_points_.get_xdata()) == [2, 3]
    chosen_low = draw_bands(best_depth=2)
    assert list(chosen_low.overlapping_points_.get_xdata()) == [3]


def test_where_the_bands_tell_the_chosen_depth_apart_nothing_is_ringed():
    assert draw_bands(std_scores=np.full(4, 0.004)).overlapping_points_ is None
    assert draw_bands(best_depth=None).overlapping_points_ is None
    without = draw_bands(std_scores=np.array([0.01, 0.02, np.nan, 0.0]))
    assert list(without.overlapping_points_.get_xdata()) == [3]  # a depth that failed has no band


def test_depths_stand_as_numbers_then_names_then_all():
    display = UnfreezeDepthDisplay.from_search(grid(["conv2", "all", 2, "conv1", 0]))
    assert display.depths == [0, 2, "conv2", "conv1", "all"]
    ticks = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert ticks == ["0", "2", "conv2", "conv1", "all"]
    assert list(display.ax_.get_xticks()) == [0, 1, 2, 3, 4]
    assert display.best_depth == "conv2"


def test_of_other_parameters_the_best_stands_at_each_depth():
    candidates = {"unfreeze_depth": [0, 1], "rate": [0.0, 0.2, 0.3]}
    search = GridSearchCV(Tuned(), candidates, cv=3).fit(X, y)
    display = UnfreezeDepthDisplay.from_search(search)
    assert display.params == [{"rate": 0.2, "unfreeze_depth": depth} for depth in (0, 1)]
    best = [
        max(
            mean
            for mean, params in zip(
                search.cv_results_["mean_test_score"], search.cv_results_["params"], strict=True
            )
            if params["unfreeze_depth"] == depth
        )
        for depth in (0, 1)
    ]
    assert list(display.mean_scores) == best


def test_chosen_candidate_is_shown_even_where_another_scored_better():
    candidates = {"unfreeze_depth": [0, 1], "rate": [0.0, 0.2]}

    def worst(results):
        return int(np.argmin(results["mean_test_score"]))

    search = GridSearchCV(Tuned(), candidates, cv=3, refit=worst).fit(X, y)
    display = UnfreezeDepthDisplay.from_search(search)
    assert display.best_depth == 0
    assert display.params[0] == {"rate": 0.0, "unfreeze_depth": 0}
    assert display.best_point_.get_ydata()[0] == search.cv_results_["mean_test_score"].min()


def test_randomised_search_in_a_pipeline_is_drawn():
    pipeline = make_pipeline(StandardScaler(), Tuned())
    candidates = {"tuned__unfreeze_depth": randint(0, 3), "tuned__rate": [0.1, 0.2]}
    search = RandomizedSearchCV(pipeline, candidates, n_iter=8, cv=3, random_state=0).fit(X, y)
    display = UnfreezeDepthDisplay.from_search(search)
    drawn = {params["tuned__unfreeze_depth"] for params in search.cv_results_["params"]}
    assert display.depths == sorted(drawn)
    assert display.best_depth == search.best_params_["tuned__unfreeze_depth"]


def test_halving_search_marks_the_depths_it_dropped():
    search = HalvingGridSearchCV(
        Tuned(),
        {"unfreeze_depth": [0, 1, 2, "all"]},
        cv=3,
        factor=2,
        min_resources=12,
        random_state=0,
    ).fit(X, y)
    display = UnfreezeDepthDisplay.from_search(search)
    assert display.depths == [0, 1, 2, "all"]
    assert list(display.n_resources) == [12, 24, 24, 12]
    assert list(display.dropped_points_.get_xdata()) == [0, 3]
    assert "dropped in an earlier round" in texts(display.ax_)
    assert display.best_depth == 1


def test_one_of_several_scores_is_drawn():
    scoring = ["accuracy", "neg_log_loss"]
    body = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 4))
    clf = FineTuneClassifier(body, head_epochs=2, finetune_epochs=2, random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), clf),
        {"finetuneclassifier__unfreeze_depth": [1, 0]},
        scoring=scoring,
        refit="neg_log_loss",
        cv=2,
    ).fit(*make_shifted_moons(40, random_state=0)[:2])
    refitted = UnfreezeDepthDisplay.from_search(search)
    assert refitted.ax_.get_ylabel() == "test neg log loss"
    assert refitted.best_depth == search.best_params_["finetuneclassifier__unfreeze_depth"]
    accuracy = UnfreezeDepthDisplay.from_search(search, scoring="accuracy")
    assert accuracy.ax_.get_ylabel() == "test accuracy"
    np.testing.assert_array_equal(
        accuracy.mean_scores, search.cv_results_["mean_test_accuracy"][::-1]
    )
    with pytest.raises(ValueError, match=r"scoring='f1' .* one of \['accuracy', 'neg_log_loss'\]"):
        UnfreezeDepthDisplay.from_search(search, scoring="f1")


def test_without_a_refit_one_of_several_scores_must_be_named():
    search = grid(
        [0, 1], scoring={"a": lambda e, X, y: -e.unfreeze_depth, "b": "accuracy"}, refit=False
    )
    with pytest.raises(ValueError, match=r"scoring=None .* one of \['a', 'b'\]"):
        UnfreezeDepthDisplay.from_search(search)
    assert UnfreezeDepthDisplay.from_search(search, scoring="a").best_depth == 0


def test_candidates_without_a_depth_are_passed_by():
    grids = [{"unfreeze_depth": [0, 2]}, {"rate": [0.2]}]
    search = GridSearchCV(Tuned(), grids, cv=3).fit(X, y)
    assert search.best_params_ == {"rate": 0.2}
    display = UnfreezeDepthDisplay.from_search(search)
    assert display.depths == [0, 2]
    assert display.best_depth is None
    assert display.best_point_ is None


def test_long_names_lean():
    display = UnfreezeDepthDisplay(
        depths=[f"block{i}_conv{j}" for i in range(5) for j in range(2)],
        mean_scores=np.full(10, 0.5),
        std_scores=np.full(10, 0.1),
        fold_scores=np.full((10, 3), 0.5),
    ).plot()
    display.figure_.canvas.draw()
    assert {tick.get_rotation() for tick in display.ax_.get_xticklabels()} == {30}


def test_axes_given_are_used_and_arguments_passed_on():
    figure, ax = plt.subplots()
    display = UnfreezeDepthDisplay.from_search(
        grid([0, 1]), ax=ax, line_kwargs={"color": "red"}, fill_kwargs={"alpha": 0.5}
    )
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.line_.get_color() == "red"
    assert display.band_.get_alpha() == 0.5
    with pytest.raises(ValueError, match="draws 1 here: scores"):
        UnfreezeDepthDisplay.from_search(grid([0, 1]), ax=plt.subplots(2)[1])


def test_second_plot_draws_the_same_in_a_new_figure():
    display = UnfreezeDepthDisplay.from_search(grid([0, 1]))
    first, line = display.figure_, display.line_
    assert display.plot() is display
    assert display.figure_ is not first
    np.testing.assert_array_equal(line.get_xydata(), display.line_.get_xydata())


def test_what_is_no_search_over_depth_is_told():
    with pytest.raises(NotFittedError):
        UnfreezeDepthDisplay.from_search(GridSearchCV(Tuned(), {"unfreeze_depth": [0]}))
    with pytest.raises(TypeError, match="LogisticRegression without cv_results_; give a fitted"):
        UnfreezeDepthDisplay.from_search(LogisticRegression().fit(X, y))
    search = GridSearchCV(Tuned(), {"rate": [0.1, 0.2]}, cv=3).fit(X, y)
    with pytest.raises(
        ValueError, match=r"varied \['rate'\], of which 0 are unfreeze_depth; it must"
    ):
        UnfreezeDepthDisplay.from_search(search)
