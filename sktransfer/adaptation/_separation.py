"""Rows of a target set apart: those that resemble a class of the source, and those that do not."""

from __future__ import annotations

from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from ..data._sampler import DomainRows
from ..engine._net import TransferNet

# Share of the epochs in which the source alone is learned, before rows are set apart.
SEPARATE_AFTER = 0.25

# What a row of the target is, once set apart.
UNDECIDED, KNOWN, UNKNOWN = -1, 0, 1


def known_certainties(logits: Tensor, unknown: int) -> Tensor:
    """Return ``max over k != unknown of softmax(z_i)_k`` for each row, shape (n,).

    It is low where a row is like several classes, and where it is like the unknown.
    """
    probabilities = logits.softmax(dim=1)
    known = torch.cat([probabilities[:, :unknown], probabilities[:, unknown + 1 :]], dim=1)
    return known.max(dim=1).values


def lower_group(values: Tensor) -> Tensor:
    """Say which values belong to the lower of two groups, by k-means from the extremes.

    Each value goes with the nearer of two centres, at first the least and the greatest value and
    then the means of those that went with them, until none changes; of equally near ones
    with the upper. Where all values are one there is no lower group.

    Parameters
    ----------
    values : Tensor of shape (n,)

    Returns
    -------
    Tensor of bool of shape (n,)
    """
    border = (values.min() + values.max()) / 2
    below = values < border
    for _ in range(len(values)):  # the border moves one way: it passes each value once at most
        if not below.any():
            break
        border = (values[below].mean() + values[~below].mean()) / 2
        again = values < border
        if torch.equal(again, below):
            break
        below = again
    return below


class Separation(Callback):
    """Says before each epoch which rows of the target resemble no class of the source.

    Parameters
    ----------
    target : DomainRows
        With room in ``y`` for what each row is: `UNDECIDED` at first.
    unknown : int
        The class of all that is unknown.
    """

    def __init__(self, target: DomainRows, unknown: int):
        self.target, self.unknown = target, unknown
        self.n_epochs = 0

    @torch.no_grad()
    def on_epoch_begin(self, net: TransferNet, **kwargs: Any) -> None:
        """Set the rows apart, if the source is known by now."""
        if self.n_epochs >= SEPARATE_AFTER * net.max_epochs:
            network, y = net.module_, self.target.y
            assert y is not None
            logits = torch.from_numpy(
                net.engine.forward(network, network.forward, self.target.rows)
            )
            is_unknown = lower_group(known_certainties(logits, self.unknown))
            y.copy_(torch.where(is_unknown, UNKNOWN, KNOWN))
        self.n_epochs += 1

    def state_dict(self) -> dict[str, Any]:
        """Return which epoch is next, and what each row is."""
        return {"n_epochs": self.n_epochs, "groups": self.target.y}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        assert self.target.y is not None
        self.n_epochs = state["n_epochs"]
        self.target.y.copy_(state["groups"])
