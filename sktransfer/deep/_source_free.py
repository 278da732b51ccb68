"""A trained classifier learns on from target rows alone; its label head stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F

from .._settings import Settings
from .._task import encoded
from ..data._batch import Batch
from ..data._domain import Domain
from ..data._sampler import DomainRows, Sampler
from ..engine._average import WeightAverage
from ..engine._net import TransferNet
from ..engine._stage import AlternatingStep, Move, Stage
from ..network._build import floating_type, rates_by_width
from ..network._network import TransferNetwork
from ..validation._constraints import Integral, Interval, Real
from ..validation._naming import named
from ._class_weights import weigh_classes


def information_loss(logits: Tensor, diversity: bool = True, unknown: int | None = None) -> Tensor:
    """Return ``-1/n sum_i sum_k p_ik log p_ik + sum_k m_k log m_k``, ``m_k = 1/n sum_i p_ik``.

    The second term, there with `diversity`, is least where all classes are predicted
    as often. Where one of the classes is that of all that is unknown (`unknown`), it is
    of the others' shares, ``m_k / sum_(j != unknown) m_j``: nothing tells how many rows
    are to be unknown.
    """
    log_probabilities = F.log_softmax(logits, dim=1)
    probabilities = log_probabilities.exp()
    loss = -(probabilities * log_probabilities).sum(dim=1).mean()
    if diversity:
        # By logarithms: the shares of what is hardly ever predicted have a gradient, too.
        log_means = log_probabilities.logsumexp(dim=0)
        if unknown is not None:
            log_means = torch.cat([log_means[:unknown], log_means[unknown + 1 :]])
        log_shares = log_means.log_softmax(dim=0)
        loss = loss + (log_shares.exp() * log_shares).sum()
    return loss


def centroid_labels(features: Tensor, probabilities: Tensor, unknown: int | None = None) -> Tensor:
    """Return for each row the class whose centroid has the least angle with its features.

    The rows ``g_i = (f_i, 1) / ||(f_i, 1)||`` have the centroids ``c_k = sum_i p_ik g_i``
    and the label ``argmax_k g_i . c_k / ||c_k||``; once again so, with 1 for ``p_ik`` of a
    row's label and 0 else. A class that no row is predicted as, or has as its label in
    the second round, gets no rows. What is `unknown` has no centroid, being of many
    kinds: rows predicted so are labelled so, and no others.
    """
    directions = F.normalize(F.pad(features, (0, 1), value=1.0))
    n_classes = probabilities.shape[1]
    predicted = labels = probabilities.argmax(dim=1)
    for weights in (probabilities, None):
        if weights is None:
            weights = F.one_hot(labels, n_classes).to(directions.dtype)
        is_empty = torch.bincount(labels, minlength=n_classes) == 0
        if unknown is not None:
            is_empty[unknown] = True
        cosines = directions @ F.normalize(weights.T @ directions).T
        labels = cosines.masked_fill(is_empty, -torch.inf).argmax(dim=1)
        if unknown is not None:
            labels = torch.where(predicted == unknown, unknown, labels)
    return labels


class PseudoLabels(Callback):
    """Labels the target anew before each epoch, and weighs the labels by their classes.

    Parameters
    ----------
    target : DomainRows
        With ``y`` and, where there are class weights, ``loss_weight``, to be filled.
    known, labels : Tensor of int of shape (n_known,)
        Numbers of the rows whose label is known, and these labels.
    class_weight : dict, "balanced" or None
        Weights of the classes, by label.
    unknown : int or None
        The class of all that is unknown, if there is one.
    """

    def __init__(
        self,
        target: DomainRows,
        known: Tensor,
        labels: Tensor,
        class_weight: Any,
        unknown: int | None,
    ):
        self.target, self.known, self.labels = target, known, labels
        self.class_weight, self.unknown = class_weight, unknown

    @torch.no_grad()
    def on_epoch_begin(self, net: TransferNet, **kwargs: Any) -> None:
        """Label all rows by centroids, but for those whose label is known."""
        network, engine, y = net.module_, net.engine, self.target.y
        assert y is not None
        features = torch.from_numpy(engine.forward(network, network.features, self.target.rows))
        features = features.to(engine.device, network.feature_type)
        probabilities = network.label_head(features).softmax(dim=1)
        y.copy_(centroid_labels(features, probabilities, self.unknown))
        y[self.known] = self.labels
        if self.target.loss_weight is not None:
            weights = weigh_classes(self.class_weight, net.classes, y.cpu().numpy(), None)
            self.target.loss_weight.copy_(torch.as_tensor(weights)[y.cpu()])


class HypothesisTransfer(Settings):
    """How a fitted classifier learns on from target rows alone: source hypothesis transfer.

    The label head stays as it is. The body learns to give the rows features on which the head is
    sure, that use all classes and that agree with labels by the nearest centroid: of
    predictions ``p_ik`` and pseudo-labels ``y_i``, renewed before each epoch,

    ``1/n sum_i H(p_i) - H(1/n sum_i p_i) + pseudo_label_weight/n sum_i -w[y_i] log p_i[y_i]``

    with ``H(p) = -sum_k p_k log p_k`` and the class weights ``w`` of the classifier, scaled to
    mean 1 over the pseudo-labels (1 where it has none). Where one of the classes is the
    unknown (`OpenSetClassifier`), the second term is of the known classes' shares among
    themselves, and rows that are predicted as unknown keep that label.

    Parameters
    ----------
    epochs : int, default=30
        Passes over the target.
    learning_rate : float, default=3e-4
        Step size; layers that are built by default learn at ``learning_rate * sqrt(100 /
        n_inputs)``.
    diversity : bool, default=True
        Whether to ask that all classes are predicted, the second term. It supposes that the
        target has all classes, about as often as each other; False where it does not.
    pseudo_label_weight : float, default=0.3
        Weight of the pseudo-labels; 0 leaves them out, as is right where classes may be
        missing: these have centroids, too, somewhere among the rows of the others.
    average_weights : float in [0, 1], default=0.25
        Share of the steps, the last ones, over which the weights are averaged at the end.

    References
    ----------
    Liang, Hu and Feng, "Do We Really Need to Access the Source Data? Source Hypothesis
    Transfer for Unsupervised Domain Adaptation", ICML 2020, eqs. 1-7.
    https://arxiv.org/abs/2002.08546

    Examples
    --------
    >>> from sktransfer import DANNClassifier, HypothesisTransfer
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = DANNClassifier(random_state=0).source_only().fit(Xs, ys)
    >>> clf.adapt(Xt, method=HypothesisTransfer(epochs=5)).n_iter_
    105
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "diversity": ["boolean"],
        "pseudo_label_weight": [Interval(Real, 0, None, closed="left")],
        "average_weights": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        *,
        epochs: int = 30,
        learning_rate: float = 3e-4,
        diversity: bool = True,
        pseudo_label_weight: float = 0.3,
        average_weights: float = 0.25,
    ) -> None:
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.diversity = diversity
        self.pseudo_label_weight = pseudo_label_weight
        self.average_weights = average_weights


