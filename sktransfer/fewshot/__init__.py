"""Classes from a few rows of each: episodes, prototypes, attention over the support."""

from ._matching import MatchingClassifier
from ._nearest_prototype import NearestPrototypeClassifier
from ._prototypical import PrototypicalClassifier
from ._score import FewShotScore, few_shot_score

__all__ = [
    "FewShotScore",
    "MatchingClassifier",
    "NearestPrototypeClassifier",
    "PrototypicalClassifier",
    "few_shot_score",
]
