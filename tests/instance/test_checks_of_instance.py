"""Scikit-learn's checks on every variant of the instance methods."""

import pytest
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer.instance import (
    KLIEP,
    KMM,
    ULSIF,
    ImportanceWeightingClassifier,
    ImportanceWeightingRegressor,
    LabelShiftClassifier,
    LogisticRatio,
    TrAdaBoostClassifier,
    TrAdaBoostRegressor,
    TwoStageTrAdaBoostRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning")

VARIANTS = [
    KMM(),
    KMM(gamma=0.5, eps=0.1, bound=10, block_size=10),
    KLIEP(),
    KLIEP(bandwidth=1.0, n_centers=5),
    ULSIF(),
    ULSIF(0.5, bandwidth=1.0, penalty=0.1),
    LogisticRatio(),
    LogisticRatio(n_folds=0),
    ImportanceWeightingClassifier(),
    ImportanceWeightingClassifier(BernoulliNB(), KMM()),
    ImportanceWeightingClassifier(DecisionTreeClassifier(max_depth=4, random_state=0), "logistic"),
    ImportanceWeightingRegressor(),
    ImportanceWeightingRegressor(make_pipeline(Normalizer(), Ridge()), "kliep"),
    LabelShiftClassifier(),
    LabelShiftClassifier(BernoulliNB(), "bbse", n_folds=2),
    LabelShiftClassifier(DecisionTreeClassifier(random_state=0), "rlls", n_bootstraps=0),
    TrAdaBoostClassifier(),
    TrAdaBoostClassifier(DecisionTreeClassifier(), n_estimators=3),
    TrAdaBoostClassifier(LinearSVC()),
    TrAdaBoostRegressor(),
    TrAdaBoostRegressor(Ridge(), n_estimators=3),
    TwoStageTrAdaBoostRegressor(),
    TwoStageTrAdaBoostRegressor(Ridge(), n_estimators=3, n_steps=4, n_folds=3),
]


@parametrize_with_checks(VARIANTS)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)
