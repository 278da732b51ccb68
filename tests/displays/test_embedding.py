"""Rows drawn and features put into the plane."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktransfer import DANNClassifier, TargetDomain
from sktransfer.displays._embedding import (
    check_choices,
    check_transforms,
    draw_rows,
    embed_domains,
)

X = np.random.default_rng(0).normal(size=(40, 5))
identity = FunctionTransformer()


@pytest.mark.parametrize(
    "kind", [np.asarray, list, pd.DataFrame, sparse.csr_matrix, torch.tensor, TargetDomain]
)
def test_rows_of_any_kind_are_drawn_with_their_labels(kind):
    names = np.array([f"row {i}" for i in range(40)])
    rows, drawn, labels = draw_rows("source", kind(X), names, 10, seed=3)
    assert len(set(rows)) == 10
    dense = drawn.toarray() if sparse.issparse(drawn) else np.asarray(drawn)
    np.testing.assert_array_equal(dense, X[rows])
    np.testing.assert_array_equal(labels, names[rows])


def test_rows_depend_on_the_seed_alone():
    first, again, other = (draw_rows("source", X, None, 10, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


@pytest.mark.parametrize("n_samples", [None, 40, 1000])
def test_all_rows_are_drawn_where_there_are_no_more(n_samples):
    rows, drawn, labels = draw_rows("source", X, None, n_samples, seed=0)
    assert sorted(rows) == list(range(40))
    assert drawn.shape == X.shape
    assert labels is None


def test_rows_and_labels_of_different_number_are_told():
    with pytest.raises(ValueError, match="X_target has 40 rows but y_target 39 labels; give one"):
        draw_rows("target", X, np.zeros(39), 10, seed=0)


def test_pca_is_that_of_both_domains_together():
    source, target = embed_domains(identity, X[:25], X[25:] + 3, "pca", seed=0)
    both = np.concatenate([X[:25], X[25:] + 3])
    centred = both - both.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    expected = centred @ vectors[:, [-1, -2]]
    got = np.concatenate([source, target])
    assert (source.shape, target.shape) == ((25, 2), (15, 2))
    np.testing.assert_allclose(np.abs(got), np.abs(expected), atol=1e-10)


@pytest.mark.usefixtures("still_generators")
@pytest.mark.parametrize("n_rows", [2, 7, 20])
def test_tsne_takes_few_rows_and_is_the_same_for_a_seed(n_rows):
    first, again = (embed_domains(identity, X[:n_rows], X[:n_rows] + 1, "tsne", 0) for _ in "ab")
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.shape == (n_rows, 2)
        assert np.isfinite(one).all()


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("columns", [slice(1), slice(2)])
def test_features_without_a_plane_are_told(method, columns):
    if columns == slice(1):
        with pytest.raises(ValueError, match=r"FunctionTransformer gives .* \(20, 1\).*2 columns"):
            embed_domains(identity, X[:10, columns], X[10:20, columns], method, 0)
    else:
        source, _ = embed_domains(identity, X[:10, columns], X[10:20, columns], method, 0)
        assert source.shape == (10, 2)


def test_sparse_frames_and_stacked_features_are_flattened():
    dense = embed_domains(identity, X[:20], X[20:], "pca", 0)
    for transformer in (
        FunctionTransformer(sparse.csr_matrix, accept_sparse=True),
        FunctionTransformer(pd.DataFrame),
        FunctionTransformer(lambda X: X[:, np.newaxis]),
    ):
        for got, expected in zip(
            embed_domains(transformer, X[:20], X[20:], "pca", 0), dense, strict=True
        ):
            np.testing.assert_allclose(got, expected, atol=1e-12)


def test_estimators_without_features_are_told():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        check_transforms(DANNClassifier())
    with pytest.raises(TypeError, match=r"LogisticRegression has no transform.*Give a fitted"):
        check_transforms(LogisticRegression().fit(X, X[:, 0] > 0))
    check_transforms(StandardScaler().fit(X))


@pytest.mark.parametrize(
    ("method", "n_samples", "message"),
    [
        ("umap", 10, r"method must be one of \('pca', 'tsne'\); got 'umap'"),
        ("pca", 0, "n_samples must be an integer of at least 1, or None for all rows; got 0"),
        ("pca", 2.5, "n_samples must be an integer .* got 2.5"),
    ],
)
def test_unknown_choices_are_told(method, n_samples, message):
    with pytest.raises(ValueError, match=message):
        check_choices(method, n_samples)
