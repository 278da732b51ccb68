"""TrAdaBoost for classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sktransfer.instance import TrAdaBoostClassifier
from sktransfer.instance._boosting import last_half, source_factor
from sktransfer.instance._tradaboost import update_weights, vote_weight


def half_wrong(seed=0, n_source=200, n_target=15):
    """Return a source whose rows right of 0 follow another rule, and a target without these."""
    rng = np.random.default_rng(seed)
    X, X_target = rng.normal(size=(n_source, 2)), rng.normal(size=(n_target + 500, 2))
    rule = lambda rows: rows[:, 0] + rows[:, 1] > 0  # noqa: E731
    y = rule(X) ^ (X[:, 0] > 0.5)
    return X, y, X_target, rule(X_target)


def test_rounds_are_those_of_plain_loops():
    X, y, X_target, y_target = half_wrong(n_source=40, n_target=10)
    X_target, y_target = X_target[:10], y_target[:10]
    clf = TrAdaBoostClassifier(GaussianNB(), 6).fit(X, y, X_target, y_target)
    rows, labels = np.concatenate([X, X_target]), np.concatenate([y, y_target])
    weights, beta = np.ones(50) / 50, 1 / (1 + np.sqrt(2 * np.log(40) / 6))
    kept = []
    for t in range(6):
        fitted = GaussianNB().fit(rows, labels, sample_weight=weights * 50)
        wrong = fitted.predict(rows) != labels
        error = sum(weights[i] for i in range(40, 50) if wrong[i]) / weights[40:].sum()
        assert clf.estimator_errors_[t] == pytest.approx(error)
        error = max(error, 0.001)
        beta_t = error / (1 - error) if error < 0.5 else 1.0
        for i in range(50):
            if wrong[i]:
                weights[i] *= beta if i < 40 else 1 / beta_t
        weights /= weights.sum()
        if t >= 2:  # rounds 3 to 6, ceil(N / 2) and later
            kept.append((fitted, -np.log(beta_t)))
    np.testing.assert_allclose(clf.source_weights_, weights[:40] * 50)
    np.testing.assert_allclose(clf.estimator_weights_, [vote for _, vote in kept])
    # The paper's vote: prod beta_t^-h >= prod beta_t^-1/2
    answers = sum(vote * (fitted.predict(X) - 0.5) for fitted, vote in kept)
    np.testing.assert_array_equal(clf.predict(X), answers > 0)


@given(st.floats(0, 1), st.integers(2, 20))
def test_vote_is_positive_above_chance_only(error, n_classes):
    vote = vote_weight(error, n_classes)
    assert 0 <= vote <= np.log(999) + np.log(n_classes - 1) + 1e-9
    if error > 1 - 1 / n_classes + 1e-6:
        assert vote == 0


def test_vote_of_two_classes_is_the_papers():
    assert vote_weight(0.2, 2) == pytest.approx(-np.log(0.2 / 0.8))
    assert vote_weight(0.0, 2) == pytest.approx(np.log(999))


def test_of_more_classes_a_vote_counts_what_chance_would_be_wrong():
    assert vote_weight(0.2, 3) == pytest.approx(np.log(4) + np.log(2))
    assert vote_weight(1.0, 5000) == pytest.approx(np.log(4999 / 999))


@given(st.lists(st.booleans(), min_size=6, max_size=6), st.floats(0.1, 1), st.floats(0, 5))
def test_wrong_rows_fade_in_the_source_and_gain_in_the_target(wrong, beta, vote):
    weights = update_weights(np.full(6, 1 / 6), np.array(wrong), 3, beta, vote)
    assert weights.sum() == pytest.approx(1)
    for row, other in ((0, 1), (1, 2)):
        if wrong[row] and not wrong[other]:
            assert weights[row] <= weights[other]
    if wrong[3] and not wrong[4]:
        assert weights[3] >= weights[4]


def test_source_factor_is_the_papers():
    assert source_factor(100, 10) == pytest.approx(1 / (1 + np.sqrt(2 * np.log(100) / 10)))
    assert source_factor(1, 10) == 1


@pytest.mark.parametrize(("n_rounds", "kept"), [(1, 1), (2, 2), (3, 2), (10, 6), (11, 6)])
def test_last_half_votes(n_rounds, kept):
    assert last_half([*range(1, n_rounds + 1)]) == [*range(n_rounds - kept + 1, n_rounds + 1)]


def test_misleading_rows_of_the_source_fade():
    gains = []
    for seed in range(5):
        X, y, X_target, y_target = half_wrong(seed, n_target=40)
        few, rest = slice(0, 40), slice(40, None)
        boosted = TrAdaBoostClassifier(n_estimators=20)
        boosted.fit(X, y, X_target[few], y_target[few])
        plain = LogisticRegression().fit(
            np.concatenate([X, X_target[few]]), np.concatenate([y, y_target[few]])
        )
        gains.append(
            boosted.score(X_target[rest], y_target[rest])
            - plain.score(X_target[rest], y_target[rest])
        )
        wrong = X[:, 0] > 0.5
        assert boosted.source_weights_[wrong].mean() < boosted.source_weights_[~wrong].mean()
    assert np.mean(gains) > 0.15


def test_many_classes_ask_no_more_than_to_beat_chance():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(300, 2)), rng.normal(size=(40, 2))
    angle = lambda rows: np.floor((np.arctan2(*rows.T) + np.pi) / (2 * np.pi) * 6 % 6)  # noqa: E731
    clf = TrAdaBoostClassifier(DecisionTreeClassifier(max_depth=1), random_state=0)
    clf.fit(X, angle(X), X_target, angle(X_target))
    assert clf.estimator_errors_.max() > 0.5
    assert clf.estimator_weights_.max() > 0
    assert clf.predict_proba(X).shape == (300, 6)
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(1),
        BaggingClassifier(DecisionTreeClassifier(), n_estimators=2, max_samples=0.1),
    ],
)
def test_estimators_that_draw_rows_serve(estimator):
    X, y, X_target, y_target = half_wrong()
    clf = TrAdaBoostClassifier(estimator, 5, random_state=0)
    clf.fit(X, y, X_target[:4], y_target[:4])
    assert clf.score(X_target, y_target) > 0.5
    again = TrAdaBoostClassifier(estimator, 5, random_state=0)
    again.fit(X, y, X_target[:4], y_target[:4])
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_a_class_of_the_target_alone_is_known():
    X, y, X_target, _ = half_wrong()
    y_target = np.array([2, 2, 2, 0, 1, *[np.nan] * (len(X_target) - 5)])
    clf = TrAdaBoostClassifier().fit(X, y.astype(int), X_target, y_target)
    np.testing.assert_array_equal(clf.classes_, [0, 1, 2])


def test_target_without_labels_is_refused():
    X, y, X_target, _ = half_wrong()
    with pytest.raises(ValueError, match="learns from labelled rows of the target"):
        TrAdaBoostClassifier().fit(X, y, X_target=X_target)


def test_perfect_rounds_go_on():
    X = np.linspace(-1, 1, 50)[:, None]
    clf = TrAdaBoostClassifier(DecisionTreeClassifier(), 4).fit(X, X[:, 0] > 0, X, X[:, 0] > 0)
    np.testing.assert_array_equal(clf.estimator_errors_, 0)
    assert len(clf.estimators_) == 3
    assert clf.score(X, X[:, 0] > 0) == 1
