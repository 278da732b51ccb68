"""Zero-shot learning: classes without rows, known by descriptions such as attributes or texts."""

from ._attributes import DAPClassifier
from ._autoencoder import SemanticAutoencoderClassifier
from ._bilinear import ESZSLClassifier
from ._leave_classes_out import LeaveClassesOut
from ._score import ZeroShotScore, zero_shot_score

__all__ = [
    "DAPClassifier",
    "ESZSLClassifier",
    "LeaveClassesOut",
    "SemanticAutoencoderClassifier",
    "ZeroShotScore",
    "zero_shot_score",
]
