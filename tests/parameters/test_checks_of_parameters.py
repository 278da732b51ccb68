"""Scikit-learn's checks on every variant of the parameter methods."""

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer.parameters import (
    BalancedWeightingClassifier,
    BalancedWeightingRegressor,
    PriorTransferClassifier,
    PriorTransferRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning")

VARIANTS = [
    BalancedWeightingClassifier(),
    BalancedWeightingClassifier(DecisionTreeClassifier(random_state=0), target_weight=5.0),
    BalancedWeightingClassifier(make_pipeline(Normalizer(), LogisticRegression())),
    BalancedWeightingRegressor(),
    BalancedWeightingRegressor(DecisionTreeRegressor(random_state=0), target_weight=0.0),
    PriorTransferClassifier(),
    PriorTransferClassifier(LogisticRegression(C=10.0), strength=1.0, shrink_intercept=False),
    PriorTransferRegressor(),
    PriorTransferRegressor(Ridge(alpha=10.0), strength=0.0, shrink_intercept=True),
]


@parametrize_with_checks(VARIANTS)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)
