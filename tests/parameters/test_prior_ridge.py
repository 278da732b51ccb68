"""Ridge regression with a prior."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVR

from sktransfer.parameters import PriorTransferRegressor
from sktransfer.parameters._ridge import center, deviations


def make_data(seed=0, n_target=12, n_features=3):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=n_features)
    X, X_target = rng.normal(size=(80, n_features)), rng.normal(size=(n_target, n_features))
    noise = 0.3 * rng.normal(size=n_target)
    return X, X @ w, X_target, X_target @ (w + 0.3) + 2 + noise


@pytest.mark.parametrize("shrink_intercept", [False, True])
@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_solution_is_that_of_the_normal_equations(strength, shrink_intercept):
    X, y, X_target, y_target = make_data()
    reg = PriorTransferRegressor(strength=strength, shrink_intercept=shrink_intercept)
    reg.fit(X, y, X_target, y_target)
    source = Ridge().fit(X, y)
    rows = np.column_stack([X_target, np.ones(12)])
    prior = np.append(source.coef_, source.intercept_)
    penalty = strength * np.diag([1, 1, 1, float(shrink_intercept)])
    expected = np.linalg.solve(
        rows.T @ rows / 12 + penalty, rows.T @ y_target / 12 + penalty @ prior
    )
    np.testing.assert_allclose(np.append(reg.coef_, reg.intercept_), expected)


def test_limits_are_the_target_alone_and_the_source():
    X, y, X_target, y_target = make_data()
    none = PriorTransferRegressor(strength=0.0).fit(X, y, X_target, y_target)
    alone = LinearRegression().fit(X_target, y_target)
    np.testing.assert_allclose(none.coef_, alone.coef_, rtol=1e-8)
    np.testing.assert_allclose(none.predict(X), alone.predict(X), rtol=1e-8)
    source = Ridge().fit(X, y)
    for strength in (1e12, np.inf):
        full = PriorTransferRegressor(strength=strength).fit(X, y, X_target, y_target)
        np.testing.assert_allclose(full.coef_, source.coef_, rtol=1e-8)
        shrunk = PriorTransferRegressor(strength=strength, shrink_intercept=True)
        shrunk.fit(X, y, X_target, y_target)
        np.testing.assert_allclose(shrunk.predict(X), source.predict(X), atol=1e-8)
    residual = (y_target - full.predict(X_target)).mean()
    assert residual == pytest.approx(0, abs=1e-8)


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=25)
def test_leave_one_out_error_is_that_of_refits(seed, fit_intercept):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(7, 2)), rng.normal(size=7)
    shares = rng.dirichlet(np.full(7, 3.0))
    centred, values, _, _ = center(X, y, shares, fit_intercept)
    _, errors = deviations(centred, values, shares, [0.3], fit_intercept)
    rows = np.column_stack([X, np.ones(7)]) if fit_intercept else X
    penalty = 0.3 * np.diag([1, 1, 0])[: rows.shape[1], : rows.shape[1]]
    error = 0.0
    for left in range(7):
        kept = np.delete(np.arange(7), left)  # its term is left out, the divisors stay
        moment = (rows[kept].T * shares[kept]) @ rows[kept] + penalty
        coef = np.linalg.solve(moment, (rows[kept].T * shares[kept]) @ y[kept])
        error += shares[left] * (y[left] - rows[left] @ coef) ** 2
    assert errors[0] == pytest.approx(error)


@pytest.mark.parametrize("shrink_intercept", [False, True])
@pytest.mark.parametrize("n_target", [2, 12])
def test_strength_is_that_of_the_least_error_of_rows_left_out(n_target, shrink_intercept):
    X, y, X_target, y_target = make_data(n_target=n_target)
    source = Ridge().fit(X, y)
    prior = np.append(source.coef_, source.intercept_)
    rows = np.column_stack([X_target, np.ones(n_target)])
    size = np.mean([row @ row for row in rows]) if shrink_intercept else X_target.var(axis=0).sum()
    errors = []
    for strength in (*np.logspace(-4, 4, 17), 1e12):
        penalty = size * strength * np.diag([1, 1, 1, float(shrink_intercept)])
        error = 0.0
        for left in range(n_target):
            kept = np.delete(np.arange(n_target), left)
            moment = rows[kept].T @ rows[kept] / n_target + penalty
            told = rows[kept].T @ (y_target[kept] - rows[kept] @ prior) / n_target
            coef = prior + np.linalg.solve(moment, told)
            error += (y_target[left] - rows[left] @ coef) ** 2
        errors.append(error)
    reg = PriorTransferRegressor(shrink_intercept=shrink_intercept)
    reg.fit(X, y, X_target, y_target)
    strengths = np.append(np.logspace(-4, 4, 17) * size, np.inf)
    assert reg.strength_ == pytest.approx(strengths[np.argmin(errors)])


def test_strength_goes_with_what_the_source_is_worth():
    X, y, X_target, y_target = make_data(n_target=40)
    of_source = Ridge().fit(X, y).predict(X_target)
    near = PriorTransferRegressor().fit(X, y, X_target, of_source)
    far = PriorTransferRegressor().fit(X, -10 * y, X_target, y_target)
    assert near.strength_ > far.strength_


def test_few_rows_gain_by_the_prior():
    gains = []
    for seed in range(10):
        X, y, X_target, y_target = make_data(seed, n_target=1010, n_features=10)
        few, rest = slice(0, 10), slice(10, None)
        reg = PriorTransferRegressor().fit(X, y, X_target[few], y_target[few])
        errors = [
            np.mean((model.predict(X_target[rest]) - y_target[rest]) ** 2)
            for model in (reg, Ridge().fit(X_target[few], y_target[few]), Ridge().fit(X, y))
        ]
        gains.append(errors[0] / min(errors[1:]))
    assert np.median(gains) < 0.5


def test_a_fitted_source_takes_rows_of_the_target():
    X, y, X_target, y_target = make_data()
    whole = PriorTransferRegressor(strength=1.0).fit(X, y, X_target, y_target)
    source = Ridge().fit(X, y)
    given = PriorTransferRegressor(source, strength=1.0).fit(X_target, y_target)
    np.testing.assert_allclose(given.predict(X), whole.predict(X))
    with pytest.raises(ValueError, match=r"call fit\(X_target, y_target\)"):
        given.fit(X, y, X_target, y_target)
    search = GridSearchCV(
        PriorTransferRegressor(FrozenEstimator(source)), {"strength": [0.1, np.inf]}, cv=3
    ).fit(X_target, y_target)
    np.testing.assert_allclose(search.best_estimator_.source_.coef_, source.coef_)


def test_row_of_weight_two_is_two_rows():
    X, y, X_target, y_target = make_data()
    times = np.random.default_rng(0).integers(1, 4, 12)
    source = Ridge().fit(X, y)
    weighted = PriorTransferRegressor(source, strength=0.5)
    weighted.fit(X_target, y_target, sample_weight=times)
    repeated = PriorTransferRegressor(source, strength=0.5)
    repeated.fit(X_target.repeat(times, axis=0), y_target.repeat(times))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X))


@pytest.mark.parametrize("n_target", [1, 2])
def test_serves_tiny_targets_constant_columns_and_sparse_rows(n_target):
    X, y, X_target, y_target = make_data(n_target=n_target)
    X[:, 0] = X_target[:, 0] = 1.0
    reg = PriorTransferRegressor().fit(X, y, X_target, y_target)
    assert np.isfinite(reg.predict(X)).all()
    of_sparse = PriorTransferRegressor().fit(
        sparse.csr_matrix(X), y, sparse.csr_matrix(X_target), y_target
    )
    np.testing.assert_allclose(of_sparse.predict(X), reg.predict(X), atol=0.01)


def test_says_what_a_source_lacks():
    X, y, X_target, y_target = make_data()
    with pytest.raises(TypeError, match="SVR, which has no coef_"):
        PriorTransferRegressor(SVR(gamma=1.0)).fit(X, y, X_target, y_target)
    with pytest.raises(ValueError, match="source has 3 coefficients, but X has 2"):
        PriorTransferRegressor(Ridge().fit(X, y)).fit(X_target[:, :2], y_target)
    several = LogisticRegression().fit(X, np.digitize(y, [-1, 1]))
    with pytest.raises(ValueError, match="3 outputs"):
        PriorTransferRegressor(several).fit(X_target, y_target)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_constant_rows_leave_the_sources_coefficients(strength):
    X, y, _, _ = make_data()
    reg = PriorTransferRegressor(strength=strength).fit(X, y, np.ones((5, 3)), np.arange(5.0))
    np.testing.assert_allclose(reg.coef_, reg.source_.coef_)
    assert reg.predict(np.ones((1, 3)))[0] == pytest.approx(2)
