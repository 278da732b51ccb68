"""Fine-tuning of pretrained bodies in five steps."""

from ._finetune import FineTuneClassifier
from ._settings import FrozenCache, HeldOut, LoRA, SourceTraining, Unfreezing

__all__ = [
    "FineTuneClassifier",
    "FrozenCache",
    "HeldOut",
    "LoRA",
    "SourceTraining",
    "Unfreezing",
]
