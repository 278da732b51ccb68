"""Transfer learning for people who think in scikit-learn."""

from .persistence import export_onnx, load, save
from .adaptation import DANNClassifier, DeepCORALClassifier
from .finetuning import FineTuneClassifier
from .model_selection import TargetDomain, make_transfer_pipeline

__version__ = "0.1.0.dev0"

__all__ = [
    "DANNClassifier",
    "DeepCORALClassifier",
    "FineTuneClassifier",
    "TargetDomain",
    "export_onnx",
    "load",
    "make_transfer_pipeline",
    "save",
]
