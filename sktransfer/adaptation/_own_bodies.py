"""Two domains with features of their own: a body for each, below common heads."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from .._task import Task
from ..data._domain import Domains
from ..deep._parameters import parameters
from ..engine._net import TransferNet
from ..engine._processes import Processes
from ..network._build import make_body
from ..network._network import TransferNetwork
from ..network._probe import Probe
from ..network._two_bodies import TwoBodyNetwork
from ..validation._arrays import as_array
from ..validation._domains import check_domains, check_rows_of_another_kind
from ..validation._target_labels import beside_labels_of, with_labels
from ..validation._torch_rows import TorchRows, check_rows
from ._classifier import AdaptationClassifier


@parameters
class OwnBodiesClassifier(AdaptationClassifier):
    """May give each domain a body.

    `feature_extractor` is the body for rows of the source, `target_feature_extractor`
    that for rows of the target, for which the classifier predicts. Where there is no
    target, or both domains share a body, all is as in `AdaptationClassifier`.
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "target_feature_extractor": [callable, None],
    }

    target_feature_extractor: Any = None

    def _has_own_bodies(self) -> bool:
        """Whether a target gets a body of its own."""
        return self.target_feature_extractor is not None

    def predict(self, X: Any, domain: str = "target") -> np.ndarray:
        """Predict the class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows of that domain.
        domain : {"target", "source"}, default="target"
            Whose features they have. Where both domains share a body it makes no difference.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels out of `classes_`.
        """
        outputs = self._outputs(X, domain)
        return self.net_.task.answers(outputs)

    def predict_proba(self, X: Any, domain: str = "target") -> np.ndarray:
        """Predict the probability of each class for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows of that domain.
        domain : {"target", "source"}, default="target"
            Whose features they have. Where both domains share a body it makes no difference.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; the softmax of the label head's logits.
        """
        probabilities: np.ndarray = softmax(self._outputs(X, domain), axis=1)
        return probabilities

    def score(self, X: Any, y: Any, sample_weight: Any = None, domain: str = "target") -> float:
        """Return the accuracy on rows of one domain.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows of that domain.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        domain : {"target", "source"}, default="target"
            Whose features they have. Where both domains share a body it makes no difference.

        Returns
        -------
        float
            Share of rows that are right.
        """
        return float(accuracy_score(y, self.predict(X, domain), sample_weight=sample_weight))

    def transform_source(self, X: Any) -> np.ndarray:
        """Return the features on which the label head decides, of rows of the source.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows of the source; those of the target are for `transform`.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The output of the source's body, flattened.
        """
        return self._pass_source(X, "source_features", "features")

    def _outputs(self, X: Any, domain: str) -> np.ndarray:
        if domain not in ("target", "source"):
            raise ValueError(f'domain must be "target" or "source"; got {domain!r}.')
        if domain == "source":
            return self._pass_source(X, "forward_source", "forward")
        return self._forward(X, "forward")

    def _pass_source(self, X: Any, method: str, of_common_body: str) -> np.ndarray:
        """Pass rows of the source through a method of the network."""
        check_is_fitted(self)
        if self.source_shape_ is None:
            return self._forward(X, of_common_body)
        return self.net_.forward_rows(check_rows(X, "X", self.source_shape_), method)

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        if X_target is None or not self._has_own_bodies():
            return super()._check(fitted, X, y, X_target, y_target, sample_weight)
        rows = TorchRows(self.num_workers)
        domains = check_domains(fitted, X, y, None, None, sample_weight, rows=rows)
        if "feature_names_in_" in vars(fitted):  # which will be the target's
            fitted.source_feature_names_in_ = fitted.feature_names_in_
        target = check_rows_of_another_kind(fitted, X_target, rows)
        if y_target is not None:
            target = with_labels(fitted, target, as_array(y_target, "y_target"))
            if domains.source.y is not None:
                target = beside_labels_of(domains.source.y, target)
        return Domains(domains.source, target)

    def _fit(self, domains: Domains) -> None:
        apart = domains.target is not None and self._has_own_bodies()
        self.source_shape_: tuple[int, ...] | None = (
            tuple(domains.source.X.shape[1:]) if apart else None
        )
        super()._fit(domains)

    def _rows_to_predict(self, domains: Domains) -> Any:
        return domains.source.X if domains.target is None else domains.target.X

    def _continue(self, before: TransferNet, X: Any, task: Task, processes: Processes) -> None:
        network = before.module_
        shape = network.source_shape if isinstance(network, TwoBodyNetwork) else None
        if shape != self.source_shape_:
            raise ValueError(
                f"warm_start=True continues a fit with a body for rows of the source of shape "
                f"{shape}; got {self.source_shape_} (None is one body for all rows). Set "
                "warm_start=False to start afresh."
            )
        super()._continue(before, X, task, processes)

    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> TransferNetwork:
        if self.source_shape_ is None:
            return super()._make_network(X, default, n_outputs)
        rows = torch.ones(2, *self.source_shape_, dtype=X.dtype)
        source_body, of_source, body, probed = self._make_bodies(rows, X, default)
        features = probed.output.flatten(1)
        n_source = of_source.output.flatten(1).shape[1]
        if n_source != features.shape[1] or of_source.dtype != probed.dtype:
            raise ValueError(
                f"feature_extractor gives {n_source} features of rows of type {of_source.dtype}, "
                f"target_feature_extractor {features.shape[1]} of {probed.dtype}: give bodies "
                "that end in as many, with weights of one type. (The last of hidden_layer_sizes "
                "is the number of one that is built by default.)"
            )
        label_head = self._make_label_head(features, n_outputs)
        heads = self._make_heads(features, n_outputs)
        return TwoBodyNetwork(body, source_body, label_head, heads, probed, self.source_shape_)

    def _make_bodies(
        self, source_rows: Tensor, target_rows: Tensor, default: torch.dtype
    ) -> tuple[nn.Module, Probe, nn.Module, Probe]:
        """Return the source's body and what a few rows show of it, and those of the target."""
        sizes = self.hidden_layer_sizes
        given = self.feature_extractor, "feature_extractor"
        of_source = make_body(*given, source_rows, default, sizes)
        given = self.target_feature_extractor, "target_feature_extractor"
        return *of_source, *make_body(*given, target_rows, default, sizes)
