"""What predicts, as an ONNX model for runtimes without Python."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .._replacing import replacing
from .._task import Classification, Task
from ..network._network import TransferNetwork
from ..validation._arguments import check_path
from ._onnx_steps import INPUT, join_models
from ._pipelines import is_pipeline
from ._saving import check_saveable

LABEL = "label"


class Predictor(nn.Module):
    """A network with what its task makes of its outputs.

    Parameters
    ----------
    network : TransferNetwork
        In evaluation mode.
    task : Task
        What was learned.
    """

    def __init__(self, network: TransferNetwork, task: Task):
        super().__init__()
        self.network, self.task = network, task

    def forward(self, X: Tensor) -> Tensor:
        """Return probabilities of classes, shape (n, n_classes), or numbers as those of fit."""
        return self.task.shown(self.network(X))


def export_onnx(estimator, path):
    """Write what a fitted classifier, regressor or pipeline predicts with as an ONNX model.

    The model has one input ``"X"`` of shape ``(n, *input_shape_)`` with any number of
    rows, in single precision (64-bit integers, where the body looks them up in an
    ``nn.Embedding``), and the outputs ``probabilities``, as of `predict_proba`, and
    ``label``, as of `predict`; of a regressor the one output ``prediction``. A classifier
    of several tasks has one output, too, the ``probabilities`` of each task's classes, side
    by side. It computes in single precision, whatever `fit` was in. Needs the extra ``onnx``. A
    pipeline becomes one model, its other steps by skl2onnx (extra ``pipelines``).

    Parameters
    ----------
    estimator : classifier or regressor of this package, or Pipeline
        Fitted, on any device; as the last step of a pipeline.
    path : str or path
        Where the file goes, as a rule ``.onnx``. One that is there is replaced when
        the new one is complete.

    Raises
    ------
    TypeError
        For a search, a pretrainer and other estimators, and pipelines that end in one.
    NotFittedError
        Before `fit`.
    ValueError
        Where torch cannot write a module of the user's as ONNX, or skl2onnx a step.

    See Also
    --------
    save : A file from which the classifier itself comes back.

    Examples
    --------
    >>> import os, tempfile
    >>> import sktransfer
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> clf = sktransfer.DANNClassifier(max_epochs=3, random_state=0).fit(Xs, ys, Xt)
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     path = os.path.join(folder, "moons.onnx")
    ...     sktransfer.export_onnx(clf, path)
    ...     session = onnxruntime.InferenceSession(path)
    ...     probabilities, labels = session.run(None, {"X": Xt.astype("float32")})
    """
    check_saveable(estimator, "export_onnx")
    check_path(path)
    onnx = _import_onnx()
    steps = estimator.steps if is_pipeline(estimator) else [("", estimator)]
    model = _model_of(onnx, steps[-1][1])
    before = [(name, step) for name, step in steps[:-1] if step not in (None, "passthrough")]
    if before:
        model = join_models(onnx, before, model)
    onnx.checker.check_model(model)
    with replacing(path) as unfinished:
        unfinished.write_bytes(model.SerializeToString())


def _model_of(onnx: Any, estimator: Any) -> Any:
    if not hasattr(estimator, "predict"):
        raise TypeError(
            f"export_onnx takes what predicts, and {type(estimator).__name__} learns features: "
            "fine-tune its body, FineTuneClassifier(pretrainer.backbone_), and export that."
        )
    network, task = copy.deepcopy(estimator.net_.module_).cpu().float(), estimator.net_.task
    integers = not network.row_type.is_floating_point
    dtype = torch.int64 if integers else torch.float32
    rows = torch.ones((2, *estimator.input_shape_), dtype=dtype)
    try:
        with _quiet():
            model = to_onnx(onnx, Predictor(network, task).eval(), rows, task.shown_as)
    except Exception as error:
        raise ValueError(
            f"torch {torch.__version__} cannot write this {type(estimator).__name__} as ONNX: "
            f"{str(error).strip() or type(error).__name__}\nA module of yours may do what ONNX "
            "has not, such as steps that depend on the values of the rows."
        ) from error
    model.producer_name = "sktransfer"
    if isinstance(task, Classification):
        _add_labels(onnx, model, task)
    return model


def to_onnx(
    onnx: Any, module: nn.Module, rows: Tensor, output: str, *, by_tracing: bool | None = None
) -> Any:
    """Return the model that torch makes of a module, with any number of rows.

    Parameters
    ----------
    onnx : module
        The library.
    module : Module
        From rows to what is predicted.
    rows : Tensor
        A few.
    output : str
        The name of the latter.
    by_tracing : bool or None
        Whether by TorchScript's trace, as torch did it before 2.9. None is by
        torch's version.
    """
    export: Any = torch.onnx.export  # its signature differs between versions
    names = {"input_names": [INPUT], "output_names": [output]}
    if by_tracing is None:
        major, minor = torch.__version__.split(".")[:2]
        by_tracing = (int(major), int(minor)) < (2, 9)
    if not by_tracing:
        shapes = ({0: torch.export.Dim("n")},)
        program = export(
            module, (rows,), dynamo=True, dynamic_shapes=shapes, verbose=False, **names
        )
        model = program.model_proto
        (rows_of,) = (given.type.tensor_type.shape.dim[0] for given in model.graph.input)
        if not rows_of.dim_param:  # what torch falls back to keeps the number that it was shown
            raise ValueError(
                "a module takes the number of rows for a constant, as len(x) and fixed sizes in "
                "view or reshape do; take x.shape[0], or -1."
            )
        return model
    # torch 2.4 has but this way, and no argument to choose it.
    older = {"dynamo": False} if "dynamo" in inspect.signature(export).parameters else {}
    file = io.BytesIO()
    axes = {INPUT: {0: "n"}, output: {0: "n"}}
    export(module, (rows,), file, dynamic_axes=axes, **names, **older)
    return onnx.load_from_string(file.getvalue())


def _add_labels(onnx: Any, model: Any, task: Classification) -> None:
    """Give the model a second output, the class of the largest probability."""
    classes = task.classes
    if classes.dtype.kind == "U":
        classes = classes.astype(object)
    stored = onnx.numpy_helper.from_array(classes, "classes")
    model.graph.initializer.append(stored)
    make = onnx.helper.make_node
    model.graph.node.extend(
        [
            make("ArgMax", [task.shown_as], ["position"], axis=1, keepdims=0),
            make("Gather", ["classes", "position"], [LABEL]),
        ]
    )
    label = onnx.helper.make_tensor_value_info(LABEL, stored.data_type, ["n"])
    model.graph.output.append(label)


def _import_onnx() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "export_onnx needs the onnx and onnxscript libraries: pip install 'sktransfer[onnx]'."
        ) from error
    return onnx


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch says of its own inner changes, and of libraries it can do without."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
