"""What makes a deep estimator a regressor."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.base import RegressorMixin

from .._task import Regression, Task
from ..data._domain import Domain
from ..validation._constraints import StrOptions
from ._parameters import parameters
from ._predictor import DeepPredictorMixin


@parameters
class DeepRegressorMixin(DeepPredictorMixin, RegressorMixin):
    """Predicts one number or several for each row; stands before a deep base."""

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "loss": [StrOptions({"squared_error", "huber"})],
    }

    loss: str = "squared_error"

    def _task_of(self, domain: Domain, name: str) -> Regression:
        return Regression.of_values(domain.labels, domain.sample_weight, self.loss)

    def _set_task(self, task: Task) -> None:
        assert isinstance(task, Regression)
        self.y_mean_, self.y_scale_ = task.mean, task.scale

    def _fitted_task(self) -> Regression:
        return Regression(self.y_mean_, self.y_scale_, self.loss)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
