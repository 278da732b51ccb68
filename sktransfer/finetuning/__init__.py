"""Fine-tuning of pretrained bodies in five steps."""

from ._finetune import FineTuneClassifier
from ._finetune_regressor import FineTuneRegressor
from ._settings import FrozenCache, HeldOut, LoRA, SourceTraining, Unfreezing

__all__ = [
    "FineTuneClassifier",
    "FineTuneRegressor",
    "FrozenCache",
    "HeldOut",
    "LoRA",
    "SourceTraining",
    "Unfreezing",
]
