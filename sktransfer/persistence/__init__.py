"""Fitted classifiers as files that hold no code."""

from ._onnx import export_onnx
from ._saving import load, save

__all__ = ["export_onnx", "load", "save"]
