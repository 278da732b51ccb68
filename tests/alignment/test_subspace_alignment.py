"""Subspace alignment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from sktransfer.alignment import SubspaceAlignment
from sktransfer.alignment._subspace_alignment import principal_axes
from tests.alignment.problems import shifted


@pytest.mark.parametrize("n_features", [4, 80])
def test_formula_from_the_principal_axes(n_features):
    X, _, X_target = shifted(n_features=n_features)
    P_S, P_T = (PCA(2).fit(Z).components_.T for Z in (X, X_target))
    aligner = SubspaceAlignment(2)
    aligned = aligner.fit_transform(X, X_target=X_target)
    signs = np.sign((aligner.target_axes_ * P_T).sum(axis=0))  # any sign is an axis'
    expected = np.zeros((len(X), 2))
    for i, row in enumerate(X - X.mean(axis=0)):
        expected[i] = row @ P_S @ P_S.T @ P_T
    np.testing.assert_allclose(aligned, expected * signs, atol=1e-8)
    np.testing.assert_allclose(
        aligner.transform(X_target), (X_target - X_target.mean(axis=0)) @ P_T * signs, atol=1e-8
    )


@given(seed=st.integers(0, 1000), n_features=st.sampled_from([3, 70]))
def test_axes_are_orthonormal_and_hold_the_most_variance(seed, n_features):
    X, _, _ = shifted(n_features=n_features, seed=seed)
    _, axes = principal_axes(X, np.ones(len(X)), 3)
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-9)
    pca = PCA(3, svd_solver="full").fit(X)
    variances = ((X - X.mean(axis=0)) @ axes).var(axis=0)
    np.testing.assert_allclose(variances, pca.explained_variance_ * (1 - 1 / len(X)), rtol=1e-6)


@pytest.mark.parametrize("n_features", [4, 30])
def test_a_row_of_weight_three_is_three_rows(n_features):
    rng = np.random.default_rng(0)
    X, times = rng.normal(size=(12, n_features)), np.arange(12) % 4
    mean, axes = principal_axes(X, times.astype(float), 3)
    repeated = X.repeat(times, axis=0)
    of_repeated = principal_axes(repeated, np.ones(len(repeated)), 3)
    np.testing.assert_allclose(mean, of_repeated[0])
    np.testing.assert_allclose(axes, of_repeated[1], atol=1e-10)


@pytest.mark.parametrize("n_features", [5, 30])
@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_axes_are_left_out_by_their_share_of_the_variance(scale, n_features):
    rng = np.random.default_rng(0)
    X = scale * rng.normal(size=(20, 2)) @ rng.normal(size=(2, n_features))
    assert principal_axes(X, np.ones(20), 4)[1].shape == (n_features, 2)


@pytest.mark.parametrize("n_rows", [2, 9])
def test_of_equal_rows_and_of_rounding_alone_one_axis_stays(n_rows):
    assert principal_axes(np.ones((n_rows, 3)), np.ones(n_rows), 3)[1].shape == (3, 1)
    last_digits = np.spacing(1e6) * np.random.default_rng(0).integers(0, 4, size=(n_rows, 3))
    axes = principal_axes(1e6 + last_digits, np.ones(n_rows), 3)[1]
    assert axes.shape == (3, 1)
    np.testing.assert_allclose(np.linalg.norm(axes), 1.0)


def test_axes_without_variance_are_left_out():
    X, _, X_target = shifted()
    X[:, 2:] = 0.0
    aligned = SubspaceAlignment(4).fit_transform(X, X_target=X_target)
    assert aligned.shape == (len(X), 2)


def test_with_all_axes_it_centres_each_domain():
    X, _, X_target = shifted()
    aligner = SubspaceAlignment(4)
    aligned = aligner.fit_transform(X, X_target=X_target)
    back = aligned @ aligner.target_axes_.T
    np.testing.assert_allclose(back, X - X.mean(axis=0), atol=1e-10)
