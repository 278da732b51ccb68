"""A support: a few rows of each class, which say what classes there are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from .._task import Classification, encoded
from .._warning import warn
from ..data._domain import Domain, Domains
from ..deep._classifier import DeepClassifierMixin
from ..engine._stage import Stage
from ..network._build import make_body
from ..validation._arrays import as_array, check_same_length, check_sample_weight
from ..validation._domains import check_rows_to_predict
from ..validation._naming import named
from ..validation._torch_rows import TorchRows
from ._heads import SupportHead
from ._network import FewShotNetwork


class SupportMixin(DeepClassifierMixin):
    """Tells classes apart by the rows it was shown last; stands before a deep base."""

    # What is read here; the base has it, or `__init__` sets it.
    backbone: Any
    hidden_layer_sizes: Any
    num_workers: int

    @abstractmethod
    def _make_head(self, n_features: int, n_classes: int) -> SupportHead:
        """Return the head that keeps the support."""

    @abstractmethod
    def _train(self, source: Domain, seed: int) -> Iterator[Stage]:
        """Yield the stages that train the body."""

    def set_support(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Take other classes, by a few rows of each; nothing is trained.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_support, n_features) or \
(n_support, ...)
            Rows like those of `fit`. In a pipeline, as the last step gets them:
            ``pipe[-1].set_support(pipe[:-1].transform(X), y)``.
        y : array-like of shape (n_support,)
            Their labels, of at least two classes; `classes_` are these from now on.
        sample_weight : array-like of shape (n_support,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            The same estimator. Of a copy (``copy.copy``) the original keeps its classes.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For rows unlike those of `fit`, and for labels that do not fit them.

        Notes
        -----
        What is kept are features. After `adapt`, by which those of the same rows become
        others, show a support of the target's own rows again; rows of the source keep the
        features that the source's statistics gave them, which is what adapted rows are like.
        """
        X = check_rows_to_predict(self, X, rows=TorchRows(self.num_workers))
        y = _check_labels(y, X.shape[0])
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X.shape[0])
        self._show(Domain(X, y, sample_weight), "y")
        return self

    def _show(self, support: Domain, name: str) -> None:
        """Set what answers for the classes of the support."""
        engine, network = self.net_.engine, self.net_.module_
        features = engine.forward(network, network.features, engine.rows(support.X))
        task, head = self._head_upon(features, support.labels, support.sample_weight, name)
        self.net_ = self.net_.holding(network.with_head(head), task)
        self.classes_ = task.classes

    def _head_upon(
        self, features: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None, name: str = "y"
    ) -> tuple[Classification, SupportHead]:
        """Return what tells the labels apart on features, and what was learned of them."""
        task, device = Classification.of_labels(y, name), self.net_.engine.device
        head = self._make_head(features.shape[1], len(task.classes))
        shown = torch.from_numpy(features).to(device, self.net_.module_.feature_type)
        head = head.to(device, shown.dtype).eval()
        if weight is not None:
            _check_every_class_weighs(task, y, weight)
        weights = None if weight is None else torch.as_tensor(weight).to(shown)
        head.show(shown, encoded(task, y, device), weights)
        return task, head

    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> FewShotNetwork:
        body, probed = make_body(self.backbone, "backbone", X, default, self.hidden_layer_sizes)
        features = probed.output.flatten(1)
        head = self._make_head(features.shape[1], n_outputs).to(features.dtype)
        return FewShotNetwork(body, head, probed)

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        source, target = domains.source, domains.target
        if target is not None and target.y is None:
            warn(
                f"{type(self).__name__} learns classes from labelled rows and does not use "
                "X_target without y_target: the classes are those of y. Give the labels of the "
                "target's rows, or leave X_target out."
            )
        yield from self._train(source, seed)
        if target is not None and target.y is not None:
            self._show(target.labelled(), "y_target")
        else:
            self._show(source, "y")

    def _plan_refinement(self, labelled: Domain, seed: int) -> Iterator[Stage]:
        raise ValueError(
            f"{type(self).__name__} does not train on labelled rows of a target: "
            "set_support(X_target, y_target) takes them for its classes. adapt(X_target) is for "
            "rows without labels."
        )

    def _domain_to_predict(self, domains: Domains) -> tuple[Domain, str]:
        if domains.target is None or domains.target.y is None:
            return domains.source, "y"
        return domains.target.labelled(), "y_target"


def _check_labels(y: Any, n_rows: int) -> np.ndarray:
    y = as_array(y, "y")
    with named("y"):
        labels: np.ndarray = column_or_1d(y)
        check_classification_targets(labels)
    check_same_length(n_rows, "X", labels, "y")
    return labels


def _check_every_class_weighs(task: Classification, y: np.ndarray, weight: np.ndarray) -> None:
    idle = [label for label in task.classes.tolist() if not weight[y == label].any()]
    if idle:
        raise ValueError(
            f"sample_weight is 0 for every row of the classes {idle[:10]}, which leaves nothing to "
            "know them by. Leave their rows out."
        )
