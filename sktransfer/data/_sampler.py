"""Which rows make a batch: each step's share of every domain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._batch import Batch, View
from ._rows import Rows, take_each
from ._streams import Stream


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
        How often each comes, relatively or (small integers) in copies; 0 for never.
    loss_weight : Tensor of shape (n_rows,) or None
        What the label loss of each is multiplied by, on the device.
    domains : ndarray of shape (n_rows,) or None
        Names of several sources; None for one.
    """

    rows: Rows
    y: Tensor | None = None
    sample_weight: np.ndarray | None = None
    loss_weight: Tensor | None = None
    domains: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def weights_by_domain(self) -> list[np.ndarray | None]:
        """Return for each source the weights of all rows, 0 for those of others."""
        if self.domains is None:
            return [self.sample_weight]
        weights = np.ones(len(self)) if self.sample_weight is None else self.sample_weight
        return [np.where(self.domains == name, weights, 0.0) for name in np.unique(self.domains)]

    def view(self, X: Any, rows: Tensor, n_domains: int) -> View:
        """Return what a step sees of these rows, which are `X`."""
        y, weight = (
            None if values is None else values.index_select(0, rows)
            for values in (self.y, self.loss_weight)
        )
        return View(X, y, rows, weight, n_domains)


class Streams:
    """What fills one view of a step: a stream of rows, or one for each of several sources.

    Parameters
    ----------
    domain : DomainRows
        Where the rows are.
    seeds : iterable of int
        Decide their order, one for each source.
    """

    def __init__(self, domain: DomainRows, seeds: Iterable[int]):
        self.domain = domain
        weights = domain.weights_by_domain()
        pairs = zip(weights, seeds, strict=False)
        self.each = [Stream(len(domain), weight, seed) for weight, seed in pairs]
        # As many of each source: shorter ones cycle while the longest passes once.
        self.n_rows = len(self.each) * max(stream.n_rows for stream in self.each)

    def take(self, n_rows: int) -> list[Tensor]:
        """Return the numbers of the rows of each source, so many in all."""
        return [stream.take(n_rows // len(self.each)) for stream in self.each]


class Sampler:
    """The training steps: each epoch passes once over the longest domain.

    That domain is cut into steps of equal size (give or take one row), so that no
    row is dropped and no batch is much smaller than the rest; shorter domains
    cycle, reshuffled at every turn. Weighted rows come as often as they
    weigh, which serves every loss and every batch statistic alike. Several sources
    share the rows of a step evenly, and count as long as the longest of them times
    their number.

    Parameters
    ----------
    source : DomainRows
        The labelled domain, or several of them.
    target : DomainRows or None
        The domain to adapt to.
    batch_size : int
        Most rows of one view in a step; one more, where a row would be left alone.
    seed : int
        Decides the order of the rows of all domains.
    device : torch.device
        Where the rows are.
    share : tuple of int, default=(0, 1)
        Number of this process, and how many share each step: it has `batch_size`
        rows of a view for each of them, of which the batches hold this one's.
        An epoch then takes up to ``n_processes - 1`` rows a step twice, so that all
        have the same number.
    labelled : DomainRows or None
        Rows of the target with labels. They cycle, and do not make an epoch longer.
    """

    def __init__(
        self,
        source: DomainRows,
        target: DomainRows | None,
        batch_size: int,
        seed: int,
        device: torch.device,
        share: tuple[int, int] = (0, 1),
        labelled: DomainRows | None = None,
    ):
        self.source, self.target, self.device = source, target, device
        # A stream each, so that a target does not change the order of the source.
        views = {
            "source": (source, itertools.chain([seed], itertools.count(seed + 3))),
            "target": (target, [seed + 1]),
            "labelled": (labelled, [seed + 2]),
        }
        self.streams = {
            name: Streams(domain, seeds)
            for name, (domain, seeds) in views.items()
            if domain is not None
        }
        self.rank, self.n_processes = share
        self.batch_size = batch_size * self.n_processes
        passing = [self.streams[name] for name in ("source", "target") if name in self.streams]
        self.longest = max(streams.n_rows for streams in passing)
        self.n_steps = math.ceil(self.longest / self.batch_size)
        if batch_size > 1:  # no row alone: it would have no batch statistics
            least = min(
                streams.n_rows // (2 * self.n_processes * len(streams.each))
                for streams in passing
                if streams.n_rows == self.longest
            )
            self.n_steps = max(1, min(self.n_steps, least))

    @property
    def rows_per_step(self) -> int:
        """Most rows of all views that this process passes in a step."""
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
        views: list[Iterable[View | None]] = [
            self._views(self.streams[name]) if name in self.streams else itertools.repeat(None)
            for name in ("target", "labelled")
        ]
        steps = zip(self._views(self.streams["source"]), *views, strict=False)
        for step, (source, target, labelled) in enumerate(steps):
            yield Batch(source, target, done + share * step / self.n_steps, labelled)

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return where the order of each domain stands."""
        return {"generators": [stream.generator.get_state() for stream in self._all()]}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from where `state_dict` stood."""
        for stream, generator in zip(self._all(), state["generators"], strict=True):
            stream.generator.set_state(generator)

    def _all(self) -> list[Stream]:
        return [stream for streams in self.streams.values() for stream in streams.each]

    def _views(self, streams: Streams) -> Iterator[View]:
        domain, steps = streams.domain, self._plan(streams)
        for rows, X in zip(steps, take_each(domain.rows, steps), strict=True):
            yield domain.view(X, rows, len(streams.each))

    def _plan(self, streams: Streams) -> list[Tensor]:
        """Return the rows of each step of an epoch, those of one source after another's."""
        n_domains = len(streams.each)
        longest_source = streams.n_rows // n_domains
        if streams.n_rows == self.longest and (longest_source > 1 or self.batch_size == 1):
            n_taken = longest_source
        else:  # a lone row comes twice, so that it has batch statistics
            size = min(self.batch_size, streams.n_rows) // n_domains
            n_taken = self.n_steps * max(2, size)
        cuts = [step * n_taken // self.n_steps for step in range(self.n_steps + 1)]
        orders = [order.to(self.device) for order in streams.take(n_taken * n_domains)]
        steps = [
            [self._share(order[start:stop]) for order in orders]
            for start, stop in itertools.pairwise(cuts)
        ]
        return [parts[0] if n_domains == 1 else torch.cat(parts) for parts in steps]

    def _share(self, rows: Tensor) -> Tensor:
        """Return this process's share of a step's rows, as many as every other has."""
        if self.n_processes == 1:
            return rows
        missing = -len(rows) % self.n_processes
        filled = torch.cat([rows, rows.repeat(missing)[:missing]])
        return filled[self.rank :: self.n_processes]
