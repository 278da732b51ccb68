"""Rows of a domain that stand for all, and what a network makes of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data._rows import Rows
from ..data._sampler import DomainRows, Sampler
from ..engine._net import TransferNet

MOST_ROWS = 2000  # of a domain that are looked at


def even_rows(domain: DomainRows) -> SomeRows:
    """Return rows at even distances, `MOST_ROWS` at most, of those that weigh something."""
    weight = domain.sample_weight
    weighted = torch.from_numpy(np.flatnonzero(np.ones(len(domain)) if weight is None else weight))
    n_rows = len(weighted)
    kept = torch.linspace(0, n_rows - 1, min(n_rows, MOST_ROWS), dtype=torch.float64)
    return SomeRows(domain.rows, weighted[kept.long()])


class SomeRows:
    """Those of the rows that have these numbers."""

    def __init__(self, rows: Rows, numbers: Tensor):
        self.rows, self.numbers = rows, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, order: Tensor) -> Any:
        """Return the rows of these numbers."""
        return self.rows.take(self.numbers.to(order.device)[order])

    def slice(self, start: int, stop: int) -> Any:
        """Return the rows from start to stop."""
        return self.rows.take(self.numbers[start:stop])

    def passed(self, net: TransferNet, compute: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Return what a part of the network makes of all.

        No more rows are read at once than in training.
        """
        pieces = [SomeRows(self.rows, part) for part in self.numbers.split(net.engine.batch_size)]
        return np.concatenate([net.engine.forward(net.module_, compute, piece) for piece in pieces])


class Seen(NamedTuple):
    """Features of rows, and what the label head says of them."""

    features: np.ndarray
    outputs: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """The classes that are predicted."""
        predicted: np.ndarray = self.outputs.argmax(axis=1)
        return predicted

    @property
    def probabilities(self) -> np.ndarray:
        """Those of the classes."""
        probabilities: np.ndarray = torch.from_numpy(self.outputs).softmax(dim=1).numpy()
        return probabilities


def look(net: TransferNet, rows: SomeRows, body: Callable[[Tensor], Tensor]) -> Seen:
    """Return what the body makes of all rows, and the label head of that."""
    network = net.module_

    def features_and_outputs(X: Tensor) -> Tensor:
        features = body(X)
        return torch.cat([features, network.label_head(features)], dim=1)

    made = rows.passed(net, features_and_outputs).astype(np.float64)
    return Seen(*np.split(made, [network.n_features], axis=1))


class Looks:
    """What a network makes of both domains at one time, each of which is passed when asked for.

    Parameters
    ----------
    net : TransferNet
        Passes them.
    sampler : Sampler
        Has the rows of both domains.
    """

    def __init__(self, net: TransferNet, sampler: Sampler):
        self.net, self.sampler = net, sampler

    @cached_property
    def rows_of_source(self) -> SomeRows:
        """Those that are passed."""
        return even_rows(self.sampler.source)

    @cached_property
    def rows_of_target(self) -> SomeRows:
        """Those that are passed."""
        assert self.sampler.target is not None
        return even_rows(self.sampler.target)

    @cached_property
    def source(self) -> Seen:
        """Rows of the source."""
        return look(self.net, self.rows_of_source, self.net.module_.source_features)

    @cached_property
    def target(self) -> Seen:
        """Rows of the target."""
        return look(self.net, self.rows_of_target, self.net.module_.features)
