"""Tasks that are alike stand together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer.displays import TaskCovarianceDisplay
from sktransfer.displays._task_covariance import MOST_NAMES, cluster_tasks, to_correlation
from sktransfer.multitask import MeanRegularizedRegressor, TaskRelationshipRegressor


def make_tasks():
    """Return rows of six tasks of two opposed kinds that take turns."""
    rng = np.random.default_rng(0)
    X, task = rng.normal(size=(240, 4)), np.repeat(list("abcdef"), 40)
    return X, np.where(np.isin(task, list("ace")), 1, -1) * X[:, 0], task


def fit():
    X, y, task = make_tasks()
    return TaskRelationshipRegressor(strength=1.0).fit(X, y, task=task)


def test_tasks_of_a_kind_stand_together():
    reg = fit()
    display = TaskCovarianceDisplay.from_estimator(reg)
    halves = [set(reg.tasks_[part]) for part in (display.order_[:3], display.order_[3:])]
    assert halves in ([set("ace"), set("bdf")], [set("bdf"), set("ace")])
    shown = np.asarray(display.im_.get_array())
    assert (shown[:3, :3] > 0.5).all()
    assert (shown[:3, 3:] < -0.5).all()
    names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert names == reg.tasks_[display.order_].tolist()
    assert names == [tick.get_text() for tick in display.ax_.get_xticklabels()]


@given(st.integers(0, 10_000), st.integers(1, 7))
@settings(max_examples=30)
def test_correlations_are_those_of_loops_and_each_task_stands_once(seed, n_tasks):
    roots = np.random.default_rng(seed).normal(size=(n_tasks, 3))
    covariance = roots @ roots.T
    correlation = to_correlation(covariance)
    for i in range(n_tasks):
        for j in range(n_tasks):
            expected = covariance[i, j] / np.sqrt(covariance[i, i] * covariance[j, j])
            assert correlation[i, j] == pytest.approx(expected, abs=1e-10)
    assert sorted(cluster_tasks(correlation).tolist()) == list(range(n_tasks))


def test_a_task_without_variance_is_a_stranger_to_all():
    correlation = to_correlation(np.diag([1.0, 0.0, 4.0]))
    np.testing.assert_array_equal(correlation, np.eye(3))


def test_covariances_are_drawn_where_asked_for():
    reg = fit()
    display = TaskCovarianceDisplay.from_estimator(reg, normalize=False)
    order = display.order_
    np.testing.assert_array_equal(
        display.im_.get_array(), reg.task_covariance_[np.ix_(order, order)]
    )
    most = np.abs(reg.task_covariance_).max()
    assert display.im_.get_clim() == (-most, most)


def test_a_pipeline_shows_its_last_step_and_axes_given_are_used():
    X, y, task = make_tasks()
    pipe = make_pipeline(StandardScaler(), TaskRelationshipRegressor())
    pipe[-1].fit(pipe[0].fit_transform(X), y, task=task)
    figure, ax = plt.subplots()
    display = TaskCovarianceDisplay.from_estimator(pipe, ax=ax, im_kwargs={"cmap": "PiYG"})
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.im_.get_cmap().name == "PiYG"


def test_many_tasks_are_counted_and_not_named():
    n_tasks = MOST_NAMES + 1
    names = [f"school {code}" for code in range(n_tasks)]
    display = TaskCovarianceDisplay(covariance=np.eye(n_tasks), task_names=names).plot()
    assert display.ax_.get_xlabel() == f"{n_tasks} tasks"
    assert display.ax_.get_yticklabels() == []


def test_estimators_without_a_covariance_are_told():
    X, y, task = make_tasks()
    with pytest.raises(TypeError, match=r"must learn a covariance of tasks.*got MeanRegularized"):
        TaskCovarianceDisplay.from_estimator(MeanRegularizedRegressor().fit(X, y, task=task))
    with pytest.raises(NotFittedError):
        TaskCovarianceDisplay.from_estimator(TaskRelationshipRegressor())
    with pytest.raises(ValueError, match="draws 1 here: tasks"):
        TaskCovarianceDisplay.from_estimator(fit(), ax=plt.subplots(2)[1])


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_it_says_what_to_install():
    display = TaskCovarianceDisplay(covariance=np.eye(3), task_names=list("abc"))
    with pytest.raises(ImportError, match=r"sktransfer\[plot\]"):
        display.plot()
