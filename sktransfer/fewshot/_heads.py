"""What tells classes apart by a few rows of each, and needs no training for it."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..deep._distances import squared_distances

# Factor of a cosine: from -1 to 1 alone, no class could get much more than its share.
COSINE_SCALE = 10.0


def class_means(
    features: Tensor, codes: Tensor, n_classes: int, weight: Tensor | None = None
) -> Tensor:
    """Return the (weighted) mean features of each class, shape (n_classes, d).

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Of the support.
    codes : Tensor of int of shape (n,)
        The number of each row's class.
    n_classes : int
        How many there are.
    weight : Tensor of shape (n,) or None
        Weights of the rows.
    """
    members = F.one_hot(codes, n_classes).to(features.dtype).T
    if weight is not None:
        members = members * weight
    return members @ features / members.sum(dim=1, keepdim=True)


def similarities(queries: Tensor, others: Tensor, distance: str) -> Tensor:
    """Return ``-||q - c||^2`` ("euclidean") or ``10 cos(q, c)`` of all pairs, (n, n_others)."""
    if distance == "cosine":
        return COSINE_SCALE * F.normalize(queries, dim=1) @ F.normalize(others, dim=1).T
    return -squared_distances(queries, others)


def attention(similarity: Tensor, codes: Tensor, n_classes: int) -> Tensor:
    """Return ``log sum_{i of class k} softmax(s)_i``: what rows attend to, by class.

    Parameters
    ----------
    similarity : Tensor of shape (n, n_support)
        Of each row with each of the support.
    codes : Tensor of int of shape (n_support,)
        Classes of the support.
    n_classes : int
        How many there are; each has a row in the support.
    """
    index = codes.expand_as(similarity)
    shape = similarity.shape[0], n_classes  # of len() an exported model would keep the number
    peak = similarity.new_full(shape, -torch.inf)
    peak = peak.scatter_reduce(1, index, similarity.detach(), "amax")
    shifted = (similarity - peak.gather(1, index)).exp()
    sums = similarity.new_zeros(shape).scatter_add(1, index, shifted)
    return sums.log() + peak - similarity.logsumexp(dim=1, keepdim=True)


class SupportHead(nn.Module, metaclass=ABCMeta):
    """A label head that is not trained: it keeps what it is shown of each class."""

    @abstractmethod
    def show(self, features: Tensor, codes: Tensor, weight: Tensor | None) -> None:
        """Keep what is needed of a support, with the classes' numbers and rows' weights."""

    def structure(self) -> dict[str, int]:
        """Return what the size of the head's state depends on, besides the classes."""
        return {}

    def restore_structure(self, structure: dict[str, int]) -> None:
        """Make room for a state of that size."""


class PrototypeHead(SupportHead):
    """Answers with the class whose mean features are nearest.

    Parameters
    ----------
    n_features, n_classes : int
        Sizes.
    distance : {"euclidean", "cosine"}
        What near means.
    centred : bool
        Whether a centre is taken off features, and their length then set to 1.
    """

    prototypes: Tensor
    centre: Tensor

    def __init__(self, n_features: int, n_classes: int, distance: str, *, centred: bool = False):
        super().__init__()
        self.distance, self.centred = distance, centred
        self.register_buffer("prototypes", torch.zeros(n_classes, n_features))
        self.register_buffer("centre", torch.zeros(n_features))

    def placed(self, features: Tensor) -> Tensor:
        """Return features where distances are taken."""
        return F.normalize(features - self.centre, dim=1) if self.centred else features

    def show(self, features: Tensor, codes: Tensor, weight: Tensor | None) -> None:
        """Keep the mean of each class."""
        self.prototypes = class_means(self.placed(features), codes, len(self.prototypes), weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of the classes, shape (n, n_classes)."""
        return similarities(self.placed(features), self.prototypes, self.distance)


class AttentionHead(SupportHead):
    """Answers with the class of the rows of the support that are nearest, weighed by how near.

    Parameters
    ----------
    n_features, n_classes : int
        Sizes.
    distance : {"euclidean", "cosine"}
        What near means.
    """

    support: Tensor
    codes: Tensor
    log_weight: Tensor

    def __init__(self, n_features: int, n_classes: int, distance: str):
        super().__init__()
        self.n_classes, self.distance = n_classes, distance
        self.register_buffer("support", torch.zeros(n_classes, n_features))
        self.register_buffer("codes", torch.arange(n_classes))
        self.register_buffer("log_weight", torch.zeros(n_classes))

    def show(self, features: Tensor, codes: Tensor, weight: Tensor | None) -> None:
        """Keep the rows."""
        self.support, self.codes = features, codes
        self.log_weight = features.new_zeros(len(features)) if weight is None else weight.log()

    def forward(self, features: Tensor) -> Tensor:
        """Return the log-probabilities of the classes, shape (n, n_classes)."""
        similarity = similarities(features, self.support, self.distance) + self.log_weight
        return attention(similarity, self.codes, self.n_classes)

    def structure(self) -> dict[str, int]:
        """Return how many rows are kept."""
        return {"n_support": len(self.support)}

    def restore_structure(self, structure: dict[str, int]) -> None:
        """Make room for so many rows."""
        n_support = structure["n_support"]
        self.support = self.support.new_zeros(n_support, self.support.shape[1])
        self.codes = self.codes.new_zeros(n_support)
        self.log_weight = self.log_weight.new_zeros(n_support)
