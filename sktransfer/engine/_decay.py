"""Weights that are drawn back towards zero after every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from ..data._batch import Batch


def decay_rate(learning_rate: float, weight_decay: float, n_rows: int) -> float:
    """Return ``min(1, learning_rate * weight_decay / sqrt(n_rows))``, a step's share of a weight.

    The noise of a mean over rows falls with the root of their number, and so does what
    has to be held against it.
    """
    return min(1.0, learning_rate * weight_decay / math.sqrt(n_rows))


def default_weights(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the weights of what was built by default; the user's own may have been trained."""
    for part in module.modules():
        if getattr(part, "is_default", False):
            yield from part.parameters()


class WeightDecay:
    """Takes a share of weights off them after every step.

    ``theta <- (1 - r) theta`` after every step, ``r`` the `decay_rate` times the factor of
    the learning rate's schedule, the same for all layers and whatever the optimizer
    (decoupled, as in Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
    ICLR 2019).

    Parameters
    ----------
    weights : iterable of Parameter
        What is drawn back.
    rate : float in [0, 1]
        Share of a weight that a step takes, where the schedule stands at 1.
    schedule : callable
        Factor of the learning rate, by training progress.
    """

    def __init__(
        self, weights: Iterable[nn.Parameter], rate: float, schedule: Callable[[float], float]
    ):
        self.weights, self.rate, self.schedule = list(weights), rate, schedule

    @torch.no_grad()
    def after_step(self, batch: Batch) -> None:
        """Take the step's share off the weights."""
        kept = 1 - self.rate * self.schedule(batch.progress)
        for weight in self.weights:
            weight.mul_(kept)

    def finish(self) -> None:
        """Do nothing: all has been done."""

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the weights are the network's."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing."""
