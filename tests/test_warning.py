"""Warnings point at the user's line, however deep they arise."""

import inspect
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sktransfer import (
    CORAL,
    BalancedWeightingClassifier,
    DANNClassifier,
    DeepCORALRegressor,
    FineTuneClassifier,
    HeterogeneousTransferClassifier,
    ImportanceWeightingClassifier,
    LabelShiftClassifier,
    SHOTClassifier,
    TrAdaBoostClassifier,
    VADAClassifier,
    make_transfer_pipeline,
)
from sktransfer.finetuning import SourceTraining

FAST = {"max_epochs": 1, "random_state": 0}
# Each warns that it got no target, from another depth.
ESTIMATORS = [
    CORAL(),
    BalancedWeightingClassifier(),
    DANNClassifier(**FAST),
    DeepCORALRegressor(**FAST),
    FineTuneClassifier(source_training=SourceTraining(epochs=1), head_epochs=1, finetune_epochs=1),
    HeterogeneousTransferClassifier(**FAST),
    ImportanceWeightingClassifier(),
    LabelShiftClassifier(),
    SHOTClassifier(**FAST),
    TrAdaBoostClassifier(),
    VADAClassifier(**FAST),
    make_transfer_pipeline(CORAL(), LogisticRegression()),
]


def places_of_warnings(call):
    """Return the file and line of each warning of a call."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        call()
    assert record
    return {(warning.filename, warning.lineno) for warning in record}


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 3)), np.arange(40) % 2


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_warnings_point_at_the_line_that_fits(rows, estimator, method):
    if not hasattr(estimator, method):
        pytest.skip("transforms nothing")
    fit = getattr(clone(estimator), method)
    line = inspect.currentframe().f_lineno + 1
    assert places_of_warnings(lambda: fit(*rows)) == {(__file__, line)}


def test_warnings_in_a_search_point_at_the_search(rows):
    search = GridSearchCV(DANNClassifier(**FAST), {"lambda_": [0.5, 1.0]}, cv=2)
    line = inspect.currentframe().f_lineno + 1
    assert places_of_warnings(lambda: search.fit(*rows)) == {(__file__, line)}
