"""Target data through cross-validation, searches and pipelines."""

from .._target_domain import TargetDomain
from ._pipeline import TransferPipeline, make_transfer_pipeline

__all__ = ["TargetDomain", "TransferPipeline", "make_transfer_pipeline"]
