"""Rows of a domain on the device, and the batches that pair source with target."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ._lazy import LazyArray, LazyRows
from ._processes import Processes


@dataclass(slots=True)
class DomainBatch:
    """What one training step sees: rows of both domains and what the body made of them.

    The iterator fills the first four fields (rows are a tensor, or a tuple of what a
    frozen part has made of them), the network the features (joint
    ones only where both domains went through the body in one pass) and logits,
    and an objective may add to `metrics` what `history_` should show.
    """

    X_source: Any
    y_source: Tensor
    X_target: Tensor | None
    progress: float
    source_features: Tensor = field(init=False)
    source_logits: Tensor = field(init=False)
    target_features: Tensor = field(init=False)
    joint_features: Tensor | None = field(init=False, default=None)
    lambda_: float = field(init=False, default=0.0)
    metrics: dict[str, float | str | RowMetric] = field(init=False, default_factory=dict)


class RowMetric(NamedTuple):
    """A metric of a step's rows that is worked out later, for the rows of many steps at once.

    `function` gets each of `tensors`, the rows of all steps joined, and returns a scalar.
    """

    function: Callable[..., Tensor]
    tensors: tuple[Tensor, ...]


class DenseRows:
    """Rows of an array, moved to the device once and cast batch by batch.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n_rows, ...)
        Floats become `dtype` at once; small integers (images) keep their type
        in memory.
    device : torch.device
        Where the rows live.
    dtype : torch.dtype
        What `take` returns.
    """

    def __init__(self, X: np.ndarray | Tensor, device: torch.device, dtype: torch.dtype):
        with warnings.catch_warnings():
            # Nothing here writes to the rows, so read-only memory is fine.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            rows = torch.as_tensor(X)
        wide = rows.is_floating_point() or rows.element_size() >= dtype.itemsize
        self.rows = rows.to(device, dtype) if wide else rows.to(device)
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, order: Tensor) -> Tensor:
        """Return the rows of these numbers, in `dtype`."""
        return self.rows.index_select(0, order).to(self.dtype)

    def slice(self, start: int, stop: int) -> Tensor:
        """Return a copy of the rows from `start` to `stop`, in `dtype`."""
        return self.rows[start:stop].to(self.dtype, copy=True)

    def array(self) -> np.ndarray:
        """Return all rows as `predict` takes them."""
        return self.rows.cpu().numpy()


class SparseRows:
    """Rows of a CSR matrix, made dense batch by batch and never whole.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_rows, n_features)
        Kept as it is.
    device : torch.device
        Where the dense batches go.
    dtype : torch.dtype
        What `take` returns.
    """

    def __init__(self, X: Any, device: torch.device, dtype: torch.dtype):
        self.rows = X
        self.device = device
        self.dtype = dtype

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def take(self, order: Tensor) -> Tensor:
        """Return the rows of these numbers, dense, in `dtype`."""
        return self._dense(self.rows[order.cpu().numpy()])

    def slice(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to `stop`, dense, in `dtype`."""
        return self._dense(self.rows[start:stop])

    def array(self) -> Any:
        """Return all rows as `predict` takes them."""
        return self.rows

    def _dense(self, rows: Any) -> Tensor:
        return torch.from_numpy(rows.toarray()).to(self.device, self.dtype)


class Rows(Protocol):
    """What batches are taken from: tensors, or tuples of them."""

    def __len__(self) -> int: ...

    def take(self, order: Tensor) -> Any:
        """Return the rows of these numbers."""

    def slice(self, start: int, stop: int) -> Any:
        """Return the rows from `start` to `stop`."""


def make_rows(X: Any, device: torch.device, dtype: torch.dtype, num_workers: int = 0) -> Rows:
    """Put checked `X` where batches can be taken from it."""
    if isinstance(X, LazyArray):
        return LazyRows(X, device, dtype, num_workers)
    rows = SparseRows if scipy.sparse.issparse(X) else DenseRows
    return rows(X, device, dtype)


