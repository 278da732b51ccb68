"""Soft transfer network: two domains with features of their own, brought to common ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F

from .._arguments import as_array
from .._classifier import DeepClassifierMixin
from .._docs import with_shared_docs
from .._parameters import parameters
from .._target_labels import with_labels
from .._validation import check_domains, check_rows_of_another_kind
from ..adaptation._base import BaseAdaptation
from ..data._checks import TorchRows, check_rows
from ..data._domain import Domains
from ..data._sampler import Batch
from ..layers import scale_gradient
from ..network._build import make_body
from ..network._network import TransferNetwork


def class_means(features: Tensor, shares: Tensor) -> Tensor:
    """Return ``sum_i s_ik f_i / sum_i s_ik`` for each class k; zero where no row has a share."""
    total = shares.sum(dim=0)
    return shares.T @ features / total.clamp(min=torch.finfo(shares.dtype).tiny)[:, None]


def soft_transfer_loss(
    source: Tensor, source_shares: Tensor, target: Tensor, target_shares: Tensor
) -> Tensor:
    """Return ``||m_S - m_T||^2 + sum_k ||m_S^k - m_T^k||^2`` of features of two domains.

    ``m`` is the mean of a domain's rows, ``m^k`` that of the rows of class k, each row
    with its share of the class. Classes of which a domain has no share are passed over;
    shares have no gradient.

    Parameters
    ----------
    source, target : Tensor of shape (n, n_features)
    source_shares, target_shares : Tensor of shape (n, n_classes)
        One-hot where the class is known; else probabilities, which may sum to less.
    """
    source_shares, target_shares = source_shares.detach(), target_shares.detach()
    gap = (source.mean(dim=0) - target.mean(dim=0)).square().sum()
    both = (source_shares.sum(dim=0) > 0) & (target_shares.sum(dim=0) > 0)
    means = class_means(source, source_shares) - class_means(target, target_shares)
    return gap + (means[both]).square().sum()


class SoftTransferNetwork(TransferNetwork):
    """A body for rows of the target, one for those of the source, and one label head."""

    source_body: nn.Module

    def forward_domains(self, batch: Batch) -> None:
        """Fill the features of both domains, each by its own body."""
        batch.source.features = self.source_body(batch.source.X).flatten(1)
        if batch.target is not None:
            batch.target.features = self._features_of_target(batch)
        batch.source_outputs = self.label_head(batch.source.features)
        batch.target_outputs = None

    def forward_source(self, X: Tensor) -> Tensor:
        """Return what the label head says of rows of the source, by their own body."""
        outputs: Tensor = self.label_head(self.source_body(X).flatten(1))
        return outputs

    def estimate_statistics(
        self, source: Iterable[Any], target: Iterable[Any] | None, n_target: int
    ) -> None:
        """Estimate the target body's batch statistics by its own rows."""
        super().estimate_statistics(source if target is None else target, None, 0)


