"""Distances of rows by products of matrices."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    """Return ``||a - b||^2`` of all pairs, of shape (n_rows, n_others), and never below 0.

    As ``||a||^2 - 2 ab + ||b||^2`` from the mean of `others`, which leaves a few roundings of the
    squared lengths from there, however far from 0 the rows are. Where all rows are equal it is 0.
    """
    with torch.no_grad():
        # By way of one of them: so the mean of equal rows is that very row.
        centre = others[0] + (others - others[0]).mean(dim=0)
    rows, others = rows - centre, others - centre
    products = torch.addmm(others.square().sum(dim=1), rows, others.T, alpha=-2)
    return (products + rows.square().sum(dim=1, keepdim=True)).clamp(min=0)
