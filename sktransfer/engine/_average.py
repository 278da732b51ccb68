"""Means of the weights: over the last steps of training, and one that moves with them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..data._batch import Batch


class WeightAverage:
    """Follows a network, and at the end of training puts the mean of its weights into it.

    ``theta <- 1/n sum_{k = 1}^{n} theta_k`` over the ``n`` steps of the last share of
    training (Polyak and Juditsky, 1992; as in Izmailov et al., "Averaging Weights Leads
    to Wider Optima and Better Generalization", UAI 2018, but after every step).
    Batch statistics are not averaged: they are to be estimated anew.

    Parameters
    ----------
    network : Module
        What is trained.
    share : float in (0, 1]
        Of the training steps, the last.
    """

    def __init__(self, network: nn.Module, share: float):
        self.network, self.share = network, share
        self.n_steps = 0
        self.means: list[Tensor] = []

    @torch.no_grad()
    def after_step(self, batch: Batch) -> None:
        """Take the weights into the mean, if training is far enough."""
        if batch.progress < 1 - self.share:
            return
        self.n_steps += 1
        weights = list(self.network.parameters())
        if self.n_steps == 1:
            self.means = [weight.detach().clone() for weight in weights]
            return
        for mean, weight in zip(self.means, weights, strict=True):
            mean.lerp_(weight, 1 / self.n_steps)

    @torch.no_grad()
    def finish(self) -> None:
        """Put the mean in the place of the weights; where training ended early there is none."""
        for mean, weight in zip(self.means, self.network.parameters(), strict=bool(self.means)):
            weight.copy_(mean)
        self.means, self.n_steps = [], 0

    def state_dict(self) -> dict[str, Any]:
        """Return the mean so far."""
        return {"n_steps": self.n_steps, "means": self.means}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a mean."""
        self.n_steps, weights = state["n_steps"], self.network.parameters()
        pairs = zip(state["means"], weights, strict=bool(state["means"]))
        self.means = [mean.to(weight.device) for mean, weight in pairs]


class MovingAverage:
    """A teacher: a copy of a network that follows it, ``theta_t <- d theta_t + (1 - d) theta``.

    After every step of the network (Tarvainen and Valpola, "Mean teachers are better role
    models", NeurIPS 2017). Its running batch statistics follow in the same way; it is in
    evaluation mode and learns nothing by itself.

    Parameters
    ----------
    followed : Module
        What is trained.
    decay : float in [0, 1)
        ``d``.
    """

    def __init__(self, followed: nn.Module, decay: float):
        self.followed, self.decay = followed, decay
        self.network = copy.deepcopy(followed).requires_grad_(False).eval()

    @torch.no_grad()
    def after_step(self, batch: Batch) -> None:
        """Follow the network."""
        # Not by the names of the state, of which layers that share a weight have several.
        for mine, followed in zip(_tensors(self.network), _tensors(self.followed), strict=True):
            if mine.is_floating_point():
                mine.lerp_(followed, 1 - self.decay)
            else:
                mine.copy_(followed)

    def finish(self) -> None:
        """Leave the network as it was trained."""

    def state_dict(self) -> dict[str, Any]:
        """Return the teacher's weights."""
        return {"network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such weights."""
        self.network.load_state_dict(state["network"])


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Yield parameters and buffers, each once."""
    yield from network.parameters()
    yield from network.buffers()
