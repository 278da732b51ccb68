"""The target's loss, weighed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

from sktransfer.parameters import BalancedWeightingClassifier, BalancedWeightingRegressor
from sktransfer.parameters._balanced_weighting import balance_weights


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(50, 2)), rng.normal(size=(8, 2))
    return X, X[:, 0], X_target, X_target[:, 1] + 1


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=9), st.integers(1, 20), st.floats(0, 100))
def test_domains_have_the_weights_they_should(source, n_target, target_weight):
    source = np.array(source)
    of_source, of_target = balance_weights(source, n_target, target_weight)
    assert of_source.sum() + of_target.sum() == pytest.approx(source.sum() + n_target)
    assert of_target.sum() == pytest.approx(target_weight * of_source.sum())
    np.testing.assert_allclose(of_source / of_source.sum(), source / source.sum())
    assert np.ptp(of_target) == 0


@pytest.mark.parametrize("target_weight", [0.3, 1.0, 4.0])
def test_coefficients_minimise_the_sum_of_mean_losses(data, target_weight):
    X, y, X_target, y_target = data
    reg = BalancedWeightingRegressor(Ridge(alpha=1e-9), target_weight).fit(*data)

    def loss(coef, intercept):
        source = sum((y[i] - X[i] @ coef - intercept) ** 2 for i in range(50)) / 50
        target = sum((y_target[j] - X_target[j] @ coef - intercept) ** 2 for j in range(8)) / 8
        return source + target_weight * target

    least = loss(reg.estimator_.coef_, reg.estimator_.intercept_)
    for step in np.random.default_rng(0).normal(size=(20, 3)) * 0.01:
        moved = loss(reg.estimator_.coef_ + step[:2], reg.estimator_.intercept_ + step[2])
        assert moved >= least


def test_limits_are_the_source_and_the_target_alone(data):
    X, y, X_target, y_target = data
    none = BalancedWeightingRegressor(target_weight=0.0).fit(*data)
    total = 58 / 50
    source = Ridge().fit(X, y, sample_weight=np.full(50, total))
    np.testing.assert_allclose(none.predict(X), source.predict(X), rtol=1e-8)
    all_of_it = BalancedWeightingRegressor(target_weight=np.inf).fit(*data)
    target = Ridge().fit(X_target, y_target, sample_weight=np.full(8, 58 / 8))
    np.testing.assert_allclose(all_of_it.predict(X), target.predict(X), rtol=1e-8)


def test_weights_of_the_source_are_within_it(data):
    X, y, X_target, y_target = data
    times = np.random.default_rng(0).integers(1, 4, 50)
    weighted = BalancedWeightingRegressor().fit(*data, sample_weight=times)
    repeated = BalancedWeightingRegressor().fit(
        X.repeat(times, axis=0), y.repeat(times), X_target, y_target
    )
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X))


def test_classes_of_the_target_alone_are_known(data):
    X, y, X_target, _ = data
    y_target = np.array(["new", "yes", "no", None, None, None, None, "new"], dtype=object)
    clf = BalancedWeightingClassifier(LogisticRegression()).fit(
        X, np.where(y > 0, "yes", "no"), X_target, y_target
    )
    np.testing.assert_array_equal(clf.classes_, ["new", "no", "yes"])
    assert clf.predict_proba(X).shape == (50, 3)


def test_says_what_it_cannot_use(data):
    X, y, X_target, _ = data
    with pytest.raises(ValueError, match="y_target is None or has no label"):
        BalancedWeightingRegressor().fit(X, y, X_target=X_target)
    with pytest.raises(TypeError, match="takes no sample_weight"):
        BalancedWeightingRegressor(KNeighborsRegressor()).fit(*data)
    with pytest.raises(ValueError, match="target_weight"):
        BalancedWeightingRegressor(target_weight=-1.0).fit(*data)
