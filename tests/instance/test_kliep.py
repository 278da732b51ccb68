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


@pytest.mark.parametrize("source_mean", [[0.0, 0.0], [0.0, 0.5]])
def test_centres_that_the_source_does_not_reach_make_no_nan(source_mean):
    found = fit_log_ratio(np.ones((3, 2)), np.array(source_mean))
    assert np.isfinite(found).all()
    assert found.max() > 0


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
    elsewhere = np.full(3, -1)
    assert held_out_log_ratio(target, mean, elsewhere) == pytest.approx(np.mean(logs), abs=1e-3)


def test_held_out_rows_are_no_centres():
    rng = np.random.default_rng(0)
    target, mean = rng.random((10, 3)) + 0.1, rng.random(3) + 0.1
    own = np.array([5, -1, 8])
    logs = []
    for first in range(0, 10, 2):
        fold = (first, first + 1)
        rest = [i for i in range(10) if i not in fold]
        kept = [k for k in range(3) if own[k] not in fold]
        coef = fit_log_ratio(target[np.ix_(rest, kept)], mean[kept])
        logs += [np.log(target[i, kept] @ coef) for i in fold]
    assert held_out_log_ratio(target, mean, own) == pytest.approx(np.mean(logs), abs=1e-3)


def test_folds_of_which_all_centres_are_held_out_are_passed_over():
    rng = np.random.default_rng(0)
    target, mean = rng.random((10, 1)) + 0.1, np.ones(1)
    expected = np.log(np.delete(target, [4, 5]))  # a single function of mean 1 has factor 1
    found = held_out_log_ratio(target, mean, np.array([4]))
    assert found == pytest.approx(expected.mean(), abs=1e-3)


def test_chosen_bandwidth_is_nearer_to_the_true_ratio_than_equal_weights():
    errors, variances = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, X_target = rng.normal(size=(300, 4)), rng.normal(0.35, 0.8, size=(300, 4))
        log_ratio = (X**2).sum(axis=1) / 2 - ((X - 0.35) ** 2).sum(axis=1) / (2 * 0.8**2)
        true = np.exp(log_ratio) / np.exp(log_ratio).mean()
        weights = KLIEP(random_state=0).fit(X, X_target=X_target).weights_
        errors.append(((weights - true) ** 2).mean())
        variances.append(true.var())
    assert np.mean(errors) < 0.8 * np.mean(variances)  # by rows at their own centres, twice that


def test_weighted_mean_is_one():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(50, 2)), rng.normal(size=(40, 2))
    weights = rng.random(50)
    ratio = KLIEP(random_state=0).fit(X, X_target=X_target, sample_weight=weights)
    assert np.average(ratio.weights_, weights=weights) == pytest.approx(1)
