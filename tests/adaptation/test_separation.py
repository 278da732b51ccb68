"""Target rows set apart: how far a class leads, and how near rows of the source are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktransfer import OpenSetClassifier
from sktransfer.adaptation import _separation
from sktransfer.adaptation._separation import class_leads, resemblances, squared_distances


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
