"""Fine-tuning: a new head on a pretrained body, of which the last layers learn on."""

from ._finetune import FineTuneClassifier

__all__ = ["FineTuneClassifier"]
