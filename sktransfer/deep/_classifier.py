"""What makes a deep estimator a classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from torch import Tensor, nn

from .._task import Classification, Task
from .._warning import warn
from ..data._domain import Domain
from ..data._sampler import DomainRows, Sampler
from ..engine._stage import Stage
from ..network._build import floating_type
from ._class_weights import weigh_classes
from ._predictor import DeepPredictorMixin
from ._source_free import HypothesisTransfer, labels_to_fill, target_stage


class DeepClassifierMixin(DeepPredictorMixin, ClassifierMixin):
    """Tells classes apart, and says with which probability; stands before a deep base."""

    class_weight: Any = None  # of a method that has no such parameter
    classes_: np.ndarray

    # Of the estimator that this is mixed into.
    _domain_rows: Callable[[Domain], DomainRows]
    _sampler: Callable[..., Sampler]
    _settle: Callable[[Sampler], None]
    _learning_without_labels: Callable[[], list[nn.Parameter]]

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

    def _unknown_class(self) -> int | None:
        """Return the number of the class of all that is unknown, if there is one."""
        return None

    def _adaptation_method(self, given: Any) -> HypothesisTransfer | None:
        if given is None and self.net_.module_.has_statistics():
            return None
        return HypothesisTransfer.of(given, "method")

    def _plan_adaptation(
        self, target: Domain, seed: int, method: HypothesisTransfer | None
    ) -> Iterator[Stage]:
        """Yield the stage that trains the body of the fitted `net_` on target rows alone."""
        if method is None:
            return
        network = self.net_.module_
        parameters = self._learning_without_labels()
        if not parameters:
            unfreezes = hasattr(self, "unfreeze_depth")
            raise ValueError(
                f"All layers of the body of this {type(self).__name__} are frozen: there is "
                "nothing that could adapt without labels. "
                + (
                    "set_params(unfreeze_depth=1) before adapt unfreezes its last layer."
                    if unfreezes
                    else "Fit with a body that has weights with requires_grad=True."
                )
            )
        if target.y is not None and method.pseudo_label_weight == 0:
            warn(
                "y_target is not used: its labels stand among the pseudo-labels, which "
                "pseudo_label_weight=0 leaves out. Give a weight above 0, or leave y_target out."
            )
        rows = self._domain_rows(Domain(target.X))
        rows, pseudo_labels = labels_to_fill(
            target, rows, self.net_, self.class_weight, self._unknown_class()
        )
        sampler = self._sampler(rows, None, seed)
        yield target_stage(method, network, parameters, sampler, pseudo_labels)
        self._settle(sampler)
