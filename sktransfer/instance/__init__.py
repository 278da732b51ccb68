"""Instance transfer: rows of the source weighed by what they tell of the target."""

from ._importance_weighting import ImportanceWeightingClassifier, ImportanceWeightingRegressor
from ._kliep import KLIEP
from ._kmm import KMM
from ._label_shift import LabelShiftClassifier
from ._logistic_ratio import LogisticRatio
from ._tradaboost import TrAdaBoostClassifier
from ._tradaboost_r2 import TrAdaBoostRegressor
from ._two_stage import TwoStageTrAdaBoostRegressor
from ._ulsif import ULSIF

__all__ = [
    "KLIEP",
    "KMM",
    "ULSIF",
    "ImportanceWeightingClassifier",
    "ImportanceWeightingRegressor",
    "LabelShiftClassifier",
    "LogisticRatio",
    "TrAdaBoostClassifier",
    "TrAdaBoostRegressor",
    "TwoStageTrAdaBoostRegressor",
]