def take_each(rows: Rows, steps: Iterable[Tensor]) -> Iterator[Any]:
    """Yield the rows of each step, read ahead where they are read at all."""
    return rows.take_each(steps) if isinstance(rows, LazyRows) else map(rows.take, steps)


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
    """Keep integer weights, which are counts; give others the mean 1 over weighted rows."""
    if np.array_equal(sample_weight, np.round(sample_weight)):
        return sample_weight
    scale: float = np.count_nonzero(sample_weight) / sample_weight.sum()
    return sample_weight * scale


class DomainBatches:
    """The training steps: each epoch passes once over the longer domain.

    The longer domain is cut into steps of equal size (give or take one row), so
    that no row is dropped and no batch is much smaller than the rest; the
    shorter domain cycles, reshuffled at every turn. Weighted source rows come as
    often as they weigh, which serves every loss and every batch statistic alike.

    Parameters
    ----------
    source : Rows
        The labelled rows.
    y_source : Tensor of shape (n_source,)
        Class indices, on the device.
    target : Rows or None
        The rows to adapt to.
    sample_weight : ndarray of shape (n_source,) or None
        Weights of the source rows.
    batch_size : int
        Most rows of one domain in a step.
    seed : int
        Decides the order of the rows of both domains.
    processes : Processes
        Those that share each step: it has `batch_size` rows of a domain for each of
        them, of which the batches hold this one's.
    """

    def __init__(
        self,
        source: Rows,
        y_source: Tensor,
        target: Rows | None,
        sample_weight: np.ndarray | None,
        batch_size: int,
        seed: int,
        processes: Processes,
    ):
        self.source, self.y_source, self.target = source, y_source, target
        self.weights = None if sample_weight is None else scale_weights(sample_weight)
        self.batch_size = batch_size * processes.size
        self.processes = processes
        # A stream each, so that a target does not change the order of the source.
        self._source_generator = torch.Generator().manual_seed(seed)
        self._target_generator = torch.Generator().manual_seed(seed + 1)
        n_source = len(source) if self.weights is None else max(1, round(self.weights.sum()))
        self.n_source, self.n_target = n_source, 0 if target is None else len(target)
        self.n_steps = math.ceil(max(self.n_source, self.n_target) / self.batch_size)

    def epoch(self, done: float, share: float) -> Iterator[DomainBatch]:
        """Yield the batches of one epoch.

        Parameters
        ----------
        done : float in [0, 1]
            Training progress at the beginning of the epoch.
        share : float in [0, 1]
            What the epoch adds to it.
        """
        source_steps = self._plan(self.n_source, self._source_pass)
        source = take_each(self.source, source_steps)
        target: Iterable[Any] = itertools.repeat(None)
        if self.target is not None:
            target = take_each(self.target, self._plan(self.n_target, self._target_pass))
        for step, (rows, X_source, X_target) in enumerate(
            zip(
                source_steps, source, target, strict=False
            )  # without a target there is no end to it
        ):
            y_source = self.y_source.index_select(0, rows)
            yield DomainBatch(X_source, y_source, X_target, done + share * step / self.n_steps)

    def _source_pass(self) -> Tensor:
        rows = torch.arange(len(self.source))
        if self.weights is not None:
            rows = rows.repeat_interleave(draw_counts(self.weights, self._source_generator))
        return rows[torch.randperm(len(rows), generator=self._source_generator)]

    def _target_pass(self) -> Tensor:
        return torch.randperm(self.n_target, generator=self._target_generator)

    def _plan(self, n_rows: int, one_pass: Callable[[], Tensor]) -> Sequence[Tensor]:
        order = one_pass()
        if n_rows != max(self.n_source, self.n_target):
            # A lone row comes twice, so that it has batch statistics.
            n_taken = self.n_steps * max(2, min(self.batch_size, n_rows))
            n_passes = math.ceil(n_taken / max(1, len(order)))
            order = torch.cat([order, *(one_pass() for _ in range(n_passes - 1))])[:n_taken]
        order = order.to(self.y_source.device)
        cuts = [step * len(order) // self.n_steps for step in range(self.n_steps + 1)]
        steps = order.split([stop - start for start, stop in itertools.pairwise(cuts)])
        return [self.processes.share(step) for step in steps]
