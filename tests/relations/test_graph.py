"""Graphs over rows, against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sktransfer.relations._graph import (
    affinity,
    decays,
    distinct_rows,
    ends_of_walks,
    levels,
    nearest_rows,
    vote_shares,
)

seeds = st.integers(0, 2**32 - 1)


def rows_of(seed, n=12, n_features=3):
    return np.random.default_rng(seed).normal(size=(n, n_features))


def distance(a, b):
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5


def nearest_by_loops(X, rows, k, *, are_same=False):
    found = []
    for i, x in enumerate(X):
        pairs = [(distance(x, r), j) for j, r in enumerate(rows) if not (are_same and i == j)]
        found.append(sorted(pairs)[:k])
    return found


def affinity_by_loops(rows, mass, k):
    near = nearest_by_loops(rows, rows, k, are_same=True)
    scale = [pairs[-1][0] for pairs in near]
    W = np.zeros((len(rows), len(rows)))
    for i, pairs in enumerate(near):
        for d, j in pairs:
            W[i, j] = W[j, i] = mass[i] * mass[j] * np.exp(-(d**2) / (scale[i] * scale[j]))
    return W


def ends_by_walking(W, told, known, has_label, alpha, n_steps=3000):
    """Return the formula's fixed point, by taking steps until nothing changes."""
    n, n_classes = told.shape
    F = np.array([known[i] if has_label[i] else told[i] for i in range(n)])
    for _ in range(n_steps):
        before = F.copy()
        for i in range(n):
            degree = sum(W[i])
            if has_label[i] or degree == 0:
                continue
            for k in range(n_classes):
                step = sum(W[i, j] * before[j, k] for j in range(n)) / degree
                F[i, k] = alpha * step + (1 - alpha) * told[i, k]
        if np.abs(F - before).max() < 1e-14:
            break
    return F


@pytest.mark.parametrize("are_same", [False, True])
def test_nearest_rows_are_those_that_a_loop_finds(are_same):
    X = rows_of(0)
    rows = X if are_same else rows_of(1, 9)
    distances, neighbors = nearest_rows(X, rows, 4, are_same=are_same)
    for i, pairs in enumerate(nearest_by_loops(X, rows, 4, are_same=are_same)):
        np.testing.assert_allclose(distances[i], [d for d, _ in pairs])
        assert neighbors[i].tolist() == [j for _, j in pairs]


@pytest.mark.parametrize("n_columns", [6, 7, 20])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_nearest_rows_are_those_of_a_loop_in_trees_and_without_and_far_from_zero(n_columns, offset):
    rng = np.random.default_rng(n_columns)
    X, rows = (rng.normal(size=(n, n_columns)) + offset for n in (15, 30))
    distances, neighbors = nearest_rows(X, rows, 4)
    for i, pairs in enumerate(nearest_by_loops(X, rows, 4)):
        np.testing.assert_allclose(distances[i], [d for d, _ in pairs], rtol=1e-7)
        assert neighbors[i].tolist() == [j for _, j in pairs]


def test_there_are_no_more_neighbours_than_rows():
    X = rows_of(0, 4)
    assert nearest_rows(X, X, 10)[0].shape == (4, 4)
    assert nearest_rows(X, X, 10, are_same=True)[0].shape == (4, 3)
    assert [a.shape for a in nearest_rows(X[:1], X[:1], 10, are_same=True)] == [(1, 0)] * 2


def test_of_a_single_neighbour_each_all_comes():
    X, rows = np.array([[0.0], [5.0]]), np.array([[4.0], [1.0], [7.0]])
    near = nearest_rows(X, rows, 1)
    assert near[0].tolist() == [[1.0], [1.0]]
    assert near[1].tolist() == [[1], [0]]
    votes = vote_shares(*near, np.array([3.0, 2.0, 1.0])).toarray()
    assert votes.tolist() == [[0, 1, 0], [1, 0, 0]]
    W = affinity(*nearest_rows(rows, rows, 1, are_same=True), np.ones(3)).toarray()
    e = np.exp(-1.0)  # all are 3 from their nearest
    np.testing.assert_allclose(W, [[0, e, e], [e, 0, 0], [e, 0, 0]])


