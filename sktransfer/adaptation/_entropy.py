"""What adapting classifiers may ask of their predictions on the target: to be sure."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from .._classifier import DeepClassifierMixin
from .._validation import Interval, Real
from ..data._sampler import Batch
from ..network._network import TransferNetwork


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of the predictions, ``-1/n sum_i sum_k p_ik log p_ik``."""
    log_probabilities = F.log_softmax(logits, dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1).mean()


class EntropyClassifierMixin(DeepClassifierMixin):
    """Adds ``w entropy_weight target entropy`` to the loss; stands before `BaseAdaptation`.

    Here ``w`` is the value of `lambda_schedule`.
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "entropy_weight": [Interval(Real, 0, None, closed="left")],
    }

    entropy_weight: float

    def _prediction_losses(
        self, network: TransferNetwork, batch: Batch, share: float
    ) -> dict[str, Tensor]:
        if self.entropy_weight == 0:
            return {}
        assert batch.target is not None
        outputs: Any = network.label_head(batch.target.features)
        return {"entropy_loss": self.entropy_weight * share * entropy(outputs)}

    def _transfers(self) -> bool:
        adds = not self._is_source_only and self.entropy_weight > 0
        return adds or bool(super()._transfers())
