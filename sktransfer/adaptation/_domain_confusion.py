"""Domain confusion: a domain classifier and a body that move in turn."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._docs import with_shared_docs
from ..data._batch import Batch
from ..deep._parameters import parameters
from ..engine._stage import AlternatingStep, Move, Step, Update
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real
from ._class_weighting import ClassWeightingMixin
from ._classifier import AdaptationClassifier
from ._dann import DANNMixin, DomainClassifier

# What earlier steps' rows count for in a soft label, from each step to the next.
DECAY = 0.99


def confusion_loss(logits: Tensor) -> Tensor:
    """Return the mean cross-entropy of an undecided answer and that of a domain classifier.

    ``-1/n sum_i (1/2 log q_iT + 1/(2k) sum_s log q_is)`` with the probabilities ``q`` of the
    target ``T`` and of each of ``k`` sources; ``ln 2 + 1/2 ln k`` is the least.

    Parameters
    ----------
    logits : Tensor of shape (n, 1) or (n, k + 1)
        Of the target against one source, or of ``k`` sources and, last, the target.
    """
    if logits.shape[1] == 1:
        log_probabilities = F.logsigmoid(torch.cat([-logits, logits], dim=1))
    else:
        log_probabilities = logits.log_softmax(dim=1)
    of_sources, of_target = log_probabilities[:, :-1].mean(dim=1), log_probabilities[:, -1]
    return -(of_sources + of_target).mean() / 2


def soft_label_loss(logits: Tensor, soft_labels: Tensor, temperature: float) -> Tensor:
    """Return ``-1/n sum_i sum_k l_ik log p_ik``, ``p = softmax(logits / temperature)``.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Of target rows with labels.
    soft_labels : Tensor of shape (n, n_classes)
        ``l``: for each row what the source's rows of its class are taken for.
    temperature : float
        What softens the predictions.
    """
    return -(soft_labels * (logits / temperature).log_softmax(dim=1)).sum(dim=1).mean()


class SoftLabels(nn.Module):
    """What source rows of each class are taken for, in the mean over the last steps.

    ``l_k = sum_i g^(age_i) softmax(z_i / temperature) / sum_i g^(age_i)`` over the rows ``i`` of
    class ``k``, with logits ``z``, the age in steps and ``g = 0.99``.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    temperature : float
        What softens the predictions.
    dtype : torch.dtype
        Of the logits.
    """

    sums: Tensor
    counts: Tensor

    def __init__(self, n_classes: int, temperature: float, dtype: torch.dtype) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("sums", torch.zeros(n_classes, n_classes, dtype=dtype))
        self.register_buffer("counts", torch.zeros(n_classes, dtype=dtype))

    @torch.no_grad()
    def see(self, logits: Tensor, y: Tensor) -> None:
        """Take a step's source rows into the mean."""
        rows = F.one_hot(y, len(self.counts)).to(self.sums.dtype)
        self.sums.mul_(DECAY).add_(rows.T @ (logits / self.temperature).softmax(dim=1))
        self.counts.mul_(DECAY).add_(rows.sum(dim=0))

    def forward(self, y: Tensor) -> Tensor:
        """Return the soft label of each label; of classes that the source lacks the hard one."""
        hard = torch.eye(len(self.counts), dtype=self.sums.dtype, device=self.sums.device)
        counts = self.counts[:, None]
        table = torch.where(counts > 0, self.sums / counts.clamp(min=1e-12), hard)
        return table[y]


def without_graph(batch: Batch) -> Batch:
    """Return the batch with features through which no gradient reaches the body."""
    assert batch.target is not None
    seen = copy.copy(batch)
    seen.source, seen.target = copy.copy(batch.source), copy.copy(batch.target)
    seen.source.features = batch.source.features.detach()
    seen.target.features = batch.target.features.detach()
    seen.joint_features = None
    return seen


