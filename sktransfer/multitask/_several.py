"""What a network learns of several tasks: labels of some of them for each row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from sklearn.metrics import accuracy_score, r2_score
from torch import Tensor
from torch.nn import functional as F

from .._task import Task


class SeveralTasks(Task):
    """Labels of shape (n_rows, n_tasks), NaN where there is none.

    Attributes
    ----------
    sizes : list of int
        Outputs of each task's head, which stand side by side.
    deviance : float
        What a loss is multiplied by, to be ``-log p`` of a label but for its scale.
    """

    is_stratified = False
    sizes: list[int]
    deviance: float

    @property
    def n_tasks(self) -> int:
        """How many tasks there are."""
        return len(self.sizes)

    @property
    def starts(self) -> list[int]:
        """The first output of each task."""
        return np.cumsum([0, *self.sizes[:-1]]).tolist()

    @abstractmethod
    def has_label(self, y: Tensor) -> Tensor:
        """Return which labels there are of encoded ones, shape (n, n_tasks)."""

    @abstractmethod
    def label_losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each label, 0 where there is none, shape (n, n_tasks)."""

    @abstractmethod
    def score_of(
        self, code: int, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return how good the outputs of one task are; NaN where that cannot be said."""

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of each row's labels."""
        n_labels = self.has_label(y).sum(dim=1).clamp(min=1)
        return self.label_losses(outputs, y).sum(dim=1) / n_labels

    def score(
        self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        """Return the mean over tasks of accuracy, or R^2."""
        scores, start = [], 0
        for code, size in enumerate(self.sizes):
            known = np.logical_not(np.isnan(y[:, code]))
            weight = None if sample_weight is None else sample_weight[known]
            of_task = outputs[known, start : start + size]
            scores.append(self.score_of(code, y[known, code], of_task, weight))
            start += size
        return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")


class SeveralClassifications(SeveralTasks):
    """Classes of each task, of which labels are the numbers.

    Parameters
    ----------
    classes : sequence of ndarray
        The labels of each task, sorted.
    """

    score_name = "accuracy"
    shown_as = "probabilities"
    deviance = 1.0

    def __init__(self, classes: Sequence[np.ndarray]):
        self.classes = list(classes)
        self.sizes = [len(of_task) for of_task in self.classes]
        self.n_outputs = sum(self.sizes)
        # Of each task the outputs, filled up by its first where it has fewer than another.
        numbers = np.arange(max(self.sizes, default=0))
        self.is_padding = numbers >= np.array(self.sizes)[:, np.newaxis]
        starts = np.array(self.starts)[:, np.newaxis]
        self.outputs = np.where(self.is_padding, starts, starts + numbers)

    def __repr__(self) -> str:
        return f"classes of {self.n_tasks} tasks, {[c.tolist() for c in self.classes[:5]]}"

    def check(self) -> None:
        """Check that the classes of each task are different labels in order."""
        if not self.classes or max(self.sizes) < 2:
            raise ValueError(f"task_classes_={self.classes!r} tells nothing apart")
        for classes in self.classes:
            if not (isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes)):
                raise ValueError(f"task_classes_ has {classes!r}, which is no array of labels")
            labels = classes.tolist()
            scalars = all(isinstance(label, (str, int, float)) for label in labels)
            if not scalars or any(a >= b for a, b in pairwise(labels)):
                raise ValueError(f"task_classes_ has {labels!r}, no different labels in order")

    def equals(self, other: Task) -> bool:
        """Whether the tasks have the same classes."""
        return (
            isinstance(other, SeveralClassifications)
            and self.sizes == other.sizes
            and all(map(np.array_equal, self.classes, other.classes))
        )

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the numbers of classes as integers, -1 for none."""
        return np.where(np.isnan(y), -1, y).astype(np.int64)

    def has_label(self, y: Tensor) -> Tensor:
        """Return where the number is none below 0."""
        return y >= 0

    def label_losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return ``-log softmax(logits_it)[y_it]`` with the logits of the task's own classes."""
        logits = self._by_task(outputs)
        picked = logits.log_softmax(dim=2).gather(2, y.clamp(min=0).unsqueeze(2)).squeeze(2)
        return torch.where(self.has_label(y), -picked, torch.zeros_like(picked))

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return of each task the label of the largest logit, shape (n, n_tasks)."""
        parts = np.split(outputs, self.starts[1:], axis=1)
        columns = [c[part.argmax(axis=1)] for c, part in zip(self.classes, parts, strict=True)]
        alike = len({column.dtype.kind for column in columns}) == 1
        return np.column_stack(columns if alike else [c.astype(object) for c in columns])

    def shown(self, outputs: Tensor) -> Tensor:
        """Return the probabilities of each task's classes, those of all tasks side by side."""
        return torch.cat([part.softmax(dim=1) for part in outputs.split(self.sizes, 1)], dim=1)

    def score_of(
        self, code: int, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return the accuracy."""
        if len(y) == 0:
            return float("nan")
        return float(accuracy_score(y, outputs.argmax(axis=1), sample_weight=weight))

    def _by_task(self, outputs: Tensor) -> Tensor:
        """Return the logits in shape (n, n_tasks, n_classes), those that are none -inf."""
        if not self.is_padding.any():
            return outputs.reshape(len(outputs), self.n_tasks, -1)
        padding = torch.from_numpy(self.is_padding).to(outputs.device)
        columns = torch.from_numpy(self.outputs).to(outputs.device)
        return outputs[:, columns].masked_fill(padding, -torch.inf)


class SeveralRegressions(SeveralTasks):
    """A number of each task; heads give them in units of their spread.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_tasks,)
        What is taken off, and divided by, before training.
    loss_name : {"squared_error", "huber"}
        What training minimises.
    """

    score_name = "r2"
    shown_as = "prediction"

    def __init__(self, mean: np.ndarray, scale: np.ndarray, loss_name: str):
        self.mean, self.scale, self.loss_name = mean, scale, loss_name
        self.n_outputs = int(np.size(mean))
        self.sizes = [1] * self.n_outputs
        self.deviance = 0.5 if loss_name == "squared_error" else 1.0

    @classmethod
    def of_values(
        cls, y: np.ndarray, weight: np.ndarray | None, loss_name: str, *, of_one_kind: bool
    ) -> SeveralRegressions:
        """Return the tasks of predicting numbers like these.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_tasks)
            NaN for none.
        weight : ndarray of shape (n_rows,) or None
            Of the rows.
        loss_name : {"squared_error", "huber"}
            What training minimises.
        of_one_kind : bool
            Whether all tasks are in the same units, and so have mean and scale in common.
        """
        known, axis = np.logical_not(np.isnan(y)), None if of_one_kind else 0
        values = np.where(known, y, 0.0)
        weights = known * (1.0 if weight is None else (weight / weight.max())[:, np.newaxis])
        total = weights.sum(axis=axis, keepdims=True)
        total = np.where(total > 0, total, 1.0)  # of a task without weight nothing is learned
        mean = (weights * values).sum(axis=axis, keepdims=True) / total
        variance = (weights * np.square(values - mean)).sum(axis=axis, keepdims=True) / total
        scale = np.sqrt(variance)
        # What is constant but for rounding has no spread to divide by.
        spread = scale > 10 * np.finfo(np.float64).eps * np.abs(mean)
        scale = np.where(spread, scale, 1.0)
        mean, scale = (np.broadcast_to(v, (1, y.shape[1]))[0].copy() for v in (mean, scale))
        return cls(mean, scale, loss_name)

    def __repr__(self) -> str:
        return f"{self.n_tasks} regressions with loss={self.loss_name!r}"

    def check(self) -> None:
        """Check that mean and scale are a number for each task."""
        for name, values in (("y_mean_", self.mean), ("y_scale_", self.scale)):
            if not (isinstance(values, np.ndarray) and values.dtype == np.float64):
                raise ValueError(f"{name}={values!r} is no array of numbers")
            if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
                raise ValueError(f"{name}={values!r} is no finite number for each task")
        if self.mean.shape != self.scale.shape or (self.scale <= 0).any():
            raise ValueError(f"y_scale_={self.scale!r} is no positive number for each task")

    def equals(self, other: Task) -> bool:
        """Whether as many tasks are learned by the same loss; units do not count."""
        return (
            isinstance(other, SeveralRegressions)
            and self.loss_name == other.loss_name
            and self.n_tasks == other.n_tasks
        )

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return ``(y - mean) / scale``."""
        encoded: np.ndarray = (y - self.mean) / self.scale
        return encoded

    def has_label(self, y: Tensor) -> Tensor:
        """Return where there is a number."""
        return y.isnan().logical_not()

    def label_losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return ``r^2`` of what outputs are off by, or of Huber ``r^2/2`` or ``|r| - 1/2``."""
        known = self.has_label(y)
        measure = F.mse_loss if self.loss_name == "squared_error" else F.huber_loss
        wanted = torch.where(known, y.to(outputs.dtype), outputs.detach())
        return measure(outputs, wanted, reduction="none")

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return the outputs in the units of the labels."""
        answers: np.ndarray = outputs * self.scale + self.mean
        return answers

    def shown(self, outputs: Tensor) -> Tensor:
        """Return the outputs in the units of the labels."""
        mean, scale = (torch.as_tensor(v).to(outputs) for v in (self.mean, self.scale))
        return outputs * scale + mean

    def score_of(
        self, code: int, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return the coefficient of determination."""
        if len(np.unique(y)) < 2:
            return float("nan")
        predicted = outputs[:, 0] * self.scale[code] + self.mean[code]
        return float(r2_score(y, predicted, sample_weight=weight))
