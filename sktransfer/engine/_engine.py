"""Where and how rows pass through a network: device, precision, threads, generators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data._lazy import LazyRows
from ..data._rows import Rows, make_rows
from ._processes import Processes
from ._runtime import PrivateGenerators, device_at_hand, limited_threads

# Numbers a prediction passes through the network at once, at least a batch of rows.
PREDICTION_ELEMENTS = 2**20

# Most rows of them, as layers may be wider than rows.
PREDICTION_ROWS = 2**16


def to_numpy(values: Tensor) -> np.ndarray:
    """Return values as an array; those of bfloat16, which NumPy has not, in single precision."""
    array: np.ndarray = (values.float() if values.dtype == torch.bfloat16 else values).cpu().numpy()
    return array


@dataclass
class Engine:
    """The only holder of device, precision, generators, threads and processes.

    Parameters
    ----------
    dtype : torch.dtype
        What rows are cast to.
    generators : PrivateGenerators
        What torch draws from while a network is made and trained.
    processes : Processes
        Those that train together, and the device of this one, where networks and rows are.
    batch_size : int
        Least number of rows that pass at once where there is no training.
    num_workers : int
        Processes that read the rows of a Dataset.
    input_shape : tuple of int
        Shape of one row as the user gives it.
    row_flops : float
        Forward work of one row, which decides the number of threads.
    """

    dtype: torch.dtype
    generators: PrivateGenerators
    processes: Processes
    batch_size: int
    num_workers: int
    input_shape: tuple[int, ...]
    row_flops: float

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.processes = replace(self.processes, device=device_at_hand(self.device))

    @property
    def device(self) -> torch.device:
        """Where networks and rows are."""
        return self.processes.device

    def rows(self, X: Any) -> Rows:
        """Put checked rows where batches of them can be taken to the device."""
        return make_rows(X, self.device, self.dtype, self.num_workers)

    def forward(
        self, network: nn.Module, compute: Callable[[Any], Tensor], rows: Rows
    ) -> np.ndarray:
        """Pass rows through a part of a network in evaluation mode, in large batches.

        A trained network is in that mode already and is not touched: threads may
        call this side by side.
        """
        was_training = network.training
        if was_training:
            network.eval()
        draws = getattr(network, "draws", False)
        generators = self.generators.fresh().lent() if draws else nullcontext()
        with torch.inference_mode(), self.pass_threads(rows), generators:
            parts = [compute(batch).cpu() for batch in self.large_batches(rows)]
        if was_training:
            network.train()
        return to_numpy(torch.cat(parts))

    def large_batches(self, rows: Rows) -> Iterator[Any]:
        """Return the rows in order, in batches that suit a pass without training."""
        size = self._pass_size(rows)
        starts = range(0, len(rows), size)
        if isinstance(rows, LazyRows):
            steps = (torch.arange(start, min(start + size, len(rows))) for start in starts)
            return rows.take_each(steps)
        return (rows.slice(start, start + size) for start in starts)

    def pass_threads(self, rows: Rows) -> AbstractContextManager[None]:
        """Limit threads to what such a batch keeps busy."""
        return limited_threads(self.row_flops * min(self._pass_size(rows), len(rows)))

    def _pass_size(self, rows: Rows) -> int:
        n_elements = max(1, math.prod(self.input_shape))
        return max(self.batch_size, min(PREDICTION_ROWS, PREDICTION_ELEMENTS // n_elements))
