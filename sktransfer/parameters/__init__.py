"""Parameter transfer: the source's parameters as a prior, the target's loss with a weight."""

from ._balanced_weighting import BalancedWeightingClassifier, BalancedWeightingRegressor
from ._prior_logistic import PriorTransferClassifier
from ._prior_ridge import PriorTransferRegressor

__all__ = [
    "BalancedWeightingClassifier",
    "BalancedWeightingRegressor",
    "PriorTransferClassifier",
    "PriorTransferRegressor",
]
