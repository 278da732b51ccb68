"""Adaptation to a target domain without labels, one method a file."""

from ._coral import DeepCORALClassifier
from ._dann import DANNClassifier
from ._mcc import MCCClassifier
from ._mcd import MCDClassifier
from ._shot import SHOTClassifier

__all__ = [
    "DANNClassifier",
    "DeepCORALClassifier",
    "MCCClassifier",
    "MCDClassifier",
    "SHOTClassifier",
]
