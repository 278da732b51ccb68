"""Skorch's face of what is trained: callbacks, history, optimizer, pickling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never

import numpy as np
import scipy.sparse
import scipy.special
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from skorch.dataset import Dataset
from torch import nn

from .._task import Classification, Task
from ..data._lazy import LazyArray, MappedArray
from ._engine import Engine


class TransferNet(NeuralNet):
    """A skorch net that an `Engine` trains.

    Parameters
    ----------
    module, optimizer, lr, batch_size, device, callbacks
        As in skorch.
    engine : Engine
        What trains it, and passes rows through it.
    task : Task
        What it learns.
    sources : list or None
        Names of several sources that it learns from.
    learning_rate_schedule : callable
        Factor of the learning rate, by training progress.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        engine: Engine,
        task: Task,
        sources: list[Any] | None,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float,
        batch_size: int,
        device: str,
        callbacks: list[Any],
        learning_rate_schedule: Callable[[float], float],
    ):
        super().__init__(
            module,
            criterion=torch.nn.CrossEntropyLoss,  # never called: the task knows the loss
            optimizer=optimizer,
            lr=lr,
            batch_size=batch_size,
            device=device,
            callbacks=callbacks,
            train_split=None,
            use_caching=False,
            verbose=0,
        )
        self.engine = engine
        self.task = task
        self.sources = sources
        self.learning_rate_schedule = learning_rate_schedule

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.engine.input_shape

    @property
    def classes(self) -> np.ndarray:
        """The labels that are told apart; a regressor has none."""
        if not isinstance(self.task, Classification):
            raise AttributeError("a net that predicts numbers has no classes")
        return self.task.classes

    def holding(self, module: nn.Module, task: Task) -> TransferNet:
        """Return a net that is this one, but for its network and what it learns."""
        twin = TransferNet.__new__(TransferNet)
        twin.__dict__ = {**vars(self), "module_": module, "task": task}
        return twin

    def has_listener(self, *events: str) -> bool:
        """Whether a callback does something at one of these events."""
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
        self.history.record_batch("train_batch_size", len(batch.source))

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Never:
        """Refuse to be trained by itself, as skorch's nets are.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "net_ is trained by its estimator, which knows the domains: call the estimator's fit "
            "again, with warm_start=True to go on from here, or its adapt(X_target)."
        )

    partial_fit = fit

    def forward_rows(self, X: Any, method: str = "forward") -> np.ndarray:
        """Pass checked rows through a method of the network, in evaluation mode."""
        return self.engine.forward(self.module_, getattr(self.module_, method), self.rows(X))

    def rows(self, X: Any) -> Any:
        """Put checked rows on the device."""
        return self.engine.rows(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the answer for each checked row."""
        return self.task.answers(self.forward_rows(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the softmax of the outputs for checked rows, shape (n, n_outputs)."""
        probabilities: np.ndarray = scipy.special.softmax(self.forward_rows(X), axis=1)
        return probabilities

    def score(self, X: Any, y: Any) -> float:
        """Return how good the answers for checked rows are, as the task measures it."""
        return self.task.score(np.asarray(y), self.forward_rows(X))


def callback_dataset(X: Any, y: np.ndarray) -> Dataset | None:
    """Return checked rows and labels as callbacks expect them; none where that reads all."""
    if isinstance(X, MappedArray) and X.order is None:
        X = X.source
    return None if scipy.sparse.issparse(X) or isinstance(X, LazyArray) else Dataset(X, y)
