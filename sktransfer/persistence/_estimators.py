"""What a file says of a classifier, and the classifier made of it again."""

from __future__ import annotations

from importlib import import_module
from inspect import isabstract
from typing import Any

import numpy as np
import sklearn
import torch
from skorch.history import History
from torch import Tensor

from .._exports import EXPORTS, NETWORKS_BESIDE, OF_NETWORKS
from .._settings import Settings
from .._values import Reader, to_json
from .._version import __version__
from ..deep._base import BaseDeepEstimator
from ..engine._checks import check_device
from ..engine._processes import Processes
from ._bounds import check_attributes, check_structure, owner_of
from ._files import shortened

# What the machine decides and not the model: nothing that a stranger's file may choose.
NOT_SAVED = ("checkpoint", "data_parallel", "frozen_cache", "num_workers")

# Fitted state that stands in the description by itself.
BY_ITSELF = ("net_", "history_")


def find_class(name: Any) -> type[BaseDeepEstimator] | None:
    """Return the classifier of the package that has this name, if any has.

    Only what the package's root exports of its networks can be in a file, and only the module
    that defines it is imported: neither a class of the user's nor an abstract one is found.
    """
    if not isinstance(name, str):
        return None
    if EXPORTS.get(name) not in OF_NETWORKS and name not in NETWORKS_BESIDE:
        return None
    kind = getattr(import_module(f"..{EXPORTS[name]}", __package__), name)
    known = isinstance(kind, type) and issubclass(kind, BaseDeepEstimator)
    return kind if known and not isabstract(kind) else None


def class_names() -> list[str]:
    """List the names of all classifiers that a file may hold."""
    return [name for name in EXPORTS if find_class(name) is not None]


def describe(estimator: BaseDeepEstimator) -> dict[str, Any]:
    """Say all of a fitted classifier but its weights in values of JSON.

    Raises
    ------
    ValueError
        For an attribute or an entry of the history that JSON does not take.
    """
    parameters, groups, custom = _split_parameters(estimator)
    attributes = {
        name: _encoded(value, name)
        for name, value in vars(estimator).items()
        if _is_of_fit(name) and name not in (*BY_ITSELF, *estimator.get_params(deep=False))
    }
    return {
        "class": type(estimator).__name__,
        "parameters": parameters,
        "groups": groups,
        "custom": custom,
        "attributes": attributes,
        "history": [_encoded(dict(epoch), "history_") for epoch in estimator.history_],
        "row_type": str(estimator.net_.engine.dtype).removeprefix("torch."),
        "structure": _encoded(estimator.net_.module_.structure(), "net_.module_"),
        "output": getattr(estimator, "_sklearn_output_config", {}).get("transform"),
        "versions": {
            "sktransfer": __version__,
            "torch": str(torch.__version__),
            "scikit-learn": sklearn.__version__,
        },
    }


def _split_parameters(
    estimator: BaseDeepEstimator,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Return parameters that JSON takes, groups of such, and what others are called."""
    values, groups, custom = {}, {}, {}
    for name, value in estimator.get_params(deep=False).items():
        if name in NOT_SAVED:
            continue
        if isinstance(value, Settings):
            groups[name] = {k: to_json(v) for k, v in value.get_params().items()}
        else:
            try:
                values[name] = to_json(value)
            except TypeError:
                custom[name] = getattr(value, "__name__", type(value).__name__)
    return values, groups, custom


def _encoded(value: Any, name: str) -> Any:
    try:
        return to_json(value)
    except TypeError as error:
        raise ValueError(
            f"{name} holds {value!r}, which no file without code can hold: {error}. Keep numbers, "
            "text, lists and arrays of these there, or pickle the estimator."
        ) from error


def _is_of_fit(name: str) -> bool:
    return name.isidentifier() and name.endswith("_") and not name.startswith("_")


def set_state(estimator: BaseDeepEstimator, description: dict[str, Any], reader: Reader) -> None:
    """Set what `fit` has set, but the network.

    Raises
    ------
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError
        For what `describe` has not said.
    """
    taken = (*BY_ITSELF, *estimator.get_params(deep=False))
    attributes = {name: reader.read(value) for name, value in description["attributes"].items()}
    for name in attributes:
        if not _is_of_fit(name) or name in taken or hasattr(type(estimator), name):
            raise ValueError(f"{name!r} is no attribute that fit sets")
    check_attributes(attributes)
    history = [reader.read(epoch) for epoch in description["history"]]
    if any(type(epoch) is not dict or any(type(k) is not str for k in epoch) for epoch in history):
        raise ValueError("an epoch of the history is no record by names")
    for name, value in attributes.items():
        setattr(estimator, name, value)
    estimator._fitted_task().check()
    estimator.history_ = History(history)
    if description["output"] is not None:
        if description["output"] not in ("default", "pandas", "polars"):
            raise ValueError(f"{description['output']!r} is no output of set_output")
        estimator.set_output(transform=description["output"])


def build_net(estimator: BaseDeepEstimator, description: dict[str, Any]) -> None:
    """Make `net_` by the parameters, as `fit` does, for rows of the shape it has seen."""
    name = description["row_type"]
    if name not in ("float64", "float32", "float16", "bfloat16", "int64"):
        raise ValueError(f"rows cannot be of type {name!r:.80}")
    dtype = np.float32 if name == "bfloat16" else name  # a body of which they come in it says so
    # Ones and not zeros: as the mask of a text, zeros would leave nothing to take a mean of.
    rows = np.ones((2, *estimator.input_shape_), dtype)
    processes = Processes(check_device(estimator.device))
    estimator._build(rows, estimator._fitted_task(), 0, processes)
    estimator.net_.history = estimator.history_


def restore_structure(
    estimator: BaseDeepEstimator,
    description: dict[str, Any],
    tensors: dict[str, Tensor],
    reader: Reader,
) -> None:
    """Make of the network's structure what training had made of it.

    Raises
    ------
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError
        For what `describe` has not said.
    """
    structure, network = reader.read(description["structure"]), estimator.net_.module_
    check_structure(network, structure, tensors.values())
    with estimator.net_.engine.generators.lent():
        network.restore_structure(structure)


def difference(estimator: BaseDeepEstimator, tensors: dict[str, Tensor], place: str) -> str | None:
    """Say how the network made by the parameters differs from these weights, if it does."""
    made = estimator.net_.module_.state_dict()
    for name in [*made, *tensors]:
        if name in made and name in tensors and _kind(made[name]) == _kind(tensors[name]):
            continue
        child, _, weight = name.partition(".")
        if not hasattr(estimator.net_.module_, child):
            return f"the network has no {shortened(child)!r}, {place} has it"
        owner = owner_of(estimator, child)
        if name not in tensors:
            return f"{owner} has {weight!r} of {_kind(made[name])}, {place} has none"
        if name not in made:
            return f"{owner} has no {weight!r}, {place} has it of {_kind(tensors[name])}"
        return (
            f"{owner} has {weight!r} of {_kind(made[name])}, {place} has it of "
            f"{_kind(tensors[name])}"
        )
    return None


def _kind(tensor: Tensor) -> str:
    return f"shape {tuple(tensor.shape)} and type {tensor.dtype}"
