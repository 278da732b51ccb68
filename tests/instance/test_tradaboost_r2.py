"""TrAdaBoost for values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from sktransfer.instance import TrAdaBoostRegressor
from sktransfer.instance._tradaboost_r2 import odds_of_error, relative_errors, weighted_median


def make_data(seed=0):
    rng = np.random.default_rng(seed)
    X, X_target = rng.uniform(-1, 1, (60, 2)), rng.uniform(-1, 1, (10, 2))
    return X, X[:, 0] + 0.1 * rng.normal(size=60), X_target, X_target[:, 0] ** 2


def test_rounds_are_those_of_plain_loops():
    X, y, X_target, y_target = make_data()
    reg = TrAdaBoostRegressor(Ridge(), 4).fit(X, y, X_target, y_target)
    rows, values = np.concatenate([X, X_target]), np.concatenate([y, y_target])
    weights, beta = np.ones(70) / 70, 1 / (1 + np.sqrt(2 * np.log(60) / 4))
    kept = []
    for t in range(4):
        fitted = Ridge().fit(rows, values, sample_weight=weights * 70)
        errors = np.abs(values - fitted.predict(rows))
        errors /= errors.max()
        error = sum(weights[i] * errors[i] for i in range(60, 70)) / weights[60:].sum()
        assert reg.estimator_errors_[t] == pytest.approx(error)
        assert error < 0.5
        beta_t = error / (1 - error)
        for i in range(70):
            weights[i] *= beta ** errors[i] if i < 60 else beta_t ** -errors[i]
        weights /= weights.sum()
        if t >= 1:
            kept.append((fitted.predict(X), -np.log(beta_t)))
    np.testing.assert_allclose(reg.source_weights_, weights[:60] * 70)
    votes = [vote for _, vote in kept]
    for row in range(5):
        ordered = sorted(range(3), key=lambda k: kept[k][0][row])
        reached, half = 0.0, sum(votes) / 2
        for k in ordered:
            reached += votes[k]
            if reached >= half:
                break
        assert reg.predict(X)[row] == pytest.approx(kept[k][0][row])


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=9))
def test_median_of_equal_weights_is_the_lower_median(values):
    found = weighted_median(np.array([values]), np.ones(len(values)))[0]
    assert found == sorted(values)[(len(values) - 1) // 2]


def test_relative_errors_reach_one():
    np.testing.assert_allclose(
        relative_errors(np.array([1.0, 2, 3]), np.array([1.0, 4, 4])), [0, 1, 0.5]
    )
    np.testing.assert_array_equal(relative_errors(np.ones(3), np.ones(3)), 0)


def test_odds_are_bounded_at_no_error():
    assert odds_of_error(np.zeros(3), np.ones(3)) == (0.0, pytest.approx(0.001 / 0.999))


def test_odds_where_all_rows_are_as_wrong_as_the_worst_are_infinite():
    assert odds_of_error(np.ones(3), np.ones(3)) == (1.0, np.inf)


def test_first_round_is_kept_where_it_is_no_better_than_half():
    X, y = np.linspace(0, 1, 50)[:, None], np.zeros(50)
    reg = TrAdaBoostRegressor(Ridge(), 5).fit(X, y, X[:4], np.ones(4))
    assert reg.estimator_errors_[0] > 0.5
    assert len(reg.estimators_) == 1
    assert np.isfinite(reg.predict(X)).all()


def test_estimators_without_weights_get_drawn_rows():
    X, y, X_target, y_target = make_data()
    fits = [
        TrAdaBoostRegressor(KNeighborsRegressor(3), 3, random_state=0)
        .fit(X, y, X_target, y_target)
        .predict(X)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*fits)


def test_missing_values_of_the_target_are_left_out():
    X, y, X_target, y_target = make_data()
    some = np.where(np.arange(10) < 6, y_target, np.nan)
    all_rows = TrAdaBoostRegressor(Ridge()).fit(X, y, X_target, some)
    known = TrAdaBoostRegressor(Ridge()).fit(X, y, X_target[:6], y_target[:6])
    np.testing.assert_array_equal(all_rows.predict(X), known.predict(X))
