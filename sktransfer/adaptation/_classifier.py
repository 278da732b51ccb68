"""What classifiers that adapt have besides: weights of classes, and a loss of predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from torch import Tensor

from ..data._batch import Batch
from ..data._domain import Domains
from ..deep._classifier import DeepClassifierMixin
from ..deep._parameters import parameters
from ..engine._optimizers import look_up
from ..engine._stage import Stage
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real, StrOptions
from ._base import BaseAdaptation
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
            check_target_loss(self.target_loss, self.net_.task.n_outputs, self.net_.engine.dtype)
        return super()._plan(domains, seed)

    def _target_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        if self.target_loss is None or self.target_loss_weight == 0:
            return {}
        loss = look_up(self.target_loss, TARGET_LOSSES)
        weight = self.target_loss_weight * batch.lambda_
        return {"target_loss": loss(scale_gradient(network.target_outputs(batch), weight))}
