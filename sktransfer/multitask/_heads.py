"""A head for each task, those of one kind alike at first and not far from each other later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..network._build import make_head


class TaskHeads(nn.Module):
    """Heads that see the same features; what they give stands side by side.

    Parameters
    ----------
    heads : sequence of Module
        ``(n, n_features) -> (n, n_outputs)`` of each task.
    """

    def __init__(self, heads: Sequence[nn.Module]):
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs of all heads."""
        return torch.cat([head(features) for head in self.heads], dim=1)


def make_heads(
    given: Any, features: Tensor, sizes: Sequence[int], groups: Sequence[np.ndarray]
) -> nn.Module:
    """Return heads of so many outputs on features like these, those of a group with equal weights.

    By default all are one linear layer, whose rows are the heads.

    Parameters
    ----------
    given : Module, callable or None
        The user's parameter; a callable gets ``(n_features, n_outputs)`` of each task.
    features : Tensor of shape (n, n_features)
        What the body made of a few rows.
    sizes : sequence of int
        Outputs of each task.
    groups : sequence of ndarray of int
        Tasks whose heads say the same kind of thing.
    """
    n_features = features.shape[1]
    if given is None:
        n_outputs = sum(sizes)
        layer: Any = make_head(
            None, "head", features, n_outputs, (n_features, n_outputs), nn.Linear
        )
        with torch.no_grad():
            for group in groups:
                for value in (layer.weight, layer.bias):
                    rows = _rows_of(sizes, group)
                    value[rows] = value[rows[0]].clone()
        return layer
    heads = [
        make_head(given, "head", features, size, (n_features, size), nn.Linear) for size in sizes
    ]
    for group in groups:
        for code in group[1:]:
            heads[code].load_state_dict(heads[group[0]].state_dict())
    return TaskHeads(heads)


def deviation(values: Tensor) -> Tensor:
    """Return ``sum_t ||v_t - mean v||^2`` over the first axis."""
    return (values - values.mean(dim=0)).square().sum()


def stack_heads(
    head: nn.Module, sizes: Sequence[int], groups: Sequence[np.ndarray]
) -> Iterator[tuple[Tensor, bool]]:
    """Yield each parameter of a group's heads, stacked, and whether it multiplies features."""
    for group in groups:
        if isinstance(head, TaskHeads):
            of_each = zip(*(head.heads[code].parameters() for code in group), strict=True)
            yield from ((torch.stack(values), values[0].ndim > 1) for values in of_each)
        else:
            rows = torch.from_numpy(_rows_of(sizes, group))
            for value in head.parameters():
                yield value[rows], value.ndim > 1


def head_penalty(
    head: nn.Module,
    sizes: Sequence[int],
    groups: Sequence[np.ndarray],
    strength: float,
    intercept_strength: float,
) -> Tensor:
    """Return how far heads are from their groups' means.

    ``strength/T sum_t ||w_t - mean w||^2 + intercept_strength sum_t ||b_t - mean b||^2`` with
    the weights ``w_t`` of a head and what it adds, ``b_t``.
    """
    parts = [
        (strength / len(sizes) if are_weights else intercept_strength) * deviation(values)
        for values, are_weights in stack_heads(head, sizes, groups)
    ]
    return torch.stack(parts).sum() if parts else torch.zeros(())


def _rows_of(sizes: Sequence[int], group: np.ndarray) -> np.ndarray:
    """Return the outputs of a group's tasks, shape (n_tasks, n_outputs)."""
    starts = np.cumsum([0, *sizes])[group]
    rows: np.ndarray = starts[:, np.newaxis] + np.arange(sizes[group[0]])
    return rows
