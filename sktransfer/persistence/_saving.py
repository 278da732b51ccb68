"""`save` and `load`: one file, from which a classifier comes back without running code."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._base import BaseTransferClassifier
from .._validation import check_device
from ._estimators import (
    NOT_SAVED,
    build_net,
    check_sizes,
    describe,
    difference,
    known_classes,
    set_state,
)
from ._files import damaged, read_file, write_file
from ._values import from_json

# Parameters that matter to training alone, so that another value predicts the same.
OF_TRAINING = (
    "augment",
    "callbacks",
    "lambda_schedule",
    "learning_rate_schedule",
    "optimizer",
    "random_state",
)

# How a description may fail to be one of ours.
NOT_OURS = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


def save(estimator, path):
    """Save a fitted classifier to one file that holds no code.

    The file is in the format of safetensors: the network's weights and, as JSON,
    the parameters, what `fit` has set, and the history. `load` makes a classifier of
    it that gives the same bits.

    Code is not in it: of torch modules, callables, callbacks and a `RandomState`
    among the parameters only the names are, and `load` asks for them. Nor are the
    folder `memory`, requests for metadata routing, the optimizer's state and that
    of the random generators: a warm start after `load` goes on from the weights
    with a new optimizer.

    Parameters
    ----------
    estimator : classifier of this package
        Fitted, on any device.
    path : str or path
        Where the file goes. One that is there is replaced when the new one is
        complete.

    Raises
    ------
    TypeError
        For a pipeline, a search and other estimators.
    NotFittedError
        Before `fit`.
    ValueError
        Where the parameters make another network than they did in `fit`, and for
        state that is neither tensor nor JSON.

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
    estimator._validate_params()
    tensors = estimator.net_.module_.state_dict()
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"The network's state {name!r} is a {type(tensor).__name__}, which no file without "
                "code can hold. Keep it in tensors (register_buffer), or pickle the estimator."
            )
    description = describe(estimator)
    _check_parameters_of_fit(estimator, description, tensors)
    write_file(path, description, tensors)


def check_saveable(estimator, verb: str) -> None:
    """Check that this is a fitted classifier of the package.

    Raises
    ------
    TypeError, NotFittedError
        Where it is not.
    """
    if type(estimator) in known_classes().values():
        check_is_fitted(estimator, ["net_", "history_"])
        return
    name = type(estimator).__name__
    if isinstance(estimator, Pipeline):
        way_out = (
            f"For a pipeline {verb} its last step, pipe[-1], and keep the transformers, pipe[:-1], "
            "apart, for example with skops.io.dump."
        )
    elif hasattr(estimator, "best_estimator_"):
        way_out = f"For a search {verb} its best_estimator_."
    elif isinstance(estimator, BaseTransferClassifier):
        way_out = "The code of a subclass cannot be in a file: pickle it."
    else:
        way_out = "Pickle it, or use skops."
    raise TypeError(
        f"{verb} takes a classifier of sktransfer, one of {sorted(known_classes())}; got a {name}. "
        f"{way_out}"
    )


