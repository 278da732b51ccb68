"""How a deep estimator gets its net: a fresh one, or one that goes on from an earlier fit."""

from __future__ import annotations

import copy
from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._task import Task
from ..data._rows import few_rows
from ..data._spread import warn_where_columns_outweigh
from ..engine._checks import check_schedule, copy_callbacks
from ..engine._engine import Engine
from ..engine._net import TransferNet
from ..engine._optimizers import LEARNING_RATE_SCHEDULES, look_up, make_optimizer, take_over
from ..engine._processes import Processes
from ..engine._progress import EpochProgressBar
from ..engine._runtime import PrivateGenerators
from ..network._network import TransferNetwork


class NetMaking(metaclass=ABCMeta):
    """Sets `net_`, ready to train; stands before the base of a deep estimator."""

    # Of the estimator that this is mixed into.
    optimizer: Any
    learning_rate: float
    learning_rate_schedule: Any
    batch_size: int
    callbacks: Any
    num_workers: int
    verbose: int

    # What is set here.
    net_: TransferNet
    input_shape_: tuple[int, ...]

    @abstractmethod
    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> TransferNetwork:
        """Build the network for rows like `X`, on the CPU, and check that it takes them.

        `default` is the type of floats where the modules do not say it.
        """

    def _build(self, X: Any, task: Task, seed: int, processes: Processes) -> None:
        """Make the net, for rows like `X`."""
        device = processes.device
        generators = PrivateGenerators(seed, device)
        double = X.dtype == np.float64 and device.type != "mps"  # which knows no float64
        default = torch.float64 if double else torch.float32  # scikit-learn's rule: that of X
        with generators.lent():
            network = self._make_network(few_rows(X), default, task.n_outputs)
        if getattr(network.body, "is_default", False):
            warn_where_columns_outweigh(self, X, "the default network hardly sees")
        if self.batch_size == 1 and any(isinstance(m, nn.BatchNorm1d) for m in network.modules()):
            raise ValueError(
                "batch_size=1 leaves BatchNorm1d nothing to normalise by; give a batch_size of at "
                "least 2, or a module with LayerNorm instead."
            )
        self._hold(network, task, generators, processes, X.shape[1:])

    def _continue(self, before: TransferNet, X: Any, task: Task, processes: Processes) -> None:
        """Make the net of an earlier one: copies of its weights and of its optimizer's state."""
        shape = before.engine.input_shape
        if self._source_names() != before.sources:
            raise ValueError(
                f"warm_start=True continues a fit on the sources {before.sources}; got domains of "
                f"{self._source_names()}. Set warm_start=False to start afresh."
            )
        if X.shape[1:] != shape or not task.equals(before.task):
            raise ValueError(
                f"warm_start=True continues a fit on rows of shape {shape}, {before.task}; got "
                f"rows of shape {X.shape[1:]}, {task}. Set warm_start=False to start afresh."
            )
        generators = PrivateGenerators(before.engine.generators.seed, processes.device)
        if before.engine.device.type == processes.device.type:
            generators.load_state_dict(before.engine.generators.state_dict())
        network = copy.deepcopy(before.module_)
        self._hold(network, before.task, generators, processes, shape)
        take_over(self.net_.optimizer_, before.optimizer_.state_dict())
        self.net_.history = copy.deepcopy(before.history)

    def _hold(
        self,
        network: TransferNetwork,
        task: Task,
        generators: PrivateGenerators,
        processes: Processes,
        input_shape: tuple[int, ...],
    ) -> None:
        """Put the network on the device and set `net_`, ready to train."""
        device = processes.device
        network.eval().to(device)
        processes.copy_first(network)
        engine = Engine(
            dtype=network.row_type,
            generators=generators,
            processes=processes,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            input_shape=tuple(input_shape),
            row_flops=network.row_flops(),
        )
        schedule = look_up(self.learning_rate_schedule, LEARNING_RATE_SCHEDULES)
        shown = self.verbose and processes.rank == 0
        progress_bar = [("progress_bar", EpochProgressBar())] if shown else []
        self.net_ = TransferNet(
            network,
            engine=engine,
            task=task,
            sources=self._source_names(),
            optimizer=make_optimizer(self.optimizer, device),
            lr=self.learning_rate,
            learning_rate_schedule=check_schedule(schedule, "learning_rate_schedule"),
            batch_size=self.batch_size,
            device=str(device),
            callbacks=[*copy_callbacks(self.callbacks), *progress_bar],
        )
        self.net_.initialize()
        groups = self._parameter_groups_of(network)
        self.net_.optimizer_ = self.net_.optimizer(groups, lr=self.learning_rate)
        self.input_shape_ = engine.input_shape

    def _source_names(self) -> list[Any] | None:
        """List the names of several sources, sorted; None for one."""
        names = getattr(self, "domains_", None)
        return None if names is None else names.tolist()

    def _parameter_groups_of(self, network: TransferNetwork) -> list[dict[str, Any]]:
        """Say how fast what learns, for stages that do not say it themselves."""
        return [{"params": list(network.parameters())}]
