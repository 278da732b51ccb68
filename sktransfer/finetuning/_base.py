"""What fine-tuning estimators share: the five steps as stages of training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import noop
from torch import Tensor, nn

from .._task import encoded
from .._warning import warn
from ..data._batch import Batch
from ..data._domain import Domain, Domains
from ..data._sampler import DomainRows, Sampler
from ..deep._base import BaseDeepEstimator
from ..deep._parameters import parameters
from ..deep._training import TrainingParameters
from ..engine._net import callback_dataset
from ..engine._stage import Follower, GradientStep, Stage
from ..network._augment import features_of
from ..network._build import floating_type, make_module
from ..validation._arguments import check_takes
from ..validation._constraints import Integral, Interval, Real
from ._cached import (
    features_before,
    keep_for_prediction,
    pass_frozen,
    prediction_rows,
    rows_from,
)
from ._network import FineTuneNetwork
from ._parts import FineTunedParts
from ._relations import relational_loss
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


@parameters
class BaseFineTuning(FineTunedParts, TrainingParameters, BaseDeepEstimator):
    """Trains in parts, in each of which a first part of the body may be frozen."""

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "backbone": [callable, None],
        "head": [callable, None],
        "unfreeze_depth": [Interval(Integral, 0, None, closed="left"), str],
        "unfreezing": [Unfreezing, None],
        "source_training": [SourceTraining, None],
        "head_epochs": [Interval(Integral, 0, None, closed="left")],
        "finetune_epochs": [Interval(Integral, 0, None, closed="left")],
        "finetune_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "early_stopping": [HeldOut, None],
        "augment": [callable, None],
        "adapter": [LoRA, None],
        "frozen_cache": [FrozenCache, None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    }

    backbone: Any = field(default=None, kw_only=False)
    head: Any = None
    unfreeze_depth: int | str = 1
    unfreezing: Unfreezing | None = None
    source_training: SourceTraining | None = None
    head_epochs: int = 100
    learning_rate: float = 3e-3
    finetune_epochs: int = 50
    finetune_learning_rate: float = 3e-4
    early_stopping: HeldOut | None = None
    augment: Any = None
    adapter: LoRA | None = None
    frozen_cache: FrozenCache | None = None
    hidden_layer_sizes: Any = (100,)
    batch_size: int = 32

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        seeds = np.random.RandomState(seed).randint(2**31 - 1, size=2)
        source, target = domains.source, domains.target
        if self.augment is not None:
            check_takes(self.augment, "augment", "X")
        self.unfrozen_layers_: list[str] = []
        if target is None:
            yield from self._plan_source(source, seeds)
            if self.backbone is None and not self._is_source_only:
                _warn_of_no_transfer(self)
        elif target.y is not None:
            if not self._continues():
                yield from self._pretrain(source, seeds[0])
            yield from self._five_steps(self._training_rows(target.labelled()), seeds[1])
        else:
            yield from self._plan_without_labels(source, target, seeds)

    def _plan_source(self, source: Domain, seeds: np.ndarray) -> Iterator[Stage]:
        """Yield the stages for a source alone: fine-tuning where there is a body, or training."""
        rows = self._training_rows(source)
        if self.backbone is None:
            return self._stages([self._source_part()], rows, seeds[0])
        return self._five_steps(rows, seeds[1])

    @abstractmethod
    def _plan_without_labels(
        self, source: Domain, target: Domain, seeds: np.ndarray
    ) -> Iterator[Stage]:
        """Yield the stages for a target of which no row has a label."""

    def _class_weights(self, domain: Domain) -> Tensor | None:
        """Return the weight of each class in the loss, on the device; None for 1."""
        return None

    def _continues(self) -> bool:
        """Whether this goes on from an earlier fit."""
        return len(self.net_.history) > 0

    def _domain_to_predict(self, domains: Domains) -> tuple[Domain, str]:
        if domains.target is None or domains.target.y is None:
            return super()._domain_to_predict(domains)
        return domains.target.labelled(), "y_target"

    def _pretrain(self, source: Domain, seed: int) -> Iterator[Stage]:
        """Train body and a head of its own on the source, whose classes may be others."""
        task, network = self._task_of(source, "y"), self.net_.module_
        given = None if isinstance(self.head, nn.Module) else self.head
        shape = network.n_features, task.n_outputs
        with self.net_.engine.generators.lent():
            head = make_module(given, "head", shape, nn.Linear)
        head = head.to(self.net_.engine.device, floating_type(network.body))
        return self._stages([self._source_part(head)], TrainingRows(source, task), seed)

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
            warn(
                f"The unfrozen layers {idle} have learned nothing: no gradient reaches them. The "
                "features do not depend on them; raise unfreeze_depth to reach layers that count."
            )

    def _plan_refinement(self, labelled: Domain, seed: int) -> Iterator[Stage]:
        network: FineTuneNetwork = self.net_.module_
        self._find_unfrozen(network)
        part = plan_refinement(self, self.unfrozen_layers_, network.label_head)
        yield from self._stages([part], self._training_rows(labelled), seed)

    def _learning_without_labels(self) -> list[nn.Parameter]:
        """Freeze the body down to the layers to unfreeze, and list their weights."""
        network: FineTuneNetwork = self.net_.module_
        self._find_unfrozen(network)
        freezes = Unfreezing.of(self.unfreezing, "unfreezing").freeze_batch_norm
        network.freeze(self.unfrozen_layers_, freeze_batch_norm=freezes)
        return [p for p in network.body.parameters() if p.requires_grad]

    def _training_rows(self, domain: Domain) -> TrainingRows:
        return TrainingRows(domain, self.net_.task, self._class_weights(domain))

    def _source_part(self, head: nn.Module | None = None) -> Part:
        network: FineTuneNetwork = self.net_.module_
        settings = SourceTraining.of(self.source_training, "source_training")
        rates = dict.fromkeys(network.layers.weights, settings.learning_rate)
        head = network.label_head if head is None else head
        return Part("source", settings.epochs, settings.learning_rate, rates, head)

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
        if any(part.relational_weight > 0 for part in parts):
            rows.before = features_before(network, engine, rows, crossings[0])
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
        sampler = self._sampler(source, None, seed)
        return Stage(
            sampler,
            GradientStep(partial(self._part_losses, part, rows, learning, before)),
            part.epochs,
            network.row_flops(network.live(network.unfrozen)),
            groups=parameter_groups(network, part),
            progress=part.progress,
            followers=self._followers(part, sampler),
            callbacks=self._stopping(part, rows, crossing),
            dataset=callback_dataset(domain.X, domain.labels),
            modules=[] if part.head is network.label_head else [part.head],
        )

    def _followers(self, part: Part, sampler: Sampler) -> list[Follower]:
        """Return what goes along with a stage."""
        return []

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
        source.features = features_of(network, source.X, self.augment)
        batch.source_outputs = part.head(source.features)
        batch.metrics["stage"] = part.name
        assert source.y is not None
        losses = {"label_loss": rows.loss(batch.source_outputs, source.y)}
        if learning:
            losses["l2_sp_loss"] = l2_sp_penalty(learning, before, part.l2_sp)
        if part.relational_weight > 0:
            assert rows.before is not None
            relations = relational_loss(source.features, rows.before[source.rows])
            losses["relational_loss"] = part.relational_weight * relations
        return losses

    def _prediction(self, X, method: str):
        network, cache = self.net_.module_, FrozenCache.of(self.frozen_cache, "frozen_cache")
        features, rows = prediction_rows(network, self.net_.engine, cache, X)
        if method == "features":
            return features, rows
        return lambda batch: network.label_head(features(batch)), rows


def _warn_of_no_transfer(estimator: BaseFineTuning) -> None:
    name = type(estimator).__name__
    warn(
        f"{name} was fitted without X_target and without a pretrained backbone: nothing was "
        "transferred and it learned from the source alone. Give a backbone, or X_target with "
        "y_target."
    )
