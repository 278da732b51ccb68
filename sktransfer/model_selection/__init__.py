"""Target data through cross-validation, searches and pipelines."""

from ._pipeline import TransferPipeline, make_transfer_pipeline
from ._target_domain import TargetDomain

__all__ = ["TargetDomain", "TransferPipeline", "make_transfer_pipeline"]
