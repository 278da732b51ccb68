"""Deep adaptation and joint adaptation networks: kernels see the same mean in both domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._docs import with_shared_docs
from .._kernels import mean_of_powers
from ..data._batch import Batch
from ..deep._distances import squared_distances
from ..deep._parameters import parameters
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ._class_weighting import ClassWeightingMixin
from ._classifier import AdaptationClassifier


def mixture_kernel(rows: Tensor) -> Tensor:
    """Return the mean of five Gaussian kernels of all pairs of rows, shape (n, n).

    ``1/5 sum_s exp(-||a - b||^2 / (s v))``, ``s`` of (1/4, 1/2, 1, 2, 4), with ``v`` the
    mean squared distance of two different rows, through which no gradient flows.
    """
    distances = squared_distances(rows, rows)
    n_pairs = max(len(rows) * (len(rows) - 1), 1)
    v = distances.detach().sum() / n_pairs
    v = v.clamp(min=torch.finfo(rows.dtype).tiny)
    kernel: Tensor = mean_of_powers(torch.exp(distances / (-4 * v)))
    return kernel


def mmd_loss(source: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Return ``mean k(s, s') + mean k(t, t') - 2 mean k(s, t)`` over all pairs of rows.

    ``k`` is the product of the `mixture_kernel` of each layer; `source` and `target`
    hold what the layers made of the rows, and may have different numbers of them.
    """
    kernel = torch.ones((), dtype=source[0].dtype, device=source[0].device)
    for of_source, of_target in zip(source, target, strict=True):
        kernel = kernel * mixture_kernel(torch.cat([of_source, of_target]))
    n = len(source[0])
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


@with_shared_docs
@parameters
class DeepMMDClassifier(ClassWeightingMixin, AdaptationClassifier):
    """Deep adaptation networks: features of which kernels see the same mean in both domains.

    A kernel compares two distributions by all their moments at once, where a covariance
    knows the second alone. There is no adversary. With ``joint=True`` (joint adaptation
    networks) it compares features and predictions together, so that a class of the source
    is to lie where the same class is predicted in the target.

    Take it in place of `DANNClassifier` where an adversary swings. It gains as much on raw
    signals, where ``joint=True`` was the best of all methods, and less on words and pixels.

    The loss is, over all pairs of source rows ``s`` and target rows ``t`` of a batch,

    ``L_y + lambda D``,
    ``D = mean k(s, s') + mean k(t, t') - 2 mean k(s, t)``,
    ``k(a, b) = 1/5 sum_c exp(-||f_a - f_b||^2 / (c v))``,

    with ``L_y`` the mean cross-entropy on the source, ``c`` of (1/4, 1/2, 1, 2, 4), ``f`` the
    features and ``v`` the mean of ``||f_a - f_b||^2`` over pairs of different rows of both
    domains, held fixed. Joint, ``k`` is multiplied by the same kernel of the softmax of the
    label head's logits. `sktransfer.metrics.mmd` with ``kernel="gaussian_mixture"``,
    ``unbiased=False`` and ``bandwidth=sqrt(v / 2)`` is ``D``. The papers match several layers;
    here it is the features, and jointly the predictions.

    By default ``lambda`` times 0.03 of the mean entropy of the predictions on the target is
    minimised as well (`target_loss`; None is the method as published). Equal means alone
    carry rows into classes of which the target has fewer than the source; the entropy of what is
    predicted, which a row has to climb over to leave its class, holds them back.

    Parameters
    ----------
    {body_parameters}
    joint : bool, default={joint}
        Whether features and predictions are matched together.
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
    DeepCORALClassifier : Matches covariances alone.
    sktransfer.metrics.mmd : The same distance of two arrays.

    References
    ----------
    Long et al., "Learning Transferable Features with Deep Adaptation Networks", ICML
    2015, eqs. 1-5. https://arxiv.org/abs/1502.02791

    Long et al., "Deep Transfer Learning with Joint Adaptation Networks", ICML 2017,
    eqs. 9-10. https://arxiv.org/abs/1605.06636

    Examples
    --------
    >>> from sktransfer import DeepMMDClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = DeepMMDClassifier(random_state=0).fit(Xs, ys, X_target=Xt)
    >>> clf.predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "joint": ["boolean"],
    }

    joint: bool = False
    target_loss: Any = "entropy"
    target_loss_weight: float = 0.03

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the squared discrepancy, its gradient weighed by lambda."""
        assert batch.target is not None
        source, target = [batch.source.features], [batch.target.features]
        if self.joint:
            source.append(batch.source_outputs.softmax(dim=1))
            target.append(network.target_outputs(batch).softmax(dim=1))
        loss = mmd_loss(
            [scale_gradient(layer, batch.lambda_) for layer in source],
            [scale_gradient(layer, batch.lambda_) for layer in target],
        )
        return {"domain_loss": loss}
