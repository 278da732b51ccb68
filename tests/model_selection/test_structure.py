"""Predicted classes against clusters and neighbours: plain loops and known answers."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from sktransfer.model_selection import ClassAMIScorer, NeighborAgreementScorer
from sktransfer.model_selection._structure import class_ami, neighbor_agreement

CLASSES = np.array(["a", "b", "c"])


def blobs(n_rows, seed=0):
    """Return rows of three clusters that lie in different directions, and their classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(3, size=n_rows)
    return 10 * np.eye(3)[classes] + rng.normal(size=(n_rows, 3)), CLASSES[classes]


def saying(labels):
    """Return an estimator that predicts these labels, whatever the rows."""
    return SimpleNamespace(predict=lambda X: labels, classes_=CLASSES)


def adjusted_mutual_information(first, second):
    """Return the score by its definition, chance agreement by the hypergeometric law."""
    n = len(first)
    a = [sum(first == v) for v in np.unique(first)]
    b = [sum(second == v) for v in np.unique(second)]
    information = expected = 0.0
    for i, v in enumerate(np.unique(first)):
        for j, w in enumerate(np.unique(second)):
            n_both = sum((first == v) & (second == w))
            if n_both:
                information += n_both / n * math.log(n * n_both / (a[i] * b[j]))
            for k in range(max(1, a[i] + b[j] - n), min(a[i], b[j]) + 1):
                chance = math.comb(a[i], k) * math.comb(n - a[i], b[j] - k) / math.comb(n, b[j])
                expected += chance * k / n * math.log(n * k / (a[i] * b[j]))
    entropies = [-sum(c / n * math.log(c / n) for c in counts) for counts in (a, b)]
    return (information - expected) / (sum(entropies) / 2 - expected)


def test_ami_is_that_of_the_clusters_that_are_there():
    X, y = blobs(60)
    y[:7] = "a"  # as someone errs
    found = ClassAMIScorer(X)(saying(y))
    assert found == pytest.approx(adjusted_mutual_information(blobs(60)[1], y), abs=1e-9)
    assert 0.5 < found < 1


def test_ami_knows_right_from_random_from_collapsed():
    X, y = blobs(300)
    scorer = ClassAMIScorer(X)
    assert scorer(saying(y)) == pytest.approx(1)
    shuffled = np.random.default_rng(1).permutation(y)
    assert abs(scorer(saying(shuffled))) < 0.03
    assert scorer(saying(np.full(300, "a"))) == 0
    renamed = CLASSES[(np.searchsorted(CLASSES, y) + 1) % 3]
    assert scorer(saying(renamed)) == pytest.approx(1)  # it cannot know which class is which


def test_ami_looks_at_directions_and_not_at_lengths():
    X, y = blobs(120)
    lengths = np.random.default_rng(0).uniform(0.1, 10, size=(120, 1))
    assert ClassAMIScorer(X * lengths)(saying(y)) == pytest.approx(ClassAMIScorer(X)(saying(y)))


def test_collapsed_features_are_no_agreement():
    assert class_ami(np.ones((20, 3)), CLASSES[np.arange(20) % 3], 3) == pytest.approx(0, abs=1e-9)
    assert class_ami(np.ones((20, 3)), CLASSES[np.zeros(20, int)], 3) == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_neighbor_agreement_by_plain_loops(seed, n_neighbors):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(8, 2)), rng.normal(size=(5, 2))
    y, labels = CLASSES[rng.integers(3, size=8)], CLASSES[rng.integers(3, size=5)]
    agreed = 0
    for row, label in zip(target, labels, strict=True):
        distances = [math.dist(row, other) for other in source]
        nearest = sorted(range(8), key=distances.__getitem__)[:n_neighbors]
        votes = [sum(y[i] == c for i in nearest) for c in CLASSES]
        agreed += CLASSES[votes.index(max(votes))] == label
    assert neighbor_agreement(source, y, target, labels, n_neighbors) == agreed / 5


def test_agreement_is_the_share_of_rows_predicted_as_their_neighbours():
    X, y = blobs(200)
    X_target, y_target = blobs(100, seed=1)
    wrong = y_target.copy()
    wrong[:30] = CLASSES[(np.searchsorted(CLASSES, y_target[:30]) + 1) % 3]
    scorer = NeighborAgreementScorer(X_target)
    assert scorer(saying(y_target), X, y) == 1
    assert scorer(saying(wrong), X, y) == 0.7
    assert scorer(saying(y_target), 5 * X, y) == 1  # by angle, so scale is no matter


def test_fewer_rows_than_neighbours_all_vote():
    X_target = np.eye(3)[[0, 0, 1]]
    estimator = saying(CLASSES[[0, 0, 0]])
    scorer = NeighborAgreementScorer(X_target, n_neighbors=50)
    assert scorer(estimator, np.eye(3), CLASSES[[0, 0, 1]]) == 1


def test_features_are_those_of_transform():
    X, y = blobs(60)
    estimator = saying(y)
    estimator.transform = lambda X: np.asarray(X)[:, :1]  # one direction: no angles to tell
    assert ClassAMIScorer(X)(estimator) < 0.6
    assert NeighborAgreementScorer(X)(estimator, X, y) < 0.8


def test_better_estimators_get_better_scores():
    X, y = blobs(150)
    X_target, y_target = blobs(150, seed=1)
    good = LogisticRegression().fit(X, y)
    bad = LogisticRegression().fit(X[:, [1, 2, 0]], y)  # axes confused
    blurred = saying(np.where(np.arange(150) % 4, y_target, "a"))
    for make in (ClassAMIScorer, NeighborAgreementScorer):
        scorer = make(X_target)
        assert scorer(good, X, y) > scorer(blurred, X, y)
    assert NeighborAgreementScorer(X_target)(bad, X, y) < 0.1


@pytest.mark.parametrize("n_neighbors", [0, -1, 2.5, "five"])
def test_number_of_neighbours_must_be_positive(n_neighbors):
    with pytest.raises(ValueError, match="n_neighbors must be an integer of at least 1"):
        NeighborAgreementScorer(np.zeros((3, 1)), n_neighbors=n_neighbors)


def test_rows_of_the_source_are_needed():
    with pytest.raises(ValueError, match="NeighborAgreementScorer needs labelled rows"):
        NeighborAgreementScorer(np.zeros((3, 1)))(saying(CLASSES))
