"""Two-stage TrAdaBoost.R2."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from sktransfer.instance import TwoStageTrAdaBoostRegressor
from sktransfer.instance._two_stage import boost_target, fade


@given(st.integers(0, 10_000), st.floats(0.3, 0.99))
def test_faded_weights_have_the_sum_and_the_form(seed, total):
    rng = np.random.default_rng(seed)
    weights, errors = rng.dirichlet(np.full(8, 5.0)), rng.random(8)
    faded = fade(weights, errors, total)
    assert faded.sum() == pytest.approx(total)
    logs = np.log(faded / weights)
    slope, start = np.polyfit(errors, logs, 1)
    np.testing.assert_allclose(logs, start + slope * errors, atol=1e-6)
    assert start == pytest.approx(0, abs=1e-6)
    assert slope <= 1e-6


def test_rows_without_an_error_share_what_is_left():
    faded = fade(np.full(4, 0.25), np.array([0.0, 0.0, 0.5, 1.0]), 0.2)
    np.testing.assert_allclose(faded, [0.1, 0.1, 0, 0], atol=1e-9)
    np.testing.assert_array_equal(fade(np.full(4, 0.25), np.ones(4), 0.0), 0)


def test_source_is_frozen_in_boosting():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 1)), rng.normal(size=20)
    weights = rng.dirichlet(np.ones(20))
    fitted, votes = boost_target(Ridge(), X, y, weights, 12, 3, np.random.RandomState(0))
    expected = weights.copy()
    for learner, vote in zip(fitted, votes, strict=True):
        plain = Ridge().fit(X, y, sample_weight=expected * 20)
        np.testing.assert_allclose(learner.coef_, plain.coef_)
        errors = np.abs(y[12:] - plain.predict(X[12:]))
        errors /= errors.max()
        error = np.average(errors, weights=expected[12:])
        assert vote == pytest.approx(max(-np.log(error / (1 - error)), 1e-3))
        raised = expected[12:] * ((1 - error) / error) ** errors
        expected[12:] = raised / raised.sum() * weights[12:].sum()


def test_useless_source_is_faded_out_and_a_good_one_is_not():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(100, 3)), rng.normal(size=(12, 3))
    rule = np.array([1.0, -2.0, 0.5])
    noise = 0.5 * rng.normal(size=12)
    settings = {"n_estimators": 3, "n_steps": 6, "random_state": 0}
    good = TwoStageTrAdaBoostRegressor(LinearRegression(), **settings)
    good.fit(X, X @ rule, X_target, X_target @ rule + noise)
    bad = TwoStageTrAdaBoostRegressor(LinearRegression(), **settings)
    bad.fit(X, -X @ rule * 3, X_target, X_target @ rule + noise)
    assert good.best_step_ < bad.best_step_
    assert bad.best_step_ == 5
    np.testing.assert_array_equal(bad.source_weights_, 0)


@pytest.mark.parametrize("n_target", [1, 2, 3])
def test_serves_tiny_targets(n_target):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(30, 2)), rng.normal(size=(n_target, 2))
    reg = TwoStageTrAdaBoostRegressor(n_estimators=2, n_steps=3, random_state=0)
    reg.fit(X, X[:, 0], X_target, X_target[:, 0])
    assert np.isfinite(reg.predict(X)).all()


def test_best_step_has_the_least_error():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(50, 2)), rng.normal(size=(10, 2))
    reg = TwoStageTrAdaBoostRegressor(n_estimators=2, n_steps=4, random_state=0)
    reg.fit(X, X[:, 0], X_target, X_target[:, 0] + 0.3)
    assert reg.best_step_ == np.argmin(reg.estimator_errors_)
    assert len(reg.estimator_errors_) == 4