def labels_to_fill(
    target: Domain,
    rows: DomainRows,
    net: TransferNet,
    class_weight: Any,
    unknown: int | None,
) -> tuple[DomainRows, PseudoLabels]:
    """Return the target with room for pseudo-labels, and the callback that fills it."""
    device = net.engine.device
    y = torch.zeros(len(target), dtype=torch.int64, device=device)
    known, labels = np.arange(0), y[:0]
    if target.y is not None:
        has_label = target.has_label
        known = np.arange(len(target)) if has_label is None else np.flatnonzero(has_label)
        with named("y_target"):
            labels = encoded(net.task, target.y[known], device)
    weight = None
    if class_weight is not None:
        dtype = floating_type(net.module_) or torch.float32
        weight = torch.ones(len(target), dtype=dtype, device=device)
    filled = replace(rows, y=y, loss_weight=weight)
    known_rows = torch.from_numpy(known).to(device)
    return filled, PseudoLabels(filled, known_rows, labels, class_weight, unknown)


def target_stage(
    learning: HypothesisTransfer,
    network: TransferNetwork,
    parameters: Sequence[nn.Parameter],
    sampler: Sampler,
    pseudo_labels: PseudoLabels,
) -> Stage:
    """Return the stage that trains these parameters of the body on the sampler's rows."""
    share = learning.average_weights
    objective = partial(target_losses, learning, network, pseudo_labels.unknown)
    return Stage(
        sampler,
        AlternatingStep([Move(objective, parameters)]),
        learning.epochs,
        network.row_flops(),
        groups=rates_by_width(network.body, learning.learning_rate),
        followers=[WeightAverage(network, share)] if share > 0 else [],
        callbacks=[("pseudo_labels", pseudo_labels)],
    )


def target_losses(
    learning: HypothesisTransfer, network: TransferNetwork, unknown: int | None, batch: Batch
) -> dict[str, Tensor]:
    """Return the losses of target rows, which are the only ones and so the batch's source."""
    view = batch.source
    view.features = network.features(view.X)
    batch.source_outputs = outputs = network.label_head(view.features)
    batch.metrics["stage"] = "target"
    losses = {"information_loss": information_loss(outputs, learning.diversity, unknown)}
    if learning.pseudo_label_weight > 0:
        assert view.y is not None
        of_rows = F.cross_entropy(outputs, view.y, reduction="none")
        loss = (of_rows if view.weight is None else view.weight * of_rows).mean()
        losses["pseudo_label_loss"] = learning.pseudo_label_weight * loss
    return losses
