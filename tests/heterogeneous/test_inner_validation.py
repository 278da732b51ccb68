"""Whether the source helps, by labelled target rows that are held out."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sktransfer import HeterogeneousTransferClassifier
from sktransfer.data._domain import Domain
from sktransfer.heterogeneous._inner_validation import (
    describe_no_gain,
    hold_out,
    predict_plainly,
    spread_over_folds,
)

FAST = {"hidden_layer_sizes": (32,), "learning_rate": 0.01, "max_epochs": 20, "random_state": 0}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(1, 5))
def test_folds_are_of_equal_size_in_all_and_in_each_class(labels, n_folds):
    y = np.array(labels)
    folds = spread_over_folds(y, n_folds)
    for rows in (slice(None), *(y == label for label in set(labels))):
        counts = np.bincount(folds[rows], minlength=n_folds)
        assert counts.max() - counts.min() <= 1


def test_each_label_is_held_out_once():
    has_label = np.array([True, False, True, True, True, False])
    target = Domain(np.arange(6.0)[:, None], np.array([0, 9, 0, 1, 1, 9]), None, has_label)
    seen = []
    for left, held in hold_out(target, 10):
        assert not left.has_label[held].any()
        np.testing.assert_array_equal(left.has_label | np.isin(np.arange(6), held), has_label)
        seen += held.tolist()
    assert sorted(seen) == [0, 2, 3, 4]


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_the_plain_one_is_logistic_regression_on_what_is_left(kind):
    rng = np.random.default_rng(0)
    y = np.arange(12) % 3
    X = rng.normal(size=(12, 4)) + 3 * np.eye(4)[y]
    has_label = np.arange(12) < 9
    held = np.array([9, 10, 11])
    found = predict_plainly(Domain(kind(X), y, None, has_label), held)
    scale = StandardScaler(with_mean=kind is np.asarray).fit(X)
    plain = LogisticRegression().fit(scale.transform(X[:9]), y[:9])
    np.testing.assert_array_equal(found, plain.predict(scale.transform(X[9:])))


def test_of_one_class_the_plain_one_answers_with_it():
    target = Domain(np.ones((3, 1)), np.array([4, 4, 5]), None, np.array([True, True, False]))
    np.testing.assert_array_equal(predict_plainly(target, np.array([2])), [4])


def test_a_tie_is_no_gain():
    assert describe_no_gain(5, 4, 9) is None
    assert "right in 4, logistic" in describe_no_gain(4, 4, 9)


def sensors(seed=0):
    """Return two devices that tell all classes apart, and three labels of each for the target."""
    rng = np.random.default_rng(seed)
    y, y_target = rng.integers(0, 3, 120), rng.integers(0, 3, 90)
    X, X_target = 3 * np.eye(3)[y], 3 * np.eye(5)[y_target]
    few = np.full(90, None)
    for label in range(3):
        few[np.flatnonzero(y_target == label)[:3]] = label
    noise = rng.normal(size=X.shape), 0.1 * rng.normal(size=X_target.shape)
    return X + noise[0], y, X_target + noise[1], few


def test_warns_where_the_labelled_target_alone_does_as_well():
    X, y, X_target, few = sensors()
    clf = HeterogeneousTransferClassifier(**FAST)
    with pytest.warns(UserWarning, match="9 labelled rows of the target.*seems not to help"):
        clf.fit(X, y, X_target=X_target, y_target=few)
    assert clf.inner_scores_ == {"transfer": 1.0, "target_alone": 1.0, "n_rows": 9}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.set_params(inner_folds=0).fit(X, y, X_target=X_target, y_target=few)
    assert clf.inner_scores_ is None


def test_does_not_warn_where_the_source_knows_what_few_labels_do_not_tell():
    rng = np.random.default_rng(1)
    y, y_target = rng.integers(0, 3, 300), rng.integers(0, 3, 150)
    X = pd.DataFrame(3 * np.eye(3)[y] + rng.normal(size=(300, 3)), columns=list("abc"))
    X_target = pd.DataFrame(3 * np.eye(3)[y_target] + rng.normal(size=(150, 3)), columns=[*"abc"])
    own = pd.DataFrame(rng.normal(size=(150, 40)), columns=[f"own{i}" for i in range(40)])
    X_target = pd.concat([X_target, own], axis=1)  # of no use, but eighteen labels do not tell
    few = np.full(150, None)
    for label in range(3):
        few[np.flatnonzero(y_target == label)[:6]] = label
    clf = HeterogeneousTransferClassifier(shared=True, **FAST)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X, y, X_target=X_target, y_target=few)
    assert clf.inner_scores_["transfer"] > clf.inner_scores_["target_alone"]
    assert clf.inner_scores_["n_rows"] == 18


def test_warnings_of_a_fit_come_once_however_many_folds():
    X, y, X_target, few = sensors()
    rare = np.r_[np.flatnonzero(y > 0), np.flatnonzero(y == 0)[:1]]  # one of the classes
    clf = HeterogeneousTransferClassifier(inner_folds=3, **FAST)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        clf.fit(X[rare], y[rare], X_target=X_target, y_target=few)
    texts = [str(warning.message) for warning in record]
    assert sum(text.startswith("The predicted shares of the target") for text in texts) == 1


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
def test_two_labels_and_one_fold_are_too_few_to_compare():
    X, y, X_target, few = sensors()
    known = np.flatnonzero([label is not None for label in few])
    few[known[2:]] = None
    clf = HeterogeneousTransferClassifier(**FAST).fit(X, y, X_target=X_target, y_target=few)
    assert clf.inner_scores_ is None
    with pytest.raises(ValueError, match="inner_folds"):
        clf.set_params(inner_folds=1).fit(X, y, X_target=X_target, y_target=few)
