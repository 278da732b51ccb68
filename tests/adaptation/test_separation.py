"""Target rows set apart: how far a class leads, and how near rows of the source are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktransfer import OpenSetClassifier
from sktransfer.adaptation import _separation
from sktransfer.adaptation._separation import (
    class_leads,
    nearest,
    neighbour_means,
    resemblances,
    squared_distances,
    target_scores,
)


@pytest.mark.parametrize("unknown", [0, 1, 3])
def test_leads_equal_the_formula_by_plain_loops(unknown):
    Z = np.random.default_rng(0).normal(size=(5, 4))
    leads, classes = class_leads(Z, unknown)
    for i, row in enumerate(Z.tolist()):
        best = max((row[k], k) for k in range(4) if k != unknown)
        assert leads[i] == pytest.approx(best[0] - sum(row) / 4, rel=1e-12)
        assert classes[i] == best[1]


@given(arrays(np.float64, (4, 3), elements=st.floats(-5, 5)), st.floats(-5, 5))
def test_leads_do_not_depend_on_what_is_added_to_all_outputs_of_a_row(Z, added):
    np.testing.assert_allclose(class_leads(Z + added, 0)[0], class_leads(Z, 0)[0], atol=1e-9)


def test_squared_distances_equal_plain_loops(monkeypatch):
    rng = np.random.default_rng(0)
    target, source = rng.normal(size=(9, 3)), rng.normal(size=(7, 3))

    def apart(row, other):
        return math.dist(row / math.hypot(*row), other / math.hypot(*other))

    expected = [(sum(sorted(apart(row, s) for s in source)[:5]) / 5) ** 2 for row in target]
    np.testing.assert_allclose(squared_distances(target, source), expected, rtol=1e-9)
    monkeypatch.setattr(_separation, "CHUNK", 2)
    np.testing.assert_allclose(squared_distances(target, source), expected, rtol=1e-9)
    of_one = [apart(row, source[0]) ** 2 for row in target]
    np.testing.assert_allclose(squared_distances(target, source[:1]), of_one, rtol=1e-9)


lengths = arrays(np.float64, (6, 1), elements=st.floats(0.1, 10))


@given(lengths, st.permutations(range(6)))
def test_neighbours_are_by_angle_alone_whatever_their_order(lengths, order):
    rng = np.random.default_rng(0)
    target, source = rng.normal(size=(4, 3)), rng.normal(size=(6, 3))
    distances = squared_distances(target, source)
    again = squared_distances(3 * target, (lengths * source)[order])
    np.testing.assert_allclose(again, distances, rtol=1e-7)
    assert np.all((distances >= 0) & (distances <= 4 + 1e-9))


def test_a_row_of_no_length_is_at_a_right_angle_to_all():
    rows, source = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[2.0, 0.0]] * 5)
    np.testing.assert_allclose(squared_distances(rows, source), [2, 0], atol=1e-12)


def test_scores_equal_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    leads, distances = rng.normal(size=6), rng.random(6)
    mean = sum(distances) / 6
    expected = [lead / (1 + d / mean) for lead, d in zip(leads, distances, strict=True)]
    np.testing.assert_allclose(resemblances(leads, distances), expected, rtol=1e-12)
    np.testing.assert_array_equal(resemblances(leads, np.zeros(6)), leads)


@pytest.mark.parametrize("chunk", [2, 1000])
def test_nearest_rows_equal_plain_loops(chunk, monkeypatch):
    monkeypatch.setattr(_separation, "CHUNK", chunk)
    rng = np.random.default_rng(1)
    rows, others = rng.normal(size=(5, 3)), rng.normal(size=(8, 3))
    cosines, numbers = nearest(rows, others, 4)
    for i, row in enumerate(rows):
        of_all = [row @ o / (math.hypot(*row) * math.hypot(*o)) for o in others]
        assert set(numbers[i]) == set(np.argsort(of_all)[-4:])
        np.testing.assert_allclose(cosines[i], [of_all[j] for j in numbers[i]], rtol=1e-12)
    assert nearest(rows, others, 20)[1].shape == (5, 8)


def test_none_of_many_rows_is_nearer_than_the_nearest():
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(50, 3)), rng.normal(size=(400, 3))
    cosines, _ = nearest(rows, others, 6)
    of_all = (rows @ others.T) / np.linalg.norm(rows, axis=1)[:, None]
    of_all /= np.linalg.norm(others, axis=1)
    np.testing.assert_allclose(np.sort(cosines), np.sort(of_all)[:, -6:], rtol=1e-12)


def test_means_of_neighbours_equal_plain_loops():
    values = np.random.default_rng(0).normal(size=(4, 2))
    neighbours = [[0, 1], [1, 2], [2, 0], [3, 3]]
    expected = values.tolist()
    for _ in range(3):
        expected = [
            [(expected[i][c] + expected[j][c]) / 2 for c in range(2)] for i, j in neighbours
        ]
    np.testing.assert_allclose(neighbour_means(values, np.array(neighbours)), expected, rtol=1e-12)
    of_numbers = neighbour_means(values[:, 0], np.array(neighbours))
    np.testing.assert_allclose(of_numbers, [row[0] for row in expected], rtol=1e-12)


@given(arrays(np.float64, 6, elements=st.floats(-10, 10)), st.permutations(range(6)))
def test_means_of_neighbours_stay_between_the_values_and_do_not_ask_for_an_order(values, order):
    neighbours = np.array([[0, 1, 2], [1, 0, 5], [2, 3, 4], [3, 4, 2], [4, 5, 0], [5, 1, 3]])
    means = neighbour_means(values, neighbours)
    assert means.min() >= values.min() - 1e-12
    assert means.max() <= values.max() + 1e-12
    again = neighbour_means(values[order], np.argsort(order)[neighbours[order]])
    np.testing.assert_allclose(again, means[order], atol=1e-12)


def test_scores_are_those_of_what_neighbours_have_in_the_mean():
    rng = np.random.default_rng(0)
    logits, features, source = (rng.normal(size=shape) for shape in ((9, 3), (9, 4), (7, 4)))
    distances = squared_distances(features, source)
    together = np.column_stack([logits, distances]).tolist()
    for _ in range(3):
        means = []
        for row in features:
            cosines = [row @ o / (math.hypot(*row) * math.hypot(*o)) for o in features]
            near = np.argsort(cosines)[-6:]  # itself and five others
            means.append([sum(together[j][c] for j in near) / 6 for c in range(4)])
        together = means
    expected, classes = class_leads(np.array(together)[:, :3], 1)
    expected = resemblances(expected, np.array(together)[:, 3])
    scores, found = target_scores(logits, distances, nearest(features, features, 6)[1], 1)
    np.testing.assert_allclose(scores, expected, rtol=1e-9)
    np.testing.assert_array_equal(found, classes)


def test_a_row_among_others_goes_with_them():
    # One row of the first class in the midst of the second has a logit of its own.
    features = np.repeat(np.eye(2), 10, axis=0) + np.random.default_rng(0).normal(0, 0.05, (20, 2))
    logits = np.array([[0.0, 4, 0]] * 10 + [[0.0, 0, 4]] * 10)
    logits[3] = [0, 0, 1]
    neighbours = nearest(features, features, 6)[1]
    scores, classes = target_scores(logits, np.ones(20), neighbours, 0)
    np.testing.assert_array_equal(classes, [1] * 10 + [2] * 10)
    assert scores[3] > 0.5 * scores.max()


@pytest.mark.parametrize("share", [None, 0.3])
def test_probabilities_are_means_over_neighbours_unless_the_share_is_told(share, monkeypatch):
    seen = {}

    def probabilities(scores, classes, n_classes, told):
        seen["said"] = np.random.default_rng(0).random(len(scores))
        return seen["said"]

    def neighbours_of(rows, others, n_nearest):
        if rows is others:
            seen["neighbours"] = nearest(rows, others, n_nearest)[1]
        return nearest(rows, others, n_nearest)

    monkeypatch.setattr(_separation, "unknown_probabilities", probabilities)
    monkeypatch.setattr(_separation, "nearest", neighbours_of)
    X = np.random.default_rng(1).normal(size=(40, 2))
    clf = OpenSetClassifier(max_epochs=2, unknown_share=share, random_state=0)
    clf.fit(X, np.arange(40) % 2, X + 1)
    expected = seen["said"].tolist()
    if share is None:
        expected = [sum(expected[j] for j in near) / 6 for near in seen["neighbours"].tolist()]
    assert clf.unknown_share_ == pytest.approx(sum(expected) / 40, rel=1e-5)


def test_rows_unlike_all_classes_are_called_unknown_that_mixtures_do_not_show():
    # The unknown lies opposite to where means of two classes lie.
    rng = np.random.default_rng(0)
    centres = np.array([[-4, 4], [4, 4], [0, -6]])
    y = np.arange(450) % 3
    X, X_target = (centres[y] + rng.normal(size=(450, 2)) for _ in range(2))
    clf = OpenSetClassifier(max_epochs=40, random_state=0)
    answers = clf.fit(X[y < 2], y[y < 2], X_target).predict(X_target)
    assert np.mean(answers[y == 2] == -1) > 0.9
    assert np.mean(answers[y < 2] == y[y < 2]) > 0.9
