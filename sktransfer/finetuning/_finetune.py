"""Fine-tuning in five steps."""

from __future__ import annotations

import os
import warnings
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from .._base import BaseTransferClassifier, encode
from .._docs import with_shared_docs
from .._network import floating_type, make_body, make_head
from .._old_checks import HasMethods, Integral, Interval, Real, StrOptions, TrainingData
from ._base import BaseFineTuningClassifier
from ._freezing import unfrozen_layers
from ._lora import adaptable_layers, add_lora
from ._network import FineTuneNetwork
from ._stages import Stage, Task, plan_five_steps, weigh_classes
from ._summary import FineTuneSummary, summarize

# With fewer confident rows for each class than this, pseudo-labels are not used.
LEAST_PSEUDO_LABELS = 2


@with_shared_docs
class FineTuneClassifier(BaseFineTuningClassifier):
    """Fine-tuning: a new head on a pretrained body, of which the last layers learn on.

    The five steps: (1) put a new head on the body, (2) freeze the body, (3) train
    the head, (4) unfreeze the body's last layers, (5) train head and unfrozen
    layers with a small learning rate. What a layer before them makes of a row is
    computed once and used in all epochs.

    - ``fit(X, y)`` fine-tunes a pretrained `backbone` on labelled rows.
    - ``fit(X, y, X_target=Xt, y_target=yt)`` first trains body and head on the
      source, then takes the five steps on the labelled target, whose classes may
      be others.
    - ``fit(X, y, X_target=Xt)`` trains on the source and then, with the same
      head, on those rows of the target of whose class it is sure.

    The loss is ``1/n sum_i w[y_i] (-log p_i[y_i]) + l2_sp/2 sum (theta - theta_0)^2``
    with class weights ``w`` and, in step 5, the body's unfrozen weights ``theta``
    and what they were before, ``theta_0``.

    Parameters
    ----------
    {finetuning_parameters}
    {optimizer_parameters}
    batch_size : int, default=32
        Most rows in a training step.
    {training_parameters}

    Attributes
    ----------
    {fitted_attributes}
    backbone_ : torch.nn.Module
        The trained body, for example to be the `backbone` of another fit.
    head_ : torch.nn.Module
        The trained head.
    unfrozen_layers_ : list of str
        The layers that learned in step 5, in forward order.
    n_pseudo_labels_ : int
        Rows of the target of whose class the model was sure, where it had no labels.

    Warns
    -----
    UserWarning
        Where there is neither a pretrained body nor a target, and where too few
        rows of the target have a sure class: the model is then the source's.

    See Also
    --------
    DANNClassifier : Adapts to a target without labels.

    References
    ----------
    Yosinski et al., "How transferable are features in deep neural networks?",
    NeurIPS 2014. Howard and Ruder, "Universal Language Model Fine-tuning", ACL
    2018 (`layer_decay`, `gradual_unfreezing`). Li et al., "Explicit Inductive Bias
    for Transfer Learning with Convolutional Networks", ICML 2018, eq. 3 (`l2_sp`;
    the head, which the paper shrinks as well, is left free here). Hu et al.,
    "LoRA", ICLR 2022. Lee, "Pseudo-Label", ICML workshops 2013.

    Examples
    --------
    >>> from sktransfer import FineTuneClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = FineTuneClassifier(random_state=0)
    >>> clf.fit(Xs, ys, X_target=Xt[:20], y_target=yt[:20]).predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        **BaseTransferClassifier._parameter_constraints,
        "backbone": [callable, None],
        "head": [callable, None],
        "unfreeze_depth": [Interval(Integral, 0, None, closed="left"), str],
        "pretrain_epochs": [Interval(Integral, 1, None, closed="left")],
        "pretrain_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "head_epochs": [Interval(Integral, 0, None, closed="left")],
        "finetune_epochs": [Interval(Integral, 0, None, closed="left")],
        "finetune_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "layer_decay": [Interval(Real, 0, 1, closed="right")],
        "gradual_unfreezing": ["boolean"],
        "l2_sp": [Interval(Real, 0, None, closed="left")],
        "freeze_batch_norm": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "pseudo_label_threshold": [Interval(Real, 0, 1, closed="both")],
        "augment": [callable, None],
        "adapter": [StrOptions({"lora"}), None],
        "lora_rank": [Interval(Integral, 1, None, closed="left")],
        "cache_frozen": ["boolean"],
        "memory": [str, os.PathLike, HasMethods(["cache"]), None],
        "memory_limit": [Interval(Integral, 0, None, closed="left"), None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        backbone=None,
        head=None,
        *,
        unfreeze_depth=1,
        pretrain_epochs=100,
        pretrain_learning_rate=1e-3,
        head_epochs=100,
        learning_rate=3e-3,
        finetune_epochs=50,
        finetune_learning_rate=3e-4,
        layer_decay=1.0,
        gradual_unfreezing=False,
        l2_sp=0.0,
        freeze_batch_norm=False,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        pseudo_label_threshold=0.9,
        augment=None,
        adapter=None,
        lora_rank=8,
        cache_frozen=True,
        memory=None,
        memory_limit=None,
        hidden_layer_sizes=(100,),
        optimizer="adam",
        learning_rate_schedule="constant",
        batch_size=32,
        callbacks=None,
        device="auto",
        random_state=None,
        warm_start=False,
        data_parallel=False,
        num_workers=0,
        verbose=0,
    ):
        self.backbone = backbone
        self.head = head
        self.unfreeze_depth = unfreeze_depth
        self.pretrain_epochs = pretrain_epochs
        self.pretrain_learning_rate = pretrain_learning_rate
        self.head_epochs = head_epochs
        self.learning_rate = learning_rate
        self.finetune_epochs = finetune_epochs
        self.finetune_learning_rate = finetune_learning_rate
        self.layer_decay = layer_decay
        self.gradual_unfreezing = gradual_unfreezing
        self.l2_sp = l2_sp
        self.freeze_batch_norm = freeze_batch_norm
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.pseudo_label_threshold = pseudo_label_threshold
        self.augment = augment
        self.adapter = adapter
        self.lora_rank = lora_rank
        self.cache_frozen = cache_frozen
        self.memory = memory
        self.memory_limit = memory_limit
        self.hidden_layer_sizes = hidden_layer_sizes
        self.optimizer = optimizer
        self.learning_rate_schedule = learning_rate_schedule
        self.batch_size = batch_size
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.warm_start = warm_start
        self.data_parallel = data_parallel
        self.num_workers = num_workers
        self.verbose = verbose

    def summary(self, input_shape=None) -> FineTuneSummary:
        """Print the layers and how many parameters learn in each stage of training.

        Parameters
        ----------
        input_shape : tuple of int or None, default=None
            Shape of one row. Needed before `fit`, unless the backbone is a module
            with an attribute ``input_shape``.

        Returns
        -------
        FineTuneSummary
            What was printed, which is its ``str``: ``layers`` (each with ``name``,
            ``type``, ``output_shape`` of one row, ``n_parameters``) in forward
            order, ``stages`` (each with ``name``, ``n_trainable``, ``n_frozen``)
            and ``n_parameters`` in all, without running statistics. Before `fit` it
            knows no head (``has_head``). The stages are steps 3 and 5 (its last
            part, where it unfreezes gradually), or the one on the source where
            that was all.

        Raises
        ------
        NotFittedError
            Where nothing tells the shape of a row.
        ValueError
            For a shape that the backbone does not take, or that is not the fitted one.

        Examples
        --------
        >>> from torch import nn
        >>> from sktransfer import FineTuneClassifier
        >>> body = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 5))
        >>> summary = FineTuneClassifier(body).summary(input_shape=(30,))
        layer    type    output shape      parameters
        -------  ------  --------------  ------------
        0        Linear  (20,)                    620
        1        ReLU    (20,)                      0
        2        Linear  (5,)                     105
        <BLANKLINE>
        stage       trainable    frozen
        --------  -----------  --------
        head                0       725
        finetune          105       620
        <BLANKLINE>
        725 parameters without the head, whose size depends on the classes
        >>> summary.stages[1].n_trainable
        105
        """
        summary = summarize(self, input_shape)
        print(summary)
        return summary

    @property
    def backbone_(self) -> nn.Module:
        """The trained body."""
        network: FineTuneNetwork = self.net_.module_
        return network.body

    @property
    def head_(self) -> nn.Module:
        """The trained head."""
        network: FineTuneNetwork = self.net_.module_
        return network.label_classifier

    def _labels(self, data: TrainingData) -> tuple[str, np.ndarray]:
        return ("y", data.y) if data.y_target is None else ("y_target", data.y_target)

    def _make_network(self, X: Tensor, n_classes: int) -> FineTuneNetwork:
        if self.adapter is not None and self.l2_sp > 0:
            raise ValueError(
                f"l2_sp={self.l2_sp} pulls weights of the body back, but adapter={self.adapter!r} "
                "leaves them as they are: set l2_sp=0 or adapter=None."
            )
        body, probed = make_body(self.backbone, "backbone", X, self.hidden_layer_sizes)
        features = probed.output.flatten(1)
        shape = features.shape[1], n_classes
        head = make_head(self.head, "head", features, n_classes, shape, nn.Linear)
        network = FineTuneNetwork(body, head, probed)
        if not plan_five_steps(self, self._layers_to_unfreeze(network), head):
            raise ValueError(
                f"head_epochs={self.head_epochs}, finetune_epochs={self.finetune_epochs} and "
                f"unfreeze_depth={self.unfreeze_depth!r} leave the new head as it was drawn. Set "
                "head_epochs above 0."
            )
        return network

    def _layers_to_unfreeze(self, network: FineTuneNetwork) -> list[str]:
        layers = unfrozen_layers(
            self.unfreeze_depth,
            network.layers,
            network.body,
            freeze_batch_norm=self.freeze_batch_norm,
        )
        return layers if self.adapter is None else adaptable_layers(network.body, layers)

    def _train(self, data: TrainingData, y_indices: np.ndarray, seed: int) -> None:
        seeds = np.random.RandomState(seed).randint(2**31 - 1, size=2)
        continues = len(self.net_.history) > 0
        self.unfrozen_layers_: list[str] = []
        self.n_pseudo_labels_ = 0
        weights, goes_on = data.sample_weight, True
        task: Task | None
        if data.X_target is None:
            task = self._task(data.X, y_indices, weights)
            if self.backbone is None:
                self._run_stages([self._source_stage()], task, seeds[0])
                warnings.warn(
                    "FineTuneClassifier was fitted without X_target and without a pretrained "
                    "backbone: nothing was transferred and it is a plain classifier of the source. "
                    "Give a backbone, or X_target with y_target.",
                    UserWarning,
                    stacklevel=3,
                )
                return
        elif data.y_target is not None:
            if not continues:
                goes_on = self._pretrain(data, seeds[0])
            task = self._task(data.X_target, y_indices, None)
        else:
            source = self._task(data.X, y_indices, weights)
            goes_on = continues or self._run_stages([self._source_stage()], source, seeds[0])
            task = self._pseudo_labelled(data.X_target) if goes_on else None
        if goes_on and task is not None:
            self._fine_tune(task, seeds[1])

    def _pretrain(self, data: TrainingData, seed: int) -> bool:
        """Train body and a head of its own on the source, whose classes may be others."""
        classes, y_indices = encode(data.y, "y")
        network: FineTuneNetwork = self.net_.module_
        shape = network.n_features, len(classes)
        make = nn.Linear if self.head is None or isinstance(self.head, nn.Module) else self.head
        with self.net_.generators:
            head = make(*shape).to(self.net_.device, floating_type(network.body))
        stage = self._source_stage(head)
        task = Task(data.X, y_indices, data.y, data.sample_weight)
        return self._run_stages([stage], task, seed)

    def _pseudo_labelled(self, X_target) -> Task | None:
        probabilities = self.net_.predict_proba(X_target)
        sure = np.flatnonzero(probabilities.max(axis=1) >= self.pseudo_label_threshold)
        y = probabilities[sure].argmax(axis=1)
        needed = LEAST_PSEUDO_LABELS * len(self.classes_)
        self.n_pseudo_labels_ = len(sure)
        if len(sure) >= needed and len(np.unique(y)) > 1:
            return self._task(X_target[sure], y, None)
        warnings.warn(
            f"{len(sure)} of the {len(probabilities)} rows of X_target have a class of probability "
            f"{self.pseudo_label_threshold} or more, of {len(np.unique(y))} classes; fine-tuning "
            f"needs {needed} rows of several classes. The model is that of the source. Lower "
            "pseudo_label_threshold, or give y_target.",
            UserWarning,
            stacklevel=4,
        )
        return None

    def _fine_tune(self, task: Task, seed: int) -> None:
        network: FineTuneNetwork = self.net_.module_
        self.unfrozen_layers_ = self._layers_to_unfreeze(network)
        if self.adapter == "lora":
            with self.net_.generators:
                add_lora(network, self.unfrozen_layers_, self.lora_rank)
        stages = plan_five_steps(self, self.unfrozen_layers_, network.label_classifier)
        goes_on = self._run_stages(stages, task, seed)
        idle = [
            layer
            for layer in self.unfrozen_layers_
            if all(p.grad is None for p in network.layers.parameters(network.body, layer))
        ]
        if idle and goes_on and self.finetune_epochs > 0:
            warnings.warn(
                f"The unfrozen layers {idle} have learned nothing: no gradient reaches them. The "
                "features do not depend on them; raise unfreeze_depth to reach layers that count.",
                UserWarning,
                stacklevel=4,
            )

    def _task(self, X, y: np.ndarray, sample_weight: np.ndarray | None) -> Task:
        by_class = weigh_classes(self.class_weight, self.classes_, y, sample_weight)
        weights = None if by_class is None else self._as_tensor(by_class)
        return Task(X, y, self.classes_[y], sample_weight, weights)

    def _as_tensor(self, weights: np.ndarray) -> Tensor:
        dtype = floating_type(self.net_.module_) or torch.float32
        return torch.as_tensor(weights, device=self.net_.device, dtype=dtype)

    def _source_stage(self, head: nn.Module | None = None) -> Stage:
        network: FineTuneNetwork = self.net_.module_
        rate = self.pretrain_learning_rate
        rates = dict.fromkeys(network.layers.weights, rate)
        return Stage("source", self.pretrain_epochs, rate, rates, head or network.label_classifier)
