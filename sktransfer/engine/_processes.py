"""Training in step with other processes, each on its share of every batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Processes:
    """The processes that train one model together, as one of them sees it.

    Parameters
    ----------
    device : torch.device
        Where this one computes.
    rank : int
        Number of this process.
    size : int
        How many there are; of a single one nothing is exchanged.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    def agree(self, numbers: Iterable[int]) -> list[int]:
        """Return the first process's numbers."""
        if self.size == 1:
            return list(numbers)
        tensor = torch.tensor(list(numbers), dtype=torch.int64, device=self.device)
        distributed.broadcast(tensor, 0)
        return tensor.tolist()

    def copy_first(self, module: nn.Module) -> None:
        """Give the module the first process's weights and statistics."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, 0)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensor of each process, on the CPU."""
        if self.size == 1:
            return [tensor]
        mine = tensor.to(self.device)
        tensors = [torch.empty_like(mine) for _ in range(self.size)]
        distributed.all_gather(tensors, mine)
        return [each.cpu() for each in tensors]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.size > 1:
            self._average([p.grad for p in parameters if p.grad is not None])

    def average_statistics(self, module: nn.Module) -> None:
        """Replace each running statistic by its mean over the processes."""
        if self.size > 1:
            self._average([buffer for buffer in module.buffers() if buffer.is_floating_point()])

    def average_records(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what was recorded, numbers averaged over the processes."""
        names = [name for name, value in values.items() if isinstance(value, float)]
        if self.size == 1 or not names:
            return values
        recorded = [values[name] for name in names]
        means = torch.tensor(recorded, dtype=torch.float64, device=self.device)
        self._average([means])
        return {**values, **dict(zip(names, means.tolist(), strict=True))}

    def _average(self, tensors: list[Tensor]) -> None:
        for dtype in {tensor.dtype for tensor in tensors}:
            some = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in some])
            distributed.all_reduce(flat)
            flat /= self.size
            sizes = [tensor.numel() for tensor in some]
            for tensor, mean in zip(some, flat.split(sizes), strict=True):
                tensor.copy_(mean.reshape(tensor.shape))


def join_processes(data_parallel: bool, device: torch.device) -> Processes:
    """Join the processes that a launcher has started, each of which has a GPU of its own.

    Raises
    ------
    ImportError
        Where Accelerate is missing.
    """
    if not data_parallel:
        return Processes(device)
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError(
            "data_parallel=True needs Accelerate, which joins the processes: "
            "pip install 'sktransfer[distributed]'."
        ) from error
    on_cpu = device.type == "cpu"
    state = PartialState(cpu=on_cpu)
    own = device if on_cpu else state.device
    return Processes(own, state.process_index, state.num_processes)


def draw_seeds(random_state: np.random.RandomState, n_seeds: int) -> list[int]:
    """Return seeds of 31 bits."""
    return [int(seed) for seed in random_state.randint(np.iinfo(np.int32).max, size=n_seeds)]
