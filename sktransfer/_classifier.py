"""What makes a deep estimator a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from torch import Tensor

from ._class_weights import weigh_classes
from ._predictor import DeepPredictorMixin
from ._task import Classification, Task
from .data._domain import Domain
from .network._build import floating_type


class DeepClassifierMixin(DeepPredictorMixin, ClassifierMixin):
    """Tells classes apart, and says with which probability; stands before a deep base."""

    class_weight: Any = None  # of a method that has no such parameter
    classes_: np.ndarray

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows, as a rule of the target.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; the softmax of the label head's logits.
        """
        probabilities: np.ndarray = softmax(self._forward(X, "forward"), axis=1)
        return probabilities

    def _task_of(self, domain: Domain, name: str) -> Classification:
        return Classification.of_labels(domain.labels, name)

    def _set_task(self, task: Task) -> None:
        assert isinstance(task, Classification)
        self.classes_ = task.classes

    def _fitted_task(self) -> Classification:
        return Classification(self.classes_)

    def _loss_weight(self, domain: Domain) -> Tensor | None:
        known, task = domain.labelled(), self.net_.task
        assert isinstance(task, Classification)
        counted = task.encode(known.labels)
        weights = weigh_classes(self.class_weight, task.classes, counted, known.sample_weight)
        if weights is None:
            return None
        dtype = floating_type(self.net_.module_) or torch.float32
        of_rows = weights[task.encode(domain.labels)]
        return torch.as_tensor(of_rows, device=self.net_.engine.device, dtype=dtype)
