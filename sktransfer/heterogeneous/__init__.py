"""Heterogeneous transfer: source and target are described by other features."""

from ._soft_transfer import HeterogeneousTransferClassifier

__all__ = ["HeterogeneousTransferClassifier"]
