"""Adaptation to a target domain without labels, one method a file."""

from ._coral import DeepCORALClassifier
from ._dann import DANNClassifier
from ._mcd import MCDClassifier

__all__ = [
    "DANNClassifier",
    "DeepCORALClassifier",
    "MCDClassifier",
]
