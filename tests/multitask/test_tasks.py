"""The grammar of several tasks, on estimators that only count labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer._estimator import AtomicFitMixin
from sktransfer.multitask._answers import TaskClassifierMixin, TaskRegressorMixin
from sktransfer.multitask._tasks import check_tasks, find_task_classes, read_labels
from sktransfer.validation._domains import check_rows_to_predict


class Counting(AtomicFitMixin, BaseEstimator):
    def __init__(self, shift=0.0):
        self.shift = shift

    def _check_tasks(self, X, y, task, sample_weight):
        return check_tasks(self, X, y, task, sample_weight)

    def _shared_rows(self, X):
        return check_rows_to_predict(self, X)


class Means(TaskRegressorMixin, Counting):
    """Answers the mean of a task, and the first feature added."""

    def _fit_tasks(self, source, labels):
        codes = range(len(labels.names))
        self.means_ = [labels.labels_of(code).mean() for code in codes]

    def _answer(self, rows, code):
        return self.means_[code] + self.shift + rows[:, 0]


class Shares(TaskClassifierMixin, Counting):
    """Answers the shares of a task's classes."""

    def _fit_tasks(self, source, labels):
        self._set_classes(labels)
        self.shares_ = [
            np.array([(labels.labels_of(code) == one).mean() for one in classes])
            for code, classes in enumerate(self.task_classes_)
        ]

    def _answer(self, rows, code):
        return np.tile(self.shares_[code], (len(rows), 1))


X = np.zeros((6, 2))


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_a_column_for_each_task_with_missing_labels():
    y = [[1.0, None], [2.0, 10.0], [None, 20.0], [3.0, None], [np.nan, 30.0], [6.0, pd.NA]]
    reg = Means().fit(X, y)
    assert reg.means_ == [3.0, 20.0]
    assert reg.task_layout_ == "columns"
    np.testing.assert_array_equal(reg.predict(X[:2]), [[3, 20], [3, 20]])
    named = Means().fit(X, pd.DataFrame(y, columns=["wear", "heat"]))
    assert named.tasks_.tolist() == ["wear", "heat"]
    values = np.array([[1, 99], [2, 10], [99, 20], [3, 99], [99, 30], [6, 99]])
    masked = np.ma.masked_equal(values, 99)
    assert Means().fit(X, masked).means_ == reg.means_


def test_the_task_of_each_row_says_which_answer_is_meant():
    task = np.array(["b", "a", "b", "a", "b", "b"])
    reg = Means().fit(X, [1, 10, 2, 20, 3, 6], task=task)
    assert reg.tasks_.tolist() == ["a", "b"]
    rows = np.array([[0.0, 0], [1, 0], [2, 0]])
    np.testing.assert_array_equal(reg.predict(rows, task=["b", "a", "b"]), [3, 16, 5])


def test_without_task_there_is_one_and_a_warning_of_the_way_out():
    way = r"^Means was fitted without task .*fit\(X, y, task=task\), or y with a column"
    with pytest.warns(UserWarning, match=way) as told:
        reg = Means().fit(X, [1, 2, 3, 1, 2, 3])
    assert [Path(one.filename).name for one in told] == ["test_tasks.py"]
    np.testing.assert_array_equal(reg.predict(X), np.full(6, 2.0))
    assert reg.score(X, [1, 2, 3, 1, 2, 3]) == 0


def test_a_single_task_that_is_meant_is_said_by_a_column_or_by_its_name():
    y = [1, 2, 3, 1, 2, 3]
    assert Means().fit(X, np.reshape(y, (6, 1))).means_ == [2.0]
    assert Means().fit(X, y, task=["mine"] * 6).means_ == [2.0]


def test_classes_by_column_are_those_it_shows():
    y = np.array([["x", 1], ["y", None], ["x", 2], [None, 3], ["y", 1], ["y", 1]], dtype=object)
    clf = Shares().fit(X, y)
    assert [classes.tolist() for classes in clf.classes_] == [["x", "y"], [1, 2, 3]]
    assert clf.classes_[1].dtype.kind == "i"
    first, second = clf.predict_proba(X)
    np.testing.assert_allclose(first[0], [0.4, 0.6])
    np.testing.assert_allclose(second[0], [0.6, 0.2, 0.2])
    assert clf.predict(X)[0].tolist() == ["y", 1]
    assert clf.score(X, y) == (0.6 * 5 / 5 + 3 / 5) / 2


