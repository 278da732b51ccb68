"""`load`: a classifier out of a file that a stranger may have written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from .._settings import Settings
from .._values import Reader
from .._warning import warn
from ..deep._base import BaseDeepEstimator
from ..engine._checks import check_device
from ..validation._arguments import check_path
from ._bounds import check_parameters, check_sizes, find_nonfinite
from ._estimators import (
    NOT_SAVED,
    build_net,
    class_names,
    difference,
    find_class,
    restore_structure,
    set_state,
)
from ._files import NOT_OURS, SavedFile, damaged, read_file, shortened
from ._pipelines import holds_a_pipeline, read_pipeline

# Parameters that matter to training alone, so that another value predicts the same.
OF_TRAINING = (
    "augment",
    "callbacks",
    "lambda_schedule",
    "learning_rate_schedule",
    "optimizer",
    "random_state",
)

# How long a file's word for a parameter's value may be.
MOST_NAME = 80


def load(path: str | os.PathLike[str], /, *, trusted: Sequence[str] = (), **parameters: Any) -> Any:
    """Load what `save` has written, a classifier or a pipeline; nothing in it is run as code.

    What a file says is checked before it costs time or memory: no file asks for more
    than its own weights and some hundred MiB warrant.

    Parameters
    ----------
    path : str or path
        The file.
    trusted : sequence of str, default=()
        Types among the steps of a pipeline that are neither scikit-learn's nor this
        package's, by their full names: what they do when they are made again may be
        anything. The message of a file that holds such lists them.
    **parameters : object
        Parameters of the classifier (a pipeline's last step), in place of the saved
        ones: those that no file can hold, such as ``feature_extractor=MyBody()``, and
        any other, such as ``device="cpu"``. A module is of the structure of the one that
        was fitted; the fitted weights come from the file, and its own are where a
        further `fit` begins.

    Returns
    -------
    classifier of this package, or Pipeline
        Fitted. It predicts as the saved one did, and can be fitted, cloned, pickled
        and saved like it.

    Raises
    ------
    ValueError
        For a file that is none of `save`'s, damaged or of a newer format, for
        parameters that it cannot hold and were not given, for modules of another
        structure, for weights that are not finite, and for steps of types that are not
        trusted; with the path.
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
    if holds_a_pipeline(check_path(path)):
        return read_pipeline(path, partial(_load_estimator, parameters=parameters), trusted)
    return _load_estimator(path, parameters)


def _load_estimator(path: str | os.PathLike[str], parameters: dict[str, Any]) -> Any:
    file = read_file(path)
    description, reader = file.description, Reader()
    try:
        kind, saved, custom = _read_parameters(description, reader)
    except NOT_OURS as error:
        raise damaged(path, _reason(description, error)) from error
    _check_given(path, kind, custom, parameters)
    saved = {name: value for name, value in saved.items() if name not in parameters}
    try:
        check_parameters(saved)
    except ValueError as error:
        raise damaged(path, error) from error
    if "device" not in parameters:
        saved["device"] = _usable(saved.get("device", "auto"))
    estimator = kind(**{**saved, **parameters})
    try:
        estimator._validate_params()
    except NOT_OURS as error:
        raise ValueError(f"{path}: {shortened(str(error))}") from error
    _rebuild(estimator, file, reader, given=bool(parameters))
    return estimator


def _rebuild(estimator: BaseDeepEstimator, file: SavedFile, reader: Reader, *, given: bool) -> None:
    """Give the estimator its fitted state, from what is cheap to check to what is not."""
    description, tensors = file.description, file.tensors
    try:
        set_state(estimator, description, reader)
        check_sizes(estimator, tensors)
    except NOT_OURS as error:
        raise damaged(file.path, _reason(description, error)) from error
    try:
        build_net(estimator, description)
    except NOT_OURS as error:
        if not given:
            raise damaged(file.path, _reason(description, error)) from error
        raise _does_not_fit(file.path, estimator, shortened(str(error))) from error
    try:
        restore_structure(estimator, description, tensors, reader)
    except NOT_OURS as error:
        raise damaged(file.path, _reason(description, error)) from error
    found = difference(estimator, tensors, "the file")
    if found is not None:
        raise _does_not_fit(file.path, estimator, found)
    file.check_weights()
    estimator.net_.module_.load_state_dict(tensors)
    nonfinite = find_nonfinite(estimator.net_.module_)
    if nonfinite is not None:
        raise damaged(file.path, f"its {nonfinite!r} holds numbers that are not finite")


def _does_not_fit(
    path: str | os.PathLike[str], estimator: BaseDeepEstimator, found: str
) -> ValueError:
    return ValueError(
        f"{path} does not fit these parameters of {type(estimator).__name__}: "
        f"{found.rstrip('.')}. Give modules and sizes as they were in fit."
    )


def _read_parameters(
    description: dict[str, Any], reader: Reader
) -> tuple[type[BaseDeepEstimator], dict[str, Any], dict[str, str]]:
    kind = find_class(description["class"])
    if kind is None:
        raise ValueError(f"it holds a {description['class']!r}, not one of {class_names()}")
    saved = {name: reader.read(value) for name, value in description["parameters"].items()}
    for name, values in description["groups"].items():
        group = _group_class(kind, name)
        saved[name] = group(**{key: reader.read(value) for key, value in values.items()})
    custom = {name: shortened(str(what), MOST_NAME) for name, what in description["custom"].items()}
    of_file = set(kind._get_param_names()) - set(NOT_SAVED)
    unknown = sorted((saved.keys() | custom.keys()) - of_file)
    if unknown:
        raise ValueError(
            f"{kind.__name__} takes no {unknown} from a file; what the machine decides is for load"
        )
    return kind, saved, custom


def _group_class(kind: type[BaseDeepEstimator], name: str) -> type[Settings]:
    for allowed in kind._parameter_constraints.get(name, []):
        if isinstance(allowed, type) and issubclass(allowed, Settings):
            return allowed
    raise ValueError(f"{kind.__name__} takes no group of parameters as {name!r}")


def _reason(description: Any, error: Exception) -> str:
    versions = description.get("versions") if isinstance(description, dict) else None
    return (
        f"{type(error).__name__}: {error} (or it is newer than this sktransfer, and an upgrade "
        f"reads it: it was written with {versions})"
    )


def _check_given(
    path: str | os.PathLike[str],
    kind: type[BaseDeepEstimator],
    custom: dict[str, str],
    given: dict[str, Any],
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
        warn(f"{error} The classifier was saved with it, and is loaded with device='cpu'.")
        return "cpu"
    return device
