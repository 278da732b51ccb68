"""What fine-tuning methods share: stages of training, in which frozen values are reused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EarlyStopping
from skorch.utils import noop
from torch import Tensor, nn

from .._base import BaseTransferClassifier
from .._batches import DomainBatch, DomainBatches, Rows
from .._runtime import limited_threads
from ..frozen import (
    INPUT,
    ActivationRows,
    BodyGraph,
    PrivateActivations,
    RowStore,
    SharedActivations,
    examine,
    memory_folder,
)
from ._network import FineTuneNetwork
from ._stages import HeldOutScoring, Stage, Task, l2_sp_penalty, weighted_cross_entropy


class BaseFineTuningClassifier(BaseTransferClassifier):
    """Trains in stages, in each of which a first part of the body may be frozen."""

    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    augment: Any
    cache_frozen: bool
    memory: Any
    memory_limit: int | None

    def _run_stages(self, stages: Sequence[Stage], task: Task, seed: int) -> bool:
        """Train stage by stage; say whether training may go on (not after Ctrl-C)."""
        random_state = np.random.RandomState(seed)
        network: FineTuneNetwork = self.net_.module_
        if self.early_stopping:
            task = task.split(self.validation_fraction, random_state.randint(2**31 - 1))
        crossings = self._pass_frozen(stages, task)
        penalised = any(stage.l2_sp > 0 for stage in stages)
        anchors = {id(p): p.detach().clone() for p in network.body.parameters() if penalised}
        goes_on = True
        for stage, crossing in zip(stages, crossings, strict=True):
            order_seed = random_state.randint(2**31 - 1)
            goes_on = goes_on and self._run_stage(stage, task, crossing, anchors, order_seed)
        self.net_.row_flops = network.row_flops()
        if isinstance(network.activations, SharedActivations):
            network.activations.keep_only_frozen(network.live(network.unfrozen))
        else:
            network.activations = None
        return goes_on

    def _run_stage(
        self,
        stage: Stage,
        task: Task,
        crossing: list[str] | None,
        anchors: dict[int, Tensor],
        seed: int,
    ) -> bool:
        net, network = self.net_, self.net_.module_
        network.freeze(list(stage.layer_rates), freeze_batch_norm=stage.freeze_batch_norm)
        if crossing is not None:
            network.go_on_from(crossing, network.activations.graph)
        net.row_flops = network.row_flops(network.live(network.unfrozen))
        net.optimizer_ = net.optimizer(self._parameter_groups(stage), lr=stage.learning_rate)
        batches = DomainBatches(
            self._rows_of(task, crossing),
            torch.as_tensor(task.y, device=net.device),
            None,
            task.sample_weight,
            self.batch_size,
            seed,
            net.processes,
        )
        added = []
        if task.held_out is not None:
            rows = self._rows_of(task.held_out, crossing)
            stopping = EarlyStopping(patience=self.n_iter_no_change, sink=noop, load_best=True)
            scoring = HeldOutScoring(rows, task.held_out, stage.head)
            added = [("held_out_scoring", scoring), ("held_out_stopping", stopping)]
        learning = [p for p in network.body.parameters() if p.requires_grad and stage.l2_sp > 0]
        before = [anchors[id(p)] for p in learning]
        objective = partial(self._stage_losses, stage, task.class_weight, learning, before)
        with net.more_callbacks(added):
            dataset = net.dataset(task.X, task.labels)
            return net.train(batches, objective, stage.epochs, stage.progress, dataset)

    def _stage_losses(
        self,
        stage: Stage,
        class_weight: Tensor | None,
        learning: list[nn.Parameter],
        before: list[Tensor],
        batch: DomainBatch,
    ) -> dict[str, Tensor]:
        """Return the losses of a batch by name."""
        network: FineTuneNetwork = self.net_.module_
        X = batch.X_source if self.augment is None else self._augmented(batch.X_source)
        batch.source_features = network.features(X)
        batch.source_logits = stage.head(batch.source_features)
        batch.metrics["stage"] = stage.name
        loss = weighted_cross_entropy(batch.source_logits, batch.y_source, class_weight)
        losses = {"label_loss": loss}
        if learning:
            losses["l2_sp_loss"] = l2_sp_penalty(learning, before, stage.l2_sp)
        return losses

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

    def _parameter_groups(self, stage: Stage) -> list[dict[str, Any]]:
        network: FineTuneNetwork = self.net_.module_
        groups = [{"params": list(stage.head.parameters()), "lr": stage.learning_rate}]
        for layer, rate in stage.layer_rates.items():
            parameters = [
                p for p in network.layers.parameters(network.body, layer) if p.requires_grad
            ]
            groups.append({"params": parameters, "lr": rate})
        groups = [group for group in groups if group["params"]]
        if not groups:
            raise ValueError(
                f"The stage '{stage.name}' has nothing to train: the head has no weights and no "
                "layer of the backbone is unfrozen. Give a head with weights, or raise "
                "unfreeze_depth."
            )
        return groups

    def _rows_of(self, task: Task, crossing: list[str] | None) -> Rows:
        if crossing is None:
            return self.net_.rows(task.X)
        return ActivationRows(tuple(task.frozen[name] for name in crossing))

    def _pass_frozen(self, stages: Sequence[Stage], task: Task) -> list[list[str] | None]:
        """Pass the rows through what is frozen in these stages; return where each begins."""
        network: FineTuneNetwork = self.net_.module_
        depths = [list(stage.layer_rates) for stage in stages]
        network.activations = None
        if not self.cache_frozen or self.augment is not None:
            return [None] * len(stages)
        if all(network.has_all(layers) for layers in depths):
            return [None] * len(stages)
        network.freeze([], freeze_batch_norm=True)
        network.activations = activations = self._make_activations(task.X, depths)
        crossings = [activations.graph.crossing(network.live(layers)) for layers in depths]
        used = [
            None if crossing == [INPUT] or network.has_all(layers) else crossing
            for crossing, layers in zip(crossings, depths, strict=True)
        ]
        names = sorted({name for crossing in used if crossing for name in crossing} - {INPUT})
        for rows in (task, task.held_out):
            if rows is not None and names:
                rows.frozen = activations.values(rows.X, names)
                if any(crossing and INPUT in crossing for crossing in used):
                    rows.frozen[INPUT] = self.net_.rows(rows.X)
        return used

    def _make_activations(
        self, X, depths: Sequence[Sequence[str]]
    ) -> PrivateActivations | SharedActivations:
        """Trace the body; say where values for these sets of unfrozen layers are kept."""
        network: FineTuneNetwork = self.net_.module_
        network.eval()
        layers = list(network.layers.weights)
        net, row = self.net_, self.net_.rows(X[:1]).slice(0, 1)
        folder = None if self.memory is None else memory_folder(self.memory)
        # One thread is enough for few rows; that of another fit might draw meanwhile, which
        # would seem the body's doing.
        with limited_threads(0), net.generators:
            if folder is None:
                return PrivateActivations(BodyGraph(network.body, layers, row), net)
            context = f"{net.input_shape} {net.dtype} {net.device} torch {torch.__version__}"
            graph, keys = examine(network.body, layers, row, context)
        wanted = [graph.crossing(network.live(depth)) for depth in depths]
        others = (
            graph.crossing(network.live(layers[len(layers) - depth :]))
            for depth in range(len(layers))
        )
        store = RowStore(folder, self.memory_limit)
        return SharedActivations(graph, net, store, keys, wanted, others)

    def _prediction_rows(self, X) -> Rows:
        network: FineTuneNetwork = self.net_.module_
        folder = None if self.memory is None else memory_folder(self.memory)
        if not self.cache_frozen or folder is None or not folder.exists():
            return self.net_.rows(X)
        if network.has_all(network.unfrozen):
            return self.net_.rows(X)
        activations = network.activations
        if activations is None:  # after unpickling, or a fit with augment
            activations = self._make_activations(X, [network.unfrozen])
            assert isinstance(activations, SharedActivations)
            activations.keep_only_frozen(network.live(network.unfrozen))
            network.activations = activations
        crossing = activations.graph.crossing(network.live(network.unfrozen))
        if crossing == [INPUT]:
            return self.net_.rows(X)
        network.go_on_from(crossing, activations.graph)
        values = activations.values(X, [name for name in crossing if name != INPUT])
        if INPUT in crossing:
            values[INPUT] = self.net_.rows(X)
        return ActivationRows(tuple(values[name] for name in crossing))
