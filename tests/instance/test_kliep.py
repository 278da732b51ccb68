"""The ratio of the greatest likelihood."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize

from sktransfer.instance import KLIEP
from sktransfer.instance._kliep import fit_log_ratio, held_out_log_ratio


@pytest.mark.filterwarnings("ignore:Values in x were outside bounds:RuntimeWarning")
@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_no_general_solver_finds_a_likelier_ratio(seed):
    rng = np.random.default_rng(seed)
    target, mean = rng.random((15, 4)) + 0.01, rng.random(4) + 0.1
    found = fit_log_ratio(target, mean)
    assert (found >= 0).all()
    assert found @ mean == pytest.approx(1)
    other = minimize(
        lambda a: -np.log(target @ a).mean(),
        np.full(4, 1 / mean.sum()),
        method="SLSQP",
        bounds=[(1e-9, None)] * 4,
        constraints=LinearConstraint(mean, 1, 1),
        options={"ftol": 1e-10},
    )
    assert np.log(target @ found).mean() >= -other.fun - 1e-5


def test_ratio_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(9, 2)), rng.normal(size=(6, 2))
    ratio = KLIEP(0.8, random_state=0).fit(X, X_target=X_target)
    for row, weight in zip(X, ratio.weights_, strict=True):
        expected = sum(
            a * np.exp(-((row - c) ** 2).sum() / (2 * 0.8**2))
            for a, c in zip(ratio.coef_, ratio.centers_, strict=True)
        )
        assert weight == pytest.approx(expected)
    assert ratio.weights_.mean() == pytest.approx(1)


def test_held_out_likelihood_is_that_of_refits():
    rng = np.random.default_rng(0)
    target, mean = rng.random((10, 3)) + 0.1, rng.random(3) + 0.1
    logs = []
    for first in range(0, 10, 2):
        rest = [i for i in range(10) if i not in (first, first + 1)]
        coef = fit_log_ratio(target[rest], mean)
        logs += [np.log(target[i] @ coef) for i in (first, first + 1)]
    assert held_out_log_ratio(target, mean) == pytest.approx(np.mean(logs), abs=1e-3)


def test_weighted_mean_is_one():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(50, 2)), rng.normal(size=(40, 2))
    weights = rng.random(50)
    ratio = KLIEP(random_state=0).fit(X, X_target=X_target, sample_weight=weights)
    assert np.average(ratio.weights_, weights=weights) == pytest.approx(1)
