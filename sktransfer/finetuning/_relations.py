"""Relations among the rows of a batch, and how far they are from what they were."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..deep._distances import squared_distances

# What the angles weigh beside the distances, as in the paper.
ANGLE_WEIGHT = 2.0


def distances(features: Tensor) -> Tensor:
    """Return ``||f_i - f_j||`` of all rows in double precision, (n, n).

    Where two rows coincide, up to roundings, it is 0 and sends back no gradient.
    """
    if features.device.type != "mps":  # it knows no float64
        features = features.double()
    squares = squared_distances(features, features)
    # What products of matrices leave of a distance that is 0.
    rounding = 2 * features.shape[1] * torch.finfo(features.dtype).eps
    apart = squares > rounding * squares.detach().amax()
    return torch.where(apart, squares, 1.0).sqrt() * apart


def relative_distances(lengths: Tensor) -> Tensor:
    """Return distances in units of their mean over rows that do not coincide, (n, n)."""
    apart = (lengths > 0).to(lengths.dtype)
    mean = lengths.sum() / apart.sum().clamp(min=1)
    return lengths / torch.where(mean > 0, mean, 1.0)


def cosines(lengths: Tensor) -> Tensor:
    """Return of rows ``j, i, k`` the cosine of the angle at ``j`` between ``i`` and ``k``.

    By the law of cosines, ``(d_ji^2 + d_jk^2 - d_ik^2) / (2 d_ji d_jk)``. 0 where a side has no
    length, and for ``i = k``, (n, n, n).
    """
    apart = lengths > 0
    inverse = apart / torch.where(apart, lengths, 1.0)
    squares = lengths.square() / 2
    sides = squares[:, :, None] + squares[:, None] - squares
    others = 1 - torch.eye(len(lengths)).to(lengths)
    return sides * (inverse[:, :, None] * inverse[:, None] * others)


def relational_loss(features: Tensor, before: Tensor) -> Tensor:
    """Return how far distances and angles among rows are from what they were (RKD-DA).

    With ``h`` Huber's loss, ``x^2 / 2`` up to 1 and ``|x| - 1/2`` beyond::

        mean_{i != j} h(d_ij - d'_ij) + 2 mean_{i, j, k unequal} h(cos_ijk - cos'_ijk)

    Parameters
    ----------
    features : Tensor of shape (n, n_features)
        Of the body that learns.
    before : Tensor of shape (n, n_features_before)
        Of the same rows by the body as it was; it gets no gradient.

    Returns
    -------
    Tensor of shape ()
        0 where there are too few rows for either.
    """
    n = len(features)
    if n < 2:
        return 0 * features.sum()
    now, then = distances(features), distances(before.detach())
    pairs, triples = n * (n - 1), n * (n - 1) * (n - 2)
    of_distances = (
        F.huber_loss(relative_distances(now), relative_distances(then), reduction="sum") / pairs
    )
    of_angles = F.huber_loss(cosines(now), cosines(then), reduction="sum") / max(1, triples)
    return (of_distances + ANGLE_WEIGHT * of_angles).to(features.dtype)
