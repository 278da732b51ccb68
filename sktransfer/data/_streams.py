"""The rows of one domain in an endless order; weighted ones come as often as they weigh."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

# An integer weight is a count, as long as an epoch is at most so many times as long for it.
MOST_COPIES = 100


def draw_counts(weights: np.ndarray, generator: torch.Generator) -> Tensor:
    """Say how often each row comes in this epoch: ``weights`` on average.

    Systematic resampling, ``floor(W_i + u) - floor(W_{i-1} + u)`` with ``W`` the
    cumulative weights and one ``u`` uniform on [0, 1): every row comes
    ``floor(w_i)`` or ``ceil(w_i)`` times, so integer weights are exact counts.
    """
    shift = torch.rand((), generator=generator, dtype=torch.float64).item()
    cumulative = np.cumsum(weights)
    total = np.round(cumulative[-1])  # an integer, but for rounding errors
    cumulative = np.append(np.minimum(cumulative[:-1], total), total)
    return torch.from_numpy(np.diff(np.floor(cumulative + shift), prepend=0.0)).long()


def scale_weights(sample_weight: np.ndarray) -> np.ndarray:
    """Keep small integer weights, which are counts; give others mean 1 over weighted rows."""
    are_counts = np.array_equal(sample_weight, np.round(sample_weight))
    if are_counts and sample_weight.mean() <= MOST_COPIES:
        return sample_weight
    largest = sample_weight.max()  # first, so that no sum overflows
    scaled = sample_weight / largest
    scale: float = np.count_nonzero(scaled) / scaled.sum()
    weights: np.ndarray = scaled * scale
    return weights


class Stream:
    """The rows of one domain in an endless order, pass after pass.

    Parameters
    ----------
    n_rows : int
        Rows to draw from.
    weights : ndarray of shape (n_rows,) or None
        How often each comes.
    seed : int
        Decides their order.
    """

    def __init__(self, n_rows: int, weights: np.ndarray | None, seed: int):
        self.n_all = n_rows
        self.generator = torch.Generator().manual_seed(seed)
        self.weights = None if weights is None else scale_weights(weights)
        self.n_rows = max(1, n_rows if self.weights is None else round(self.weights.sum()))

    def take(self, n_rows: int) -> Tensor:
        """Return the numbers of so many rows, of as many passes as that takes."""
        parts, n_taken = [], 0
        for rows in self._passes():
            parts.append(rows)
            n_taken += len(rows)
            if n_taken >= n_rows:
                break
        return torch.cat(parts)[:n_rows]

    def _passes(self) -> Iterator[Tensor]:
        """Yield the numbers of the rows of each pass, shuffled; weighted ones in copies."""
        rows = torch.arange(self.n_all)
        weights: np.ndarray | None = None
        if self.weights is not None:  # what weighs nothing is to cost nothing, pass after pass
            weighted = np.flatnonzero(self.weights)
            rows, weights = torch.from_numpy(weighted), self.weights[weighted]
        while True:
            drawn = rows
            if weights is not None:
                drawn = rows.repeat_interleave(draw_counts(weights, self.generator))
            yield drawn[torch.randperm(len(drawn), generator=self.generator)]
