"""Correlation alignment."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.alignment import CORAL
from sktransfer.alignment._coral import coral_matrix
from tests.alignment.problems import shifted


def covariance(X):
    return np.cov(X.T, bias=True)


@pytest.mark.parametrize("regularization", [0.0, 0.3, 1.0])
def test_matrix_is_the_formulas(regularization):
    X, _, X_target = shifted()
    ridge = regularization * np.eye(4)
    source, target = covariance(X) + ridge, covariance(X_target) + ridge
    expected = np.linalg.inv(scipy.linalg.sqrtm(source)) @ scipy.linalg.sqrtm(target)
    found = coral_matrix(covariance(X), covariance(X_target), regularization)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    aligner = CORAL(regularization=regularization)
    aligned = aligner.fit_transform(X, X_target=X_target)
    np.testing.assert_allclose(
        aligned, (X - X.mean(axis=0)) @ expected + X_target.mean(axis=0), atol=1e-10
    )
    papers = CORAL(regularization=regularization, align_means=False)
    np.testing.assert_allclose(papers.fit_transform(X, X_target=X_target), X @ expected, atol=1e-10)


@given(seed=st.integers(0, 1000))
def test_mean_and_covariance_are_equal_afterwards(seed):
    X, _, X_target = shifted(seed=seed)
    aligned = CORAL(regularization=0.0).fit_transform(X, X_target=X_target)
    np.testing.assert_allclose(covariance(aligned), covariance(X_target), atol=1e-8)
    np.testing.assert_allclose(aligned.mean(axis=0), X_target.mean(axis=0), atol=1e-8)


def test_directions_without_variance_are_left_out():
    X, _, X_target = shifted()
    X[:, 3] = X[:, 0] + X[:, 1]
    aligned = CORAL(regularization=0.0).fit_transform(X, X_target=X_target)
    assert np.abs(aligned).max() < 100


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_direction_without_variance_is_mapped_to_zero_in_any_unit(scale):
    for seed in range(5):
        v = np.random.default_rng(seed).normal(size=3)
        v /= np.linalg.norm(v)
        A = coral_matrix(scale * np.outer(v, v), scale * np.eye(3), 0.0)
        np.testing.assert_allclose(A, np.outer(v, v), atol=1e-7)


def test_the_target_stays_and_sparse_rows_give_the_same():
    X, _, X_target = shifted()
    csr = scipy.sparse.csr_array
    aligner = CORAL()
    dense = aligner.fit_transform(X, X_target=X_target)
    np.testing.assert_array_equal(aligner.transform(X_target), X_target)
    np.testing.assert_allclose(aligner.fit_transform(csr(X), X_target=csr(X_target)), dense)
    np.testing.assert_array_equal(aligner.transform(csr(X_target)), X_target)


def test_the_users_rows_are_not_handed_back():
    X, _, X_target = shifted()
    aligner = CORAL().fit(X, X_target=X_target)
    assert not np.shares_memory(aligner.transform(X_target), X_target)
