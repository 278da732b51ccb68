"""Domain-adversarial training of neural networks."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._docs import with_shared_docs
from ..data._batch import Batch, RowMetric
from ..deep._parameters import parameters
from ..layers import GradientReversal
from ..network._build import check_layer_sizes, make_head, make_mlp
from ..network._network import TransferNetwork, joint_features
from ..validation._constraints import Integral, Interval, Real
from ._class_weighting import ClassWeightingMixin
from ._own_bodies import OwnBodiesClassifier


def domain_adversarial_loss(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Return the logistic loss of a domain classifier, each domain averaged by itself.

    ``1/n sum_source -log(1 - sigma(z_i)) + 1/n' sum_target -log sigma(z_j)``
    """
    return F.softplus(source_logits).mean() + F.softplus(-target_logits).mean()


def several_domains_loss(source_logits: Tensor, target_logits: Tensor, domains: Tensor) -> Tensor:
    """Return the cross-entropy of a classifier of ``k`` sources (0 to k - 1) and a target (k).

    ``1/n sum_source -log softmax(z_i)[d_i] + 1/n' sum_target -log softmax(z_j)[k]``, with
    as many rows of each source: they weigh as much as the target together.
    """
    target = torch.full_like(target_logits[:, 0], target_logits.shape[1] - 1, dtype=torch.long)
    return F.cross_entropy(source_logits, domains) + F.cross_entropy(target_logits, target)


def target_log_odds(logits: Tensor) -> Tensor:
    """Return ``log p_target - log (1 - p_target)`` of the logits of several domains."""
    return logits[:, -1:] - logits[:, :-1].logsumexp(dim=1, keepdim=True)


