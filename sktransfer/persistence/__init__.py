"""Fitted classifiers as files that hold no code."""

from ._loading import load
from ._onnx import export_onnx
from ._saving import save

__all__ = ["export_onnx", "load", "save"]
