"""Target rows set apart: how sure a row is, and where the two groups part."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktransfer import OpenSetClassifier
from sktransfer.adaptation._separation import known_certainties, lower_group

values = arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)).map(torch.from_numpy)


@pytest.mark.parametrize("unknown", [0, 1, 3])
def test_certainties_equal_the_formula_by_plain_loops(unknown):
    Z = np.random.default_rng(0).normal(size=(5, 4))
    expected = []
    for row in Z.tolist():
        total = sum(math.exp(z) for z in row)
        expected.append(max(math.exp(row[k]) / total for k in range(4) if k != unknown))
    certainties = known_certainties(torch.from_numpy(Z), unknown)
    np.testing.assert_allclose(certainties, expected, rtol=1e-12)


def groups_by_loops(values):
    low, high = min(values), max(values)
    below = None
    while True:
        again = [v < (low + high) / 2 for v in values]
        if again == below or not any(again):
            return again
        below = again
        low = sum(v for v, b in zip(values, below, strict=True) if b) / sum(below)
        high = sum(v for v, b in zip(values, below, strict=True) if not b) / (
            len(values) - sum(below)
        )


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_those_of_plain_loops(seed):
    drawn = np.random.default_rng(seed).beta(0.6, 0.4, size=30)
    assert lower_group(torch.from_numpy(drawn)).tolist() == groups_by_loops(drawn.tolist())


@given(values, st.randoms())
def test_a_lower_value_is_in_the_lower_group_whatever_the_order(values, random):
    below = lower_group(values)
    if below.any():
        assert values[below].max() < values[~below].min()
    else:
        # The extremes are one value, or have none between them.
        assert values.min() >= (values.min() + values.max()) / 2
    order = list(range(len(values)))
    random.shuffle(order)
    assume(values.unique().numel() == len(values))
    assert lower_group(values[order]).sum() == below.sum()


def test_two_heaps_are_told_apart_whatever_their_sizes():
    heaps = torch.tensor([0.1] * 3 + [0.15] * 2 + [0.9] * 40 + [0.95] * 10)
    assert lower_group(heaps).tolist() == [True] * 5 + [False] * 50


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