def domain_accuracy(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Return the share of right domains, mean of both domains' shares; 0.5 is chance."""
    right = (source_logits <= 0).mean(dtype=source_logits.dtype)
    return (right + (target_logits > 0).mean(dtype=target_logits.dtype)) / 2


def gradient_penalty(logits: Tensor, features: Tensor) -> Tensor:
    """Return ``mean_i ||dz_i / df_i||^2 * mean_j Var(f_j)`` of logits ``z`` and features ``f``.

    The variances are taken over the rows, and no gradient reaches the features: with
    them scaled by any factor the penalty of the same decisions is the same. Of several
    sources ``||dz_i / df_i||^2`` is the mean over sources of that of ``z_target - z_k``.
    """
    of_sources = (logits,) if logits.shape[1] == 1 else (logits[:, -1:] - logits[:, :-1]).unbind(1)
    squares = []
    for column in of_sources:
        (slopes,) = torch.autograd.grad(
            column.sum(), features, create_graph=True, materialize_grads=True
        )
        squares.append(slopes.square().sum(dim=1).mean())
    mean = squares[0] if len(squares) == 1 else torch.stack(squares).mean()
    features = features.detach()
    # `var(dim=0)` takes ten times as long.
    return mean * (features - features.mean(dim=0)).square().mean()


class DomainClassifier(nn.Module):
    """A head behind a gradient reversal.

    Parameters
    ----------
    head : Module
        ``(n, n_features) -> (n, 1)`` logits, or a column for each of several domains.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.reversal = GradientReversal(0.0)
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        """Return the domain logits of features, whose gradient is reversed."""
        logits: Tensor = self.head(self.reversal(features))
        return logits


def make_domain_classifier(
    given: Any, layer_sizes: Any, features: Tensor, n_logits: int = 1
) -> DomainClassifier:
    """Return the user's domain classifier as a copy, or an MLP, for features like these."""
    sizes = check_layer_sizes(layer_sizes, "domain_layer_sizes")
    arguments = (features.shape[1],) if n_logits == 1 else (features.shape[1], n_logits)

    def mlp(n_features, n_logits=1):
        return make_mlp([n_features, *sizes, n_logits], activate_last=False)

    head = make_head(given, "domain_classifier", features, n_logits, arguments, mlp)
    return DomainClassifier(head)


@parameters
class DANNMixin:
    """Sets a domain classifier against the body; stands before `BaseAdaptation`."""

    _domain_loss_needs: ClassVar[str | None] = "the domain classifier's output depends on its input"

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "domain_classifier": [callable, None],
        "gradient_penalty": [Interval(Real, 0, None, closed="left")],
        "domain_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    }

    domain_classifier: Any = None
    domain_layer_sizes: Any = (100,)
    gradient_penalty: float = 5.0
    _n_sources: ClassVar[Any]  # of `BaseAdaptation`

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the domain classifier's loss behind the gradient reversal, and its penalty."""
        cast(DomainClassifier, network.domain_classifier).reversal.lambda_ = batch.lambda_
        return self._classifier_losses(network, batch)

    def _classifier_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return how badly the domain classifier tells the domains, and its penalty."""
        source, target = network.forward_head("domain_classifier", batch)
        if source.shape[1] == 1:
            loss, logits = domain_adversarial_loss(source, target), (source, target)
        else:
            loss = several_domains_loss(source, target, batch.source.numbers())
            logits = target_log_odds(source), target_log_odds(target)
        batch.metrics["domain_accuracy"] = RowMetric(
            domain_accuracy, (logits[0].detach(), logits[1].detach())
        )
        losses = {"domain_loss": loss}
        if self.gradient_penalty > 0:
            classifier = cast(DomainClassifier, network.domain_classifier)
            features = joint_features(batch).detach().requires_grad_()
            penalty = gradient_penalty(classifier.head(features), features)
            losses["gradient_penalty_loss"] = self.gradient_penalty * penalty
        return losses

    def _n_sources_told_apart(self) -> int:
        return int(self._n_sources)

    def _make_heads(self, features: Tensor, n_outputs: int) -> dict[str, nn.Module]:
        n_logits = 1 if self._n_sources == 1 else self._n_sources + 1
        # Made after body and label head, so that these do not depend on its draws.
        given, sizes = self.domain_classifier, self.domain_layer_sizes
        return {"domain_classifier": make_domain_classifier(given, sizes, features, n_logits)}


@with_shared_docs
@parameters
class DANNClassifier(DANNMixin, ClassWeightingMixin, OwnBodiesClassifier):
    """Domain-adversarial training: features that do not tell the domains apart.

    A domain classifier learns to tell source from target by the features, and
    through a gradient-reversal layer the body learns to make it fail, while the
    label head learns from the source. What is left in the features serves both
    domains.

    Begin with it where the target has no labels, and compare with ``source_only()``. It needs a
    target with the source's classes: where it lacks some, see `class_weighting`.

    The saddle point sought is of

    ``E = 1/n sum_source L_y - lambda (1/n sum_source L_d + 1/n' sum_target L_d)``

    with ``L_y`` the cross-entropy of the label head and ``L_d`` the logistic
    loss of the domain classifier (source 0, target 1). Body and label head
    minimise it, the domain classifier maximises it; one SGD step of rate ``a`` is

    ``theta_f -= a (dL_y/dtheta_f - lambda dL_d/dtheta_f)``,
    ``theta_y -= a dL_y/dtheta_y``, ``theta_d -= a dL_d/dtheta_d``.

    The domain classifier learns with factor 1, not lambda (as the paper's
    experiments do; its eq. 16 has lambda there too). A body with batch
    normalisation sees each domain by itself, and predicts with the target's
    statistics. In images let it end in the maps of the last convolution and give dense layers
    to the label head (`label_classifier`): one in the body can hide the domain by itself,
    and what is below it then has no reason to change. With several sources ``L_d`` is the
    cross-entropy of all domains, of which the sources together weigh as much as the target.

    By default ``lambda`` times 0.03 of the mean entropy of the predictions on the target is
    minimised as well (`target_loss`; None is the method as published). Once the label
    loss has vanished nothing else keeps a target row from being carried, step by step,
    into a class that is short of rows: the entropy makes the border between classes a
    barrier. It costs accuracy where a shift has put many rows across the border at
    the start, such as moons turned by 50 degrees.

    Domains can look alike only where their classes are as frequent. Where the target has a
    class a tenth as often as the source, the method as published (``class_weighting=None``)
    loses to the source alone, and its predictions do not show it. By default source rows are
    drawn in the shares that the target's classes seem to have, where early predictions tell of
    other shares and do not change with the next epochs. Where they change, as where the source
    says little of the target, all rows come as often. See `class_weighting`.

    Parameters
    ----------
    {body_parameters}
    target_feature_extractor : torch.nn.Module, callable or None, default=None
        A body of their own for rows of the target, which may then have other features
        than those of the source (no common columns, another shape); it ends in as many as
        `feature_extractor`, which sees the source alone. Only what stands upon the
        bodies, label head and domain classifier, is common: with few labels of the target
        (`y_target`) they tie the classes, without any nothing says which class of the
        target is which. `predict` and `score` take rows of the target, those of the
        source with ``domain="source"``. None is one body for both.
    {domain_classifier_parameters}
    {label_classifier_parameter}
    {target_loss_parameters}
    {class_weighting_parameter}
    {adaptation_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    source_shape_ : tuple of int or None
        Shape of one row of the source, where the target has a body of its own.
    {classes_attribute}
    {fitted_attributes}

    Warns
    -----
    UserWarning
        Where there is no `X_target`, and where at the end the domain loss has
        not moved, sends no gradient to the features, or the domain classifier
        is right in 99.5% of the rows.

    See Also
    --------
    DeepCORALClassifier : Matches covariances instead; no second player.

    References
    ----------
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17
    (2016), eqs. 9, 13-18. https://jmlr.org/papers/v17/15-239.html

    Mescheder et al., "Which Training Methods for GANs do actually Converge?", ICML
    2018, eqs. 9-10 (the zero-centred penalty, here on both domains and scaled).

    Shu et al., "A DIRT-T Approach to Unsupervised Domain Adaptation", ICLR 2018, eq. 8
    (the entropy beside a domain-adversarial loss).

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = DANNClassifier(random_state=0).fit(Xs, ys, X_target=Xt)
    >>> clf.predict(Xt).shape
    (300,)
    """

    target_loss: Any = "entropy"
    target_loss_weight: float = 0.03
    class_weighting: Any = "auto"
    optimizer: Any = "game_adam"