def test_decay_at_a_scale_of_zero_keeps_equal_rows_alone():
    np.testing.assert_array_equal(decays(np.array([[0.0, 0.0]]), np.zeros((1, 1))), [[1.0, 1.0]])
    np.testing.assert_array_equal(decays(np.array([[0.0, 0.5]]), np.zeros((1, 1))), [[1.0, 0.0]])
    assert decays(np.array([[3.0]]), np.array([[9.0]])) == pytest.approx(np.exp(-1))


def test_vote_shares_by_plain_loops():
    X, rows, mass = rows_of(0), rows_of(1, 9), np.arange(1.0, 10.0)
    shares = vote_shares(*nearest_rows(X, rows, 4), mass).toarray()
    expected = np.zeros_like(shares)
    for i, pairs in enumerate(nearest_by_loops(X, rows, 4)):
        weights = {j: mass[j] * np.exp(-(d**2) / pairs[-1][0] ** 2) for d, j in pairs}
        for j, weight in weights.items():
            expected[i, j] = weight / sum(weights.values())
    np.testing.assert_allclose(shares, expected, atol=1e-14)


def test_levels_are_one_for_a_row_that_tells_none_and_half_for_the_mean():
    votes = sparse.csr_array(np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]))
    factors = levels(votes, np.ones(3), np.ones(2))
    np.testing.assert_allclose(factors, [1 / (1 + 1 / (2 / 3))] * 2 + [1.0])
    even = sparse.csr_array(np.eye(3))
    np.testing.assert_allclose(levels(even, np.ones(3), np.ones(3)), 0.5)


def test_looking_for_equal_sparse_rows_changes_none():
    parts = np.array([1.0, 2.0, 0.0, 3.0]), np.array([1, 1, 0, 2]), np.array([0, 3, 4])
    X = sparse.csr_array(parts, shape=(2, 3))  # a value in two parts, and a zero that is kept
    before = [part.copy() for part in (X.data, X.indices, X.indptr)]
    first, inverse = distinct_rows(X)
    assert X[first][inverse].toarray().tolist() == [[0, 3, 0], [0, 0, 3]]
    for part, was in zip((X.data, X.indices, X.indptr), before, strict=True):
        np.testing.assert_array_equal(part, was)


def test_levels_by_plain_loops():
    X, rows = rows_of(0), rows_of(1, 9)
    mass, told = np.linspace(1, 3, 9), np.linspace(2, 1, 12)
    votes = vote_shares(*nearest_rows(X, rows, 4), mass)
    B = votes.toarray()
    tells = [sum(told[i] * B[i, s] for i in range(12)) / mass[s] for s in range(9)]
    mean = sum(mass[s] * tells[s] for s in range(9)) / sum(mass)
    expected = [1 / (1 + tells[s] / mean) for s in range(9)]
    np.testing.assert_allclose(levels(votes, mass, told), expected, rtol=1e-12)


def test_affinity_by_plain_loops():
    rows, mass = rows_of(0), np.linspace(1, 2, 12)
    W = affinity(*nearest_rows(rows, rows, 3, are_same=True), mass).toarray()
    np.testing.assert_allclose(W, affinity_by_loops(rows, mass, 3), atol=1e-14)
    np.testing.assert_array_equal(W, W.T)


