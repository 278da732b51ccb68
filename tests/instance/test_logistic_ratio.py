"""Ratios by a classifier of the domains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from sktransfer.instance import LogisticRatio
from sktransfer.instance._logistic_ratio import odds_to_ratio


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_odds_of_chance_are_a_ratio_of_one(n_source, n_target):
    chance = n_target / (n_source + n_target)
    assert odds_to_ratio(np.array([chance]), n_source, n_target)[0] == pytest.approx(1)


def test_ratios_of_sure_rows_are_bounded():
    ratios = odds_to_ratio(np.array([0.0, 1.0]), 30, 10)
    np.testing.assert_allclose(ratios, [3e-6 / (1 - 1e-6), 3 * (1e6 - 1)])


def test_log_ratio_of_two_gaussians_is_the_line_that_it_is():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(4000, 1)), rng.normal(1, 1, size=(2000, 1))
    ratio = LogisticRatio(LogisticRegression(C=1e6), random_state=0).fit(X, X_target=X_target)
    at = np.array([[-1.0], [0.5], [2.0]])
    np.testing.assert_allclose(np.log(ratio.predict(at)), at[:, 0] - 0.5, atol=0.2)


@pytest.mark.parametrize("n_folds", [2, 5])
def test_no_row_is_weighed_by_a_classifier_that_saw_it(n_folds):
    class Memory(LogisticRegression):
        """Remembers its rows, and refuses them."""

        def fit(self, X, y, sample_weight=None):
            self.seen_ = {row.tobytes() for row in X[y == 0]}
            return super().fit(X, y, sample_weight)

        def predict_proba(self, X):
            assert not any(row.tobytes() in self.seen_ for row in X)
            return super().predict_proba(X)

    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(23, 2)), rng.normal(size=(31, 2))
    ratio = LogisticRatio(Memory(), n_folds=n_folds, random_state=0).fit(X, X_target=X_target)
    assert (ratio.weights_ > 0).all()


def test_without_folds_weights_are_the_predictions():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(23, 2)), rng.normal(size=(31, 2))
    ratio = LogisticRatio(n_folds=0).fit(X, X_target=X_target)
    np.testing.assert_array_equal(ratio.weights_, ratio.predict(X))


def test_default_classifier_is_held_back_by_as_much_as_there_are_features():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(23, 4)), rng.normal(size=(31, 4))
    ratio = LogisticRatio(n_folds=0).fit(X, X_target=X_target)
    rows, domain = np.concatenate([X, X_target]), np.repeat([0, 1], [23, 31])
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    of_target = LogisticRegression(C=1 / 4).fit(rows, domain).predict_proba(rows[:23])[:, 1]
    expected = 23 / 31 * of_target / (1 - of_target)
    np.testing.assert_allclose(ratio.weights_, expected, rtol=1e-6)


def test_one_sparse_domain_is_as_two():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(60, 3)), rng.normal(0.5, 1, size=(40, 3))
    both = LogisticRatio(random_state=0).fit(csr_array(X), X_target=csr_array(X_target)).weights_
    for rows in [(X, csr_array(X_target)), (csr_array(X), X_target)]:
        one = LogisticRatio(random_state=0).fit(rows[0], X_target=rows[1]).weights_
        np.testing.assert_allclose(one, both)