@with_shared_docs
@parameters
class HeterogeneousTransferClassifier(DeepClassifierMixin, BaseAdaptation):
    """Soft transfer network: source and target have other features, and the same classes.

    Another device, another spectrum, another language: rows of the two domains cannot be
    compared. Each domain gets a body of its own, and both lead to common features on which
    one label head decides; the classes, of few labelled target rows and of what the others
    are taken for, bring them together.

    The loss is ``L_S + target_weight L_T + lambda D`` with the mean cross-entropies of the
    source and of the target's labelled rows, and of the features of a batch

    ``D = ||m_S - m_T||^2 + sum_k ||m_S^k - m_T^k||^2``,

    ``m`` a domain's mean and ``m^k`` that of its class k. In the target a labelled row
    counts for its class, and every row for class k with ``a p_k``, its predicted
    probability times the share ``a`` of the training that is done (the paper's it/I);
    no gradient flows through ``p``.

    `predict` and `score` take rows of the target; with ``domain="source"`` those of the
    source. Without `X_target` it is a plain classifier of the source.

    Parameters
    ----------
    feature_extractor : torch.nn.Module, callable or None, default=None
        The body for rows of the target, ``(n, *input_shape) -> (n, ...)``, flattened to
        features. A module is copied, never changed; a callable gets the shape of one row and
        returns a module. None builds an MLP with ReLU by `hidden_layer_sizes`.
    source_feature_extractor : torch.nn.Module, callable or None, default=None
        The body for rows of the source, with as many features.
    {label_classifier_parameter}
    lambda_ : float, default={lambda_}
        Weight of ``D``.
    target_weight : float, default=1.0
        Weight of the labelled target rows' loss.
    lambda_schedule : {"ramp", "constant"} or callable, default="ramp"
        Factor of `lambda_` over the training progress ``p`` in [0, 1]: "ramp" is
        ``2 / (1 + exp(-10 p)) - 1``, a callable gets ``p``.
    average_weights : float in [0, 1], default={average_weights}
        Share of the training steps, the last ones, over which the weights are averaged.
    hidden_layer_sizes : int or sequence of int, default={hidden_layer_sizes}
        Widths of the MLPs.
    learning_rate : float, default={learning_rate}
        Step size of the optimizer for modules of yours; default layers learn at
        ``learning_rate * sqrt(100 / n_inputs)``.
    batch_size : int, default=64
        Most rows of each domain in a training step.
    max_epochs : int, default=100
        Passes over the longer domain; the shorter one cycles meanwhile.
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    source_shape_ : tuple of int or None
        Shape of one row of the source; None where there was no target.
    {classes_attribute}
    {fitted_attributes}

    Raises
    ------
    ValueError
        In `fit`, where no row of the target has a label: nothing would tie features of one
        domain to those of the other.

    See Also
    --------
    DANNClassifier : Where both domains have the same features.
    sktransfer.alignment.FeatureAugmentation : Likewise, with some labels.

    Notes
    -----
    Compare with a classifier of the labelled target rows alone: where these are many, or the
    source tells little of the target's classes, the source does not help.

    References
    ----------
    Yao et al., "Heterogeneous Domain Adaptation via Soft Transfer Network", ACM MM 2019,
    eqs. 2-6. https://arxiv.org/abs/1908.10552 (by batches here, with ReLU, and without a
    penalty on the weights).

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import HeterogeneousTransferClassifier
    >>> rng = np.random.default_rng(0)
    >>> y, y_target = rng.integers(0, 3, 90), rng.integers(0, 3, 60)
    >>> X = np.eye(3)[y] + rng.normal(scale=0.2, size=(90, 3))
    >>> X_target = np.eye(3)[y_target] @ rng.normal(size=(3, 8))
    >>> X_target += rng.normal(scale=0.2, size=(60, 8))
    >>> few = [label if row < 9 else None for row, label in enumerate(y_target)]
    >>> clf = HeterogeneousTransferClassifier(max_epochs=20, random_state=0)
    >>> clf.fit(X, y, X_target=X_target, y_target=few).predict(X_target).shape
    (60,)
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": True, "domains": False}

    _uses_domains = False

    _label_head = "label_classifier"

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "source_feature_extractor": [callable, None],
        "label_classifier": [callable, None],
    }

    source_feature_extractor: Any = None
    label_classifier: Any = None
    lambda_: float = 0.01
    hidden_layer_sizes: Any = (256,)
    learning_rate: float = 1e-3

    def predict(self, X: Any, domain: str = "target") -> np.ndarray:
        """Predict the class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows of that domain.
        domain : {"target", "source"}, default="target"
            Whose features they have.

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
            Whose features they have.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        logits = torch.from_numpy(self._outputs(X, domain))
        return logits.softmax(dim=1).numpy()

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
            Whose features they have.

        Returns
        -------
        float
            Share of rows that are right.
        """
        return float(accuracy_score(y, self.predict(X, domain), sample_weight=sample_weight))

    def _outputs(self, X: Any, domain: str) -> np.ndarray:
        check_is_fitted(self)
        if domain not in ("target", "source"):
            raise ValueError(f'domain must be "target" or "source"; got {domain!r}.')
        if domain == "target" or self.source_shape_ is None:
            return self._forward(X, "forward")
        rows = self.net_.rows(check_rows(X, "X", self.source_shape_))
        network = self.net_.module_
        return self.net_.engine.forward(network, network.forward_source, rows)

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        rows = TorchRows(self.num_workers)
        domains = check_domains(fitted, X, y, None, None, sample_weight, rows=rows)
        if X_target is None and y_target is None:
            return domains
        target = None
        if X_target is not None:
            target = check_rows_of_another_kind(fitted, X_target, rows)
        if y_target is not None:
            target = with_labels(fitted, target, as_array(y_target, "y_target"))
        if target is None or target.y is None:
            raise ValueError(
                f"{type(self).__name__} got no label of a target row: nothing ties the target's "
                "features to the source's. Give y_target, with None where a label is not known."
            )
        return Domains(domains.source, target)

    def _fit(self, domains: Domains) -> None:
        self.source_shape_ = None if domains.target is None else domains.source.X.shape[1:]
        super()._fit(domains)

    def _rows_to_predict(self, domains: Domains) -> Any:
        return domains.source.X if domains.target is None else domains.target.X

    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> TransferNetwork:
        if self.source_shape_ is None:
            return super()._make_network(X, default, n_outputs)
        body, probed = make_body(
            self.feature_extractor, "feature_extractor", X, default, self.hidden_layer_sizes
        )
        features = probed.output.flatten(1)
        label_head = self._make_label_head(features, n_outputs)
        rows = torch.ones(2, *self.source_shape_, dtype=X.dtype)
        source_body, source_probed = make_body(
            self.source_feature_extractor,
            "source_feature_extractor",
            rows,
            default,
            self.hidden_layer_sizes,
        )
        n_source = source_probed.output.flatten(1).shape[1]
        if n_source != features.shape[1]:
            raise ValueError(
                f"source_feature_extractor gives {n_source} features, feature_extractor "
                f"{features.shape[1]}: give bodies that end in as many."
            )
        return SoftTransferNetwork(body, label_head, {"source_body": source_body}, probed)

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the gap between the domains' means and class means, weighed by lambda."""
        assert batch.target is not None
        assert batch.source.y is not None
        n_classes = batch.source_outputs.shape[1]
        source = scale_gradient(batch.source.features, batch.lambda_)
        target = scale_gradient(batch.target.features, batch.lambda_)
        shares = batch.progress * network.target_outputs(batch).softmax(dim=1)
        if batch.labelled is not None:
            assert batch.labelled.y is not None
            labelled = scale_gradient(batch.labelled.features, batch.lambda_)
            target = torch.cat([target, labelled])
            known = F.one_hot(batch.labelled.y, n_classes).to(shares.dtype)
            shares = torch.cat([shares, known])
        source_shares = F.one_hot(batch.source.y, n_classes).to(shares.dtype)
        return {"domain_loss": soft_transfer_loss(source, source_shares, target, shares)}
