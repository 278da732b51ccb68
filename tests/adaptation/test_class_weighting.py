"""Source classes weigh as the target seems to have them."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from sktransfer import (
    CDANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DeepJDOTClassifier,
    DeepMMDClassifier,
    MCCClassifier,
)
from sktransfer.adaptation._class_weighting import weights_by_target_shares


def test_weights_are_those_of_plain_loops():
    P = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]])
    y, weights = [0, 0, 1, 2, 2, 2], [1.0, 3.0, 2.0, 1.0, 0.0, 1.0]
    expected = []
    for label, weight in zip(y, weights, strict=True):
        q = sum(row[label] for row in P) / 2
        p = sum(w for k, w in zip(y, weights, strict=True) if k == label) / sum(weights)
        expected.append(weight * q / p)
    got = weights_by_target_shares(P, np.array(y), np.array(weights))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert got.sum() == pytest.approx(sum(weights))


positive = st.floats(0.01, 1)


@given(arrays(float, (5, 3), elements=positive), arrays(float, 9, elements=positive))
def test_shares_of_the_source_become_the_targets(P, weights):
    P, y = P / P.sum(axis=1, keepdims=True), np.arange(9) % 3
    got = weights_by_target_shares(P, y, weights)
    shares = np.bincount(y, got) / got.sum()
    np.testing.assert_allclose(shares, P.mean(axis=0), rtol=1e-9)
    again = weights_by_target_shares(P, y, got)
    np.testing.assert_allclose(again, got, rtol=1e-9)  # there it stays


def test_a_class_without_rows_in_the_source_is_left_out():
    got = weights_by_target_shares(np.array([[0.5, 0.25, 0.25]]), np.array([0, 1]), np.ones(2))
    np.testing.assert_allclose(got, [4 / 3, 2 / 3])


def partial(seed):
    """Return four classes in the source, of which the target, moved, has two."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-3, -3], [-3, 3], [3, -3], [3, 3]])
    y, y_target = np.arange(400) % 4, np.arange(200) % 2
    X = centres[y] + rng.normal(size=(400, 2))
    return X, y, centres[y_target] + rng.normal(size=(200, 2)) + [1.5, 0], y_target


@pytest.mark.accuracy
def test_an_adversary_on_a_target_without_some_classes_does_less_harm():
    gains, n_warned = [], 0
    for seed in range(3):
        X, y, X_target, y_target = partial(seed)
        clf = DANNClassifier(max_epochs=40, random_state=seed)
        weighted = clone(clf).set_params(class_weighting="target")
        weighted.fit(X, y, X_target)  # without a warning: classes may be missing here
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf.fit(X, y, X_target)
        assert all("The predicted shares of the target" in str(one.message) for one in caught)
        n_warned += len(caught)
        gains.append(weighted.score(X_target, y_target) - clf.score(X_target, y_target))
    assert n_warned >= 1  # two of these three
    assert np.mean(gains) > 0.05  # three draws gave 0.09 to 0.18


@pytest.mark.parametrize(
    "kind",
    [
        CDANClassifier,
        DANNClassifier,
        DeepCORALClassifier,
        DeepJDOTClassifier,
        DeepMMDClassifier,
        MCCClassifier,
    ],
)
def test_weights_of_rows_and_repeated_fits_are_honoured(kind):
    X, y, X_target, _ = partial(0)
    weights = np.arange(400) % 3  # the rows of weight 0 are never drawn
    clf = kind(class_weighting="target", max_epochs=3, random_state=0)
    noise = np.where((weights == 0)[:, np.newaxis], 1e3, X)
    first = clone(clf).fit(X, y, X_target, sample_weight=weights).predict_proba(X_target)
    second = clone(clf).fit(noise, y, X_target, sample_weight=weights).predict_proba(X_target)
    np.testing.assert_array_equal(first, second)


def test_the_twin_and_a_fit_without_target_draw_as_ever():
    X, y, X_target, _ = partial(0)
    clf = DANNClassifier(class_weighting="target", max_epochs=2, random_state=0)
    plain = clone(clf).set_params(class_weighting=None)
    probabilities = [c.source_only().fit(X, y).predict_proba(X_target) for c in (clf, plain)]
    np.testing.assert_array_equal(*probabilities)


def test_another_word_is_refused():
    X, y, X_target, _ = partial(0)
    with pytest.raises(ValueError, match="'class_weighting' parameter of DANNClassifier must be"):
        DANNClassifier(class_weighting="source").fit(X, y, X_target)
