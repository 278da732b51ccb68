"""Target data through searches and pipelines, and scores that need no target labels."""

from ..data._target_domain import TargetDomain
from ._confidence import BNMScorer, EntropyScorer, InfoMaxScorer, SNDScorer
from ._importance import DEVScorer, IWCVScorer
from ._pipeline import TransferPipeline, make_transfer_pipeline
from ._report import AdaptationReport, adaptation_report
from ._reverse_validation import ReverseValidationScorer
from ._scoring import TargetAccuracyScorer
from ._structure import ClassAMIScorer, NeighborAgreementScorer

__all__ = [
    "AdaptationReport",
    "BNMScorer",
    "ClassAMIScorer",
    "DEVScorer",
    "EntropyScorer",
    "IWCVScorer",
    "InfoMaxScorer",
    "NeighborAgreementScorer",
    "ReverseValidationScorer",
    "SNDScorer",
    "TargetAccuracyScorer",
    "TargetDomain",
    "TransferPipeline",
    "adaptation_report",
    "make_transfer_pipeline",
]
