"""What a stage of fine-tuning trains: its losses, its rows, its layers, when it stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback
from torch import Tensor, nn

from .._task import Task, encoded
from ..data._domain import Domain
from ..engine._engine import to_numpy
from ..engine._net import TransferNet
from ._network import FineTuneNetwork
from ._settings import Unfreezing


def l2_sp_penalty(weights: Sequence[Tensor], anchors: Sequence[Tensor], alpha: float) -> Tensor:
    """Return ``alpha/2 sum (w - w0)^2`` over weights and what they started from."""
    gaps = [(w - w0).square().sum() for w, w0 in zip(weights, anchors, strict=True)]
    return alpha / 2 * torch.stack(gaps).sum()


@dataclass
class TrainingRows:
    """Labelled rows to train on.

    Parameters
    ----------
    domain : Domain
        The rows and their labels.
    task : Task
        What is learned of them.
    class_weight : Tensor of shape (n_classes,) or None
        Weights of the classes, on the device.
    held_out : TrainingRows or None
        Rows by which training is stopped.
    frozen : dict of str
        What the frozen part has made of the rows, by the names of its values.
    before : Tensor of shape (n_rows, n_features) or None
        What the body made of the rows before it learned, where relations are to be held.
    """

    domain: Domain
    task: Task
    class_weight: Tensor | None = None
    held_out: TrainingRows | None = None
    frozen: dict[str, Any] = field(default_factory=dict)
    before: Tensor | None = None

    def split(self, fraction: float, seed: int) -> TrainingRows:
        """Return the rows with a share of them (of each class) held out.

        Raises
        ------
        ValueError
            Where there are too few rows.
        """
        y, rows = self.domain.labels, np.arange(len(self.domain))
        stratify = y if self.task.is_stratified else None
        # R^2 is of two rows at least.
        least = len(np.unique(y)) if self.task.is_stratified else 2
        size = max(round(fraction * len(rows)), least)
        try:
            kept, out = train_test_split(rows, test_size=size, random_state=seed, stratify=stratify)
        except ValueError as error:
            each, more = (
                (", some of each class,", " of each class")
                if self.task.is_stratified
                else (", at least 2,", "")
            )
            raise ValueError(
                f"early_stopping holds out a fraction of {fraction} of the {len(rows)} labelled "
                f"rows{each} and cannot: {error} Give more rows{more}, another "
                "HeldOut(fraction=...), or early_stopping=None."
            ) from error
        held_out = replace(self, domain=self.domain.take(out))
        return replace(self, domain=self.domain.take(kept), held_out=held_out)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss, each row's multiplied by the weight of its class."""
        weight = None if self.class_weight is None else self.class_weight[y]
        return self.task.loss(outputs, y, weight)


@dataclass(frozen=True)
class Part:
    """What a stage of fine-tuning trains, and how fast.

    Parameters
    ----------
    name : str
        What ``history_`` calls it.
    epochs : int
        Passes over the rows.
    learning_rate : float
        Of the head.
    layer_rates : dict of str to float
        Learning rate of each layer of the body that is not frozen.
    head : Module
        What is trained on the features.
    progress : tuple of float
        Where the schedule of the learning rate stands at the beginning and the end.
    l2_sp : float
        Weight of the penalty on the body's way from where it was.
    relational_weight : float
        Weight of the loss of relations among rows.
    freeze_batch_norm : bool
        Whether batch normalisation stays as it is in layers that learn, too.
    """

    name: str
    epochs: int
    learning_rate: float
    layer_rates: dict[str, float]
    head: nn.Module
    progress: tuple[float, float] = (0.0, 1.0)
    l2_sp: float = 0.0
    relational_weight: float = 0.0
    freeze_batch_norm: bool = False