@with_shared_docs
@parameters
class DomainConfusionClassifier(DANNMixin, ClassWeightingMixin, AdaptationClassifier):
    """Domain confusion: features of which a domain classifier can say nothing.

    A domain classifier learns to tell source from target by the features; then the body
    learns to leave it undecided. `DANNClassifier` has the body make the classifier wrong by a
    reversed gradient, which fades where the classifier is sure and right; here the two
    move in turn, each down a loss of its own, and the body's is steepest there.

    It gains about what `DANNClassifier` does on raw signals and moons, and less on words and
    pixels. Take it for soft labels, where some target labels are known.

    Each batch is two moves, with ``L_y`` the mean cross-entropy of the label head on the
    source, ``q`` the domain classifier's probabilities and ``lambda`` that of the step:

    - the domain classifier goes down its logistic loss (source 0, target 1) and its
      penalty, the features held fixed;
    - body and label head go down the following, the domain classifier held fixed:

    ``L_y + lambda (C_source + C_target)``, ``C = -1/n sum_i (1/2 log q_i0 + 1/2 log q_i1)``.

    Where `y_target` tells some labels, their mean cross-entropy and ``soft_label_weight S`` are
    added to the second, with

    ``S = -1/m sum_j sum_k l_(y_j, k) log softmax(z_j / temperature)_k``

    over the ``m`` labelled target rows of the batch, with logits ``z``. The soft label ``l_c`` is
    the mean of ``softmax(z_i / temperature)`` over the source rows of class ``c``, those of
    each step counting for 0.99 of those of the next: a row of the target is to look like
    its class and, in the same way as in the source, a little like the classes
    that resemble it. With several sources ``C`` is the cross-entropy to half the target
    and equal shares of the sources. The published method learns the soft labels before
    adaptation, has ``lambda`` .01 for a pretrained body, and no penalty.

    By default ``lambda`` times 0.03 of the mean entropy of the predictions on the target is
    added to the second as well (`target_loss`; None is the method as published), for the
    reason that `DANNClassifier` gives.

    Parameters
    ----------
    {body_parameters}
    {domain_classifier_parameters}
    soft_label_weight : float, default={soft_label_weight}
        Weight of ``S``, which counts only where `y_target` tells labels.
    temperature : float, default={temperature}
        What logits are divided by in soft labels and the predictions held against them.
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
        Where there is no `X_target`, and as `DANNClassifier` does; ``domain_loss`` in
        ``history_`` is ``C_source + C_target``, and ``domain_classifier_loss`` the other player's.

    See Also
    --------
    DANNClassifier : One move for both players, by a reversed gradient.

    References
    ----------
    Tzeng et al., "Simultaneous Deep Transfer Across Domains and Tasks", ICCV 2015,
    eqs. 3-7. https://arxiv.org/abs/1510.02192

    Examples
    --------
    >>> from sktransfer import DomainConfusionClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = DomainConfusionClassifier(max_epochs=20, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> clf.predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "soft_label_weight": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    soft_label_weight: float = 0.1
    temperature: float = 2.0
    target_loss: Any = "entropy"
    target_loss_weight: float = 0.03
    optimizer: Any = "game_adam"

    def _make_heads(self, features: Tensor, n_outputs: int) -> dict[str, nn.Module]:
        heads = super()._make_heads(features, n_outputs)
        if not any(weight.requires_grad for weight in heads["domain_classifier"].parameters()):
            raise ValueError(
                f"domain_classifier={self.domain_classifier!r:.80} has no weights that learn, and "
                "it is to learn in moves of its own here. Give a module with weights, such as "
                "torch.nn.Linear(n, 1), or None."
            )
        return {**heads, "soft_labels": SoftLabels(n_outputs, self.temperature, features.dtype)}

    def _make_step(self, network: TransferNetwork) -> Step:
        classifier = list(cast(nn.Module, network.domain_classifier).parameters())
        own = {id(parameter) for parameter in classifier}
        others = [parameter for parameter in network.parameters() if id(parameter) not in own]
        alone = super()._make_step(network)
        in_turn = AlternatingStep(
            [
                Move(partial(self._tell_domains, network), classifier),
                Move(partial(self._losses_of_features, network), others),
            ]
        )

        def step(batch: Batch, update: Update) -> dict[str, Tensor]:
            return (alone if batch.target is None else in_turn)(batch, update)

        return step

    def _tell_domains(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Pass a batch through the body, and return what the domain classifier learns by."""
        network.forward_domains(batch)
        losses = self._classifier_losses(network, without_graph(batch))
        return {"domain_classifier_loss": losses.pop("domain_loss"), **losses}

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return what the body goes down, its gradient weighed by lambda."""
        classifier = cast(DomainClassifier, network.domain_classifier)
        classifier.reversal.lambda_ = -batch.lambda_  # so that it is not reversed
        source, target = network.forward_head("domain_classifier", batch)
        return {"domain_loss": confusion_loss(source) + confusion_loss(target)}

    def _label_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        losses, labelled = super()._label_losses(network, batch), batch.labelled
        if labelled is None or self.soft_label_weight == 0:
            return losses
        assert batch.source.y is not None
        soft_labels = cast(SoftLabels, network.soft_labels)
        if network.training:
            soft_labels.see(batch.source_outputs.detach(), batch.source.y)
        loss = soft_label_loss(
            network.forward_labelled(batch), soft_labels(labelled.y), self.temperature
        )
        return {**losses, "soft_label_loss": self.soft_label_weight * loss}
