"""What regressors that adapt have besides: a head that gives numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from ..data._sampler import Sampler
from ..deep._parameters import parameters
from ..deep._regressor import DeepRegressorMixin
from ..engine._decay import WeightDecay, decay_rate, default_weights
from ..engine._stage import Follower
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real
from ._base import BaseAdaptation


@parameters
class AdaptationRegressor(DeepRegressorMixin, BaseAdaptation):
    """Predicts numbers in the target."""

    _label_head = "label_regressor"

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "label_regressor": [callable, None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    label_regressor: Any = None
    weight_decay: float = 100.0

    def _followers(self, network: TransferNetwork, sampler: Sampler) -> list[Follower]:
        followers = super()._followers(network, sampler)
        if self.weight_decay == 0:
            return followers
        n_rows = sampler.streams["source"].n_rows
        rate = decay_rate(self.learning_rate, self.weight_decay, n_rows)
        schedule = self.net_.learning_rate_schedule
        return [WeightDecay(default_weights(network), rate, schedule), *followers]
