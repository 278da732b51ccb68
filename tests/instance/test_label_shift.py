"""Classifiers corrected for other shares of classes."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktransfer import TargetDomain, make_transfer_pipeline
from sktransfer.instance import LabelShiftClassifier
from sktransfer.instance._priors import correct_probabilities

CENTERS = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])


def draw(shares, n_rows=600, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, n_rows, p=shares)
    return CENTERS[codes] + rng.normal(size=(n_rows, 2)), np.array(["a", "b", "c"])[codes]


def true_shares(y):
    return np.array([np.mean(y == label) for label in "abc"])


@pytest.mark.parametrize("method", ["em", "bbse", "rlls"])
@pytest.mark.parametrize(
    "estimator", [None, RandomForestClassifier(30, min_samples_leaf=5, random_state=0)]
)
def test_finds_the_shares_and_gains_by_them(method, estimator):
    errors, gains = [], []
    for seed in range(3):
        X, y = draw([0.4, 0.3, 0.3], seed=seed)
        X_target, y_target = draw([0.1, 0.1, 0.8], seed=100 + seed)
        clf = LabelShiftClassifier(estimator, method, n_bootstraps=0, random_state=0)
        clf.fit(X, y, X_target=X_target)
        errors.append(np.abs(clf.target_priors_ - true_shares(y_target)).sum())
        gains.append(clf.score(X_target, y_target) - clf.estimator_.score(X_target, y_target))
        assert clf.p_value_ < 0.001
    assert np.mean(errors) < 0.15
    assert np.mean(gains) > 0.03


def test_correction_is_that_of_plain_loops():
    probabilities = np.array([[0.2, 0.8], [0.6, 0.4]])
    p, q = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    for row, found in zip(probabilities, correct_probabilities(probabilities, p, q), strict=True):
        scaled = [q[k] / p[k] * row[k] for k in range(2)]
        np.testing.assert_allclose(found, np.array(scaled) / sum(scaled))


def test_intervals_hold_the_true_shares():
    held = []
    for seed in range(10):
        X, y = draw([0.4, 0.3, 0.3], n_rows=300, seed=seed)
        X_target, y_target = draw([0.2, 0.1, 0.7], n_rows=300, seed=100 + seed)
        clf = LabelShiftClassifier(n_bootstraps=50, random_state=0).fit(X, y, X_target=X_target)
        low, high = clf.target_priors_interval_
        held.append((low <= true_shares(y_target)) & (true_shares(y_target) <= high))
        assert (low <= clf.target_priors_ + 1e-6).all()
        assert (clf.target_priors_ <= high + 1e-6).all()
    assert np.mean(held) > 0.85


def test_without_shift_little_is_lost():
    losses, p_values = [], []
    for seed in range(5):
        X, y = draw([0.4, 0.3, 0.3], seed=seed)
        X_target, y_target = draw([0.4, 0.3, 0.3], seed=100 + seed)
        clf = LabelShiftClassifier(n_bootstraps=0, random_state=0).fit(X, y, X_target=X_target)
        losses.append(clf.estimator_.score(X_target, y_target) - clf.score(X_target, y_target))
        p_values.append(clf.p_value_)
    assert np.mean(losses) < 0.01
    assert np.median(p_values) > 0.05


def test_adapts_to_one_target_after_the_other():
    X, y = draw([0.4, 0.3, 0.3])
    first, second = draw([0.8, 0.1, 0.1], seed=1)[0], draw([0.1, 0.1, 0.8], seed=2)[0]
    clf = LabelShiftClassifier(random_state=0).fit(X, y, X_target=first)
    of_first = clf.predict_proba(second)
    assert clf.adapt(TargetDomain(second)) is clf
    fresh = LabelShiftClassifier(random_state=0).fit(X, y, X_target=second)
    np.testing.assert_allclose(clf.predict_proba(second), fresh.predict_proba(second))
    assert np.abs(clf.predict_proba(second) - of_first).max() > 0.1
    with pytest.raises(ValueError, match="features"):
        clf.adapt(second[:, :1])
    np.testing.assert_allclose(clf.predict_proba(second), fresh.predict_proba(second))


def test_before_a_target_was_seen_it_is_its_estimator():
    X, y = draw([0.4, 0.3, 0.3])
    clf = LabelShiftClassifier(random_state=0)
    with pytest.warns(UserWarning, match="fitted without X_target"):
        clf.fit(X, y)
    plain = LogisticRegression(max_iter=1000).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert not hasattr(clf, "target_priors_")
    clf.adapt(draw([0.1, 0.1, 0.8], seed=1)[0])
    assert clf.target_priors_[2] > 0.6


def test_order_of_rows_does_not_matter():
    X, y = draw([0.4, 0.3, 0.3], n_rows=120)
    X_target, _ = draw([0.1, 0.1, 0.8], n_rows=100, seed=1)
    rng = np.random.default_rng(0)
    first, second = rng.permutation(120), rng.permutation(100)
    clf = LabelShiftClassifier(n_bootstraps=0, random_state=0).fit(X, y, X_target=X_target)
    shuffled = LabelShiftClassifier(n_bootstraps=0, random_state=0)
    shuffled.fit(X[first], y[first], X_target=X_target[second])
    np.testing.assert_allclose(shuffled.target_priors_, clf.target_priors_, atol=1e-4)


def test_warns_where_classes_cannot_be_told_apart():
    X, y = draw([0.4, 0.3, 0.3])
    alike = np.where(y == "c", "b", y)
    alike[np.random.default_rng(0).permutation(np.flatnonzero(alike == "b"))[:150]] = "c"
    clf = LabelShiftClassifier(method="bbse", n_bootstraps=0, random_state=0)
    with pytest.warns(UserWarning, match="near singular"):
        clf.fit(X, alike, X_target=X)


def test_says_what_it_cannot_use():
    X, y = draw([0.4, 0.3, 0.3], n_rows=60)
    with pytest.raises(TypeError, match="LinearSVC, which has no predict_proba"):
        LabelShiftClassifier(LinearSVC()).fit(X, y, X_target=X)
    clf = LabelShiftClassifier(n_bootstraps=0, random_state=0)
    with pytest.warns(UserWarning, match="y_target was given"):
        clf.fit(X, y, X_target=X, y_target=y)
    single = np.where(np.arange(60) == 0, "z", y)
    with pytest.warns(UserWarning, match="A class has a single row"):
        clf.fit(X, single, X_target=X)


def test_estimators_without_weights_and_pipelines_serve():
    X, y = draw([0.4, 0.3, 0.3], n_rows=200)
    X_target, _ = draw([0.1, 0.1, 0.8], n_rows=200, seed=1)
    inner = make_pipeline(StandardScaler(), KNeighborsClassifier(15))
    clf = LabelShiftClassifier(inner, n_bootstraps=0, random_state=0)
    assert clf.fit(X, y, X_target=X_target).target_priors_[2] > 0.5


def test_searches_take_it():
    X, y = draw([0.4, 0.3, 0.3], n_rows=90)
    X_target, _ = draw([0.1, 0.1, 0.8], n_rows=90, seed=1)
    inner = LabelShiftClassifier(LogisticRegression(), n_bootstraps=0, random_state=0)
    pipe = make_transfer_pipeline(StandardScaler(), inner)
    grid = {"labelshiftclassifier__estimator__C": [0.1, 1.0]}
    search = GridSearchCV(pipe, grid, cv=3, error_score="raise")
    search.fit(X, y, X_target=TargetDomain(X_target))
    assert search.best_estimator_[-1].target_priors_[2] > 0.5


def test_tiny_targets_have_shares():
    X, y = draw([0.4, 0.3, 0.3], n_rows=60)
    clf = LabelShiftClassifier(n_bootstraps=10, random_state=0)
    with pytest.warns(UserWarning, match="shares of 3 classes were estimated from 1 rows"):
        clf.fit(X, y, X_target=X[:1])
    assert clf.target_priors_.sum() == pytest.approx(1)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_ten_rows_for_each_class_are_enough_to_say_nothing(recwarn):
    X, y = draw([0.4, 0.3, 0.3], n_rows=60)
    clf = LabelShiftClassifier(n_bootstraps=0, random_state=0).fit(X, y, X_target=X[:30])
    assert not len(recwarn)
    with pytest.warns(UserWarning, match="estimated from 29 rows"):
        clf.adapt(X[:29])


def test_row_of_weight_zero_is_no_row():
    rng = np.random.default_rng(0)
    y, y_target = rng.integers(0, 3, 90), rng.integers(0, 2, 60)
    X, X_target = (rng.normal(size=(len(of), 2)) + of[:, None] for of in (y, y_target))
    kept = (y < 2) & (rng.random(90) < 0.8)
    clf = LabelShiftClassifier(n_bootstraps=5, random_state=0)
    weighted = clf.fit(X, y, X_target=X_target, sample_weight=kept)
    probabilities, interval = weighted.predict_proba(X_target), weighted.target_priors_interval_
    alone = clf.fit(X[kept], y[kept], X_target=X_target)
    np.testing.assert_array_equal(alone.classes_, [0, 1])
    np.testing.assert_array_equal(probabilities, alone.predict_proba(X_target))
    np.testing.assert_array_equal(interval, alone.target_priors_interval_)
