"""What classifiers that adapt have besides: classes, their weights and shares, a further loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from .._task import Classification
from .._warning import warn
from ..data._batch import Batch
from ..data._domain import Domain, Domains
from ..data._sampler import Sampler
from ..deep._classifier import DeepClassifierMixin
from ..deep._parameters import parameters
from ..engine._optimizers import look_up
from ..engine._stage import Stage
from ..layers import scale_gradient
from ..network._build import floating_type
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real, StrOptions
from ._base import BaseAdaptation
from ._class_weighting import ClassWeighting
from ._diagnosis import AS_THEY_ARE, describe_shares
from ._some_rows import MOST_ROWS, even_rows
from ._target_losses import TARGET_LOSSES, check_target_loss


@parameters
class AdaptationClassifier(DeepClassifierMixin, BaseAdaptation):
    """Minimises also ``w lambda_ target_loss_weight`` times a loss of predictions on the target."""

    _label_head = "label_classifier"

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "label_classifier": [callable, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "target_loss": [StrOptions(set(TARGET_LOSSES)), callable, None],
        "target_loss_weight": [Interval(Real, 0, None, closed="left")],
    }

    label_classifier: Any = None
    class_weight: Any = None
    target_loss: Any = None
    target_loss_weight: float = 1.0

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        if callable(self.target_loss):
            # Of logits: the rows may be whole numbers.
            dtype = floating_type(self.net_.module_) or torch.get_default_dtype()
            device = self.net_.engine.device
            check_target_loss(self.target_loss, self.net_.task.n_outputs, dtype, device)
        return super()._plan(domains, seed)

    def _target_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        if self.target_loss is None or self.target_loss_weight == 0:
            return {}
        loss = look_up(self.target_loss, TARGET_LOSSES)
        weight = self.target_loss_weight * batch.lambda_
        return {"target_loss": loss(scale_gradient(network.target_outputs(batch), weight))}

    def _conclude(
        self, source: Domain, sampler: Sampler, before_epochs: list[tuple[str, Callback]]
    ) -> None:
        super()._conclude(source, sampler, before_epochs)
        if sampler.target is not None and self._transfers() and self._supposes_equal_shares():
            self._warn_of_shares(source, sampler, before_epochs)

    def _has_own_bodies(self) -> bool:
        """Whether a target gets a body of its own; see `OwnBodiesClassifier`."""
        return False

    def _supposes_equal_shares(self) -> bool:
        """Whether the classes are to be as frequent in the target as in the source."""
        return True

    def _warn_of_shares(
        self, source: Domain, sampler: Sampler, before_epochs: list[tuple[str, Callback]]
    ) -> None:
        """Warn where classes are far rarer or more frequent in the target's predictions."""
        assert sampler.target is not None
        found: list[np.ndarray] = []
        drawn = AS_THEY_ARE
        for _, call in before_epochs:
            if isinstance(call, ClassWeighting):
                found, drawn = call.found, call.drawn
        text = describe_shares(
            self.net_.classes.tolist(),
            found or self._shares(source, sampler),
            min(MOST_ROWS, len(sampler.target)),
            drawn,
            can_weigh=hasattr(self, "class_weighting"),
        )
        if text is not None:
            warn(text)

    def _shares(self, source: Domain, sampler: Sampler) -> list[np.ndarray]:
        """Return those of the classes in the source, and predicted for it and for the target."""
        assert sampler.target is not None
        network, task = self.net_.module_, cast(Classification, self.net_.task)
        rows, weight = even_rows(sampler.source), source.sample_weight
        of_source = task.answers(rows.passed(self.net_, network.forward_source))
        of_target = even_rows(sampler.target).passed(self.net_, network.forward)
        return [
            task.shares(source.labels, weight),
            task.shares(of_source, None if weight is None else weight[rows.numbers.numpy()]),
            task.shares(task.answers(of_target)),
        ]
