"""Multi-task learning: several tasks learn together, each with labels of its own.

What trains a network is imported when it is first used, and torch with it.
"""

from typing import TYPE_CHECKING

from .._exports import import_when_asked
from ._mean_regularized import MeanRegularizedClassifier, MeanRegularizedRegressor
from ._task_relationship import TaskRelationshipClassifier, TaskRelationshipRegressor

if TYPE_CHECKING:
    from ._networks import MultiTaskClassifier, MultiTaskRegressor
else:
    __getattr__ = import_when_asked(
        __name__, {"MultiTaskClassifier": "_networks", "MultiTaskRegressor": "_networks"}
    )

__all__ = [
    "MeanRegularizedClassifier",
    "MeanRegularizedRegressor",
    "MultiTaskClassifier",
    "MultiTaskRegressor",
    "TaskRelationshipClassifier",
    "TaskRelationshipRegressor",
]
