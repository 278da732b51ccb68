"""Adaptation to a target domain without labels, one method a file."""

from ._coral import DeepCORALClassifier
from ._dann import DANNClassifier
from ._mcc import MCCClassifier

__all__ = ["DANNClassifier", "DeepCORALClassifier", "MCCClassifier"]
