"""Rows are drawn alike however they are ordered."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sktransfer._row_order import draw_rows, make_folds, shuffle_rows


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_same_rows_come_first_in_any_order(seed, n_rows):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 3))
    order = rng.permutation(20)
    drawn = draw_rows(X, n_rows, np.random.RandomState(seed))
    again = draw_rows(X[order], n_rows, np.random.RandomState(seed))
    np.testing.assert_array_equal(drawn, again)
    assert len(drawn) == min(n_rows, 20)


@given(st.integers(0, 10_000))
def test_rows_with_missing_values_have_their_place_too(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 3))
    X[rng.random(X.shape) < 0.3] = np.nan
    order = rng.permutation(20)
    for kind in (np.asarray, sparse.csr_matrix):
        dense = [
            rows.toarray() if sparse.issparse(rows) else rows
            for rows in (
                draw_rows(kind(X), 20, np.random.RandomState(seed)),
                draw_rows(kind(X[order]), 20, np.random.RandomState(seed)),
            )
        ]
        filled = [np.nan_to_num(rows) for rows in dense]  # all that is missing is alike
        np.testing.assert_array_equal(*filled)


@given(st.integers(0, 10_000))
def test_every_row_comes_once(seed):
    X = np.random.default_rng(seed).normal(size=(17, 2))
    order = shuffle_rows(sparse.csr_matrix(X), np.random.RandomState(seed))
    np.testing.assert_array_equal(np.sort(order), np.arange(17))


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_folds_hold_every_row_once_and_each_class_evenly(seed, n_folds):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(23, 2)), rng.integers(0, 3, 23)
    folds = make_folds(X, y, n_folds, np.random.RandomState(seed))
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(23))
    counts = np.array([np.bincount(y[fold], minlength=3) for fold in folds])
    assert np.ptp(counts, axis=0).max() <= 1
