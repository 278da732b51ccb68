"""How the losses of several tasks become one step of the body that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from ..data._batch import Batch
from ..engine._net import TransferNet
from ..engine._stage import Update
from ..network._network import TransferNetwork
from ._gradients import (
    balance_gradients,
    gradients_of,
    loss_of_gradients,
    project_conflicts,
    sum_of_products,
    widest_type,
)
from ._several import SeveralTasks


def mean_losses(losses: Tensor, has_label: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``l_t = 1/n sum_i loss_it`` and ``n_t/n``, of ``n`` labels in all, ``n_t`` of a task.

    The sum of the ``l_t`` is the mean loss of all labels.
    """
    n_labels = has_label.sum().clamp(min=1)
    return losses.sum(dim=0) / n_labels, has_label.sum(dim=0) / n_labels


def uncertainty_loss(
    losses: Tensor, shares: Tensor, log_variances: Tensor, deviance: float
) -> tuple[Tensor, Tensor]:
    """Return ``sum_t d e^-s_t l_t`` and ``sum_t n_t/n s_t/2``, together ``-log p`` of labels."""
    weighed = (deviance * (-log_variances).exp() * losses).sum()
    return weighed, (shares * log_variances).sum() / 2


class TaskWeights(nn.Module):
    """What the tasks' losses are multiplied by, as part of the network, which keeps its state.

    Parameters
    ----------
    n_tasks : int
        How many.
    """

    weights: Tensor

    def __init__(self, n_tasks: int):
        super().__init__()
        self.register_buffer("weights", torch.ones(n_tasks))

    def end_epoch(self) -> list[float]:
        """Return the weights of an epoch that is over."""
        return self.weights.tolist()


class UncertaintyWeights(TaskWeights):
    """Weights ``d e^-s_t``, of which the ``s_t`` are learned.

    Parameters
    ----------
    n_tasks : int
        How many.
    deviance : float
        ``d``.
    """

    def __init__(self, n_tasks: int, deviance: float):
        super().__init__(n_tasks)
        self.deviance = deviance
        self.log_variances = nn.Parameter(torch.zeros(n_tasks))

    def end_epoch(self) -> list[float]:
        """Return the weights as the last step has left them."""
        self.weights.copy_(self.deviance * (-self.log_variances.detach()).exp())
        return super().end_epoch()


class ProjectedWeights(TaskWeights):
    """What projections make of the weights: means over the steps in which a task had labels.

    Parameters
    ----------
    n_tasks : int
        How many.
    """

    sums: Tensor
    n_steps: Tensor

    def __init__(self, n_tasks: int):
        super().__init__(n_tasks)
        self.register_buffer("sums", torch.zeros(n_tasks))
        self.register_buffer("n_steps", torch.zeros(n_tasks))

    def add(self, present: Tensor, coefficients: Tensor) -> None:
        """Take note of a step, by what the gradients of its tasks were multiplied by in all."""
        self.sums[present] += coefficients.to(self.sums)
        self.n_steps[present] += 1

    def end_epoch(self) -> list[float]:
        """Return the means since the last epoch's end."""
        self.weights.copy_(torch.where(self.n_steps > 0, self.sums / self.n_steps, self.weights))
        self.sums.zero_()
        self.n_steps.zero_()
        return super().end_epoch()


class WeightsRecorder(Callback):
    """Records the weights of each epoch in the history."""

    def on_epoch_end(self, net: TransferNet, **kwargs: Any) -> None:
        """Record them."""
        with torch.no_grad():
            net.history.record("weights", net.module_.task_weights.end_epoch())


@dataclass(frozen=True)
class TaskLosses:
    """The losses of a batch, those of the tasks apart.

    Parameters
    ----------
    network : TransferNetwork
        Passes the batch.
    task : SeveralTasks
        What is learned.
    penalty : callable
        The heads' own.
    """

    network: TransferNetwork
    task: SeveralTasks
    penalty: Callable[[], Tensor]

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss of each task, and its share of the labels."""
        self.network.forward_domains(batch)
        y = batch.source.y
        assert y is not None
        losses = self.task.label_losses(batch.source_outputs, y)
        return mean_losses(losses, self.task.has_label(y))

    def uniform(self, batch: Batch) -> dict[str, Tensor]:
        """Return the objective in which every label counts alike."""
        losses, _ = self(batch)
        return {"label_loss": losses.sum(), "head_penalty": self.penalty()}

    def by_uncertainty(self, weights: UncertaintyWeights, batch: Batch) -> dict[str, Tensor]:
        """Return the objective that learns each task's noise."""
        losses, shares = self(batch)
        weighed, rest = uncertainty_loss(losses, shares, weights.log_variances, self.task.deviance)
        return {"label_loss": weighed, "noise_loss": rest, "head_penalty": self.penalty()}


@dataclass(frozen=True)
class PCGradStep:
    """One optimizer step in which no task moves the body against another.

    Parameters
    ----------
    losses : TaskLosses
        Of a batch.
    weights : ProjectedWeights
        Take note of what the projections do.
    """

    losses: TaskLosses
    weights: ProjectedWeights

    def __call__(self, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Take the step: projected gradients for the body, plain ones for the heads."""
        network, penalty = self.losses.network, self.losses.penalty()
        losses, shares = self.losses(batch)
        # Drawn for all tasks in every step, so that a step draws as much as any other.
        scores = torch.rand(len(losses), len(losses)).to(losses.device)
        present = shares.nonzero().ravel()
        order = scores[present][:, present].argsort(dim=1)
        shared = [p for p in network.body.parameters() if p.requires_grad]
        own = [p for p in network.label_head.parameters() if p.requires_grad]
        of_tasks = [gradients_of(loss, shared) for loss in losses[present]]
        by_parameter = [torch.stack(parts) for parts in zip(*of_tasks, strict=True)]
        device = losses.device
        products = sum_of_products(by_parameter, len(present), device, widest_type(device))
        weights = project_conflicts(products, order).sum(dim=0)
        self.weights.add(present, weights)
        projected = [torch.tensordot(weights.to(g), g, dims=1) for g in by_parameter]
        plain = gradients_of(losses.sum() + penalty, own)
        update({"label_loss": loss_of_gradients([*shared, *own], [*projected, *plain])})
        return {"label_loss": losses.sum(), "head_penalty": penalty}


@dataclass(frozen=True)
class GradNormStep:
    """One optimizer step, and one of the weights towards gradients of the wanted norms.

    Parameters
    ----------
    losses : TaskLosses
        Of a batch.
    weights : TaskWeights
        What moves.
    layer : Tensor
        The weights of the body's last layer, for whose gradients norms are taken.
    initial : Tensor of shape (n_tasks,)
        The mean loss of each task before training.
    alpha : float
        How much faster tasks that are behind are to learn.
    """

    losses: TaskLosses
    weights: TaskWeights
    layer: Tensor
    initial: Tensor
    alpha: float

    def __call__(self, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Take the step with the weights as they are, then move them."""
        weights = self.weights.weights
        losses, shares = self.losses(batch)
        present = shares.nonzero().ravel()
        gradients = [gradients_of(loss, [self.layer])[0] for loss in losses[present]]
        norms = torch.stack([gradient.norm() for gradient in gradients])
        seen = {
            "label_loss": (weights.to(losses) * losses).sum(),
            "head_penalty": self.losses.penalty(),
        }
        update(seen)
        means = losses.detach()[present] / shares[present]
        ratios = means / self.initial.to(means)[present]
        moved = balance_gradients(weights[present].to(norms), norms, ratios, self.alpha)
        weights[present] = moved.to(weights)
        return seen
