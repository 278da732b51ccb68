"""Source rows drawn as often as the target seems to have their classes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from skorch.callbacks import Callback

from .._parameters import parameters
from .._validation import StrOptions
from ..data._sampler import Sampler
from ..engine._net import TransferNet


def weights_by_target_shares(
    probabilities: np.ndarray, y: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return ``w_i q_k / p_k`` for source rows ``i`` of class ``k``; the sum stays.

    ``q_k`` is the mean of the target's ``p_ik`` and ``p_k`` the share that rows of class ``k``
    have of the source's weights. Classes without weight in the source have none after.

    Parameters
    ----------
    probabilities : ndarray of shape (n_target, n_classes)
        What is predicted for the target.
    y : ndarray of int of shape (n_source,)
        Classes of the source rows.
    weights : ndarray of shape (n_source,)
        Their weights.
    """
    total, n_classes = weights.sum(), probabilities.shape[1]
    source = np.bincount(y, weights, minlength=n_classes) / total
    target = np.where(source > 0, probabilities.mean(axis=0, dtype=np.float64), 0.0)
    factors = np.divide(target, source, out=np.zeros(n_classes), where=source > 0)
    weighted: np.ndarray = weights * factors[y]
    weighted *= total / weighted.sum()
    return weighted


@parameters
class ClassWeightingMixin:
    """Weighs classes of the source by the target's; stands before `AdaptationClassifier`."""

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "class_weighting": [StrOptions({"target"}), None],
    }

    class_weighting: Any = None

    def _before_epochs(self, sampler: Sampler) -> list[tuple[str, Callback]]:
        if self.class_weighting is None or sampler.target is None:
            return []
        return [("class_weighting", TargetShares(sampler))]

    def _supposes_equal_shares(self) -> bool:
        return self.class_weighting is None


class TargetShares(Callback):
    """Weighs the source's classes before each epoch by what is predicted for the target.

    Parameters
    ----------
    sampler : Sampler
        Draws the rows of both domains. Of several sources each is weighed by itself.
    """

    def __init__(self, sampler: Sampler):
        self.sampler = sampler
        self.streams = sampler.streams["source"].each
        self.weights = [
            np.ones(stream.n_all) if stream.weights is None else stream.weights
            for stream in self.streams
        ]

    def on_epoch_begin(self, net: TransferNet, **kwargs: Any) -> None:
        """Set the weights by which the source's rows are drawn in this epoch."""
        source, target = self.sampler.source, self.sampler.target
        assert source.y is not None
        assert target is not None
        network = net.module_
        logits = torch.from_numpy(net.engine.forward(network, network.forward, target.rows))
        probabilities, y = logits.double().softmax(dim=1).numpy(), source.y.cpu().numpy()
        for stream, weights in zip(self.streams, self.weights, strict=True):
            stream.weights = weights_by_target_shares(probabilities, y, weights)
