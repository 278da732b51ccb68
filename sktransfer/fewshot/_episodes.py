"""Episodes: small problems of few classes with few rows each, drawn from many."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._row_order import order_rows
from ..data._batch import Batch, View
from ..data._rows import take_each
from ..data._sampler import DomainRows
from ..data._streams import draw_counts, scale_weights


class EpisodeSize(NamedTuple):
    """What an episode has at most: classes, and rows of each to learn from and to ask about."""

    n_way: int
    n_shot: int
    n_query: int


@dataclass(slots=True, kw_only=True)
class Episode(Batch):
    """A batch whose first rows are the support, and the rest the queries.

    ``source.y`` numbers the episode's own classes.

    Parameters
    ----------
    n_support : int
        Rows of the support.
    n_way : int
        Classes.
    """

    n_support: int
    n_way: int


def split_class(
    pool: np.ndarray, size: EpisodeSize, generator: torch.Generator
) -> list[np.ndarray]:
    """Draw a class's rows for an episode without replacement: its support and its queries.

    A class with too few rows gives of each its share, at least one to the support.
    """
    n_rows = min(size.n_shot + size.n_query, len(pool))
    n_support = round(n_rows * size.n_shot / (size.n_shot + size.n_query))
    n_support = min(size.n_shot, max(1, n_support))
    order = pool[torch.randperm(len(pool), generator=generator).numpy()]
    return [order[:n_support], order[n_support : min(n_rows, n_support + size.n_query)]]


class EpisodeSampler:
    """Episodes of classes drawn at random, each with rows drawn at random.

    What is drawn depends on the rows and their weights, not on their order: a row of
    weight 2 is two rows, and one of weight 0 is none.

    Parameters
    ----------
    domain : DomainRows
        Rows with the numbers of their classes.
    X : array
        The same rows, by whose contents they are ordered.
    size : EpisodeSize
        What each has at most.
    n_episodes : int
        In all of training.
    seed : int
        Decides what is drawn.
    device : torch.device
        Where the rows are.
    """

    def __init__(
        self,
        domain: DomainRows,
        X: Any,
        size: EpisodeSize,
        n_episodes: int,
        seed: int,
        device: torch.device,
    ):
        assert domain.y is not None
        self.domain, self.size, self.n_episodes, self.device = domain, size, n_episodes, device
        self.generator = torch.Generator().manual_seed(seed)
        # Apart, so that whole weights give the same episodes as copies of the rows.
        self.of_counts = torch.Generator().manual_seed(seed + 1)
        self.order = torch.from_numpy(order_rows(X, np.random.RandomState(0)))
        self.codes = domain.y.cpu()[self.order]
        weights = domain.sample_weight
        self.weights = None if weights is None else scale_weights(weights[self.order.numpy()])

    @property
    def rows_per_step(self) -> int:
        """Most rows of an episode."""
        n_way, n_shot, n_query = self.size
        return n_way * (n_shot + n_query)

    def epoch(self, done: float, share: float) -> Iterator[Episode]:
        """Yield the episodes of this part of training.

        Parameters
        ----------
        done : float in [0, 1]
            Training progress at the beginning.
        share : float in [0, 1]
            What the part adds to it.
        """
        first, last = round(done * self.n_episodes), round((done + share) * self.n_episodes)
        pools = self._pools()
        drawn = [self._draw(pools) for _ in range(last - first)]
        rows = [
            torch.from_numpy(np.concatenate(supports + queries)).to(self.device)
            for supports, queries in drawn
        ]
        taken = take_each(self.domain.rows, rows)
        for number, (X, of_episode) in enumerate(zip(taken, rows, strict=True), first):
            supports, queries = drawn[number - first]
            counts = [len(part) for part in supports + queries]
            y = torch.from_numpy(np.repeat(np.tile(np.arange(len(supports)), 2), counts))
            yield Episode(
                View(X, y.to(self.device), of_episode),
                None,
                number / self.n_episodes,
                n_support=sum(map(len, supports)),
                n_way=len(supports),
            )

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return where the generators stand."""
        return {"generators": [self.generator.get_state(), self.of_counts.get_state()]}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from where `state_dict` stood."""
        for generator, found in zip(
            (self.generator, self.of_counts), state["generators"], strict=True
        ):
            generator.set_state(found)

    def _pools(self) -> list[np.ndarray]:
        """Return the rows of each class that has any; weighted ones in copies.

        In arrays, of which torch would take several times as long to pick a few rows.
        """
        order, codes = self.order, self.codes
        if self.weights is not None:
            counts = draw_counts(self.weights, self.of_counts)
            order, codes = order.repeat_interleave(counts), codes.repeat_interleave(counts)
        return [order[codes == code].numpy() for code in codes.unique()]

    def _draw(self, pools: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Draw an episode in which there is something to ask about."""
        askable = [number for number, pool in enumerate(pools) if len(pool) > 1]
        chosen = torch.randperm(len(pools), generator=self.generator)[: self.size.n_way].tolist()
        if askable and not set(askable) & set(chosen):
            pick = int(torch.randint(len(askable), (), generator=self.generator))
            chosen[-1] = askable[pick]
        parts = [split_class(pools[number], self.size, self.generator) for number in chosen]
        supports, queries = [part[0] for part in parts], [part[1] for part in parts]
        if not any(map(len, queries)):  # in an epoch that no row of small weight came twice
            queries = copy.copy(supports)
        return supports, queries
