"""The steps of a pipeline before its classifier as an ONNX model, put before that of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.pipeline import Pipeline

# What a model gets.
INPUT = "X"

# The version of ONNX's operations for trees, scalers and the like that skl2onnx is asked for.
ML_VERSION = 3


def join_models(onnx: Any, steps: Sequence[tuple[str, Any]], model: Any) -> Any:
    """Return the model that passes rows through the steps first.

    Parameters
    ----------
    onnx : module
        The library.
    steps : sequence of (str, transformer)
        Fitted.
    model : ModelProto
        Of what comes after them, with the one input ``X``.

    Raises
    ------
    ImportError
        Without skl2onnx.
    ValueError
        For a step that skl2onnx has no operations for.
    """
    opset = next(entry.version for entry in model.opset_import if entry.domain == "")
    first = _model_of_steps(steps, opset)
    first.ir_version = model.ir_version = max(first.ir_version, model.ir_version)
    first = onnx.compose.add_prefix(first, "steps/", rename_inputs=False)
    model = onnx.compose.add_prefix(model, "estimator/", rename_outputs=False)
    crossing = [(first.graph.output[0].name, f"estimator/{INPUT}")]
    joined = onnx.compose.merge_models(first, model, io_map=crossing)
    joined.producer_name = model.producer_name
    return joined


def _model_of_steps(steps: Sequence[tuple[str, Any]], opset: int) -> Any:
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ImportError as error:
        raise ImportError(
            "export_onnx needs the skl2onnx library for the steps of a pipeline: "
            "pip install 'sktransfer[pipelines]'."
        ) from error
    pipeline = Pipeline([*steps])
    rows = FloatTensorType([None, pipeline.n_features_in_])
    try:
        return to_onnx(
            pipeline,
            initial_types=[(INPUT, rows)],
            target_opset={"": opset, "ai.onnx.ml": ML_VERSION},
        )
    except Exception as error:
        names = [type(step).__name__ for _, step in steps]
        raise ValueError(
            f"skl2onnx cannot write the steps {names} as ONNX: "
            f"{str(error).strip().splitlines()[0] or type(error).__name__} Export the last step "
            "alone, pipe[-1], and transform rows before."
        ) from error
