"""What few need to set of fine-tuning, grouped: each is an estimator's parameter with its own."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from .._settings import Settings
from ..validation._constraints import HasMethods, Integral, Interval, Real


class SourceTraining(Settings):
    """How `FineTuneClassifier` learns from the source before it turns to the target.

    Parameters
    ----------
    epochs : int, default=100
        Passes over the source, where the body is trained on it first.
    learning_rate : float, default=1e-3
        Step size there.
    pseudo_label_threshold : float in [0, 1], default=0.9
        Where the target has no labels: the least probability of a class at which
        a row is used.

    Examples
    --------
    >>> from sktransfer.finetuning import FineTuneClassifier, SourceTraining
    >>> clf = FineTuneClassifier(source_training=SourceTraining(epochs=20))
    >>> clf.set_params(source_training__epochs=30).source_training.epochs
    30
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "pseudo_label_threshold": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self, *, epochs: int = 100, learning_rate: float = 1e-3, pseudo_label_threshold: float = 0.9
    ) -> None:
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.pseudo_label_threshold = pseudo_label_threshold


class Unfreezing(Settings):
    """How the unfrozen layers of a body learn in step 5 of `FineTuneClassifier`.

    Parameters
    ----------
    layer_decay : float in (0, 1], default=1.0
        Discriminative learning rates: the body's last layer learns at
        ``finetune_learning_rate * layer_decay``, the one before at ``layer_decay
        ** 2`` times that rate of the head, and so on.
    gradual : bool, default=False
        Whether to unfreeze one layer after the other, the last one first, each for
        an equal share of `finetune_epochs`.
    l2_sp : float, default=0.0
        Pulls the unfrozen weights of the body towards their pretrained values.
    relational_weight : float, default=0.0
        Holds the relations among the rows of a batch where the pretrained body has them:
        their distances, in units of the mean, and the angles between any three. The
        features may turn, move and change their scale. The loss is this weight times
        ``mean_{i != j} h(d_ij - d'_ij) + 2 mean_{i, j, k} h(cos_ijk - cos'_ijk)`` with
        Huber's ``h``; rows that `augment` changes are held to the relations that they
        had without it. Takes memory for ``batch_size ** 3`` numbers.
    freeze_batch_norm : bool, default=False
        Whether batch normalisation stays frozen, weights and statistics, in
        unfrozen layers too; `unfreeze_depth` then does not count it.

    Examples
    --------
    >>> from sktransfer.finetuning import FineTuneClassifier, Unfreezing
    >>> clf = FineTuneClassifier(unfreezing=Unfreezing(layer_decay=0.5, gradual=True))
    >>> clf.get_params()["unfreezing__layer_decay"]
    0.5
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "layer_decay": [Interval(Real, 0, 1, closed="right")],
        "gradual": ["boolean"],
        "l2_sp": [Interval(Real, 0, None, closed="left")],
        "relational_weight": [Interval(Real, 0, None, closed="left")],
        "freeze_batch_norm": ["boolean"],
    }

    def __init__(
        self,
        *,
        layer_decay: float = 1.0,
        gradual: bool = False,
        l2_sp: float = 0.0,
        relational_weight: float = 0.0,
        freeze_batch_norm: bool = False,
    ) -> None:
        self.layer_decay = layer_decay
        self.gradual = gradual
        self.l2_sp = l2_sp
        self.relational_weight = relational_weight
        self.freeze_batch_norm = freeze_batch_norm


class HeldOut(Settings):
    """When `FineTuneClassifier` ends a stage early: by its loss on labelled rows held out.

    A stage ends after `patience` epochs without a smaller loss on these rows, and
    returns to the weights of its best epoch.

    Parameters
    ----------
    fraction : float in (0, 1), default=0.1
        Share of the labelled rows held out, stratified.
    patience : int, default=10
        Epochs to wait for an improvement.

    Examples
    --------
    >>> from sktransfer.finetuning import FineTuneClassifier, HeldOut
    >>> FineTuneClassifier(early_stopping=HeldOut(patience=5)).early_stopping.patience
    5
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, *, fraction: float = 0.1, patience: int = 10) -> None:
        self.fraction = fraction
        self.patience = patience


class LoRA(Settings):
    """Low-rank additions that learn in place of the weights of the layers to unfreeze.

    A layer's weight becomes ``W + B A`` with ``A`` of `rank` rows (Hu et al., "LoRA",
    ICLR 2022, eq. 3, with alpha = rank). Needs the extra ``lora``.

    Parameters
    ----------
    rank : int, default=8
        Rank of the additions.

    Examples
    --------
    >>> from sktransfer.finetuning import FineTuneClassifier, LoRA
    >>> FineTuneClassifier(adapter=LoRA(rank=4)).adapter
    LoRA(rank=4)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "rank": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, *, rank: int = 8) -> None:
        self.rank = rank


class FrozenCache(Settings):
    """Where `FineTuneClassifier` keeps what the frozen layers make of each row.

    Parameters
    ----------
    memory : str, path, joblib.Memory or None, default=None
        Folder in which to keep it for all fits and predictions with the same body:
        the candidates and folds of a search then send each row through it once,
        which pays for large bodies. Safe for several processes. None keeps it for
        one fit: in memory, or in a temporary file where it is larger than
        scikit-learn's ``working_memory``.
    memory_limit : int or None, default=None
        Most bytes to keep there; what was longest not used goes first. None is no
        limit.
    enabled : bool, default=True
        Whether to keep anything. False passes each batch through the whole body.

    Examples
    --------
    >>> from sktransfer.finetuning import FineTuneClassifier, FrozenCache
    >>> clf = FineTuneClassifier(frozen_cache=FrozenCache(memory="features"))
    >>> clf.frozen_cache.memory
    'features'
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "memory": [str, os.PathLike, HasMethods(["cache"]), None],
        "memory_limit": [Interval(Integral, 0, None, closed="left"), None],
        "enabled": ["boolean"],
    }

    def __init__(
        self, *, memory: Any = None, memory_limit: int | None = None, enabled: bool = True
    ) -> None:
        self.memory = memory
        self.memory_limit = memory_limit
        self.enabled = enabled
