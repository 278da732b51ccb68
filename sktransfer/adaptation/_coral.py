"""Correlation alignment for deep domain adaptation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._docs import with_shared_docs
from ..data._batch import Batch
from ..deep._parameters import parameters
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ._class_weighting import ClassWeightingMixin
from ._classifier import AdaptationClassifier


def covariance(features: Tensor) -> Tensor:
    """Return the unbiased covariance of features, shape (d, d); zero for a single row."""
    centred = features - features.mean(dim=0)
    return centred.T @ centred / max(len(features) - 1, 1)


def squared_gap_by_rows(source: Tensor, target: Tensor) -> Tensor:
    """Return ``||C_S - C_T||_F^2`` by products of rows, without a matrix of features by features.

    ``sum_ij w_i w_j (z_i z_j)^2`` over the rows ``z`` of both domains, each less its domain's mean,
    with ``w`` of ``1/(n_S - 1)`` and ``-1/(n_T - 1)``.
    """
    rows = torch.cat([features - features.mean(dim=0) for features in (source, target)])
    weights = rows.new_ones(len(rows)) / max(len(source) - 1, 1)
    weights[len(source) :] = -1 / max(len(target) - 1, 1)
    return (weights @ (rows @ rows.T).square() @ weights).clamp(min=0)


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """Return ``1/(4 d^2) ||C_S - C_T||_F^2`` of features of width ``d``."""
    width = source.shape[1]
    if width > len(source) + len(target):
        # The difference of large numbers, but covariances of few rows are never nearly equal.
        return squared_gap_by_rows(source, target) / (4 * width**2)
    gap = covariance(source) - covariance(target)
    return gap.square().sum() / (4 * width**2)


class CORALMixin:
    """Pulls the covariances of the domains' features together; stands before `BaseAdaptation`."""

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the CORAL loss, the mean over sources, its gradient weighed by lambda."""
        assert batch.target is not None
        source = scale_gradient(batch.source.features, batch.lambda_)
        target = scale_gradient(batch.target.features, batch.lambda_)
        losses = [coral_loss(features, target) for features in batch.source.split(source)]
        return {"domain_loss": losses[0] if len(losses) == 1 else torch.stack(losses).mean()}


@with_shared_docs
@parameters
class DeepCORALClassifier(CORALMixin, ClassWeightingMixin, AdaptationClassifier):
    """Deep CORAL: features whose covariance is the same in both domains.

    The body learns to classify the source while the second-order statistics of
    its features on both domains are pulled together. There is no adversary, so
    training is steady, and only shifts that covariances show are removed.

    The careful choice: it gains less than `DANNClassifier` and loses less where the target's
    classes have other shares. It does nothing for shifts that bend or turn the classes, such as
    moons.

    The loss is

    ``L_y + lambda/(4 d^2) ||C_S - C_T||_F^2``

    with ``L_y`` the mean cross-entropy on the source and ``C_S``, ``C_T`` the unbiased
    covariances of the ``d`` features in the source and target rows of a batch. The paper takes
    the covariances of the last layer's logits; here they are of the features,
    as in later work. They shrink with ``d^2``: wide bodies want a `lambda_` of
    10 to 1000. Of several sources (`domains`) the loss is the mean over ``C_S`` of each.

    It trains for 30 epochs, not for 100 as the other methods do: nothing in this loss looks at
    where the target's rows lie among the classes, and a body that goes on learning the source
    by heart loses on the target what it had, with and without CORAL. Where a fit has far
    fewer steps than some hundred (few rows, large batches), raise `max_epochs`.

    Parameters
    ----------
    {body_parameters}
    {label_classifier_parameter}
    {target_loss_parameters}
    {class_weighting_parameter}
    {adaptation_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    {classes_attribute}
    {fitted_attributes}

    Warns
    -----
    UserWarning
        Where there is no `X_target`, and where the domain loss has not moved or
        sends no gradient to the features.

    See Also
    --------
    DANNClassifier : Lets a classifier find what differs between the domains.

    References
    ----------
    Sun and Saenko, "Deep CORAL: Correlation Alignment for Deep Domain
    Adaptation", ECCV workshops 2016, eqs. 1-3. https://arxiv.org/abs/1607.01719

    Examples
    --------
    >>> from sktransfer import DeepCORALClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = DeepCORALClassifier(lambda_=100.0, random_state=0)
    >>> clf.fit(Xs, ys, X_target=Xt).predict(Xt).shape
    (300,)
    """

    class_weighting: Any = "auto"
    max_epochs: int = 30
