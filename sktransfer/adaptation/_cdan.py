"""Conditional domain-adversarial training."""

from __future__ import annotations

import math
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._docs import with_shared_docs
from ..data._batch import Batch, RowMetric
from ..deep._parameters import parameters
from ..network._network import TransferNetwork
from ._class_weighting import ClassWeightingMixin
from ._classifier import AdaptationClassifier
from ._dann import (
    DANNMixin,
    DomainClassifier,
    domain_accuracy,
    gradient_penalty,
    make_domain_classifier,
)
from ._target_losses import row_entropies

# Products above this number are drawn to so many random ones.
MOST_PRODUCTS, RANDOM_PRODUCTS = 4096, 1024


def products(features: Tensor, probabilities: Tensor) -> Tensor:
    """Return ``f_ia p_ik`` for each row i, all features a and classes k, shape (n, d K)."""
    return (features[:, :, None] * probabilities[:, None, :]).flatten(1)


def certainty_weights(logits: Tensor) -> Tensor:
    """Return ``w_i = n (1 + exp(-H_i)) / sum_j (1 + exp(-H_j))``, ``H`` the rows' entropies."""
    certainty = 1 + torch.exp(-row_entropies(logits))
    return len(logits) * certainty / certainty.sum()


def weighted_adversarial_loss(
    source_logits: Tensor, target_logits: Tensor, source_weights: Tensor, target_weights: Tensor
) -> Tensor:
    """Return the logistic loss of a domain classifier of weighted rows.

    ``1/n sum_source -w_i log(1 - sigma(z_i)) + 1/n' sum_target -w_j log sigma(z_j)``
    """
    of_source = (source_weights * F.softplus(source_logits[:, 0])).mean()
    return of_source + (target_weights * F.softplus(-target_logits[:, 0])).mean()


class Products(nn.Module):
    """All products of features and probabilities."""

    def forward(self, features: Tensor, probabilities: Tensor) -> Tensor:
        """Return them, shape (n, d K)."""
        return products(features, probabilities)


class RandomProducts(nn.Module):
    """A random map whose inner products are, in the mean, those of all products.

    ``(R_f f) * (R_p p) / sqrt(m)``, with ``m`` rows of standard normal numbers in ``R_f`` and
    ``R_p``, drawn once.

    Parameters
    ----------
    n_features, n_classes : int
        Of what is multiplied.
    n_products : int
        ``m``.
    dtype : torch.dtype
        Of the features.
    """

    of_features: Tensor
    of_classes: Tensor

    def __init__(self, n_features: int, n_classes: int, n_products: int, dtype: torch.dtype):
        super().__init__()
        self.register_buffer("of_features", torch.randn(n_features, n_products, dtype=dtype))
        self.register_buffer("of_classes", torch.randn(n_classes, n_products, dtype=dtype))

    def forward(self, features: Tensor, probabilities: Tensor) -> Tensor:
        """Return them, shape (n, m)."""
        n_products = self.of_features.shape[1]
        mapped = (features @ self.of_features) * (probabilities @ self.of_classes)
        return mapped / math.sqrt(n_products)


def make_products(n_features: int, n_classes: int, dtype: torch.dtype) -> nn.Module:
    """Return all products where they are few, else random ones."""
    if n_features * n_classes <= MOST_PRODUCTS:
        return Products()
    return RandomProducts(n_features, n_classes, RANDOM_PRODUCTS, dtype)