def test_tasks_with_a_class_in_common_have_all_in_common():
    task = [0, 0, 1, 1, 2, 2]
    clf = Shares().fit(X, ["cat", "dog", "dog", "dog", "no", "yes"], task=task)
    assert [c.tolist() for c in clf.task_classes_] == [["cat", "dog"]] * 2 + [["no", "yes"]]
    assert clf.classes_.tolist() == ["cat", "dog", "no", "yes"]
    probabilities = clf.predict_proba(X[:3], task=[1, 2, 0])
    np.testing.assert_allclose(probabilities, [[0, 1, 0, 0], [0, 0, 0.5, 0.5], [0.5, 0.5, 0, 0]])
    assert clf.predict(X[:2], task=[1, 2]).tolist() == ["dog", "no"]
    labels = read_labels(clf, ["a", "b", "b", "c", "d", "c"], [0, 0, 1, 1, 2, 3], 6)
    assert [c.tolist() for c in find_task_classes(labels)] == [["a", "b", "c"]] * 2 + [
        ["d"],
        ["a", "b", "c"],
    ]


def test_tasks_of_one_class_each_are_refused_by_what_they_hold():
    with pytest.raises(ValueError, match="one class in each task, 'a' in some and 'b' in others"):
        Shares().fit(X, ["a", "a", "b", "b", "a", "a"], task=[0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match="y holds one class, 'a'; a classifier needs"):
        Shares().fit(X, ["a"] * 6, task=[0, 0, 1, 1, 2, 2])


def test_score_is_the_mean_over_tasks():
    task, y = [0, 0, 1, 1, 1, 1], ["a", "b", "a", "a", "a", "b"]
    clf = Shares().fit(X, y, task=task)
    assert clf.score(X, y, task=task) == (0.5 + 0.75) / 2
    wide = np.full((6, 2), None, dtype=object)
    wide[np.arange(6), task] = y
    assert clone(clf).fit(X, wide).score(X, wide) == (0.5 + 0.75) / 2
    weights = [3, 1, 1, 1, 1, 5]
    assert clf.score(X, y, task=task, sample_weight=weights) == (0.75 + 0.375) / 2


def test_a_task_of_one_value_has_no_r2():
    reg = Means().fit(X, [1, 2, 3, 5, 5, 4], task=[0, 0, 0, 1, 1, 2])
    assert reg.score(X, [1, 2, 3, 5, 5, 4], task=[0, 0, 0, 1, 1, 2]) == 0
    with pytest.raises(ValueError, match="no task with two values"):
        reg.score(X[:2], [5, 4], task=[1, 2])


@pytest.mark.usefixtures("routing")
def test_task_is_routed_through_pipelines_and_searches():
    task = np.repeat([0, 1], 20)
    rows = np.random.default_rng(0).normal(size=(40, 2))
    y = 10 * task + rows[:, 0] / rows[:, 0].std()
    pipe = make_pipeline(StandardScaler(), Means()).fit(rows, y, task=task)
    assert pipe.score(rows, y, task=task) > 0.8
    search = GridSearchCV(pipe, {"means__shift": [0.0, 5.0]}, cv=3).fit(rows, y, task=task)
    assert search.best_params_ == {"means__shift": 0.0}
    assert search.best_estimator_.predict(rows[:3], task=task[:3]).shape == (3,)
    assert search.score(rows, y, task=task) > 0.8
    scores = cross_validate(pipe, rows, y, params={"task": task}, cv=4)["test_score"]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        ([[1, 2]] * 6, [0] * 6, r"y has shape \(6, 2\) and task was given as well"),
        ([1] * 6, [0] * 5, "task has 5 labels for the 6 rows of X"),
        ([1] * 6, [0, 1, None, 1, 0, 0], "task is missing for 1 of 6 rows"),
        ([[1, None]] * 6, None, "no label in its column 1"),
        ([[1, np.inf]] * 6, None, "infinity"),
        ([[1, 2]] * 5, None, "y has 5 labels for the 6 rows"),
        ([1, 2, np.nan, 1, 2, 3], [0] * 6, "NaN"),
    ],
)
def test_says_what_is_wrong_with_labels_and_tasks(y, task, message):
    with pytest.raises(ValueError, match=message):
        Means().fit(X, y, task=task)


def test_says_how_a_fit_is_to_be_asked():
    by_rows = Means().fit(X, [1, 2, 3, 4, 5, 6], task=[0, 0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match=r"needs the task of each row here"):
        by_rows.predict(X)
    with pytest.raises(ValueError, match=r"task holds \[7\], which fit did not see"):
        by_rows.predict(X[:2], task=[0, 7])
    by_columns = Means().fit(X, np.arange(12.0).reshape(6, 2))
    with pytest.raises(ValueError, match="a column for each"):
        by_columns.predict(X, task=[0] * 6)
    with pytest.raises(ValueError, match=r"fitted on a column for each of the 2 tasks"):
        by_columns.score(X, np.arange(18.0).reshape(6, 3))
    with pytest.raises(ValueError, match="needs at least 2 classes"):
        Shares().fit(X, ["a"] * 6, task=[0, 0, 0, 1, 1, 1])
    before = by_rows.means_
    with pytest.raises(ValueError, match="infinity"):
        by_rows.fit(X, [np.inf] * 6, task=[0] * 6)
    assert by_rows.means_ is before
