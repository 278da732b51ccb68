"""Searches without labels of the target take methods that know nothing of networks."""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sktransfer import TargetDomain
from sktransfer.instance import (
    ImportanceWeightingClassifier,
    LabelShiftClassifier,
    TrAdaBoostClassifier,
)
from sktransfer.model_selection import (
    EntropyScorer,
    IWCVScorer,
    NeighborAgreementScorer,
    ReverseValidationScorer,
)
from sktransfer.parameters import BalancedWeightingClassifier, PriorTransferClassifier

WITHOUT_LABELS = [
    ImportanceWeightingClassifier(LogisticRegression(), random_state=0),
    LabelShiftClassifier(LogisticRegression(), n_bootstraps=0, random_state=0),
]
WITH_LABELS = [
    TrAdaBoostClassifier(LogisticRegression(), 2, random_state=0),
    BalancedWeightingClassifier(LogisticRegression()),
    PriorTransferClassifier(LogisticRegression(), random_state=0),
]


@pytest.fixture
def domains():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(60, 2)), rng.normal(0.3, 1, size=(60, 2))
    return X, np.where(X[:, 0] > 0, "a", "b"), X_target, np.where(X_target[:, 0] > 0, "a", "b")


@pytest.mark.parametrize("estimator", WITHOUT_LABELS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "scorer", [EntropyScorer, IWCVScorer, NeighborAgreementScorer, ReverseValidationScorer]
)
def test_scorers_without_labels_serve(estimator, scorer, domains):
    X, y, X_target, _ = domains
    grid = {"estimator__C": [0.1, 10]}
    search = GridSearchCV(estimator, grid, scoring=scorer(X_target), cv=3, error_score="raise")
    search.fit(X, y, X_target=TargetDomain(X_target))
    assert np.isfinite(search.best_score_)
    assert search.predict(X_target).shape == (60,)


@pytest.mark.parametrize("estimator", WITH_LABELS, ids=lambda e: type(e).__name__)
def test_labels_of_the_target_go_through_a_search(estimator, domains):
    X, y, X_target, y_target = domains
    name = "source__C" if isinstance(estimator, PriorTransferClassifier) else "estimator__C"
    few = np.where(np.arange(60) < 12, y_target, None)
    search = GridSearchCV(
        estimator, {name: [0.1, 10]}, scoring=EntropyScorer(X_target), cv=3, error_score="raise"
    )
    search.fit(X, y, X_target=TargetDomain(X_target), y_target=TargetDomain(few))
    assert search.score(X_target) <= 0
    assert (search.predict(X_target) == y_target).mean() > 0.8


@pytest.mark.parametrize("estimator", WITHOUT_LABELS + WITH_LABELS, ids=lambda e: type(e).__name__)
def test_pickles_predict_alike(estimator, domains):
    labels = domains[3] if estimator in WITH_LABELS else None
    clf = estimator.fit(*domains[:3], labels)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict(domains[2]), clf.predict(domains[2]))
