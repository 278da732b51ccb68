"""What is learned: how labels are encoded, what a loss is, how outputs become answers."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, r2_score
from torch import Tensor
from torch.nn import functional as F

from .validation._target_labels import refuse_words_beside_numbers


class Task(metaclass=ABCMeta):
    """What the label head is to say of a row.

    Attributes
    ----------
    n_outputs : int
        Numbers that the head gives for a row.
    is_stratified : bool
        Whether rows held out are to be as the rest in what is said of them.
    score_name : str
        What `score` is called in ``history_``.
    shown_as : str
        What `shown` gives.
    """

    n_outputs: int
    is_stratified: bool
    score_name: str
    shown_as: str

    @abstractmethod
    def check(self) -> None:
        """Check what was read from a file and not learned here.

        Raises
        ------
        ValueError
            For what no `fit` can have learned.
        """

    @abstractmethod
    def equals(self, other: Task) -> bool:
        """Whether what was learned for the other serves this one."""

    def joined_by(self, y: np.ndarray) -> Task:
        """Return the task that these labels of the target are labels of, too."""
        return self

    @abstractmethod
    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return what training learns of labels."""

    @abstractmethod
    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row, shape (n,)."""

    @abstractmethod
    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return what `predict` says by the head's outputs."""

    @abstractmethod
    def shown(self, outputs: Tensor) -> Tensor:
        """Return what a model without Python says by the head's outputs."""

    @abstractmethod
    def score(
        self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        """Return how good outputs are; greater is better."""

    def loss(self, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the mean loss of rows, each multiplied by its weight."""
        losses = self.losses(outputs, y)
        return losses.mean() if weight is None else (weight * losses).mean()


class Classification(Task):
    """One of several classes; the head gives their logits.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    is_stratified = True
    score_name = "accuracy"
    shown_as = "probabilities"

    def __init__(self, classes: np.ndarray):
        self.classes = classes
        self.n_outputs = len(classes)

    @classmethod
    def of_labels(cls, y: np.ndarray, name: str) -> Classification:
        """Return the task of telling these labels apart.

        Raises
        ------
        ValueError
            For a single class.
        """
        classes = np.unique(y)
        if len(classes) < 2:
            raise ValueError(
                f"{name} holds one class, {classes.tolist()[0]!r}; a classifier needs at least 2 "
                "classes. With 1 sample or 1 class there is nothing to tell apart."
            )
        return cls(classes)

    def __repr__(self) -> str:
        return f"the classes {self.classes.tolist()}"

    def check(self) -> None:
        """Check that the classes are different labels in order, at least two."""
        classes = self.classes
        if not (isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) > 1):
            raise ValueError(f"classes_={classes!r} is no array of at least two labels")
        labels = classes.tolist()
        scalars = all(isinstance(label, (str, int, float)) for label in labels)
        if not scalars or any(a >= b for a, b in pairwise(labels)):
            raise ValueError(f"classes_={classes!r} are not different labels in order")

    def equals(self, other: Task) -> bool:
        """Whether the classes are the same."""
        return isinstance(other, Classification) and np.array_equal(self.classes, other.classes)

    def joined_by(self, y: np.ndarray) -> Classification:
        """Return the task with the classes of these labels besides.

        Raises
        ------
        ValueError
            For words in one domain and numbers in the other.
        """
        refuse_words_beside_numbers(self.classes, y)
        new = np.setdiff1d(y, self.classes)
        return Classification(np.union1d(self.classes, new)) if new.size else self

    def shares(self, answers: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Return the share of each class among answers, which may weigh."""
        counts = np.bincount(self.encode(answers), weight, minlength=self.n_outputs)
        shares: np.ndarray = counts / counts.sum()
        return shares

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the number of each label's class.

        Raises
        ------
        ValueError
            For labels that are no class.
        """
        unknown = np.setdiff1d(y, self.classes)
        if unknown.size:
            raise ValueError(
                f"The labels {unknown[:10].tolist()} are no classes here; the classes are "
                f"{self.classes.tolist()}."
            )
        return np.searchsorted(self.classes, y)

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return ``-log softmax(logits_i)[y_i]`` for each row."""
        return F.cross_entropy(outputs, y, reduction="none")

    def loss(self, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy of rows, each multiplied by its weight."""
        if weight is None:
            return F.cross_entropy(outputs, y)
        return super().loss(outputs, y, weight)

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return the label of the largest logit."""
        answers: np.ndarray = self.classes[outputs.argmax(axis=1)]
        return answers

    def shown(self, outputs: Tensor) -> Tensor:
        """Return the probabilities of the classes, the softmax of the logits."""
        return outputs.softmax(dim=1)

    def score(
        self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        """Return the accuracy."""
        return float(accuracy_score(y, self.answers(outputs), sample_weight=sample_weight))


class Regression(Task):
    """Numbers; the head gives them in units of their spread.

    Parameters
    ----------
    mean, scale : ndarray of shape () or (n_outputs,)
        What is taken off, and divided by, before training; without an axis where there
        is one number for each row, not a row of numbers.
    loss_name : {"squared_error", "huber"}
        What training minimises.
    """

    is_stratified = False
    score_name = "r2"
    shown_as = "prediction"

    def __init__(self, mean: np.ndarray, scale: np.ndarray, loss_name: str):
        self.mean, self.scale, self.loss_name = mean, scale, loss_name
        self.n_outputs = int(np.size(mean))

    @classmethod
    def of_values(cls, y: np.ndarray, weight: np.ndarray | None, loss_name: str) -> Regression:
        """Return the task of predicting numbers like these, of which each row weighs so much."""
        y = np.asarray(y, dtype=np.float64)
        mean = np.average(y, axis=0, weights=weight)
        scale = np.sqrt(np.average(np.square(y - mean), axis=0, weights=weight))
        # What is constant but for rounding has no spread to divide by.
        spread = scale > 10 * np.finfo(np.float64).eps * np.abs(mean)
        return cls(np.asarray(mean), np.where(spread, scale, 1.0), loss_name)

    def __repr__(self) -> str:
        outputs = "" if np.ndim(self.mean) == 0 else f" of {self.n_outputs} outputs"
        return f"a regression{outputs} with loss={self.loss_name!r}"

    def check(self) -> None:
        """Check that mean and scale are numbers of one shape."""
        for name, values in (("y_mean_", self.mean), ("y_scale_", self.scale)):
            if not (isinstance(values, np.ndarray) and values.dtype == np.float64):
                raise ValueError(f"{name}={values!r} is no array of numbers")
            if values.ndim > 1 or values.size == 0 or not np.isfinite(values).all():
                raise ValueError(f"{name}={values!r} is no finite number for each output")
        if self.mean.shape != self.scale.shape or (self.scale <= 0).any():
            raise ValueError(f"y_scale_={self.scale!r} is no positive number for each output")

    def equals(self, other: Task) -> bool:
        """Whether as many numbers are predicted, by the same loss; in what units does not count."""
        same_kind = isinstance(other, Regression) and self.loss_name == other.loss_name
        return same_kind and np.shape(self.mean) == np.shape(other.mean)  # type: ignore[attr-defined]

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return ``(y - mean) / scale``, shape (n, n_outputs).

        Raises
        ------
        ValueError
            For another number of outputs.
        """
        if int(np.prod(y.shape[1:])) != self.n_outputs:
            raise ValueError(
                f"Labels of shape {y.shape} do not fit {self}, which has labels of shape "
                f"{('n', *np.shape(self.mean))}. Give y and y_target the same columns."
            )
        rows = np.asarray(y, dtype=np.float64).reshape(len(y), *np.shape(self.mean))
        encoded: np.ndarray = ((rows - self.mean) / self.scale).reshape(len(y), self.n_outputs)
        return encoded

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return for each row the mean over outputs of the loss of what they are off by.

        ``r^2``, or of Huber ``r^2 / 2`` up to 1, ``|r| - 1/2`` beyond.
        """
        measure = F.mse_loss if self.loss_name == "squared_error" else F.huber_loss
        return measure(outputs, y.to(outputs.dtype), reduction="none").mean(dim=1)

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return the outputs in the units of the labels, in their shape."""
        rows = outputs.reshape(len(outputs), *self.mean.shape)
        answers: np.ndarray = rows * self.scale + self.mean
        return answers

    def shown(self, outputs: Tensor) -> Tensor:
        """Return the outputs in the units of the labels, in their shape."""
        mean, scale = (torch.as_tensor(v).to(outputs) for v in (self.mean, self.scale))
        return outputs.reshape(-1, *self.mean.shape) * scale + mean

    def score(
        self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        """Return the coefficient of determination."""
        return float(r2_score(y, self.answers(outputs), sample_weight=sample_weight))


def encoded(task: Task, y: np.ndarray, device: Any) -> Tensor:
    """Return what training learns of labels, on the device."""
    values = torch.from_numpy(np.ascontiguousarray(task.encode(y)))
    if torch.device(device).type == "mps" and values.is_floating_point():
        values = values.float()  # it knows no float64
    return values.to(device)
