"""The private skorch net: one objective per batch of both domains, a lean epoch."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import scipy.sparse
import scipy.special
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from skorch.dataset import Dataset
from skorch.utils import TeeGenerator
from torch import Tensor, nn

from ._batches import DomainBatch, DomainBatches, Rows, make_rows
from ._lazy import LazyArray, LazyRows, MappedArray
from ._processes import Processes
from ._recording import EpochRecorder, total
from ._runtime import PrivateGenerators, limited_threads, reproducible_kernels
from .schedules import constant

Objective = Callable[[DomainBatch], dict[str, Tensor]]

# Numbers a prediction passes through the network at once, at least a batch of rows.
PREDICTION_ELEMENTS = 2**20

BATCH_EVENTS = ("on_batch_begin", "on_batch_end")


class TransferNet(NeuralNet):
    """skorch's net, trained on pairs of batches by a method's objective.

    Callbacks, history, optimizer and pickling are skorch's own. What differs is
    the epoch: batches come from `DomainBatches`, already on the device; losses
    are fetched from it every 100 steps and recorded by their names; and events
    of single batches are sent only where a callback listens.

    Parameters
    ----------
    module, optimizer, lr, batch_size, device, callbacks
        As in skorch.
    generators : PrivateGenerators
        Torch's generators while the network computes.
    learning_rate_schedule : callable
        Factor of the learning rate, by training progress.
    row_flops : float
        Forward work of one row, which decides the number of threads.
    dtype : torch.dtype
        What rows are cast to.
    classes : ndarray of shape (n_classes,)
        What `predict` answers with.
    input_shape : tuple of int
        Shape of one row as the user gives it.
    num_workers : int
        Processes that read the rows of a Dataset.
    processes : Processes
        Those that train together.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float,
        batch_size: int,
        device: str,
        callbacks: list[Any],
        generators: PrivateGenerators,
        learning_rate_schedule: Callable[[float], float],
        row_flops: float,
        dtype: torch.dtype,
        classes: np.ndarray,
        input_shape: tuple[int, ...],
        num_workers: int,
        processes: Processes,
    ):
        super().__init__(
            module,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=optimizer,
            lr=lr,
            batch_size=batch_size,
            device=device,
            callbacks=callbacks,
            train_split=None,
            use_caching=False,
            verbose=0,
        )
        self.generators = generators
        self.learning_rate_schedule = learning_rate_schedule
        self.row_flops = row_flops
        self.dtype = dtype
        self.classes = classes
        self.input_shape = input_shape
        self.num_workers = num_workers
        self.processes = processes

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    def train(
        self,
        batches: DomainBatches,
        objective: Objective,
        epochs: int,
        progress: tuple[float, float] = (0.0, 1.0),
        dataset: Dataset | None = None,
    ) -> bool:
        """Train by the objective, on top of what was trained before.

        Parameters
        ----------
        batches : DomainBatches
            The steps.
        objective : callable
            Returns the losses of a batch by name; training minimises their sum.
        epochs : int
            Passes over the batches.
        progress : tuple of float, default=(0.0, 1.0)
            Where schedules stand at the beginning and at the end.
        dataset : skorch Dataset or None, default=None
            Rows and labels for callbacks that ask for those trained on.

        Returns
        -------
        bool
            Whether training may go on: False after Ctrl-C.
        """
        self.max_epochs, self.interrupted_ = epochs, True
        self.processes.copy_first(self.module_)  # to which a stage may have added modules
        self.step_generators_ = self._own_generators()
        self.partial_fit(batches, objective=objective, progress=progress, dataset=dataset)
        return not self.interrupted_

    def fit_loop(
        self,
        X: DomainBatches,
        y: None = None,
        epochs: None = None,
        *,
        objective: Objective,
        progress: tuple[float, float],
        dataset: Dataset | None,
        **fit_params: Any,
    ) -> TransferNet:
        """Train as `train` says; `X` holds the batches."""
        data = {"dataset_train": dataset, "dataset_valid": None}
        rates = [group["lr"] for group in self.optimizer_.param_groups]
        start, share = progress[0], (progress[1] - progress[0]) / self.max_epochs
        with self.step_threads(X), reproducible_kernels(torch.device(self.device)):
            try:
                for epoch in range(self.max_epochs):
                    self.notify("on_epoch_begin", **data)
                    self._train_epoch(X, start + epoch * share, share, rates, objective)
                    if not self._goes_on_after(data):
                        break
            finally:
                self._set_learning_rates(rates, None)
        self.interrupted_ = False
        return self

    def _goes_on_after(self, data: dict[str, Dataset | None]) -> bool:
        try:
            self.notify("on_epoch_end", **data)
        except KeyboardInterrupt:  # how skorch's callbacks end training
            return False
        return True

    def _train_epoch(
        self,
        batches: DomainBatches,
        done: float,
        share: float,
        rates: list[float],
        objective: Objective,
    ) -> None:
        batches_heard = self._has_listener(*BATCH_EVENTS)
        gradients_heard = self._has_listener("on_grad_computed")
        recorder = EpochRecorder(epoch=len(self.history))
        self._set_training(True)
        try:
            for batch in batches.epoch(done, share):
                self._set_learning_rates(rates, batch.progress)
                if batches_heard:
                    self.notify("on_batch_begin", batch=batch, training=True)
                losses = self.train_step(batch, objective=objective, heard=gradients_heard)
                recorder.add(losses, batch.metrics)
                if batches_heard:
                    step = {"loss": total(losses).detach(), "y_pred": batch.source_logits.detach()}
                    self.notify("on_batch_end", batch=batch, training=True, **step)
                    self._set_training(True)
        except KeyboardInterrupt:
            self._record(recorder)
            raise
        self.processes.average_statistics(self.module_)
        self._record(recorder)

    def _record(self, recorder: EpochRecorder) -> None:
        device = torch.device(self.device)
        for name, value in self.processes.average_records(recorder.finish(), device).items():
            self.history.record(name, value)
        self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])

    def train_step(
        self, batch: DomainBatch, *, objective: Objective, heard: bool = False, **fit_params: Any
    ) -> dict[str, Tensor]:
        """Take one optimizer step down the sum of the objective's losses."""
        with self.step_generators_:
            losses = objective(batch)
            for parameter in self._trained():
                parameter.grad = None
            total(losses).backward()
        self.processes.average_gradients(self._trained())
        if heard:
            parameters = TeeGenerator(self.get_all_learnable_params())
            self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.step()
        return losses

    def _trained(self) -> Iterator[nn.Parameter]:
        return (p for group in self.optimizer_.param_groups for p in group["params"])

    def _own_generators(self) -> PrivateGenerators:
        """Return generators of this process, as its dropout is to differ from the others'."""
        rank, seed = self.processes.rank, self.generators.seed
        if rank == 0:
            return self.generators
        return PrivateGenerators(seed + 10_007 * rank + len(self.history), self.generators.device)

    def _set_learning_rates(self, rates: list[float], progress: float | None) -> None:
        """Set the rates scheduled for this progress, or (None) the ones before training."""
        if self.learning_rate_schedule is constant:
            return  # a callback may be the one that sets them
        factor = 1.0 if progress is None else self.learning_rate_schedule(progress)
        for group, rate in zip(self.optimizer_.param_groups, rates, strict=True):
            group["lr"] = rate * factor

    def _has_listener(self, *events: str) -> bool:
        return any(
            getattr(type(callback), event, None) is not getattr(Callback, event)
            for _, callback in self.callbacks_
            for event in events
        )

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Open a record for the batch."""
        self.history.new_batch()

    def on_batch_end(
        self,
        net: NeuralNet,
        batch: Any = None,
        training: bool = False,
        loss: Any = None,
        **kwargs: Any,
    ) -> None:
        """Record the batch for callbacks that listen to batches."""
        self.history.record_batch("train_loss", loss.item())
        self.history.record_batch("train_batch_size", len(batch.y_source))

    @contextlib.contextmanager
    def more_callbacks(self, named: list[tuple[str, Callback]]) -> Iterator[None]:
        """Have these called as well meanwhile, after the others."""
        before = list(self.callbacks_)
        self.callbacks_ += [(name, callback.initialize()) for name, callback in named]
        try:
            yield
        finally:
            self.callbacks_[:] = before

    def dataset(self, X: Any, y: np.ndarray) -> Dataset | None:
        """Return checked rows and labels as callbacks expect them; none where that reads all."""
        if isinstance(X, MappedArray) and X.order is None:
            X = X.source
        return None if scipy.sparse.issparse(X) or isinstance(X, LazyArray) else Dataset(X, y)

    def rows(self, X: Any) -> Rows:
        """Put checked rows on the device."""
        return make_rows(X, torch.device(self.device), self.dtype, self.num_workers)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each checked row."""
        labels: np.ndarray = self.classes[self.predict_proba(X).argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the softmax of the label logits of checked rows, shape (n, n_classes)."""
        probabilities: np.ndarray = scipy.special.softmax(self.forward_rows(self.rows(X)), axis=1)
        return probabilities

    def forward_rows(self, rows: Rows, method: str = "forward") -> np.ndarray:
        """Pass rows through the network in evaluation mode, in large batches."""
        compute = getattr(self.module_, method)
        self._set_training(False)
        with torch.inference_mode(), self.pass_threads(rows):
            parts = [compute(batch).cpu() for batch in self.large_batches(rows)]
        return torch.cat(parts).numpy()

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
        return max(int(self.batch_size), PREDICTION_ELEMENTS // n_elements)

    def step_threads(self, batches: DomainBatches) -> AbstractContextManager[None]:
        """Limit threads to what a step on these batches keeps busy."""
        n_domains = 1 if batches.target is None else 2
        return limited_threads(self.row_flops * n_domains * self.batch_size)
