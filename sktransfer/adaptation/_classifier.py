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
from ._diagnosis import describe_shares
from ._target_losses import TARGET_LOSSES, check_target_loss

# Rows of the target, or a few more, whose predictions tell the shares of its classes.
ROWS_FOR_SHARES = 2000


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

    def _supposes_equal_shares(self) -> bool:
        """Whether the classes are to be as frequent in the target as in the source."""
        return True

    def _warn_of_shares(
        self, source: Domain, sampler: Sampler, before_epochs: list[tuple[str, Callback]]
    ) -> None:
        """Warn where classes are far rarer or more frequent in the target's predictions."""
        assert sampler.target is not None
        weighed = [call for _, call in before_epochs if isinstance(call, ClassWeighting)]
        found = next((call.found for call in weighed if call.found), None)
        text = describe_shares(
            self.net_.classes.tolist(),
            self._shares(source, sampler) if found is None else found,
            min(ROWS_FOR_SHARES, len(sampler.target)),
            weighed=found is not None,
            can_weigh=hasattr(self, "class_weighting"),
        )
        if text is not None:
            warn(text)

    def _shares(self, source: Domain, sampler: Sampler) -> list[np.ndarray]:
        """Return those of the classes in the source, and predicted for it and for the target."""
        network, n_rows = self.net_.module_, 0
        task = cast(Classification, self.net_.task)
        of_source, of_target = [], []
        with torch.inference_mode(), self.net_.engine.generators.fresh().lent():
            for batch in sampler.epoch(done=1.0, share=0.0):
                assert batch.target is not None
                of_source.append(network.forward_source(batch.source.X).cpu())
                of_target.append(network.forward(batch.target.X).cpu())
                n_rows += len(batch.target)
                if n_rows >= ROWS_FOR_SHARES:
                    break
        answers = [task.answers(torch.cat(part).numpy()) for part in (of_source, of_target)]
        known = task.shares(source.labels, source.sample_weight)
        return [known, *(task.shares(part) for part in answers)]
