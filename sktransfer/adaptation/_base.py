"""What all adaptation methods share: a target without labels, weighed by lambda."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import field
from functools import partial
from typing import Any, ClassVar

import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from .. import schedules
from .._task import Task
from .._warning import warn
from ..data._batch import Batch, View
from ..data._domain import Domain, Domains
from ..data._sampler import DomainRows, Sampler
from ..deep._base import BaseDeepEstimator
from ..deep._parameters import parameters
from ..deep._training import TrainingParameters
from ..engine._average import WeightAverage
from ..engine._checks import check_schedule
from ..engine._net import callback_dataset
from ..engine._optimizers import look_up
from ..engine._runtime import limited_threads
from ..engine._stage import Follower, GradientStep, Stage, Step
from ..network._build import make_body, make_head, rates_by_width
from ..network._network import TransferNetwork
from ..validation._constraints import Integral, Interval, Real, StrOptions
from ._diagnosis import describe_failure, domain_gradient

LAMBDA_SCHEDULES = {"ramp": schedules.dann_ramp, "constant": schedules.constant}


def weight_of_labelled(target_weight: float, n_labelled: int, n_source: int) -> float:
    """Return ``target_weight min(1, n_labelled / n_source)`` for the rows of a step.

    At a `target_weight` of 1 a labelled row of the target counts as a row of the source does,
    and more of them than source rows count together as much as these. A mean loss of two
    rows that weighed as much as that of a whole batch would be learned by heart.
    """
    return target_weight * min(1.0, n_labelled / n_source)


@parameters
class BaseAdaptation(TrainingParameters, BaseDeepEstimator):
    """Minimises ``label loss + w lambda_ domain loss``.

    The label loss is ``L_y + v L_y'`` with the mean losses ``L_y`` of source rows and
    ``L_y'`` of target rows with known labels, where there are any, and ``v`` the
    `weight_of_labelled`.
    Here ``w`` is the value of `lambda_schedule`. A method gives the domain loss. The
    weights are those of the gradients that the losses send back, not of the losses
    themselves, so that ``history_`` shows the plain losses and the method's own heads
    learn at full rate.
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": True, "domains": True}

    _uses_domains = True

    # The parameter that holds the label head.
    _label_head: ClassVar[str]

    # What has to be so, for the domain loss to depend on the features; for warnings.
    _domain_loss_needs: ClassVar[str | None] = None

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "feature_extractor": [callable, None],
        "lambda_": [Interval(Real, 0, None, closed="left")],
        "lambda_schedule": [StrOptions(set(LAMBDA_SCHEDULES)), callable],
        "target_weight": [Interval(Real, 0, None, closed="left")],
        "average_weights": [Interval(Real, 0, 1, closed="both")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
    }

    feature_extractor: Any = field(default=None, kw_only=False)
    lambda_: float = 1.0
    lambda_schedule: Any = "ramp"
    target_weight: float = 1.0
    average_weights: float = 0.25
    hidden_layer_sizes: Any = (100,)
    learning_rate: float = 2e-3
    batch_size: int = 64
    max_epochs: int = 100

    @abstractmethod
    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return ``domain_loss``, which tells how far apart the domains' features are, and others.

        Its gradient to the features must be weighed by ``batch.lambda_``:
        `sktransfer.layers` has what reverses and scales gradients.

        Of several sources ``batch.source`` holds as many rows each, and a loss that takes
        them for one domain is right as it is. One that compares each with the target asks
        ``batch.source.split(features)``, and a head with an output for each is made for
        `_n_sources`. The loss of target rows with labels is added by the base.
        """

    def _target_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return losses by name of what is predicted for the target, weighed by lambda."""
        return {}

    def _make_heads(self, features: Tensor, n_outputs: int) -> dict[str, nn.Module]:
        """Return further modules that the method needs, by name, for features like these."""
        return {}

    def _parameter_groups_of(self, network: TransferNetwork) -> list[dict[str, Any]]:
        return rates_by_width(network, self.learning_rate)

    def _make_step(self, network: TransferNetwork) -> Step:
        """Say how a batch changes weights."""
        return GradientStep(partial(self._losses, network))

    def _losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Pass a batch through the network and return its losses by name."""
        network.forward_domains(batch)
        return self._losses_of_features(network, batch)

    def _losses_of_features(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of a batch that has passed through the body."""
        losses = self._label_losses(network, batch)
        if batch.target is not None:
            share = look_up(self.lambda_schedule, LAMBDA_SCHEDULES)(batch.progress)
            batch.lambda_ = self.lambda_ * share
            batch.metrics["lambda"] = batch.lambda_
            losses |= self._domain_losses(network, batch)
            losses |= self._target_losses(network, batch)
        return losses

    def _label_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return ``label_loss`` of the source, and what labelled rows of the target add to it.

        The latter is ``target_label_loss``, the mean of their losses times their weight.
        """
        losses = {"label_loss": self._label_loss(network, batch.source, batch.source_outputs)}
        if batch.labelled is not None:
            of_target = self._label_loss(network, batch.labelled, network.forward_labelled(batch))
            numbers = len(batch.labelled), len(batch.source)
            weight = weight_of_labelled(self.target_weight, *numbers)
            losses["target_label_loss"] = weight * of_target
        return losses

    def _label_loss(self, network: TransferNetwork, view: View, outputs: Tensor) -> Tensor:
        """Return the mean loss of rows with labels, for which the label head gave `outputs`.

        A method of several label heads passes ``view.features`` through each.
        """
        assert view.y is not None
        return self.net_.task.loss(outputs, view.y, view.weight)

    @property
    def _n_sources(self) -> int:
        """How many sources there are; known before the network is made."""
        return len(self._source_names() or [None])

    def _n_sources_told_apart(self) -> int:
        """Return for how many sources ``domain_loss`` has a class of their own."""
        return 1

    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> TransferNetwork:
        body, probed = make_body(
            self.feature_extractor, "feature_extractor", X, default, self.hidden_layer_sizes
        )
        features = probed.output.flatten(1)
        label_head = self._make_label_head(features, n_outputs)
        return TransferNetwork(body, label_head, self._make_heads(features, n_outputs), probed)

    def _make_label_head(self, features: Tensor, n_outputs: int) -> nn.Module:
        """Return what turns features like these into the outputs of the task."""
        given, arguments = getattr(self, self._label_head), (features.shape[1], n_outputs)
        return make_head(given, self._label_head, features, n_outputs, arguments, nn.Linear)

    def _make_task(self, domains: Domains) -> Task:
        task, learned = super()._make_task(domains), self._learned_target(domains)
        return task if learned is None else task.joined_by(learned.labelled().labels)

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        check_schedule(look_up(self.lambda_schedule, LAMBDA_SCHEDULES), "lambda_schedule")
        self._warn_of_no_target(domains)
        network, source = self.net_.module_, domains.source
        sampler = self._make_sampler(domains, seed)
        before_epochs = self._before_epochs(sampler)
        yield Stage(
            sampler,
            self._make_step(network),
            self.max_epochs,
            network.row_flops(),
            followers=self._followers(network, sampler),
            callbacks=before_epochs,
            dataset=callback_dataset(source.X, source.labels),
        )
        with limited_threads(network.row_flops() * 2 * self.batch_size):
            self._conclude(source, sampler, before_epochs)

    def _conclude(
        self, source: Domain, sampler: Sampler, before_epochs: list[tuple[str, Callback]]
    ) -> None:
        """Warn of what went wrong in training, and estimate the batch statistics it ended with."""
        network, has_target = self.net_.module_, sampler.target is not None
        if has_target:
            self._warn_of_failure(network, sampler)
        if has_target or self.average_weights > 0:
            self._estimate_statistics(network, sampler)

    def _followers(self, network: TransferNetwork, sampler: Sampler) -> list[Follower]:
        """Return what goes along with training; what takes a mean of the weights comes last."""
        if self.average_weights == 0:
            return []
        return [WeightAverage(network, self.average_weights)]

    def _before_epochs(self, sampler: Sampler) -> list[tuple[str, Callback]]:
        """Return callbacks, by name, for what is to happen before each epoch."""
        return []

    def _make_sampler(self, domains: Domains, seed: int) -> Sampler:
        """Put the domains on the device, and say which rows make a batch."""
        source, target = self._domain_rows(domains.source), domains.target
        if target is None:
            return self._sampler(source, None, seed)
        rows = self._target_rows(target)
        learned = self._learned_target(domains)
        labelled = None if learned is None else self._labelled_rows(learned, rows)
        return self._sampler(source, rows, seed, labelled)

    def _target_rows(self, target: Domain) -> DomainRows:
        """Put the target's rows on the device, without labels."""
        return self._domain_rows(Domain(target.X))

    def _learned_target(self, domains: Domains) -> Domain | None:
        """Return the target where the label head learns from labels of it."""
        target = domains.target
        learns = target is not None and target.y is not None and self.target_weight > 0
        return target if learns else None

    def _transfers(self) -> bool:
        return super()._transfers() and self.lambda_ > 0

    def _warn_of_no_target(self, domains: Domains) -> None:
        name = type(self).__name__
        if domains.target is None and self._transfers():
            warn(
                f"{name} was fitted without X_target: no adaptation took place and it is a plain "
                "model of the source. Pass X_target to adapt, or set lambda_=0 where this is "
                "wanted."
            )

    def _warn_of_failure(self, network: TransferNetwork, sampler: Sampler) -> None:
        batch = next(iter(sampler.epoch(done=1.0, share=0.0)))
        with self.net_.engine.generators.lent():
            network.train()
            losses = self._losses(network, batch)
            gradient = domain_gradient(losses["domain_loss"], batch)
            network.eval()
        failure = describe_failure(
            self.net_.history,
            batch.lambda_,
            gradient,
            self._n_sources_told_apart(),
            self._domain_loss_needs,
        )
        if failure is not None:
            warn(failure)

    def _estimate_statistics(self, network: TransferNetwork, sampler: Sampler) -> None:
        views = (batch.source for batch in sampler.epoch(1.0, 0.0))
        source = (X for view in views for X in view.split(view.X))
        if sampler.target is None:
            network.estimate_statistics(source, None, 0)
        else:
            target = (batch.target.X for batch in sampler.epoch(1.0, 0.0) if batch.target)
            network.estimate_statistics(source, target, len(sampler.target))
        self.net_.engine.processes.average_statistics(network)
