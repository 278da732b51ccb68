"""Kernel features and the components that they give."""

import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics.pairwise import pairwise_kernels

from sktransfer.alignment._components import (
    KernelMap,
    _gamma_by_scale,
    mean_difference,
    stack_domains,
    transfer_components,
)
from sktransfer.data._domain import Domain
from tests.alignment.problems import shifted


def test_components_solve_the_generalised_problem():
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=(30, 6)), rng.uniform(0.5, 2, 30)
    differences, mu = rng.normal(size=(30, 2)), 0.7
    V = transfer_components(features, weights, differences, mu, 6)
    share = np.diag(weights)
    H = share - np.outer(weights, weights) / weights.sum()
    scatter = features.T @ H @ features
    metric = features.T @ differences @ differences.T @ features + mu * np.eye(6)
    values, vectors = scipy.linalg.eigh(scatter, metric)
    vectors = vectors[:, ::-1] / np.linalg.norm(vectors[:, ::-1], axis=0)
    found = V / np.linalg.norm(V, axis=0)
    np.testing.assert_allclose(np.abs((found * vectors).sum(axis=0)), 1.0)
    np.testing.assert_allclose(scatter @ V, metric @ V * values[::-1], atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(V, axis=0), np.linalg.norm(V[:, 0]))
    np.testing.assert_allclose(np.trace(V.T @ scatter @ V) / 6 / weights.sum(), 1.0)


def test_a_small_mu_holds_the_means_together():
    X, _, X_target = shifted()
    rows, weights, in_source = stack_domains(
        Domain(X, None, np.ones(len(X))), Domain(X_target, None, np.ones(len(X_target)))
    )
    difference = mean_difference(weights, in_source, ~in_source)[:, None]
    gaps = []
    for mu in (1e-6, 1e3):
        V = transfer_components(rows, weights, difference, mu, 2)
        gaps.append(np.abs(difference.T @ rows @ V).max())
    assert gaps[0] < 1e-4 < gaps[1]


@pytest.mark.parametrize("kernel", ["linear", "rbf", "laplacian", "cosine"])
@pytest.mark.parametrize("n_landmarks", [None, 29])
def test_kernel_features_span_the_kernel(kernel, n_landmarks, monkeypatch):
    # All but one row for landmarks, or the features for a linear kernel.
    X = np.random.default_rng(0).normal(size=(30, 4))
    weights = np.random.default_rng(1).uniform(0.5, 2, 30)
    kernel_map = KernelMap(kernel, 0.01, n_landmarks, 0)
    F = kernel_map.fit(X, weights)
    np.testing.assert_allclose(kernel_map.transform(X), F)
    V = np.random.default_rng(2).normal(size=(F.shape[1], 3))
    np.testing.assert_allclose(kernel_map.project(X, V), F @ V, rtol=1e-6, atol=1e-8)
    with monkeypatch.context() as few:  # two rows at a time
        few.setattr("sktransfer.alignment._components.KERNELS_AT_ONCE", 60)
        np.testing.assert_allclose(kernel_map.project(X, V), F @ V, rtol=1e-6, atol=1e-8)
    gamma = {"gamma": 0.01} if kernel in {"rbf", "laplacian"} else {}
    K = pairwise_kernels(X, metric=kernel, **gamma) * np.sqrt(weights)
    if n_landmarks is None or kernel in {"linear", "cosine"}:  # these have rank 4
        np.testing.assert_allclose(F @ F.T, K @ K.T, atol=1e-6)
    else:
        np.testing.assert_allclose(F @ F.T, K @ K.T, atol=0.05)


def of_rank_two(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(20, 2)) @ rng.normal(size=(2, 5)), np.ones(20), np.zeros((20, 1))


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_what_does_not_vary_is_left_out_in_any_unit(scale):
    features, weights, differences = of_rank_two()
    V = transfer_components(scale * features, weights, differences, 1.0, 4)
    assert V.shape == (5, 2)
    assert transfer_components(scale * features, weights, differences, 1.0, 1).shape == (5, 1)


def test_of_features_that_do_not_vary_one_component_stays_and_is_finite():
    V = transfer_components(np.ones((4, 3)), np.ones(4), np.zeros((4, 1)), 1.0, 2)
    assert V.shape == (3, 1)
    assert np.isfinite(V).all()


def test_more_components_than_features_are_all_of_them_and_fewer_the_first():
    rng = np.random.default_rng(0)
    features, weights, differences = rng.normal(size=(30, 3)), np.ones(30), rng.normal(size=(30, 1))
    every = transfer_components(features, weights, differences, 1.0, 9)
    assert every.shape == (3, 3)
    first = transfer_components(features, weights, differences, 1.0, 2)
    unit = [part / np.linalg.norm(part, axis=0) for part in (every[:, :2], first)]
    np.testing.assert_allclose(*unit, atol=1e-10)


def test_gamma_by_scale_is_one_over_the_variance_of_all_numbers():
    X, times = np.random.default_rng(0).normal(3, 2, size=(30, 4)), np.arange(30) % 4
    assert _gamma_by_scale(X, np.ones(30)) == pytest.approx(1 / (4 * X.var()))
    repeated = X.repeat(times, axis=0)
    assert _gamma_by_scale(X, times.astype(float)) == pytest.approx(1 / (4 * repeated.var()))
    assert _gamma_by_scale(np.ones((3, 2)), np.ones(3)) == 1.0


def test_gamma_by_scale_knows_no_unit():
    X = np.random.default_rng(0).normal(size=(30, 4))
    features = [KernelMap("rbf", None, None, 0).fit(scale * X, np.ones(30)) for scale in (1, 100)]
    np.testing.assert_allclose(*features)
    assert np.isfinite(KernelMap("rbf", None, None, 0).fit(np.ones((2, 2)), np.ones(2))).all()


def test_mean_difference_by_loops_and_where_one_side_is_empty():
    weights, F = np.array([1.0, 3.0, 2.0]), np.array([[1.0], [2.0], [5.0]])
    difference = mean_difference(
        weights, np.array([True, True, False]), np.array([False, False, True])
    )
    np.testing.assert_allclose(difference @ F, (1 * 1 + 3 * 2) / 4 - 5)
    assert mean_difference(weights, np.zeros(3, bool), np.ones(3, bool)) is None
