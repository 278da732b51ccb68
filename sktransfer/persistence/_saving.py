"""`save`: one file, from which an estimator comes back without running code."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._values import Reader
from ..deep._base import BaseDeepEstimator
from ..validation._arguments import check_path
from ._bounds import check_sizes, find_nonfinite
from ._estimators import (
    build_net,
    class_names,
    describe,
    difference,
    find_class,
    restore_structure,
    set_state,
)
from ._files import NOT_OURS, write_file
from ._pipelines import is_pipeline, write_pipeline


def save(estimator: BaseDeepEstimator, path: str | os.PathLike[str]) -> None:
    """Save a fitted estimator, or a pipeline that ends in one, to one file that holds no code.

    The file is in the format of safetensors: the network's weights and, as JSON,
    the parameters, what `fit` has set, and the history. `load` makes an estimator of
    it that gives the same bits. Of a pipeline it is a zip file that holds such a file
    and, as skops writes them, the steps before (extra ``pipelines``).

    Code is not in it: of torch modules, callables, callbacks and a `RandomState`
    among the parameters only the names are, and `load` asks for them. Nor is what a
    machine decides (`data_parallel`, `num_workers`, the folder `memory` and its
    `memory_limit`), which `load` sets to the defaults; nor are requests for metadata
    routing, the optimizer's state and that of the random generators: a warm start
    after `load` goes on from the weights with a new optimizer.

    Parameters
    ----------
    estimator : classifier, regressor or pretrainer of this package, or Pipeline
        Fitted, on any device; as the last step of a pipeline.
    path : str or path
        Where the file goes, as a rule ``.safetensors``, or ``.zip`` of a pipeline. One
        that is there is replaced when the new one is complete.

    Raises
    ------
    TypeError
        For a search and other estimators, and pipelines that end in one.
    NotFittedError
        Before `fit`.
    ValueError
        Where the parameters make another network than they did in `fit`, for state
        that is neither tensor nor JSON, for weights that are not finite, and for steps
        that skops cannot write.
    ImportError
        For a pipeline without skops.

    See Also
    --------
    load : Reads the file.
    export_onnx : Writes what predicts, for runtimes without Python.

    Examples
    --------
    >>> import os, tempfile
    >>> import sktransfer
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> clf = sktransfer.DeepCORALClassifier(max_epochs=3, random_state=0).fit(Xs, ys, Xt)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "moons.safetensors")
    ...     sktransfer.save(clf, path)
    ...     loaded = sktransfer.load(path)
    >>> bool((loaded.predict_proba(Xt) == clf.predict_proba(Xt)).all())
    True
    """
    check_saveable(estimator, "save")
    check_path(path)
    if not is_pipeline(estimator):
        _save_estimator(estimator, path)
        return
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "estimator"
        _save_estimator(estimator.steps[-1][1], alone)
        write_pipeline(estimator, alone.read_bytes(), path)


def _save_estimator(estimator: BaseDeepEstimator, path: str | os.PathLike[str]) -> None:
    estimator._validate_params()
    tensors = estimator.net_.module_.state_dict()
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"The network's state {name!r} is a {type(tensor).__name__}, which no file without "
                "code can hold. Keep it in tensors (register_buffer), or pickle the estimator."
            )
    nonfinite = find_nonfinite(estimator.net_.module_)
    if nonfinite is not None:
        raise ValueError(
            f"The network's {nonfinite!r} holds numbers that are not finite, so that load would "
            "refuse the file. Fit again, with a smaller learning_rate where training diverged."
        )
    description = describe(estimator)
    _check_parameters_of_fit(estimator, description, tensors)
    write_file(path, description, tensors)


def check_saveable(estimator: Any, verb: str) -> None:
    """Check that this is a fitted deep estimator of the package, or a pipeline that ends in one.

    Raises
    ------
    TypeError, NotFittedError
        Where it is not.
    """
    if is_pipeline(estimator):
        last = estimator.steps[-1][1]
        if not isinstance(last, BaseDeepEstimator):
            raise TypeError(
                f"{verb} takes a pipeline that ends in one of {sorted(class_names())}; this one "
                f"ends in a {type(last).__name__}: skops.io.dump, or pickle, keeps it."
            )
        estimator = last
    if type(estimator) is find_class(type(estimator).__name__):
        check_is_fitted(estimator, ["net_", "history_"])
        return
    name = type(estimator).__name__
    if hasattr(estimator, "best_estimator_"):
        way_out = f"For a search {verb} its best_estimator_."
    elif isinstance(estimator, BaseDeepEstimator):
        way_out = "The code of a subclass cannot be in a file: pickle it."
    else:
        way_out = "Pickle it, or use skops."
    raise TypeError(
        f"{verb} takes a classifier of sktransfer, one of {sorted(class_names())}, or a pipeline "
        f"that ends in one; got a {name}. {way_out}"
    )


def _check_parameters_of_fit(
    estimator: BaseDeepEstimator, description: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Build the network as `load` will, while what was fitted is still at hand."""
    twin = type(estimator)(**{**estimator.get_params(deep=False), "device": "cpu"})
    reader = Reader()
    try:
        set_state(twin, description, reader)
        check_sizes(twin, tensors)
        build_net(twin, description)
        restore_structure(twin, description, tensors, reader)
        found = difference(twin, tensors, "what was fitted")
    except NOT_OURS as error:
        found = str(error)
    if found is not None:
        raise ValueError(
            f"This {type(estimator).__name__} cannot be saved, as its parameters do not make the "
            f"network that was fitted: {found.rstrip('.')}. Where they were set since then, set "
            "them back or fit again; a callable must make the same module each time."
        )
