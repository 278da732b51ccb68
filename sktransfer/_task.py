"""What is learned: how labels are encoded, what a loss is, how outputs become answers."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score
from torch import Tensor
from torch.nn import functional as F


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
    """

    n_outputs: int
    is_stratified: bool
    score_name: str

    @abstractmethod
    def equals(self, other: Task) -> bool:
        """Whether what was learned for the other serves this one."""

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
                f"{name} holds one class, {classes[0]!r}; a classifier needs at least 2 classes. "
                "With 1 sample or 1 class there is nothing to tell apart."
            )
        return cls(classes)

    def __repr__(self) -> str:
        return f"the classes {list(self.classes)}"

    def equals(self, other: Task) -> bool:
        """Whether the classes are the same."""
        return isinstance(other, Classification) and np.array_equal(self.classes, other.classes)

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

    def score(
        self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        """Return the accuracy."""
        return float(accuracy_score(y, self.answers(outputs), sample_weight=sample_weight))


def encoded(task: Task, y: np.ndarray, device: Any) -> Tensor:
    """Return what training learns of labels, on the device."""
    return torch.as_tensor(task.encode(y), device=device)
