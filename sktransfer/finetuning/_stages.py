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
from torch.nn import functional as F

from .._training import TransferNet


def weighted_cross_entropy(logits: Tensor, y: Tensor, class_weight: Tensor | None) -> Tensor:
    """Return ``-1/n sum_i w[y_i] log softmax(logits_i)[y_i]``."""
    return F.cross_entropy(logits, y, weight=class_weight, reduction="none").mean()


def l2_sp_penalty(weights: Sequence[Tensor], anchors: Sequence[Tensor], alpha: float) -> Tensor:
    """Return ``alpha/2 sum (w - w0)^2`` over weights and what they started from."""
    gaps = [(w - w0).square().sum() for w, w0 in zip(weights, anchors, strict=True)]
    return alpha / 2 * torch.stack(gaps).sum()


def weigh_classes(
    class_weight: Any, classes: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray | None:
    """Return a weight for each class, scaled to mean 1 over the (weighted) rows.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        By label; labels left out weigh 1. "balanced" is ``1 / n_c`` with ``n_c``
        the (weighted) rows of a class.
    classes : ndarray of shape (n_classes,)
        The labels.
    y : ndarray of shape (n_rows,)
        Numbers of their classes.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights of the rows.

    Raises
    ------
    ValueError
        For labels that are no class, and for weights that leave nothing.
    """
    if class_weight is None:
        return None
    counts = np.bincount(y, sample_weight, minlength=len(classes)).astype(float)
    if isinstance(class_weight, str):
        weights = np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
    else:
        unknown = [label for label in class_weight if label not in classes.tolist()]
        if unknown:
            raise ValueError(
                f"class_weight names {unknown}, which are no classes here; the classes are "
                f"{classes.tolist()}."
            )
        weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], float)
    total = (weights * counts).sum()
    if not (np.isfinite(weights).all() and (weights >= 0).all() and total > 0):
        raise ValueError(
            f"class_weight={class_weight!r} must give finite weights of 0 or more, above 0 for "
            "some class that has rows."
        )
    scaled: np.ndarray = weights * counts.sum() / total
    return scaled


@dataclass
class Task:
    """Labelled rows to train on.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, ...)
        Checked rows.
    y : ndarray of shape (n_rows,)
        Numbers of their classes.
    labels : ndarray of shape (n_rows,)
        Their labels as given.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights of the rows.
    class_weight : Tensor of shape (n_classes,) or None
        Weights of the classes, on the device.
    held_out : Task or None
        Rows by which training is stopped.
    frozen : dict of str
        What the frozen part has made of the rows, by the names of its values.
    """

    X: Any
    y: np.ndarray
    labels: np.ndarray
    sample_weight: np.ndarray | None = None
    class_weight: Tensor | None = None
    held_out: Task | None = None
    frozen: dict[str, Any] = field(default_factory=dict)

    def split(self, fraction: float, seed: int) -> Task:
        """Return the task with a share of each class held out.

        Raises
        ------
        ValueError
            Where there are too few rows.
        """
        rows = np.arange(len(self.y))
        size = max(round(fraction * len(rows)), len(np.unique(self.y)))
        try:
            kept, out = train_test_split(rows, test_size=size, random_state=seed, stratify=self.y)
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True holds out validation_fraction={fraction} of the "
                f"{len(rows)} labelled rows, some of each class, and cannot: {error} Give more "
                "rows of each class, another validation_fraction, or early_stopping=False."
            ) from error
        return replace(self._of(kept), held_out=self._of(out))

    def _of(self, rows: np.ndarray) -> Task:
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        return Task(self.X[rows], self.y[rows], self.labels[rows], weights, self.class_weight)


@dataclass(frozen=True)
class Stage:
    """A part of training.

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
    freeze_batch_norm: bool = False


def plan_five_steps(settings: Any, layers: Sequence[str], head: nn.Module) -> list[Stage]:
    """Return the stages of training: the head, then head and layers, at once or bit by bit.

    Parameters
    ----------
    settings : FineTuneClassifier
        Holds epochs, rates and what else the user has set.
    layers : sequence of str
        Those to unfreeze, in forward order.
    head : Module
        The new head.
    """
    epochs, rate = settings.finetune_epochs, settings.finetune_learning_rate
    rates = {
        layer: rate * settings.layer_decay**distance
        for distance, layer in zip(range(len(layers), 0, -1), layers, strict=True)
    }
    n_parts = max(1, min(len(layers), epochs)) if settings.gradual_unfreezing else 1
    stages = [Stage("head", settings.head_epochs, settings.learning_rate, {}, head)]
    for part in range(n_parts if layers else 0):
        start, stop = (k * epochs // n_parts for k in (part, part + 1))
        depth = len(layers) * (part + 1) // n_parts
        stages.append(
            Stage(
                "finetune",
                stop - start,
                rate,
                {layer: rates[layer] for layer in layers[len(layers) - depth :]},
                head,
                progress=(part / n_parts, (part + 1) / n_parts),
                l2_sp=settings.l2_sp,
                freeze_batch_norm=settings.freeze_batch_norm or settings.adapter is not None,
            )
        )
    return [stage for stage in stages if stage.epochs > 0]


class HeldOutScoring(Callback):
    """Record loss and accuracy on held-out rows after each epoch.

    Parameters
    ----------
    rows : Rows
        As the network takes them.
    task : Task
        Their labels and weights.
    head : Module
        What is trained on the features.
    """

    def __init__(self, rows: Any, task: Task, head: nn.Module):
        self.rows, self.task, self.head = rows, task, head

    @torch.no_grad()
    def on_epoch_end(self, net: TransferNet, **kwargs: Any) -> None:
        """Record ``valid_loss`` and ``valid_accuracy``."""
        features = torch.from_numpy(net.forward_rows(self.rows, "features")).to(net.device)
        logits, task = self.head(features), self.task
        y = torch.as_tensor(task.y, device=logits.device)
        losses = F.cross_entropy(logits, y, weight=task.class_weight, reduction="none")
        right = (logits.argmax(dim=1) == y).cpu().numpy()
        weights = task.sample_weight
        if weights is not None and not weights.any():
            weights = None
        loss = np.average(losses.double().cpu().numpy(), weights=weights)
        net.history.record("valid_loss", float(loss))
        net.history.record("valid_accuracy", float(np.average(right, weights=weights)))
