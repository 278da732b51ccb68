"""Target data through searches and pipelines, and scores that need no target labels."""

from .._target_domain import TargetDomain
from ._confidence import BNMScorer, EntropyScorer, InfoMaxScorer, SNDScorer
from ._importance import DEVScorer, IWCVScorer
from ._pipeline import TransferPipeline, make_transfer_pipeline
from ._reverse_validation import ReverseValidationScorer
from ._scoring import TargetAccuracyScorer

__all__ = [
    "BNMScorer",
    "DEVScorer",
    "EntropyScorer",
    "IWCVScorer",
    "InfoMaxScorer",
    "ReverseValidationScorer",
    "SNDScorer",
    "TargetAccuracyScorer",
    "TargetDomain",
    "TransferPipeline",
    "make_transfer_pipeline",
]
