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
from sktransfer._warning import quiet, warn
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


WAYS = [(one, way) for one in ESTIMATORS for way in ("fit", "fit_transform") if hasattr(one, way)]


@pytest.mark.parametrize(("estimator", "method"), WAYS)
def test_warnings_point_at_the_line_that_fits(rows, estimator, method):
    fit = getattr(clone(estimator), method)
    line = inspect.currentframe().f_lineno + 1
    assert places_of_warnings(lambda: fit(*rows)) == {(__file__, line)}


def test_inner_fits_are_quiet_and_others_are_not():
    def outer():
        with quiet():
            warn("of an inner fit")
        warn("of the outer one")

    with pytest.warns(UserWarning, match="outer") as record:
        outer()
    assert len(record) == 1
    with pytest.raises(ZeroDivisionError), quiet():
        _ = 1 / 0
    with pytest.warns(UserWarning, match="again"):
        warn("again")


def test_warnings_in_a_search_point_at_the_search(rows):
    search = GridSearchCV(DANNClassifier(**FAST), {"lambda_": [0.5, 1.0]}, cv=2)
    line = inspect.currentframe().f_lineno + 1
    assert places_of_warnings(lambda: search.fit(*rows)) == {(__file__, line)}