@given(seeds, st.sampled_from([0.25, 8.0, 1024.0]))
@settings(max_examples=20, deadline=None)
def test_scale_of_rows_does_not_matter(seed, scale):
    X, rows, mass = rows_of(seed), rows_of(seed + 1), np.ones(12)
    for measure, pair, same in ((vote_shares, (X, rows), False), (affinity, (X, X), True)):
        plain = measure(*nearest_rows(*pair, 4, are_same=same), mass).toarray()
        scaled = [scale * part for part in pair]
        again = measure(*nearest_rows(*scaled, 4, are_same=same), mass).toarray()
        np.testing.assert_allclose(again, plain, rtol=1e-12)


@given(seeds, st.floats(0.0, 0.98), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_ends_of_walks_by_plain_loops(seed, alpha, n_labelled):
    rng = np.random.default_rng(seed)
    W = affinity(*nearest_rows(rows_of(seed), rows_of(seed), 3, are_same=True), np.ones(12))
    told, known = rng.dirichlet(np.ones(3), size=12), np.eye(3)[rng.integers(3, size=12)]
    has_label = np.arange(12) < n_labelled
    ends = ends_of_walks(W, told, known, has_label, alpha)
    expected = ends_by_walking(W.toarray(), told, known, has_label, alpha)
    np.testing.assert_allclose(ends, expected, atol=1e-7)
    np.testing.assert_allclose(ends.sum(axis=1), 1)
    np.testing.assert_array_equal(ends[has_label], known[has_label])


def test_rows_without_neighbours_stay_with_what_they_are_told():
    told = np.array([[0.25, 0.75]])
    ends = ends_of_walks(sparse.csr_array((1, 1)), told, np.zeros((1, 2)), np.zeros(1, bool), 0.9)
    np.testing.assert_array_equal(ends, told)


def test_of_two_rows_that_are_told_different_classes_walks_end_at_both():
    W = sparse.csr_array(np.array([[0.0, 2.0], [2.0, 0.0]]))
    told, alpha = np.eye(2), 0.6
    ends = ends_of_walks(W, told, np.zeros((2, 2)), np.zeros(2, bool), alpha)
    there = alpha / (1 + alpha)  # f = (1 - alpha) (1 + alpha^2 + alpha^4 + ...) of ending at home
    np.testing.assert_allclose(ends, [[1 - there, there], [there, 1 - there]], rtol=1e-8)


def test_the_one_row_without_a_label_is_told_by_its_neighbours_and_from_outside():
    W = sparse.csr_array(np.array([[0.0, 1.0, 3.0], [1.0, 0.0, 0.0], [3.0, 0.0, 0.0]]))
    known, told = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([[0.5, 0.5]] * 3)
    ends = ends_of_walks(W, told, known, np.array([False, True, True]), 0.5)
    np.testing.assert_allclose(ends[0], [0.5 * 0.25 + 0.25, 0.5 * 0.75 + 0.25])


def test_a_class_that_nothing_tells_of_ends_no_walk():
    W = sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    told = np.array([[1.0, 0.0], [1.0, 0.0]])
    ends = ends_of_walks(W, told, np.zeros((2, 2)), np.zeros(2, bool), 0.9)
    np.testing.assert_allclose(ends, told)


@given(seeds, st.booleans())
@settings(max_examples=25, deadline=None)
def test_distinct_rows_are_found_once_in_an_order_of_their_own(seed, is_sparse):
    rng = np.random.default_rng(seed)
    X = rng.integers(-1, 2, size=(30, 2)) * 0.5
    X[X == 0] *= rng.choice([-1, 1], size=(X == 0).sum())  # zeros of both signs are one value
    order = rng.permutation(30)
    rows, shuffled = X, X[order]
    if is_sparse:
        rows, shuffled = sparse.csr_array(X), sparse.csr_array(shuffled)
    first, inverse = distinct_rows(rows)
    np.testing.assert_array_equal(X[first][inverse], X)
    assert len(first) == len({tuple(row) for row in (X + 0.0).tolist()})
    first_of_shuffled, _ = distinct_rows(shuffled)
    np.testing.assert_array_equal(X[order][first_of_shuffled], X[first])
