"""What regressors that adapt have besides: a head that gives numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from .._parameters import parameters
from .._regressor import DeepRegressorMixin
from ._base import BaseAdaptation


@parameters
class AdaptationRegressor(DeepRegressorMixin, BaseAdaptation):
    """Predicts numbers in the target."""

    _label_head = "label_regressor"

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "label_regressor": [callable, None],
    }

    label_regressor: Any = None
