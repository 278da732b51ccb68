"""A trained classifier learns on from target rows alone; its label head stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor
from torch.nn import functional as F

from .._task import encoded
from ..data._domain import Domain
from ..data._sampler import Batch, DomainRows, Sampler
from ..engine._net import TransferNet
from ..engine._stage import AlternatingStep, Follower, Move, Stage
from ..network._build import rates_by_width
from ..network._network import TransferNetwork


def information_loss(logits: Tensor, diversity: bool = True) -> Tensor:
    """Return ``-1/n sum_i sum_k p_ik log p_ik + sum_k m_k log m_k``, ``m_k = 1/n sum_i p_ik``.

    The second term, there with `diversity`, is least where all classes are predicted
    as often.
    """
    log_probabilities = F.log_softmax(logits, dim=1)
    probabilities = log_probabilities.exp()
    loss = -(probabilities * log_probabilities).sum(dim=1).mean()
    if diversity:
        mean = probabilities.mean(dim=0)
        smallest = torch.finfo(mean.dtype).tiny
        loss = loss + (mean * mean.clamp_min(smallest).log()).sum()
    return loss


def centroid_labels(features: Tensor, probabilities: Tensor) -> Tensor:
    """Return for each row the class whose centroid has the least angle with its features.

    The rows ``g_i = (f_i, 1) / ||(f_i, 1)||`` have the centroids ``c_k = sum_i p_ik g_i``
    and the label ``argmax_k g_i . c_k / ||c_k||``; once again so, with 1 for ``p_ik`` of a
    row's label and 0 else. A class that no row is predicted as, or has as its label in
    the second round, gets no rows.
    """
    directions = F.normalize(F.pad(features, (0, 1), value=1.0))
    n_classes = probabilities.shape[1]
    labels = probabilities.argmax(dim=1)
    for weights in (probabilities, None):
        if weights is None:
            weights = F.one_hot(labels, n_classes).to(directions.dtype)
        is_empty = torch.bincount(labels, minlength=n_classes) == 0
        cosines = directions @ F.normalize(weights.T @ directions).T
        labels = cosines.masked_fill(is_empty, -torch.inf).argmax(dim=1)
    return labels


class PseudoLabels(Callback):
    """Labels the target anew before each epoch.

    Parameters
    ----------
    rows : Rows
        Of the target, as the network takes them.
    y : Tensor of int of shape (n_target,)
        Where the labels are put.
    known, labels : Tensor of int of shape (n_known,)
        Numbers of the rows whose label is known, and these labels.
    """

    def __init__(self, rows: Any, y: Tensor, known: Tensor, labels: Tensor):
        self.rows, self.y, self.known, self.labels = rows, y, known, labels

    @torch.no_grad()
    def on_epoch_begin(self, net: TransferNet, **kwargs: Any) -> None:
        """Label all rows by centroids, but for those whose label is known."""
        network, engine = net.module_, net.engine
        features = torch.from_numpy(engine.forward(network, network.features, self.rows))
        features = features.to(engine.device)
        probabilities = network.label_head(features).softmax(dim=1)
        self.y.copy_(centroid_labels(features, probabilities))
        self.y[self.known] = self.labels


@dataclass(frozen=True)
class SourceFree:
    """How the body of a classifier learns from the target alone.

    Parameters
    ----------
    epochs : int
        Passes over the target.
    learning_rate : float
        Step size, of default layers by their width.
    diversity : bool
        Whether to ask that all classes are predicted.
    pseudo_label_weight : float
        Weight of the pseudo-labels; 0 leaves them out.
    """

    epochs: int
    learning_rate: float
    diversity: bool
    pseudo_label_weight: float

    def rows(self, target: Domain, rows: DomainRows, net: TransferNet) -> tuple[DomainRows, Any]:
        """Return the target with room for pseudo-labels, and the callback that fills it."""
        device = net.engine.device
        y = torch.zeros(len(target), dtype=torch.int64, device=device)
        known, labels = np.arange(0), y[:0]
        if target.y is not None:
            has_label = target.has_label
            known = np.arange(len(target)) if has_label is None else np.flatnonzero(has_label)
            labels = encoded(net.task, target.y[known], device)
        numbers = torch.from_numpy(known).to(device)
        return replace(rows, y=y), PseudoLabels(rows.rows, y, numbers, labels)

    def stage(
        self,
        network: TransferNetwork,
        sampler: Sampler,
        pseudo_labels: PseudoLabels,
        followers: Sequence[Follower],
    ) -> Stage:
        """Return the stage that trains the body on the sampler's rows."""
        move = Move(partial(self.losses, network), list(network.body.parameters()))
        return Stage(
            sampler,
            AlternatingStep([move]),
            self.epochs,
            network.row_flops(),
            groups=rates_by_width(network.body, self.learning_rate),
            followers=followers,
            callbacks=[("pseudo_labels", pseudo_labels)],
        )

    def losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of target rows, which are the only ones and so the batch's source."""
        network.forward_domains(batch)
        assert batch.source.y is not None
        batch.metrics["stage"] = "target"
        outputs = batch.source_outputs
        losses = {"information_loss": information_loss(outputs, self.diversity)}
        if self.pseudo_label_weight > 0:
            loss = F.cross_entropy(outputs, batch.source.y)
            losses["pseudo_label_loss"] = self.pseudo_label_weight * loss
        return losses
