"""What fine-tuning estimators share: the five steps as stages of training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import noop
from torch import Tensor, nn

from .._arguments import check_takes
from .._class_weights import weigh_classes
from .._deep import BaseDeepEstimator
from .._task import encoded
from ..data._domain import Domain, Domains
from ..data._sampler import Batch, DomainRows
from ..engine._net import callback_dataset
from ..engine._stage import GradientStep, Stage
from ..network._build import floating_type
from ._cached import keep_for_prediction, pass_frozen, prediction_rows, rows_from
from ._freezing import unfrozen_layers
from ._lora import adaptable_layers, add_lora
from ._network import FineTuneNetwork
from ._settings import FrozenCache, HeldOut, LoRA, SourceTraining, Unfreezing
from ._stages import (
    HeldOutScoring,
    Part,
    TrainingRows,
    l2_sp_penalty,
    parameter_groups,
    plan_five_steps,
    plan_refinement,
)

# With fewer confident rows for each class than this, pseudo-labels are not used.
LEAST_PSEUDO_LABELS = 2


class BaseFineTuning(BaseDeepEstimator):
    """Trains in parts, in each of which a first part of the body may be frozen."""

    # What is read here; `__init__` sets it.
    backbone: Any
    head: Any
    unfreeze_depth: int | str
    unfreezing: Any
    source_training: Any
    finetune_epochs: int
    class_weight: Any
    early_stopping: Any
    augment: Any
    adapter: Any
    frozen_cache: Any

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        seeds = np.random.RandomState(seed).randint(2**31 - 1, size=2)
        continues = len(self.net_.history) > 0
        source, target = domains.source, domains.target
        if self.augment is not None:
            check_takes(self.augment, "augment", "X")
        self.unfrozen_layers_: list[str] = []
        self.n_pseudo_labels_ = 0
        rows: TrainingRows | None
        if target is None:
            rows = self._training_rows(source)
            if self.backbone is None:
                yield from self._stages([self._source_part()], rows, seeds[0])
                if self._transfers():
                    _warn_of_no_transfer()
                return
        elif target.y is not None:
            if not continues:
                yield from self._pretrain(source, seeds[0])
            rows = self._training_rows(target.labelled())
        else:
            if not continues:
                part = [self._source_part()]
                yield from self._stages(part, self._training_rows(source), seeds[0])
            rows = self._pseudo_labelled(target.X)
        if rows is not None:
            yield from self._five_steps(rows, seeds[1])

    def _pretrain(self, source: Domain, seed: int) -> Iterator[Stage]:
        """Train body and a head of its own on the source, whose classes may be others."""
        task, network = self._task_of(source, "y"), self.net_.module_
        make = nn.Linear if self.head is None or isinstance(self.head, nn.Module) else self.head
        with self.net_.engine.generators.lent():
            head = make(network.n_features, task.n_outputs)
        head = head.to(self.net_.engine.device, floating_type(network.body))
        return self._stages([self._source_part(head)], TrainingRows(source, task), seed)

    def _pseudo_labelled(self, X_target) -> TrainingRows | None:
        threshold = SourceTraining.of(self.source_training, "source_training")
        least = threshold.pseudo_label_threshold
        probabilities = self.net_.predict_proba(X_target)
        sure = np.flatnonzero(probabilities.max(axis=1) >= least)
        y = self.net_.classes[probabilities[sure].argmax(axis=1)]
        needed = LEAST_PSEUDO_LABELS * len(self.net_.classes)
        self.n_pseudo_labels_ = len(sure)
        if len(sure) >= needed and len(np.unique(y)) > 1:
            return self._training_rows(Domain(X_target[sure], y))
        warnings.warn(
            f"{len(sure)} of the {len(probabilities)} rows of X_target have a class of probability "
            f"{least} or more, of {len(np.unique(y))} classes; fine-tuning needs {needed} rows of "
            "several classes. The model is that of the source. Lower pseudo_label_threshold of "
            "SourceTraining, or give y_target.",
            UserWarning,
            stacklevel=5,
        )
        return None

    def _five_steps(self, rows: TrainingRows, seed: int) -> Iterator[Stage]:
        network: FineTuneNetwork = self.net_.module_
        self._find_unfrozen(network)
        parts = plan_five_steps(self, self.unfrozen_layers_, network.label_head)
        yield from self._stages(parts, rows, seed)
        idle = [
            layer
            for layer in self.unfrozen_layers_
            if all(p.grad is None for p in network.layers.parameters(network.body, layer))
        ]
        if idle and self.finetune_epochs > 0:
            warnings.warn(
                f"The unfrozen layers {idle} have learned nothing: no gradient reaches them. The "
                "features do not depend on them; raise unfreeze_depth to reach layers that count.",
                UserWarning,
                stacklevel=5,
            )

    def _plan_refinement(self, labelled: Domain, seed: int) -> Iterator[Stage]:
        network: FineTuneNetwork = self.net_.module_
        self._find_unfrozen(network)
        part = plan_refinement(self, self.unfrozen_layers_, network.label_head)
        yield from self._stages([part], self._training_rows(labelled), seed)

    def _find_unfrozen(self, network: FineTuneNetwork) -> None:
        """Set which layers learn after the head, and give them adapters where asked to."""
        self.unfrozen_layers_ = self._layers_to_unfreeze(network)
        if self.adapter is not None:
            rank = LoRA.of(self.adapter, "adapter").rank
            with self.net_.engine.generators.lent():
                add_lora(network, self.unfrozen_layers_, rank)

    def _training_rows(self, domain: Domain) -> TrainingRows:
        task = self.net_.task
        counted = task.encode(domain.labels)
        weights = weigh_classes(self.class_weight, self.net_.classes, counted, domain.sample_weight)
        if weights is None:
            return TrainingRows(domain, task)
        dtype = floating_type(self.net_.module_) or torch.float32
        by_class = torch.as_tensor(weights, device=self.net_.engine.device, dtype=dtype)
        return TrainingRows(domain, task, by_class)

    def _source_part(self, head: nn.Module | None = None) -> Part:
        network: FineTuneNetwork = self.net_.module_
        settings = SourceTraining.of(self.source_training, "source_training")
        rates = dict.fromkeys(network.layers.weights, settings.learning_rate)
        head = network.label_head if head is None else head
        return Part("source", settings.epochs, settings.learning_rate, rates, head)

    def _layers_to_unfreeze(self, network: FineTuneNetwork) -> list[str]:
        layers = unfrozen_layers(
            self.unfreeze_depth,
            network.layers,
            network.body,
            freeze_batch_norm=Unfreezing.of(self.unfreezing, "unfreezing").freeze_batch_norm,
        )
        return layers if self.adapter is None else adaptable_layers(network.body, layers)

    def _stages(self, parts: Sequence[Part], rows: TrainingRows, seed: int) -> Iterator[Stage]:
        """Yield a stage for each part; the body is frozen as it says by then."""
        random_state = np.random.RandomState(seed)
        engine, network = self.net_.engine, self.net_.module_
        if self.early_stopping is not None:
            held_out = HeldOut.of(self.early_stopping, "early_stopping")
            rows = rows.split(held_out.fraction, random_state.randint(2**31 - 1))
        cache = FrozenCache.of(self.frozen_cache, "frozen_cache")
        if self.augment is not None:
            cache = FrozenCache(enabled=False)
        depths = [list(part.layer_rates) for part in parts]
        crossings = pass_frozen(network, engine, cache, depths, rows)
        penalised = any(part.l2_sp > 0 for part in parts)
        anchors = {id(p): p.detach().clone() for p in network.body.parameters() if penalised}
        for part, crossing in zip(parts, crossings, strict=True):
            yield self._stage(part, rows, crossing, anchors, random_state.randint(2**31 - 1))
        keep_for_prediction(network)

    def _stage(
        self,
        part: Part,
        rows: TrainingRows,
        crossing: list[str] | None,
        anchors: dict[int, Tensor],
        seed: int,
    ) -> Stage:
        engine, network = self.net_.engine, self.net_.module_
        network.freeze(list(part.layer_rates), freeze_batch_norm=part.freeze_batch_norm)
        if crossing is not None:
            network.go_on_from(crossing, network.activations.graph)
        domain = rows.domain
        y = encoded(rows.task, domain.labels, engine.device)
        source = DomainRows(rows_from(rows, crossing, engine), y, domain.sample_weight)
        learning = [p for p in network.body.parameters() if p.requires_grad and part.l2_sp > 0]
        before = [anchors[id(p)] for p in learning]
        return Stage(
            self._sampler(source, None, seed),
            GradientStep(partial(self._part_losses, part, rows, learning, before)),
            part.epochs,
            network.row_flops(network.live(network.unfrozen)),
            groups=parameter_groups(network, part),
            progress=part.progress,
            callbacks=self._stopping(part, rows, crossing),
            dataset=callback_dataset(domain.X, domain.labels),
            modules=[] if part.head is network.label_head else [part.head],
        )

    def _stopping(
        self, part: Part, rows: TrainingRows, crossing: list[str] | None
    ) -> list[tuple[str, Callback]]:
        if rows.held_out is None:
            return []
        patience = HeldOut.of(self.early_stopping, "early_stopping").patience
        held_out = rows_from(rows.held_out, crossing, self.net_.engine)
        return [
            ("held_out_scoring", HeldOutScoring(held_out, rows.held_out, part.head)),
            ("held_out_stopping", EarlyStopping(patience=patience, sink=noop, load_best=True)),
        ]

    def _part_losses(
        self,
        part: Part,
        rows: TrainingRows,
        learning: list[nn.Parameter],
        before: list[Tensor],
        batch: Batch,
    ) -> dict[str, Tensor]:
        """Return the losses of a batch by name."""
        network, source = self.net_.module_, batch.source
        X = source.X if self.augment is None else self._augmented(source.X)
        source.features = self._features_of(network, X, source.X)
        batch.source_outputs = part.head(source.features)
        batch.metrics["stage"] = part.name
        assert source.y is not None
        losses = {"label_loss": rows.loss(batch.source_outputs, source.y)}
        if learning:
            losses["l2_sp_loss"] = l2_sp_penalty(learning, before, part.l2_sp)
        return losses

    def _features_of(self, network: FineTuneNetwork, X, before) -> Tensor:
        try:
            return network.features(X)
        except RuntimeError as error:
            if X is before or X.shape == before.shape:
                raise
            shape = tuple(before.shape)
            raise ValueError(
                f"augment made a batch of shape {tuple(X.shape)} of one of shape {shape}, "
                f"which the backbone does not take: {error}. Keep the shape of the rows."
            ) from error

    def _augmented(self, X: Tensor) -> Tensor:
        augmented = self.augment(X)
        if not isinstance(augmented, Tensor) or len(augmented) != len(X):
            shape = getattr(augmented, "shape", None)
            got = f"{type(augmented).__name__} of shape {shape}" if shape else repr(augmented)
            raise ValueError(
                f"augment made {got} of a batch of shape {tuple(X.shape)}; it must return a "
                "tensor with a row for each of the batch's."
            )
        return augmented

    def _prediction(self, X, method: str):
        network, cache = self.net_.module_, FrozenCache.of(self.frozen_cache, "frozen_cache")
        features, rows = prediction_rows(network, self.net_.engine, cache, X)
        if method == "features":
            return features, rows
        return lambda batch: network.label_head(features(batch)), rows


def _warn_of_no_transfer() -> None:
    warnings.warn(
        "FineTuneClassifier was fitted without X_target and without a pretrained backbone: nothing "
        "was transferred and it is a plain classifier of the source. Give a backbone, or X_target "
        "with y_target.",
        UserWarning,
        stacklevel=6,
    )