def _check_parameters_of_fit(
    estimator: BaseTransferClassifier, description: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Build the network as `load` will, while what was fitted is still at hand."""
    twin = type(estimator)(**{**estimator.get_params(deep=False), "device": "cpu"})
    set_state(twin, description)
    try:
        build_net(twin, description)
        found = difference(twin, tensors, "what was fitted")
        check_sizes(twin, tensors)
    except (TypeError, ValueError) as error:
        found = str(error)
    if found is not None:
        raise ValueError(
            f"This {type(estimator).__name__} cannot be saved, as its parameters do not make the "
            f"network that was fitted: {found.rstrip('.')}. Where they were set since then, set "
            "them back or fit again; a callable must make the same module each time."
        )


def load(path, /, **parameters):
    """Load a classifier that `save` has written; nothing in the file is run as code.

    Parameters
    ----------
    path : str or path
        The file.
    **parameters : object
        Parameters of the classifier, in place of the saved ones: those that no file
        can hold, such as ``feature_extractor=MyBody()``, and any other, such as
        ``device="cpu"``. A module is of the structure of the one that was fitted;
        the fitted weights come from the file, and its own are where a further
        `fit` begins.

    Returns
    -------
    classifier of this package
        Fitted. It predicts as the saved one did, and can be fitted, cloned, pickled
        and saved like it.

    Raises
    ------
    ValueError
        For a file that is none of `save`'s, damaged or of a newer format, for
        parameters that it cannot hold and were not given, and for modules of
        another structure.
    TypeError
        For parameters that the classifier does not have.

    Warns
    -----
    UserWarning
        Where the device of the saved classifier is not to be had, and the CPU takes
        its place.

    See Also
    --------
    save : Writes the file; with an example.
    """
    description, tensors = read_file(path)
    try:
        kind, saved, custom = _read_parameters(description)
    except NOT_OURS as error:
        raise damaged(path, _reason(description, error)) from error
    _check_given(path, kind, custom, parameters)
    if "device" not in parameters:
        saved["device"] = _usable(saved.get("device", "auto"))
    estimator = kind(**{**saved, **parameters})
    try:
        estimator._validate_params()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    try:
        set_state(estimator, description)
        check_sizes(estimator, tensors)
    except NOT_OURS as error:
        raise damaged(path, _reason(description, error)) from error
    try:
        build_net(estimator, description)
    except (AttributeError, LookupError) as error:  # others are about the modules given
        raise damaged(path, _reason(description, error)) from error
    found = difference(estimator, tensors, "the file")
    if found is not None:
        raise ValueError(
            f"{path} does not fit these parameters of {kind.__name__}: {found}. Give modules and "
            "sizes as they were in fit."
        )
    estimator.net_.module_.load_state_dict(tensors)
    return estimator


def _read_parameters(
    description: dict[str, Any],
) -> tuple[type[BaseTransferClassifier], dict[str, Any], dict[str, str]]:
    classes = known_classes()
    if description["class"] not in classes:
        raise ValueError(f"it holds a {description['class']}, not one of {sorted(classes)}")
    kind = classes[description["class"]]
    saved = {name: from_json(value) for name, value in description["parameters"].items()}
    custom = {name: str(what) for name, what in description["custom"].items()}
    unknown = (saved.keys() | custom.keys()) - set(kind._get_param_names())
    if unknown or not saved.keys().isdisjoint(NOT_SAVED):
        raise ValueError(f"{kind.__name__} takes no {sorted(unknown) or NOT_SAVED} from it")
    return kind, saved, custom


def _reason(description: Any, error: Exception) -> str:
    versions = description.get("versions") if isinstance(description, dict) else None
    return (
        f"{type(error).__name__}: {error} (or it is newer than this sktransfer, and an upgrade "
        f"reads it: it was written with {versions})"
    )


def _check_given(
    path, kind: type[BaseTransferClassifier], custom: dict[str, str], given: dict[str, Any]
) -> None:
    known = kind._get_param_names()
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise TypeError(f"load got {unknown}; the parameters of {kind.__name__} are {known}.")
    missing = {name: what for name, what in custom.items() if name not in given}
    if not missing:
        return
    listed = ", ".join(f"{name} (was {what})" for name, what in missing.items())
    call = ", ".join(f"{name}=..." for name in missing)
    defaults = kind().get_params()
    free = ", ".join(f"{name}={defaults[name]!r}" for name in missing if name in OF_TRAINING)
    raise ValueError(
        f"{path} holds a {kind.__name__} with parameters that no file can hold: {listed}. Give "
        f"them as they were in fit: load(path, {call})."
        + (f" To predict only, the defaults will do: {free}." if free else "")
    )


def _usable(device: str) -> str:
    try:
        check_device(device)
    except ValueError as error:
        warnings.warn(
            f"{error} The classifier was saved with it, and is loaded with device='cpu'.",
            UserWarning,
            stacklevel=3,
        )
        return "cpu"
    return device
