"""Relations among the rows of a batch, and how far they are from what they were."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# What the angles weigh beside the distances, as in the paper.
ANGLE_WEIGHT = 2.0


def differences(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``f_i - f_j`` of all rows, (n, n, d), and their lengths, (n, n).

    Where two rows coincide the length is 0 and sends back no gradient.
    """
    gaps = features[:, None] - features[None]
    squares = gaps.square().sum(dim=2)
    apart = squares > 0
    return gaps, torch.where(apart, squares, 1.0).sqrt() * apart


def relative_distances(lengths: Tensor) -> Tensor:
    """Return distances in units of their mean over rows that do not coincide, (n, n)."""
    apart = (lengths > 0).to(lengths.dtype)
    mean = lengths.sum() / apart.sum().clamp(min=1)
    return lengths / torch.where(mean > 0, mean, 1.0)


def cosines(gaps: Tensor, lengths: Tensor) -> Tensor:
    """Return of rows ``j, i, k`` the cosine of the angle at ``j`` between ``i`` and ``k``.

    0 where a side has no length, and for ``i = k``, (n, n, n).
    """
    directions = gaps / torch.where(lengths > 0, lengths, 1.0)[:, :, None]
    between = directions @ directions.transpose(1, 2)
    return between * (1 - torch.eye(len(between)).to(between))


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
    now, then = differences(features), differences(before.detach())
    pairs, triples = n * (n - 1), n * (n - 1) * (n - 2)
    of_distances = F.huber_loss(
        relative_distances(now[1]), relative_distances(then[1]), reduction="sum"
    ) / max(1, pairs)
    of_angles = F.huber_loss(cosines(*now), cosines(*then), reduction="sum") / max(1, triples)
    return of_distances + ANGLE_WEIGHT * of_angles
