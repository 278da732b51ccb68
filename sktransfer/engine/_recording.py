"""What an epoch's steps cost and show, fetched from the device now and then."""

from __future__ import annotations

import operator
from collections import defaultdict
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from ..data._batch import RowMetric

# Steps whose losses are fetched from the device together.
STEPS_PER_FETCH = 100


class EpochRecorder:
    """Means of an epoch's losses and metrics, fetched from the device now and then.

    Parameters
    ----------
    epoch : int
        Number of the epoch, for the error message.
    """

    def __init__(self, epoch: int):
        self.epoch = epoch
        self._n_steps = 0
        self._losses: list[dict[str, Tensor]] = []
        self._row_metrics: list[dict[str, RowMetric]] = []
        self._sums: dict[str, float] = defaultdict(float)
        self._latest: dict[str, float | str] = {}

    def add(self, losses: dict[str, Tensor], metrics: dict[str, float | str | RowMetric]) -> None:
        """Take note of one step; of plain numbers the last one stays."""
        self._losses.append({name: loss.detach() for name, loss in losses.items()})
        rows: dict[str, RowMetric] = {}
        for name, value in metrics.items():
            if isinstance(value, RowMetric):
                rows[name] = value
            else:
                self._latest[name] = value
        self._row_metrics.append(rows)
        if len(self._losses) == STEPS_PER_FETCH:
            self._fetch()

    def finish(self) -> dict[str, float | str]:
        """Return the means by name, with the sum of the losses as ``train_loss``, and the rest."""
        if self._losses:
            self._fetch()
        means = {name: total / self._n_steps for name, total in self._sums.items()}
        return {**means, **self._latest}

    def _fetch(self) -> None:
        names = list(self._losses[0])
        flat = torch.stack([loss for step in self._losses for loss in step.values()])
        values = flat.double().cpu().numpy().reshape(-1, len(names))
        self._check_finite(names, values)
        for name, total in zip(names, values.sum(axis=0).tolist(), strict=True):
            self._sums[name] += total
        self._sums["train_loss"] += float(values.sum())
        for name, metric in self._row_metrics[0].items():
            steps = [step[name].tensors for step in self._row_metrics]
            rows = [torch.cat(r) for r in zip(*steps, strict=True)]
            self._sums[name] += metric.function(*rows).item() * len(self._losses)
        self._n_steps += len(self._losses)
        self._losses.clear()
        self._row_metrics.clear()

    def _check_finite(self, names: list[str], values: np.ndarray) -> None:
        finite = np.isfinite(values)
        if not finite.all():
            step, column = np.argwhere(~finite)[0]
            place = f"epoch {self.epoch}, batch {self._n_steps + step + 1}"
            raise diverged(f"{names[column]} became {values[step, column]}", place)


def diverged(what: str, where: str) -> ValueError:
    """Return the error for numbers that are no longer finite."""
    return ValueError(
        f"{what} in {where}. Try a smaller learning_rate (or lambda_), scale the features "
        "(StandardScaler), or clip gradients "
        "(callbacks=[skorch.callbacks.GradientNormClipping(1.0)])."
    )


def total(losses: dict[str, Tensor]) -> Tensor:
    """Return the sum of the losses."""
    return reduce(operator.add, losses.values())
