"""Adaptation to a target domain without labels, one method a file."""

from ..deep._source_free import HypothesisTransfer
from ._cdan import CDANClassifier
from ._coral import DeepCORALClassifier
from ._coral_regressor import DeepCORALRegressor
from ._dann import DANNClassifier
from ._dann_regressor import DANNRegressor
from ._domain_confusion import DomainConfusionClassifier
from ._jdot import DeepJDOTClassifier
from ._mcc import MCCClassifier
from ._mcd import MCDClassifier
from ._mmd import DeepMMDClassifier
from ._open_set import OpenSetClassifier
from ._shot import SHOTClassifier
from ._tent import TentAdapter
from ._vada import VADAClassifier

__all__ = [
    "CDANClassifier",
    "DANNClassifier",
    "DANNRegressor",
    "DeepCORALClassifier",
    "DeepCORALRegressor",
    "DeepJDOTClassifier",
    "DeepMMDClassifier",
    "DomainConfusionClassifier",
    "HypothesisTransfer",
    "MCCClassifier",
    "MCDClassifier",
    "OpenSetClassifier",
    "SHOTClassifier",
    "TentAdapter",
    "VADAClassifier",
]
