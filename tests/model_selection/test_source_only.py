"""Estimators say themselves what they are without transfer; nobody knows their parameters."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import ClassifierMixin, TransformerMixin, clone
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    FineTuneClassifier,
    TargetDomain,
    make_transfer_pipeline,
)
from sktransfer._estimator import BaseTransferEstimator
from sktransfer.callbacks import DomainScoring, TargetValidation
from sktransfer.displays import TransferMatrixDisplay
from sktransfer.finetuning import SourceTraining
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
from sktransfer.model_selection import InfoMaxScorer, ReverseValidationScorer, adaptation_report
from sktransfer.model_selection._source_only import make_source_only, transfers
from sktransfer.parameters import (
    BalancedWeightingClassifier,
    BalancedWeightingRegressor,
    PriorTransferClassifier,
    PriorTransferRegressor,
)

FAST = {"max_epochs": 2, "random_state": 0}
SHORT = SourceTraining(epochs=2)


class MeanShift(ClassifierMixin, TransformerMixin, BaseTransferEstimator):
    """Moves the source's mean a share of the way to the target's; knows no lambda."""

    def __init__(self, pull=1.0):
        self.pull = pull

    def _fit(self, domains):
        source, target = domains.source.X, domains.target
        self.n_targets_ = 0 if target is None else len(target.X)
        if target is None and self._transfers():
            warnings.warn("fitted without X_target", UserWarning, stacklevel=4)
        shift = 0.0 if target is None else target.X.mean(axis=0) - source.mean(axis=0)
        self.shift_ = self.pull * shift
        self.classifier_ = LogisticRegression().fit(source + self.shift_, domains.source.y)
        self.classes_ = self.classifier_.classes_

    def _transfers(self):
        return super()._transfers() and self.pull > 0

    def transform(self, X):
        return np.asarray(X)

    def predict(self, X):
        return self.classifier_.predict(X)

    def predict_proba(self, X):
        return self.classifier_.predict_proba(X)


class Foreign(LogisticRegression):
    """Of another library, with the method alone."""

    def fit(self, X, y, X_target=None):
        return super().fit(X, y)

    def transform(self, X):
        return np.asarray(X)

    def source_only(self):
        return Foreign(C=1e-6)


ESTIMATORS = [
    MeanShift(pull=0.5),
    DANNClassifier(**FAST),
    DeepCORALClassifier(target_loss="entropy", target_loss_weight=0.1, **FAST),
    FineTuneClassifier(source_training=SHORT, head_epochs=1, finetune_epochs=1, random_state=0),
]
SHALLOW = [
    ImportanceWeightingClassifier(random_state=0),
    LabelShiftClassifier(random_state=0),
    TrAdaBoostClassifier(random_state=0),
    BalancedWeightingClassifier(),
    PriorTransferClassifier(),
]
every_classifier = pytest.mark.parametrize(
    "estimator", [*ESTIMATORS, *SHALLOW], ids=lambda e: type(e).__name__
)


@every_classifier
def test_the_twin_learns_from_the_source_alone_and_does_not_warn(domains, estimator):
    X, y, X_target = domains
    twin = estimator.source_only()
    assert type(twin) is type(estimator)
    assert {k: repr(v) for k, v in twin.get_params().items()} == {
        k: repr(v) for k, v in estimator.get_params().items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = twin.fit(X, y).predict_proba(X)
        for again in (clone(twin), copy.deepcopy(twin), pickle.loads(pickle.dumps(twin))):
            fitted = again.fit(X, y, X_target, np.full(len(X_target), "up"))
            np.testing.assert_array_equal(fitted.predict_proba(X), expected)
    with pytest.warns(UserWarning, match="fitted without X_target"):
        plain = clone(estimator).fit(X, y)
    np.testing.assert_array_equal(plain.predict_proba(X), expected)


@pytest.mark.parametrize("estimator", SHALLOW, ids=lambda e: type(e).__name__)
def test_the_twin_of_a_wrapper_is_the_plain_estimator(domains, estimator):
    X, y, X_target = domains
    weights = np.linspace(0.5, 2, len(X))
    twin = estimator.source_only().fit(X, y, X_target, y, sample_weight=weights)
    plain = LogisticRegression(max_iter=1000).fit(X, y, weights)
    np.testing.assert_allclose(twin.predict_proba(X_target), plain.predict_proba(X_target))


@pytest.mark.parametrize(
    "estimator",
    [
        ImportanceWeightingRegressor(),
        BalancedWeightingRegressor(),
        PriorTransferRegressor(),
        TrAdaBoostRegressor(Ridge()),
        TwoStageTrAdaBoostRegressor(Ridge()),
    ],
    ids=lambda e: type(e).__name__,
)
def test_the_twin_of_a_regressor_is_the_plain_one(domains, estimator):
    X, _, X_target = domains
    twin = estimator.source_only().fit(X, X[:, 0], X_target, X_target[:, 1])
    np.testing.assert_allclose(twin.predict(X_target), Ridge().fit(X, X[:, 0]).predict(X_target))


@pytest.mark.parametrize("ratio", [KLIEP(), KMM(), ULSIF(), LogisticRatio()], ids=str)
def test_the_twin_of_a_density_ratio_weighs_all_rows_alike(domains, ratio):
    X, _, X_target = domains
    twin = ratio.source_only().fit(X, X_target=X_target)
    assert (twin.weights_ == 1).all()
    assert (twin.predict(X_target) == 1).all()


def test_the_twin_of_a_prior_from_a_fitted_source_is_that_source(domains):
    X, y, X_target = domains
    source = LogisticRegression().fit(X, y)
    clf = PriorTransferClassifier(FrozenEstimator(source), strength=0.0)
    y_target = np.where(X_target[:, 0] > 0.5, "down", "up")
    plain = clf.source_only().fit(X_target, y_target)
    np.testing.assert_allclose(plain.predict_proba(X), source.predict_proba(X))
    learned = clf.fit(X_target, y_target)
    assert np.abs(learned.predict_proba(X) - source.predict_proba(X)).max() > 0.5


def test_a_twin_is_not_adapted_later(domains):
    X, y, X_target = domains
    twin = LabelShiftClassifier().source_only().fit(X, y)
    with pytest.raises(ValueError, match="transfers nothing: call it on the estimator itself"):
        twin.adapt(X_target)


@every_classifier
def test_the_estimator_itself_stays_as_it_was(estimator):
    one = clone(estimator)
    one.source_only()
    assert transfers(one)
    assert not transfers(one.source_only())
    assert not transfers(clone(one.source_only()))
    assert not hasattr(one, "classes_")


def test_a_weight_of_zero_transfers_nothing():
    assert not transfers(MeanShift(pull=0.0))
    assert not transfers(DANNClassifier(lambda_=0.0))
    assert not transfers(DANNClassifier(lambda_=0.0, target_loss="entropy"))
    assert not transfers(BalancedWeightingClassifier(target_weight=0.0))
    assert not transfers(LogisticRegression())
    assert transfers(Foreign())


@pytest.mark.parametrize(
    "whole",
    [
        make_transfer_pipeline(StandardScaler(), MeanShift()),
        make_pipeline(StandardScaler(), make_pipeline(MeanShift())),
        GridSearchCV(MeanShift(), {"pull": [0.5, 1.0]}, cv=2),
        GridSearchCV(make_transfer_pipeline(MeanShift()), {"meanshift__pull": [1.0]}, cv=2),
        BaggingClassifier(MeanShift(), n_estimators=2),
    ],
    ids=lambda whole: type(whole).__name__,
)
def test_of_pipelines_and_searches_the_parts_are_asked(domains, whole):
    X, y, _ = domains
    twin = make_source_only(whole)
    assert transfers(whole)
    assert not transfers(twin)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin.fit(X, y).predict(X)


def test_a_pipeline_answers_itself(domains):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(StandardScaler(), MeanShift())
    pipe.fit(X, y, X_target=X_target)
    twin = pipe.source_only()
    assert twin[-1] is not pipe[-1]
    assert not hasattr(twin[-1], "classes_")
    assert twin.fit(X, y)[-1].n_targets_ == 0
    assert pipe[-1].n_targets_ == len(X_target)


def test_the_report_of_an_estimator_with_other_parameters(domains):
    X, y, X_target = domains
    report = adaptation_report(MeanShift(pull=0.5), X, y, X_target, y_target=y, scorers={})
    assert report.source_only.n_targets_ == 0
    np.testing.assert_array_equal(
        report.source_only.predict(X), LogisticRegression().fit(X, y).predict(X)
    )
    foreign = adaptation_report(Foreign(), X, y, X_target, scorers={})
    assert foreign.source_only.C == 1e-6
    for estimator in (MeanShift(pull=0.0), MeanShift().source_only(), MeanShift):
        with pytest.raises(ValueError, match="does not: give an adaptation classifier"):
            adaptation_report(estimator, X, y, X_target)


def test_the_diagonal_of_a_transfer_matrix_is_source_only(domains):
    pytest.importorskip("matplotlib")
    X, y, X_target = domains
    display = TransferMatrixDisplay.from_estimator(
        MeanShift(), {"a": (X, y), "b": (X_target, y)}, random_state=0
    )
    assert display.matrix.shape == (2, 2)


def test_only_callbacks_that_say_so_are_left_out(domains):
    X, y, X_target = domains

    class Mine(DomainScoring):
        holds_a_domain = False

    callbacks = [
        DomainScoring(X, y, X_target, y),
        ("validation", TargetValidation(InfoMaxScorer(X_target))),
        Mine(X, y, X_target, y),
    ]
    twin = DANNClassifier(callbacks=callbacks, **FAST).source_only()
    assert [type(callback) for callback in twin.callbacks] == [Mine]
    assert len(callbacks) == 3
    assert make_transfer_pipeline(MeanShift()).source_only()[-1].pull == 1.0


def test_reverse_validation_asks_as_well(domains):
    X, y, X_target = domains
    clf = MeanShift().fit(X, y, TargetDomain(X_target))
    assert 0 <= ReverseValidationScorer(X_target)(clf, X, y) <= 1
