"""What networks of several tasks share: a body for all, a head for each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if
from torch import Tensor, nn

from .._task import encoded
from ..data._domain import Domain, Domains
from ..deep._base import BaseDeepEstimator
from ..deep._parameters import parameters
from ..deep._training import TrainingParameters
from ..engine._average import WeightAverage
from ..engine._net import callback_dataset
from ..engine._runtime import limited_threads
from ..engine._stage import GradientStep, Stage, Step
from ..network._build import make_body, rates_by_width
from ..network._network import TransferNetwork
from ..validation._constraints import Integral, Interval, Real, StrOptions
from ..validation._torch_rows import TorchRows
from ._heads import head_penalty, make_heads
from ._several import SeveralTasks
from ._tasks import ROWS, TaskLabels, check_tasks
from ._weighting import (
    GradNormStep,
    PCGradStep,
    ProjectedWeights,
    TaskLosses,
    TaskWeights,
    UncertaintyWeights,
    WeightsRecorder,
)

WEIGHTINGS = ("uniform", "uncertainty", "pcgrad", "gradnorm")

# How much faster the noise of tasks is learned than weights, of which each moves less far.
NOISE_RATE = 10.0


def _has_a_source(estimator: Any) -> bool:
    raise AttributeError(
        f"{type(estimator).__name__} has tasks and no source; to compare, fit one for each task."
    )


@parameters
class TaskNetworkParameters(TrainingParameters):
    """What a network of several tasks takes; stands before a deep base."""

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "backbone": [callable, None],
        "head": [callable, None],
        "strength": [Interval(Real, 0, None, closed="left")],
        "weighting": [StrOptions(set(WEIGHTINGS))],
        "gradnorm_alpha": [Interval(Real, 0, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "average_weights": [Interval(Real, 0, 1, closed="both")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
    }

    backbone: Any = field(default=None, kw_only=False)
    head: Any = None
    strength: float = 10.0
    weighting: str = "uniform"
    gradnorm_alpha: float = 1.5
    hidden_layer_sizes: Any = (100,)
    average_weights: float = 0.25
    learning_rate: float = 1e-3
    batch_size: int = 64
    max_epochs: int = 30


class BaseTaskNetwork(TaskNetworkParameters, BaseDeepEstimator):
    """A body that all tasks share, and a head for each."""

    __metadata_request__fit: ClassVar = {"X_target": UNUSED, "y_target": UNUSED, "domains": UNUSED}

    # What `fit` sets.
    tasks_: np.ndarray
    task_layout_: str
    weights_: np.ndarray

    @abstractmethod
    def _encode_labels(self, labels: TaskLabels) -> np.ndarray:
        """Return labels as numbers, shape (n_rows, n_tasks) with NaN for none; note the classes."""

    @abstractmethod
    def _fitted_task(self) -> SeveralTasks:
        """Return what was learned."""

    @abstractmethod
    def _sizes(self) -> list[int]:
        """Return how many outputs each task's head has."""

    @abstractmethod
    def _kinds(self) -> list[Any]:
        """Return of each task what its head says, alike where it is the same."""

    source_only = available_if(_has_a_source)(BaseDeepEstimator.source_only)

    def _check_tasks(self, X, y, task, sample_weight) -> tuple[Domain, TaskLabels]:
        return check_tasks(self, X, y, task, sample_weight, rows=TorchRows(self.num_workers))

    def _fit_tasks(self, source: Domain, labels: TaskLabels) -> None:
        y = self._encode_labels(labels)
        domain = Domain(source.X, y, source.sample_weight)
        has_any = np.isfinite(y).any(axis=1)
        if not has_any.all():
            domain = domain.take(np.flatnonzero(has_any))
        self._fit(Domains(domain, None))
        self.weights_ = np.array(self.history_[:, "weights"])

    def _shared_rows(self, X: Any) -> np.ndarray:
        return self._forward(X, "forward")

    def _outputs_of(self, outputs: np.ndarray, code: int) -> np.ndarray:
        """Return those of one task."""
        starts = np.cumsum([0, *self._sizes()])
        return outputs[:, starts[code] : starts[code + 1]]

    def _groups(self) -> list[np.ndarray]:
        """Return the tasks whose heads are of one kind, at least two each."""
        if self.task_layout_ != ROWS:
            return []
        kinds = self._kinds()
        groups = [np.flatnonzero([kind == one for kind in kinds]) for one in dict.fromkeys(kinds)]
        return [group for group in groups if len(group) > 1]

    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> TransferNetwork:
        body, probed = make_body(self.backbone, "backbone", X, default, self.hidden_layer_sizes)
        features = probed.output.flatten(1)
        heads = make_heads(self.head, features, self._sizes(), self._groups())
        if self.weighting == "gradnorm" and not probed.work:
            raise ValueError(
                "weighting='gradnorm' compares gradients of the backbone's last layer, and this "
                "one has no layer with weights. Give another backbone, or weighting='uniform'."
            )
        return TransferNetwork(body, heads, {"task_weights": self._make_weights()}, probed)

    def _make_weights(self) -> TaskWeights:
        n_tasks = len(self.tasks_)
        if self.weighting == "uncertainty":
            return UncertaintyWeights(n_tasks, self._deviance())
        return ProjectedWeights(n_tasks) if self.weighting == "pcgrad" else TaskWeights(n_tasks)

    @abstractmethod
    def _deviance(self) -> float:
        """Return the `deviance` of the task."""

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        network, source = self.net_.module_, domains.source
        sampler = self._sampler(self._domain_rows(source), None, seed)
        average = WeightAverage(network, self.average_weights)
        yield Stage(
            sampler,
            self._make_step(network, source),
            self.max_epochs,
            network.row_flops(),
            followers=[average] if self.average_weights > 0 else [],
            callbacks=[("task_weights", WeightsRecorder())],
            dataset=callback_dataset(source.X, source.labels),
        )
        if self.average_weights > 0:
            with limited_threads(network.row_flops() * 2 * self.batch_size):
                rows = (batch.source.X for batch in sampler.epoch(1.0, 0.0))
                network.estimate_statistics(rows, None, 0)
                self.net_.engine.processes.average_statistics(network)

    def _make_step(self, network: TransferNetwork, source: Domain) -> Step:
        weights: Any = network.task_weights
        task = self.net_.task
        assert isinstance(task, SeveralTasks)
        penalty = partial(
            head_penalty,
            network.label_head,
            self._sizes(),
            self._groups(),
            self.strength,
            1 / n_labels(source),
        )
        losses = TaskLosses(network, task, penalty)
        if self.weighting == "pcgrad":
            return PCGradStep(losses, weights)
        if self.weighting == "gradnorm":
            layer: Any = network.body.get_submodule([*network.body_work][-1]).weight
            initial = initial_losses(task, source, self.net_.engine.device)
            return GradNormStep(losses, weights, layer, initial, self.gradnorm_alpha)
        if self.weighting == "uncertainty":
            return GradientStep(partial(losses.by_uncertainty, weights))
        return GradientStep(losses.uniform)

    def _parameter_groups_of(self, network: TransferNetwork) -> list[dict[str, Any]]:
        modules = nn.ModuleList([network.body, network.label_head])
        groups = rates_by_width(modules, self.learning_rate)
        known = {id(parameter) for parameter in modules.parameters()}
        noise = [parameter for parameter in network.parameters() if id(parameter) not in known]
        rate = NOISE_RATE * self.learning_rate
        return groups + ([{"params": noise, "lr": rate, "scale": NOISE_RATE}] if noise else [])

    def _check_target(self, X_target: Any, y_target: Any) -> Domain:
        if y_target is not None:
            raise ValueError(
                f"{type(self).__name__} adapts to rows without labels alone, by statistics of "
                "batch normalisation: leave y_target out, and fit again with the new labels."
            )
        return super()._check_target(X_target, None)


def n_labels(source: Domain) -> float:
    """Return the number of labels, each counted as its row weighs."""
    known = np.isfinite(source.labels).sum(axis=1)
    weight = 1.0 if source.sample_weight is None else source.sample_weight
    return float((known * weight).sum())


def initial_losses(task: SeveralTasks, source: Domain, device: torch.device) -> Tensor:
    """Return each task's (weighted) mean loss where all outputs are 0, as before training."""
    y = encoded(task, source.labels, device)
    losses = task.label_losses(torch.zeros(len(y), task.n_outputs, device=device), y)
    weight = torch.ones(len(y)) if source.sample_weight is None else source.sample_weight
    weight = torch.as_tensor(weight).to(losses)
    means = (weight @ losses) / (weight @ task.has_label(y).to(losses))
    return torch.where(means > 0, means, torch.ones_like(means))


def fill_columns(labels: TaskLabels, encode: Any) -> np.ndarray:
    """Return ``encode(code, labels of the task)`` of all tasks, shape (n_rows, n_tasks)."""
    filled = np.full((len(labels.y), len(labels.names)), np.nan)
    for code in range(len(labels.names)):
        filled[labels.rows_of(code), code] = encode(code, labels.labels_of(code))
    return filled
