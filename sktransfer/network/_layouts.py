"""Axes in another order than a module wants them: which other order it would take."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn


@torch.no_grad()
def layout_that_fits(module: nn.Module, X: Tensor) -> str:
    """Return the way out for a batch that a module refuses, where another layout passes.

    Parameters
    ----------
    module : Module
        In evaluation mode.
    X : Tensor of shape (n, ...)
        The batch that it has refused.
    """
    for why, code, batch in _other_layouts(X):
        try:
            output = module(batch)
        except Exception:  # whatever a module of the user's raises
            continue
        if isinstance(output, Tensor) and len(output) == len(X):
            return f" {why}: {code} brings them to a shape that it takes."
    return ""


def _other_layouts(X: Tensor) -> Iterator[tuple[str, str, Tensor]]:
    """Yield what is unlike, the code that changes it, and the batch after that."""
    if X.ndim == 4:
        yield "Channels come first", "X.transpose(0, 3, 1, 2)", X.permute(0, 3, 1, 2)
    if X.ndim == 3:
        channel = X[:, None]
        yield "An axis of channels is missing", "X[:, None]", channel
        yield "Channels come first", "X.transpose(0, 2, 1)", X.transpose(1, 2)
        repeated = "numpy.repeat(X[:, None], 3, axis=1)"
        yield "Three channels are wanted", repeated, channel.expand(-1, 3, -1, -1)
    if X.ndim == 2:
        side = math.isqrt(X.shape[1])
        if side * side == X.shape[1]:
            image = X.reshape(-1, 1, side, side)
            yield "Rows are to be images", f"X.reshape(-1, 1, {side}, {side})", image
        yield "An axis of channels is missing", "X[:, None]", X[:, None]
