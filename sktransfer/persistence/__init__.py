"""Fitted classifiers, and fits in progress, as files that hold no code."""

from ..engine._checkpoint import FitCheckpoint
from ._loading import load
from ._onnx import export_onnx
from ._saving import save

__all__ = ["FitCheckpoint", "export_onnx", "load", "save"]
