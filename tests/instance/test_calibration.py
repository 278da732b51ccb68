"""Bias-corrected temperature scaling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax

from sktransfer.instance._calibration import calibrate, fit_calibration


def draw(seed, slope, biases, n_rows=4000):
    """Return probabilities, and classes drawn by what these should have been."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(size=(n_rows, len(biases))) * 2, axis=1)
    true = softmax(slope * np.log(probabilities) + biases, axis=1)
    codes = (true.cumsum(axis=1) < rng.random((n_rows, 1))).sum(axis=1)
    return probabilities, np.minimum(codes, len(biases) - 1), true


@pytest.mark.parametrize("slope", [0.4, 1.0, 2.0])
def test_finds_the_temperature_and_biases_it_was_drawn_with(slope):
    biases = np.array([0.8, -0.5, -0.3])
    probabilities, codes, true = draw(0, slope, biases)
    found, found_biases = fit_calibration(probabilities, codes, np.ones(len(codes)))
    assert found == pytest.approx(slope, rel=0.1)
    np.testing.assert_allclose(found_biases - found_biases.mean(), biases, atol=0.15)
    assert np.abs(calibrate(probabilities, found, found_biases) - true).max() < 0.06


def test_it_is_the_least_of_the_loss_by_plain_loops():
    probabilities, codes, _ = draw(3, 0.7, np.array([0.5, -0.5, 0.0, 0.0]), n_rows=40)
    codes[codes == 3] = 0  # which no row has: its bias is what the pull leaves of it
    weights = np.random.default_rng(0).uniform(0, 2, 40)

    def loss(parameters):
        slope, *biases = parameters
        total = 0.0
        for row, code, weight in zip(probabilities, codes, weights, strict=True):
            scores = [np.exp(slope * np.log(p) + b) for p, b in zip(row, biases, strict=True)]
            total -= weight * np.log(scores[code] / sum(scores))
        return total / sum(weights) + 1e-4 * sum(b**2 for b in biases)

    slope, biases = fit_calibration(probabilities, codes, weights)
    least = minimize(loss, np.r_[1.0, np.zeros(4)], method="BFGS", options={"gtol": 1e-7})
    assert loss(np.r_[slope, biases]) == pytest.approx(least.fun, rel=1e-6)
    assert slope == pytest.approx(least.x[0], abs=0.01)
    np.testing.assert_allclose(biases, least.x[1:], atol=0.05)


@pytest.mark.parametrize(("codes", "bound"), [([0, 1], 20.0), ([1, 0], 0.05)])
def test_the_temperature_stays_within_its_bounds(codes, bound):
    probabilities = np.array([[0.51, 0.49], [0.49, 0.51]])
    slope, _ = fit_calibration(probabilities, np.array(codes), np.ones(2))
    assert slope == pytest.approx(bound)


@given(st.integers(0, 1000), st.floats(0.2, 3))
@settings(max_examples=15)
def test_never_raises_the_log_loss(seed, slope):
    probabilities, codes, _ = draw(seed, slope, np.zeros(3), n_rows=50)
    found = fit_calibration(probabilities, codes, np.ones(50))
    rows = np.arange(50)
    before = -np.log(probabilities[rows, codes]).mean()
    assert -np.log(calibrate(probabilities, *found)[rows, codes]).mean() <= before + 1e-3


def test_row_of_weight_two_is_two_rows():
    probabilities, codes, _ = draw(0, 0.5, np.zeros(3), n_rows=60)
    times = np.random.default_rng(0).integers(0, 3, 60)
    weighted = fit_calibration(probabilities, codes, times.astype(float))
    repeated = fit_calibration(
        probabilities.repeat(times, axis=0), codes.repeat(times), np.ones(times.sum())
    )
    assert weighted[0] == pytest.approx(repeated[0], rel=1e-3)
    np.testing.assert_allclose(weighted[1], repeated[1], atol=1e-3)


def test_identity_leaves_probabilities():
    probabilities = np.array([[0.2, 0.8], [0.5, 0.5]])
    np.testing.assert_allclose(calibrate(probabilities, 1.0, np.zeros(2)), probabilities)


def test_certain_predictions_stay_finite():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    slope, biases = fit_calibration(probabilities, np.array([0, 1, 1]), np.ones(3))
    assert np.isfinite(calibrate(probabilities, slope, biases)).all()
