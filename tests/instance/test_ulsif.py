"""Least-squares density ratios, their relative kin and the leave-one-out error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktransfer.instance import ULSIF
from sktransfer.instance._ulsif import fit_ratio, leave_one_out_errors, second_moment


def make_bases(seed=0, n_source=12, n_target=9, n_centers=4):
    rng = np.random.default_rng(seed)
    return rng.random((n_source, n_centers)), rng.random((n_target, n_centers))


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_solution_is_that_of_plain_loops(alpha):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(8, 2)), rng.normal(1, 1, size=(5, 2))
    ratio = ULSIF(alpha, bandwidth=0.7, penalty=0.1, random_state=0).fit(X, X_target=X_target)
    basis = [
        [np.exp(-((row - c) ** 2).sum() / (2 * 0.7**2)) for c in ratio.centers_]
        for row in [*X, *X_target]
    ]
    source, target = basis[:8], basis[8:]
    H, h = np.zeros((5, 5)), np.zeros(5)
    for k in range(5):
        h[k] = sum(row[k] for row in target) / 5
        for j in range(5):
            H[k, j] = (1 - alpha) * sum(row[k] * row[j] for row in source) / 8
            H[k, j] += alpha * sum(row[k] * row[j] for row in target) / 5
    expected = np.maximum(np.linalg.inv(H + 0.1 * np.eye(5)) @ h, 0)
    np.testing.assert_allclose(ratio.coef_, expected)
    np.testing.assert_allclose(ratio.weights_, np.array(source) @ expected)
    np.testing.assert_allclose(ratio.predict(X), ratio.weights_)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.2, 0.7]), st.floats(0.01, 2.0))
@settings(max_examples=25)
def test_leave_one_out_error_is_that_of_refits(seed, alpha, penalty):
    source, target = make_bases(seed)
    shares = np.random.default_rng(seed).dirichlet(np.ones(len(source)))
    h, H = target.mean(axis=0), second_moment(source, target, shares, alpha)
    error = 0.0
    for row, share in zip(source, shares, strict=True):
        coef = fit_ratio(H - (1 - alpha) * share * np.outer(row, row), h, penalty)
        error += (1 - alpha) / 2 * share * (row @ coef) ** 2
    for row in target:
        without = H - alpha / len(target) * np.outer(row, row)
        coef = fit_ratio(without, h - row / len(target), penalty)
        error += (alpha / 2 * (row @ coef) ** 2 - row @ coef) / len(target)
    closed = leave_one_out_errors(source, target, shares, alpha, [penalty])[0]
    assert closed == pytest.approx(error, rel=1e-6, abs=1e-9)


def test_chosen_setting_has_the_least_error():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(60, 1)), rng.normal(0.5, 0.7, size=(60, 1))
    chosen = ULSIF(random_state=0).fit(X, X_target=X_target)
    shares = np.full(60, 1 / 60)

    def error(bandwidth, penalty):
        bases = [chosen._basis(rows, bandwidth) for rows in (X, X_target)]
        return leave_one_out_errors(*bases, shares, 0.0, [penalty])[0]

    least = error(chosen.bandwidth_, chosen.penalty_)
    assert all(
        least <= error(chosen.bandwidth_ * factor, penalty) + 1e-12
        for factor in (1 / 15, 1 / 1e3)
        for penalty in (0.001, 0.1, 10)
    )


def test_relative_ratio_is_bounded():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(500, 1)), rng.normal(2, 0.5, size=(500, 1))
    for alpha in (0.2, 0.5):
        weights = ULSIF(alpha, random_state=0).fit(X, X_target=X_target).weights_
        assert weights.max() < 1.3 / alpha
    plain = ULSIF(random_state=0).fit(X, X_target=X_target)
    relative = ULSIF(0.5, random_state=0).fit(X, X_target=X_target)
    assert relative.effective_size_ > plain.effective_size_


def test_relative_ratio_of_two_gaussians():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(2000, 1)), rng.normal(1, 1, size=(2000, 1))
    weights = ULSIF(0.5, random_state=0).fit(X, X_target=X_target).predict(np.c_[-1:2.1:0.5])
    ratio = np.exp(np.c_[-1:2.1:0.5][:, 0] - 0.5)
    np.testing.assert_allclose(weights, ratio / (0.5 * ratio + 0.5), atol=0.25)
