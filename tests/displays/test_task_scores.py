"""The score of each task, as score would give it for the task alone."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer.displays import TaskScoresDisplay
from sktransfer.displays._task_scores import MOST_NAMES
from sktransfer.multitask import (
    MeanRegularizedClassifier,
    MeanRegularizedRegressor,
    MultiTaskClassifier,
)

RNG = np.random.default_rng(0)
X, TASK = RNG.normal(size=(120, 3)), np.repeat(["low", "high", "middle"], 40)
NOISE = np.select([TASK == "low", TASK == "middle"], [3.0, 1.0], 0.1)
Y = X[:, 0] + NOISE * RNG.normal(size=120)
REG = MeanRegularizedRegressor().fit(X, Y, task=TASK)


def test_scores_are_those_of_each_task_alone_and_sorted():
    display = TaskScoresDisplay.from_estimator(REG, X, Y, task=TASK)
    for name, score in zip(display.task_names, display.scores, strict=True):
        here = name == TASK
        assert score == REG.score(X[here], Y[here], task=TASK[here])
    assert [display.task_names[code] for code in display.order_] == ["low", "middle", "high"]
    np.testing.assert_array_equal(display.points_.get_ydata(), np.sort(display.scores))
    assert display.mean_.get_ydata()[0] == pytest.approx(REG.score(X, Y, task=TASK))
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["low", "middle", "high"]
    assert display.ax_.get_ylabel() == "R²"


def test_columns_and_classes_are_scored():
    labels = np.column_stack([X[:, 0] > 0, X[:, 1] > 0]).astype(object)
    labels[::2, 1] = None
    for clf in (MeanRegularizedClassifier(), MultiTaskClassifier(max_epochs=2, random_state=0)):
        display = TaskScoresDisplay.from_estimator(clf.fit(X, labels), X, labels)
        assert display.ax_.get_ylabel() == "accuracy"
        assert display.task_names == ["0", "1"]
        answers = clf.predict(X)
        assert display.scores[1] == np.mean(answers[1::2, 1] == labels[1::2, 1])


def test_a_task_without_a_score_is_left_out():
    few = np.flatnonzero((TASK != "high") | (np.arange(120) == 40))
    display = TaskScoresDisplay.from_estimator(REG, X[few], Y[few], task=TASK[few])
    assert np.isnan(display.scores[display.task_names.index("high")])
    assert [display.task_names[code] for code in display.order_] == ["low", "middle"]


def test_a_second_estimator_is_drawn_beside_the_first_in_its_order():
    alone = MeanRegularizedRegressor(mean_strength=np.inf).fit(X, Y, task=TASK)
    first = TaskScoresDisplay.from_estimator(REG, X, Y, task=TASK, name="together")
    other = TaskScoresDisplay.from_estimator(
        alone, X, Y, task=TASK, name="alone", order=first.order_, ax=first.ax_
    )
    np.testing.assert_array_equal(other.order_, first.order_)
    assert other.points_.get_color() != first.points_.get_color()
    texts = [text.get_text() for text in other.ax_.get_legend().get_texts()]
    assert texts == ["together", "alone"]


def test_pipelines_are_scored_on_transformed_rows():
    pipe = make_pipeline(StandardScaler(), MeanRegularizedRegressor())
    pipe[-1].fit(pipe[0].fit_transform(X), Y, task=TASK)
    figure, ax = plt.subplots()
    display = TaskScoresDisplay.from_estimator(
        pipe, X, Y, task=TASK, ax=ax, line_kwargs={"marker": "D"}
    )
    assert np.nanmean(display.scores) == pipe[-1].score(pipe[0].transform(X), Y, task=TASK)
    assert display.figure_ is figure
    assert display.points_.get_marker() == "D"


def test_many_tasks_are_counted_and_not_named():
    scores = np.linspace(0, 1, MOST_NAMES + 1)
    names = [f"school {code}" for code in range(len(scores))]
    display = TaskScoresDisplay(scores=scores, task_names=names).plot()
    assert display.ax_.get_xlabel() == f"{MOST_NAMES + 1} tasks"
    assert display.ax_.get_legend() is None


def test_estimators_without_tasks_are_told():
    with pytest.raises(TypeError, match=r"must be one of several tasks.*got Ridge"):
        TaskScoresDisplay.from_estimator(Ridge().fit(X, Y), X, Y)
    with pytest.raises(NotFittedError):
        TaskScoresDisplay.from_estimator(MeanRegularizedRegressor(), X, Y)
    with pytest.raises(ValueError, match="draws 1 here: tasks"):
        TaskScoresDisplay.from_estimator(REG, X, Y, task=TASK, ax=plt.subplots(2)[1])


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_it_says_what_to_install():
    display = TaskScoresDisplay(scores=np.ones(2), task_names=["a", "b"])
    with pytest.raises(ImportError, match=r"sktransfer\[plot\]"):
        display.plot()
