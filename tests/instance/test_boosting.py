"""What all boosting does with the source's weights."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

from sktransfer.instance import (
    TrAdaBoostClassifier,
    TrAdaBoostRegressor,
    TwoStageTrAdaBoostRegressor,
)

BOOSTED = [
    TrAdaBoostClassifier(LogisticRegression(), random_state=0),
    TrAdaBoostClassifier(KNeighborsClassifier(1), random_state=0),
    TrAdaBoostRegressor(Ridge(), random_state=0),
    TwoStageTrAdaBoostRegressor(Ridge(), 3, n_steps=3, n_folds=2, random_state=0),
]


# Where there are weights and no target, rows are drawn for the neighbours.
CASES = [
    *((one, True) for one in BOOSTED),
    *((one, False) for one in BOOSTED if one not in BOOSTED[1:2]),
]


@pytest.mark.parametrize(("estimator", "has_target"), CASES, ids=str)
def test_row_of_weight_zero_is_no_row(estimator, has_target):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(40, 2)), rng.normal(size=(12, 2))
    y, y_target = X[:, 0], X_target[:, 0] + X_target[:, 1]
    kept = rng.random(40) < 0.7
    y = np.where(kept, y, 1e6)  # beside which all other errors are nothing
    if isinstance(estimator, TrAdaBoostClassifier):
        y, y_target = np.where(kept, y > 0, 2), (y_target > 0).astype(int)
    target = {"X_target": X_target, "y_target": y_target} if has_target else {}
    estimator = estimator if has_target else estimator.source_only()
    weighted = estimator.fit(X, y, sample_weight=kept, **target)
    predicted, weights = weighted.predict(X), weighted.source_weights_
    alone = estimator.fit(X[kept], y[kept], **target)
    np.testing.assert_array_equal(predicted, alone.predict(X))
    np.testing.assert_array_equal(weights[kept], alone.source_weights_)
    np.testing.assert_array_equal(weights[~kept], 0)


def test_without_a_target_rows_are_drawn_for_an_estimator_that_takes_no_weights():
    X, y = np.arange(40.0)[:, None], np.arange(40) // 10
    weights = np.where(y == 3, 1e-12, 1.0)
    weights[33] = 1e-11
    clf = TrAdaBoostClassifier(KNeighborsClassifier(1), random_state=0).source_only()
    clf.fit(X, y, sample_weight=weights)
    assert clf.estimators_[0].n_samples_fit_ == 41  # as many as there are, and one of class 3
    assert clf.estimators_[0].kneighbors([[36.0]])[0] == 3  # its heaviest
