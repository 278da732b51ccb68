"""Adaptation to a target domain without labels, one method a file."""

from ._coral import DeepCORALClassifier
from ._coral_regressor import DeepCORALRegressor
from ._dann import DANNClassifier
from ._dann_regressor import DANNRegressor
from ._mcc import MCCClassifier
from ._mcd import MCDClassifier
from ._open_set import OpenSetClassifier
from ._shot import SHOTClassifier

__all__ = [
    "DANNClassifier",
    "DANNRegressor",
    "DeepCORALClassifier",
    "DeepCORALRegressor",
    "MCCClassifier",
    "MCDClassifier",
    "OpenSetClassifier",
    "SHOTClassifier",
]