def plan_five_steps(settings: Any, layers: Sequence[str], head: nn.Module) -> list[Part]:
    """Return the stages of training: the head, then head and layers, at once or bit by bit.

    Parameters
    ----------
    settings : FineTuneClassifier or FineTuneRegressor
        Holds epochs, rates and what else the user has set.
    layers : sequence of str
        Those to unfreeze, in forward order.
    head : Module
        The new head.
    """
    epochs, rate = settings.finetune_epochs, settings.finetune_learning_rate
    unfreezing = Unfreezing.of(settings.unfreezing, "unfreezing")
    rates = {
        layer: rate * unfreezing.layer_decay**distance
        for distance, layer in zip(range(len(layers), 0, -1), layers, strict=True)
    }
    n_parts = max(1, min(len(layers), epochs)) if unfreezing.gradual else 1
    parts = [Part("head", settings.head_epochs, settings.learning_rate, {}, head)]
    for number in range(n_parts if layers else 0):
        start, stop = (k * epochs // n_parts for k in (number, number + 1))
        depth = len(layers) * (number + 1) // n_parts
        parts.append(
            Part(
                "finetune",
                stop - start,
                rate,
                {layer: rates[layer] for layer in layers[len(layers) - depth :]},
                head,
                progress=(number / n_parts, (number + 1) / n_parts),
                l2_sp=unfreezing.l2_sp,
                relational_weight=unfreezing.relational_weight,
                freeze_batch_norm=unfreezing.freeze_batch_norm or settings.adapter is not None,
            )
        )
    return [part for part in parts if part.epochs > 0]


def plan_refinement(settings: Any, layers: Sequence[str], head: nn.Module) -> Part:
    """Return the stage by which `adapt` trains head and layers from where they are.

    Raises
    ------
    ValueError
        Where there are no passes over the rows.
    """
    if settings.finetune_epochs == 0:
        raise ValueError(
            "finetune_epochs=0 leaves adapt no pass over the labelled rows; "
            "set_params(finetune_epochs=50) gives it some."
        )
    last = plan_five_steps(settings, layers, head)[-1]
    epochs, rate = settings.finetune_epochs, settings.finetune_learning_rate
    return replace(last, name="adapt", epochs=epochs, learning_rate=rate, progress=(0.0, 1.0))


def parameter_groups(network: FineTuneNetwork, part: Part) -> list[dict[str, Any]]:
    """Return what learns in a stage, and how fast, for an optimizer: a group for each rate.

    Raises
    ------
    ValueError
        Where nothing learns.
    """
    groups: dict[float, list[nn.Parameter]] = {part.learning_rate: [*part.head.parameters()]}
    taken: set[int] = set()
    for layer, rate in part.layer_rates.items():
        parameters = network.layers.parameters(network.body, layer)
        # One that layers share learns once, as part of the first of them.
        mine = [p for p in parameters if p.requires_grad and id(p) not in taken]
        taken.update(map(id, mine))
        groups.setdefault(rate, []).extend(mine)
    groups = {rate: parameters for rate, parameters in groups.items() if parameters}
    if not groups:
        raise ValueError(
            f"The stage '{part.name}' has nothing to train: the head has no weights and no "
            "layer of the backbone is unfrozen. Give a head with weights, or raise "
            "unfreeze_depth."
        )
    return [{"params": parameters, "lr": rate} for rate, parameters in groups.items()]


class HeldOutScoring(Callback):
    """Record loss and score on held-out rows after each epoch.

    Parameters
    ----------
    rows : Rows
        As the network takes them.
    held_out : TrainingRows
        Their labels and weights.
    head : Module
        What is trained on the features.
    """

    def __init__(self, rows: Any, held_out: TrainingRows, head: nn.Module):
        self.rows, self.held_out, self.head = rows, held_out, head

    @torch.no_grad()
    def on_epoch_end(self, net: TransferNet, **kwargs: Any) -> None:
        """Record ``valid_loss``, ``valid_loss_best`` and the score, such as ``valid_accuracy``."""
        task, domain = self.held_out.task, self.held_out.domain
        features = net.engine.forward(net.module_, net.module_.features, self.rows)
        shown = torch.from_numpy(features).to(net.engine.device, net.module_.feature_type)
        outputs = self.head(shown)
        y = encoded(task, domain.labels, net.engine.device)
        losses = task.losses(outputs, y)
        if self.held_out.class_weight is not None:
            losses = losses * self.held_out.class_weight[y]
        weights = domain.sample_weight
        if weights is not None and not weights.any():
            weights = None
        loss = float(np.average(losses.double().cpu().numpy(), weights=weights))
        earlier = [epoch["valid_loss"] for epoch in net.history[:-1] if "valid_loss" in epoch]
        net.history.record("valid_loss", loss)
        net.history.record("valid_loss_best", loss < min(earlier, default=np.inf))
        score = task.score(domain.labels, to_numpy(outputs), weights)
        net.history.record(f"valid_{task.score_name}", score)
