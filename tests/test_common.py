"""One fit, all estimators checked: scikit-learn's checks on every constructor variant."""

import getpass
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from torch import nn

from sktransfer import (
    CDANClassifier,
    DANNClassifier,
    DANNRegressor,
    DeepCORALClassifier,
    DeepCORALRegressor,
    DeepJDOTClassifier,
    DeepMMDClassifier,
    DomainConfusionClassifier,
    FineTuneClassifier,
    FineTuneRegressor,
    MCCClassifier,
    MCDClassifier,
    OpenSetClassifier,
    SHOTClassifier,
    VADAClassifier,
)
from sktransfer.fewshot import (
    MatchingClassifier,
    NearestPrototypeClassifier,
    PrototypicalClassifier,
)
from sktransfer.finetuning import FrozenCache, SourceTraining, Unfreezing

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*rows of X_target have a class of:UserWarning"),
    # scikit-learn's checks have columns of mean 100.
    pytest.mark.filterwarnings("ignore:The columns (lie far from zero|vary by):UserWarning"),
]


class Named:
    """A callable parameter whose name is the same in each process."""

    def __repr__(self):
        return type(self).__name__


class BatchNormBody(Named):
    def __call__(self, input_shape):
        layers = nn.Linear(*input_shape, 20), nn.BatchNorm1d(20), nn.ReLU()
        return nn.Sequential(*layers).double()


class DropoutBody(Named):
    def __call__(self, input_shape):
        return nn.Sequential(nn.Linear(*input_shape, 50), nn.ReLU(), nn.Dropout()).double()


class SinglePrecisionBody(Named):
    def __call__(self, input_shape):
        return nn.Sequential(nn.Linear(*input_shape, 20), nn.ReLU())


class DeepBody(Named):
    def __call__(self, input_shape):
        layers = nn.Linear(*input_shape, 30), nn.ReLU(), nn.Linear(30, 30), nn.BatchNorm1d(30)
        return nn.Sequential(*layers, nn.ReLU(), nn.Linear(30, 20)).double()


batch_norm_body, dropout_body, deep_body = BatchNormBody(), DropoutBody(), DeepBody()
single_precision_body = SinglePrecisionBody()

# One folder for all checks: each must find what is its own.
MEMORY = str(Path(tempfile.gettempdir()) / f"sktransfer-checks-{getpass.getuser()}")

# The defaults stand once each. What differs from them by another part needs no long training:
# larger steps reach in a tenth of the time what the checks ask for. (At seeds 0, 1, 2 all rows of
# the small tables are right and at least .90 of the large one, where .83 are asked.) Sure of a
# class that outweighs the others by far SHOT's smoothed labels become in twice the time, and a
# deep regressor whose weights are pulled back learns in twice the time too.
FAST = {"max_epochs": 10, "learning_rate": 0.02}
FAST_SHOT = {"max_epochs": 20, "learning_rate": 0.01}
FAST_STAGES = {
    "source_training": SourceTraining(epochs=8, learning_rate=0.02),
    "head_epochs": 8,
    "finetune_epochs": 5,
    "learning_rate": 0.02,
    "finetune_learning_rate": 0.006,
}
FAST_DEEP_REGRESSOR = {
    "source_training": SourceTraining(epochs=15, learning_rate=0.01),
    "head_epochs": 15,
    "finetune_epochs": 10,
    "learning_rate": 0.01,
    "finetune_learning_rate": 0.003,
}

VARIANTS = [
    MatchingClassifier(episodes=50, learning_rate=0.003),
    NearestPrototypeClassifier(),
    PrototypicalClassifier(episodes=50, learning_rate=0.003),
    DANNClassifier(),
    DANNClassifier(lambda_=0.0, **FAST),
    DANNClassifier(lambda_schedule="constant", learning_rate_schedule="dann", **FAST),
    DANNClassifier(hidden_layer_sizes=(30, 20), domain_layer_sizes=(), **FAST),
    DANNClassifier(batch_norm_body, **FAST),
    DANNClassifier(
        target_loss="entropy",
        target_loss_weight=0.1,
        optimizer="sgd",
        learning_rate=0.05,
        max_epochs=40,
    ),
    DeepCORALClassifier(),
    DeepCORALClassifier(batch_norm_body, lambda_=10.0, **FAST),
    CDANClassifier(**FAST),
    CDANClassifier(batch_norm_body, entropy_conditioning=False, gradient_penalty=0.0, **FAST),
    DeepMMDClassifier(**FAST),
    DeepMMDClassifier(batch_norm_body, joint=True, **FAST),
    DeepJDOTClassifier(**FAST),
    DeepJDOTClassifier(batch_norm_body, label_cost=0.1, target_loss="mcc", **FAST),
    DomainConfusionClassifier(**FAST),
    DomainConfusionClassifier(batch_norm_body, gradient_penalty=0.0, target_loss="entropy", **FAST),
    VADAClassifier(**FAST),
    VADAClassifier(batch_norm_body, dirt_t_epochs=2, target_loss="mcc", **FAST),
    MCCClassifier(),
    MCCClassifier(batch_norm_body, temperature=1.0, target_loss="bnm", **FAST),
    MCDClassifier(**FAST),
    MCDClassifier(batch_norm_body, n_body_moves=1, **FAST),
    DANNRegressor(),
    DANNRegressor(batch_norm_body, loss="huber", **FAST),
    DeepCORALRegressor(**FAST),
    SHOTClassifier(**FAST_SHOT),
    OpenSetClassifier(**FAST),
    OpenSetClassifier(unknown_share=0.2, **FAST),
    OpenSetClassifier(batch_norm_body, mixture_weight=0.5, **FAST),
    FineTuneClassifier(),
    FineTuneClassifier(batch_norm_body, **FAST_STAGES),
    FineTuneClassifier(
        batch_norm_body,
        unfreeze_depth="all",
        frozen_cache=FrozenCache(enabled=False),
        **FAST_STAGES,
    ),
    FineTuneClassifier(
        deep_body,
        unfreeze_depth=2,
        frozen_cache=FrozenCache(memory=MEMORY),
        unfreezing=Unfreezing(freeze_batch_norm=True),
        **FAST_STAGES,
    ),
    FineTuneClassifier(
        deep_body,
        unfreeze_depth="2*",
        unfreezing=Unfreezing(gradual=True, layer_decay=0.5, l2_sp=0.01),
        learning_rate_schedule="cosine",
        optimizer="adamw",
        **FAST_STAGES,
    ),
    FineTuneRegressor(**FAST_STAGES),
    FineTuneRegressor(
        deep_body, unfreeze_depth=2, loss="huber", weight_decay=5.0, **FAST_DEEP_REGRESSOR
    ),
]

