"""Reverse validation gives what its steps give one by one."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring

from sktransfer import DANNClassifier, make_transfer_pipeline
from sktransfer.callbacks import DomainScoring, TargetValidation
from sktransfer.model_selection import InfoMaxScorer, ReverseValidationScorer
from sktransfer.model_selection._source_only import without_callbacks_of_a_domain

FAST = {"max_epochs": 3, "random_state": 0}


@pytest.mark.parametrize(
    "estimator",
    [DANNClassifier(**FAST), make_transfer_pipeline(StandardScaler(), DANNClassifier(**FAST))],
)
def test_score_is_that_of_the_way_back(domains, estimator):
    X, y, X_target = domains
    fitted = clone(estimator).fit(X[:60], y[:60], X_target=X_target)
    back = clone(estimator).fit(X_target, fitted.predict(X_target), X_target=X[60:])
    score = ReverseValidationScorer(X_target)(fitted, X[60:], y[60:])
    assert score == np.mean(back.predict(X[60:]) == y[60:])


def test_an_estimator_that_takes_no_target_is_fitted_back_without(domains):
    X, y, X_target = domains
    fitted = LogisticRegression().fit(X[:60], y[:60])
    back = LogisticRegression().fit(X_target, fitted.predict(X_target))
    assert ReverseValidationScorer(X_target)(fitted, X[60:], y[60:]) == back.score(X[60:], y[60:])


def test_an_estimator_of_one_class_gets_its_share(domains):
    X, y, X_target = domains
    fitted = DummyClassifier(strategy="constant", constant="up").fit(X, y)
    assert ReverseValidationScorer(X_target)(fitted, X, y) == np.mean(y == "up")


def test_source_is_learned_back_from_right_labels_and_not_from_wrong_ones():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(2, 300, 2))
    y = (X[:, 0] > 0).astype(int)
    right = LogisticRegression().fit(X, y)
    wrong = LogisticRegression().fit(X, (X[:, 1] > 0).astype(int))
    scorer = ReverseValidationScorer(X_target)
    assert scorer(right, X, y) > 0.95
    assert scorer(wrong, X, y) < 0.65


def test_the_estimator_is_left_as_it_was_and_its_warnings_are_heard_once(domains):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    before = clf.predict_proba(X)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        ReverseValidationScorer(X_target)(clf, X, y)
    assert heard == []
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_callbacks_that_hold_a_domain_take_no_part(domains):
    X, y, X_target = domains
    kept = EpochScoring("accuracy", on_train=True)
    callbacks = [
        DomainScoring(X, y, X_target, y),
        ("validation", TargetValidation(InfoMaxScorer(X_target))),
        kept,
    ]
    pipe = make_transfer_pipeline(StandardScaler(), DANNClassifier(callbacks=callbacks))
    stripped = without_callbacks_of_a_domain(pipe)
    (left,) = stripped.get_params()["dannclassifier__callbacks"]
    assert isinstance(left, EpochScoring)
    assert len(pipe.get_params()["dannclassifier__callbacks"]) == 3


def test_labelled_rows_of_the_source_are_needed(domains):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    with pytest.raises(ValueError, match="ReverseValidationScorer needs labelled rows of the"):
        ReverseValidationScorer(X_target)(clf)
