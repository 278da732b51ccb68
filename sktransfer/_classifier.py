"""What makes a deep estimator a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from torch import Tensor

from ._class_weights import weigh_classes
from ._task import Classification
from .data._domain import Domain, Domains
from .engine._net import TransferNet
from .network._build import floating_type


class DeepClassifierMixin(ClassifierMixin):
    """Tells classes apart, and says with which probability; stands before a deep base."""

    class_weight: Any
    net_: TransferNet

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

    def _make_task(self, domains: Domains) -> Classification:
        name, labels = self._labels_to_predict(domains)
        task = Classification.of_labels(labels, name)
        self.classes_: np.ndarray = task.classes
        return task

    def _labels_to_predict(self, domains: Domains) -> tuple[str, np.ndarray]:
        """Return the labels that `predict` answers with and the argument that holds them."""
        return "y", domains.known_labels()

    def _loss_weight(self, domain: Domain) -> Tensor | None:
        known = domain.labelled()
        y, classes = self.net_.task.encode(known.labels), self.classes_
        weights = weigh_classes(self.class_weight, classes, y, known.sample_weight)
        if weights is None:
            return None
        dtype = floating_type(self.net_.module_) or torch.float32
        of_rows = weights[self.net_.task.encode(domain.labels)]
        return torch.as_tensor(of_rows, device=self.net_.engine.device, dtype=dtype)
