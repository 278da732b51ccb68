"""Multi-task learning: several tasks learn together, each with labels of its own."""

from ._mean_regularized import MeanRegularizedClassifier, MeanRegularizedRegressor
from ._task_relationship import TaskRelationshipClassifier, TaskRelationshipRegressor

__all__ = [
    "MeanRegularizedClassifier",
    "MeanRegularizedRegressor",
    "TaskRelationshipClassifier",
    "TaskRelationshipRegressor",
]