# What these two compare to a relative 1e-7 is more than single precision holds;
# test_single_precision_weights_equal_repetitions holds it to what it can.
BEYOND_SINGLE_PRECISION = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}


@parametrize_with_checks(VARIANTS)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


class TargetFromSource:
    """Takes the source for a target too where none is given, so that checks see adaptation."""

    def fit(self, X, y, X_target=None, y_target=None, sample_weight=None):
        """Fit with the rows of `X` as the target."""
        X_target = X if X_target is None else X_target
        return super().fit(X, y, X_target, y_target, sample_weight)


class AdaptedDANN(TargetFromSource, DANNClassifier):
    """DANN on two equal domains."""


class AdaptedCORAL(TargetFromSource, DeepCORALClassifier):
    """Deep CORAL on two equal domains."""


class AdaptedCDAN(TargetFromSource, CDANClassifier):
    """A conditional adversary on two equal domains."""


class AdaptedMMD(TargetFromSource, DeepMMDClassifier):
    """Kernels on two equal domains."""


class AdaptedJDOT(TargetFromSource, DeepJDOTClassifier):
    """Transport between two equal domains."""


class AdaptedMCC(TargetFromSource, MCCClassifier):
    """Minimum class confusion on two equal domains."""


def checks_that(status, estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    return {result["check_name"] for result in results if result["status"] == status}


def test_skips_no_check_that_scikit_learns_own_network_runs():
    by_mlp = checks_that("skipped", MLPClassifier(max_iter=2))
    assert checks_that("skipped", DANNClassifier(max_epochs=2)) <= by_mlp
    assert (
        checks_that("skipped", FineTuneClassifier(source_training=SourceTraining(epochs=2)))
        <= by_mlp
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        DANNClassifier(single_precision_body, **FAST),
        FineTuneClassifier(single_precision_body, **FAST_STAGES),
    ],
)
def test_single_precision_passes_all_checks_that_it_can(estimator):
    assert checks_that("failed", estimator) <= BEYOND_SINGLE_PRECISION


class AdaptedMCD(TargetFromSource, MCDClassifier):
    """Maximum classifier discrepancy on two equal domains."""


class AdaptedConfusion(TargetFromSource, DomainConfusionClassifier):
    """A domain classifier to be confused on two equal domains."""


class AdaptedVADA(TargetFromSource, VADAClassifier):
    """Rows that are moved a little, in two equal domains and then in one."""


class AdaptedSHOT(TargetFromSource, SHOTClassifier):
    """The source's rows once more, without their labels."""


class SelfTrained(TargetFromSource, FineTuneClassifier):
    """Fine-tuning on the source's own pseudo-labels."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        AdaptedDANN(**FAST),
        AdaptedCORAL(target_loss="entropy", target_loss_weight=0.1, **FAST),
        AdaptedMCC(**FAST),
        AdaptedCDAN(**FAST),
        AdaptedMMD(joint=True, **FAST),
        AdaptedJDOT(**FAST),
        AdaptedMCD(**FAST),
        AdaptedConfusion(**FAST),
        AdaptedVADA(dirt_t_epochs=3, **FAST),
        AdaptedSHOT(**FAST_SHOT),
        AdaptedSHOT(batch_norm_body, **FAST),
        AdaptedSHOT(diversity=False, **FAST_SHOT),
        SelfTrained(**FAST_STAGES),
    ],
)
def test_passes_the_checks_while_adapting(estimator):
    # The target, here the unweighted source itself, is not weighted by sample_weight, so
    # weights and repetitions do differ. SHOT's diversity asks that all classes are predicted as
    # often, and class weights that one is predicted nearly always: tests/adaptation/test_shot.py.
    allowed = set(BEYOND_SINGLE_PRECISION)
    if isinstance(estimator, AdaptedSHOT) and estimator.diversity:
        allowed.add("check_class_weight_classifiers")
    assert checks_that("failed", estimator) <= allowed


def test_single_precision_weights_equal_repetitions():
    rng = np.random.default_rng(0)
    X, y, weights = rng.random((15, 30)), rng.integers(0, 3, 15), rng.integers(0, 5, 15)
    clf = DANNClassifier(single_precision_body, random_state=0)
    repeated = clone(clf).fit(X.repeat(weights, axis=0), y.repeat(weights))
    order = rng.permutation(15)
    weighted = clone(clf).fit(X[order], y[order], sample_weight=weights[order])
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-4, atol=1e-6
    )
