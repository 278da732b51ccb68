"""Which rows make a batch: each step's share of every domain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._rows import Rows, take_each

# An integer weight is a count, as long as an epoch is at most so many times as long for it.
MOST_COPIES = 100


@dataclass(slots=True)
class View:
    """What a step sees of one domain.

    Parameters
    ----------
    X : Tensor, or tuple of what a frozen part has made of the rows
        The rows.
    y : Tensor of shape (n, ...) or None
        What is known of them, as the task has encoded it.
    rows : Tensor of int of shape (n,)
        Their numbers in the domain.
    features : Tensor of shape (n, n_features)
        What the body made of them; the network sets it.
    """

    X: Any
    y: Tensor | None
    rows: Tensor
    features: Tensor = field(init=False, repr=False)

    def __len__(self) -> int:
        return len(self.rows)


class RowMetric(NamedTuple):
    """A metric of a step's rows that is worked out later, for the rows of many steps at once.

    `function` gets each of `tensors`, the rows of all steps joined, and returns a scalar.
    """

    function: Callable[..., Tensor]
    tensors: tuple[Tensor, ...]


@dataclass(slots=True)
class Batch:
    """What one training step sees: a view of each domain, and what the network made of them.

    Parameters
    ----------
    source : View
        Of the labelled domain.
    target : View or None
        Of the domain to adapt to.
    progress : float in [0, 1]
        Share of the training steps already taken.
    source_outputs : Tensor of shape (n, n_outputs)
        The label head's, for the source; the network sets it.
    target_outputs : Tensor or None
        The label head's for the target, once the network was asked for them.
    joint_features : Tensor or None
        Of both domains, where they went through the body in one pass.
    lambda_ : float
        Weight of the adaptation in this step.
    metrics : dict
        What ``history_`` is to show of the step, by name.
    """

    source: View
    target: View | None
    progress: float
    source_outputs: Tensor = field(init=False, repr=False)
    target_outputs: Tensor | None = field(init=False, default=None, repr=False)
    joint_features: Tensor | None = field(init=False, default=None)
    lambda_: float = field(init=False, default=0.0)
    metrics: dict[str, float | str | RowMetric] = field(init=False, default_factory=dict)


@dataclass(frozen=True)
class DomainRows:
    """A domain on the device: what a `Sampler` draws from.

    Parameters
    ----------
    rows : Rows
        What batches are taken from.
    y : Tensor of shape (n_rows, ...) or None
        What is known of them, on the device.
    sample_weight : ndarray of shape (n_rows,) or None
        How often each comes, relatively or (small integers) in copies.
    """

    rows: Rows
    y: Tensor | None = None
    sample_weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)


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
    domain : DomainRows
        Where the rows are.
    seed : int
        Decides their order.
    """

    def __init__(self, domain: DomainRows, seed: int):
        self.domain = domain
        self.generator = torch.Generator().manual_seed(seed)
        weights = domain.sample_weight
        self.weights = None if weights is None else scale_weights(weights)
        n_rows = len(domain) if self.weights is None else round(self.weights.sum())
        self.n_rows = max(1, n_rows)

    def one_pass(self) -> Tensor:
        """Return the numbers of the rows of one pass, shuffled; weighted ones in copies."""
        rows = torch.arange(len(self.domain))
        if self.weights is not None:
            rows = rows.repeat_interleave(draw_counts(self.weights, self.generator))
        return rows[torch.randperm(len(rows), generator=self.generator)]

    def take(self, n_rows: int) -> Tensor:
        """Return the numbers of so many rows, of as many passes as that takes."""
        passes = [self.one_pass()]
        while sum(map(len, passes)) < n_rows:
            passes.append(self.one_pass())
        return torch.cat(passes)[:n_rows]


class Sampler:
    """The training steps: each epoch passes once over the longest domain.

    That domain is cut into steps of equal size (give or take one row), so that no
    row is dropped and no batch is much smaller than the rest; shorter domains
    cycle, reshuffled at every turn. Weighted rows come as often as they
    weigh, which serves every loss and every batch statistic alike.

    Parameters
    ----------
    source : DomainRows
        The labelled domain.
    target : DomainRows or None
        The domain to adapt to.
    batch_size : int
        Most rows of one domain in a step; one more, where a row would be left alone.
    seed : int
        Decides the order of the rows of both domains.
    device : torch.device
        Where the rows are.
    share : tuple of int, default=(0, 1)
        Number of this process, and how many share each step: it has `batch_size`
        rows of a domain for each of them, of which the batches hold this one's.
        An epoch then takes up to ``n_processes - 1`` rows a step twice, so that all
        have the same number.
    """

    def __init__(
        self,
        source: DomainRows,
        target: DomainRows | None,
        batch_size: int,
        seed: int,
        device: torch.device,
        share: tuple[int, int] = (0, 1),
    ):
        self.source, self.target, self.device = source, target, device
        # A stream each, so that a target does not change the order of the source.
        self.streams = [Stream(source, seed)]
        if target is not None:
            self.streams.append(Stream(target, seed + 1))
        self.rank, self.n_processes = share
        self.batch_size = batch_size * self.n_processes
        longest = max(stream.n_rows for stream in self.streams)
        self.n_steps = math.ceil(longest / self.batch_size)
        if batch_size > 1:  # no row alone: it would have no batch statistics
            self.n_steps = max(1, min(self.n_steps, longest // (2 * self.n_processes)))
        self.longest = longest

    @property
    def rows_per_step(self) -> int:
        """Most rows of both domains that this process passes in a step."""
        return len(self.streams) * self.batch_size // self.n_processes

    def epoch(self, done: float, share: float) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Parameters
        ----------
        done : float in [0, 1]
            Training progress at the beginning of the epoch.
        share : float in [0, 1]
            What the epoch adds to it.
        """
        source = self._views(self.streams[0])
        target: Iterable[View | None] = itertools.repeat(None)
        if self.target is not None:
            target = self._views(self.streams[1])
        for step, (of_source, of_target) in enumerate(zip(source, target, strict=False)):
            yield Batch(of_source, of_target, done + share * step / self.n_steps)

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return where the order of each domain stands."""
        return {"generators": [stream.generator.get_state() for stream in self.streams]}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from where `state_dict` stood."""
        for stream, generator in zip(self.streams, state["generators"], strict=True):
            stream.generator.set_state(generator)

    def _views(self, stream: Stream) -> Iterator[View]:
        domain, steps = stream.domain, self._plan(stream)
        for rows, X in zip(steps, take_each(domain.rows, steps), strict=True):
            yield View(X, None if domain.y is None else domain.y.index_select(0, rows), rows)

    def _plan(self, stream: Stream) -> list[Tensor]:
        """Return the rows of each step of an epoch."""
        if stream.n_rows == self.longest and (self.longest > 1 or self.batch_size == 1):
            n_taken = self.longest
        else:  # a lone row comes twice, so that it has batch statistics
            n_taken = self.n_steps * max(2, min(self.batch_size, stream.n_rows))
        cuts = [step * n_taken // self.n_steps for step in range(self.n_steps + 1)]
        order = stream.take(n_taken).to(self.device)
        return [self._share(order[start:stop]) for start, stop in itertools.pairwise(cuts)]

    def _share(self, rows: Tensor) -> Tensor:
        """Return this process's share of a step's rows, as many as every other has."""
        if self.n_processes == 1:
            return rows
        missing = -len(rows) % self.n_processes
        filled = torch.cat([rows, rows.repeat(missing)[:missing]])
        return filled[self.rank :: self.n_processes]