@with_shared_docs
@parameters
class CDANClassifier(DANNMixin, ClassWeightingMixin, AdaptationClassifier):
    """Conditional domain-adversarial training: domains alike class by class.

    The adversary of `DANNClassifier` sees features alone, and is fooled where a class
    of the source lies on another of the target. Here it sees the products of the features and
    the predicted probabilities, and so compares a class with the same class.

    Strong on raw signals, words and pixels. Not where the source's border cuts through a class
    of the target, as on moons: its products are then of wrong predictions, and it loses where
    `DANNClassifier` gains.

    The saddle point sought is of

    ``E = L_y - lambda (1/n sum_source w_i L_d(h_i) + 1/n' sum_target w_j L_d(h_j))``

    with ``L_y`` the mean cross-entropy on the source, ``L_d`` the logistic loss of the
    domain classifier (source 0, target 1) and ``h`` all products ``f_a p_k`` of a row's
    features and probabilities. With `entropy_conditioning`
    ``w = 1 + exp(-H)``, ``H`` the entropy of the row's prediction, scaled to mean 1 in
    each domain of a batch, so that rows of which nothing sure is said count for less;
    without, 1. No gradient flows through ``p`` and ``w``. Where there are more than 4,096
    products, ``h = (R_f f) * (R_p p) / sqrt(1024)`` with fixed random matrices of 1,024
    rows. ``lambda`` is 0.3 and not the paper's 1, as products that rest on wrong predictions
    lead the wrong way (moons turned by 35 degrees). The schedule, the reversal and the steadying
    of the two players are those of `DANNClassifier`.

    Parameters
    ----------
    {body_parameters}
    entropy_conditioning : bool, default={entropy_conditioning}
        Whether rows that are predicted surely count for more (CDAN+E).
    domain_classifier : torch.nn.Module, callable or None, default=None
        The head that maps products to one domain logit (above 0 is target). A callable
        gets their number. None is an MLP by `domain_layer_sizes`.
    domain_layer_sizes : int or sequence of int, default=(100,)
        Widths of the hidden layers of the domain classifier, where `domain_classifier` is
        None; ``()`` makes it linear.
    gradient_penalty : float, default={gradient_penalty}
        Weight of ``mean_i ||dz_i / dh_i||^2 * mean_j Var(h_j)`` over the rows of both
        domains, ``z`` the logits of the domain classifier, which alone learns of it; as in
        `DANNClassifier`. 0 is the published method.
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
        As `DANNClassifier` does.

    See Also
    --------
    DANNClassifier : Compares the features of all classes at once.

    References
    ----------
    Long et al., "Conditional Adversarial Domain Adaptation", NeurIPS 2018, eqs. 4-9.
    https://arxiv.org/abs/1705.10667

    Examples
    --------
    >>> from sktransfer import CDANClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = CDANClassifier(max_epochs=20, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> clf.predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "entropy_conditioning": ["boolean"],
    }

    entropy_conditioning: bool = True
    lambda_: float = 0.3
    class_weighting: Any = "auto"
    optimizer: Any = "game_adam"

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the domain classifier's loss behind the gradient reversal, and its penalty."""
        assert batch.target is not None
        classifier = cast(DomainClassifier, network.domain_classifier)
        classifier.reversal.lambda_ = batch.lambda_
        logits = [batch.source_outputs.detach(), network.target_outputs(batch).detach()]
        features = [batch.source.features, batch.target.features]
        multiply = cast(nn.Module, network.products)
        joint = [multiply(f, z.softmax(dim=1)) for f, z in zip(features, logits, strict=True)]
        source, target = classifier(joint[0]), classifier(joint[1])
        batch.metrics["domain_accuracy"] = RowMetric(
            domain_accuracy, (source.detach(), target.detach())
        )
        weights = [
            certainty_weights(z) if self.entropy_conditioning else torch.ones_like(z[:, 0])
            for z in logits
        ]
        losses = {"domain_loss": weighted_adversarial_loss(source, target, *weights)}
        if self.gradient_penalty > 0:
            rows = torch.cat(joint).detach().requires_grad_()
            penalty = gradient_penalty(classifier.head(rows), rows)
            losses["gradient_penalty_loss"] = self.gradient_penalty * penalty
        return losses

    def _n_sources_told_apart(self) -> int:
        return 1  # they are taken for one

    def _make_heads(self, features: Tensor, n_outputs: int) -> dict[str, nn.Module]:
        conditional = make_products(features.shape[1], n_outputs, features.dtype)
        undecided = features.new_full((len(features), n_outputs), 1 / n_outputs)
        seen = conditional(features, undecided)
        return {
            "products": conditional,
            "domain_classifier": make_domain_classifier(
                self.domain_classifier, self.domain_layer_sizes, seen
            ),
        }
