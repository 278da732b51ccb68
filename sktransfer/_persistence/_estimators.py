"""What a file says of a classifier, and the classifier made of it again."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import sklearn
import torch
from skorch.history import History
from torch import Tensor

from .._base import BaseTransferClassifier
from .._network import check_layer_sizes
from .._old_checks import TrainingData, check_device
from .._processes import Processes
from ._values import from_json, to_json

# Where a machine keeps activations is no matter of the model, and nothing that a stranger's
# file may choose.
NOT_SAVED = ("memory",)

# Fitted state that stands in the description by itself.
BY_ITSELF = ("net_", "history_")

# The children of the network that parameters call otherwise.
PARAMETERS_OF = {
    "body": ("feature_extractor", "backbone"),
    "label_classifier": ("label_classifier", "head"),
}

# Two rows are made up, to see what the network makes of them.
MOST_ROW_ELEMENTS = 2**28


def known_classes() -> dict[str, type[BaseTransferClassifier]]:
    """Return the classifiers of the package by name, all that a file may hold."""
    import sktransfer  # by now complete

    public = {name: getattr(sktransfer, name) for name in sktransfer.__all__}
    return {
        name: kind
        for name, kind in public.items()
        if isinstance(kind, type) and issubclass(kind, BaseTransferClassifier)
    }


def describe(estimator: BaseTransferClassifier) -> dict[str, Any]:
    """Say all of a fitted classifier but its weights in values of JSON.

    Raises
    ------
    ValueError
        For an attribute or an entry of the history that JSON does not take.
    """
    import sktransfer

    parameters, custom = _split_parameters(estimator)
    attributes = {
        name: _encoded(value, name)
        for name, value in vars(estimator).items()
        if name.endswith("_") and name not in (*BY_ITSELF, *estimator.get_params(deep=False))
    }
    return {
        "class": type(estimator).__name__,
        "parameters": parameters,
        "custom": custom,
        "attributes": attributes,
        "history": [_encoded(dict(epoch), "history_") for epoch in estimator.history_],
        "double_precision": estimator.net_.dtype == torch.float64,
        "structure": _encoded(estimator.net_.module_.structure(), "net_.module_"),
        "output": getattr(estimator, "_sklearn_output_config", {}).get("transform"),
        "versions": {
            "sktransfer": sktransfer.__version__,
            "torch": str(torch.__version__),
            "scikit-learn": sklearn.__version__,
        },
    }


def _split_parameters(estimator: BaseTransferClassifier) -> tuple[dict[str, Any], dict[str, str]]:
    values, custom = {}, {}
    for name, value in estimator.get_params(deep=False).items():
        if name not in NOT_SAVED:
            try:
                values[name] = to_json(value)
            except TypeError:
                custom[name] = getattr(value, "__name__", type(value).__name__)
    return values, custom


def _encoded(value: Any, name: str) -> Any:
    try:
        return to_json(value)
    except TypeError as error:
        raise ValueError(
            f"{name} holds {value!r}, which no file without code can hold: {error}. Keep numbers, "
            "text, lists and arrays of these there, or pickle the estimator."
        ) from error


def set_state(estimator: BaseTransferClassifier, description: dict[str, Any]) -> None:
    """Set what `fit` has set, but the network.

    Raises
    ------
    ValueError, TypeError, LookupError, AttributeError
        For what `describe` has not said.
    """
    taken = (*BY_ITSELF, *estimator.get_params(deep=False))
    for name, value in description["attributes"].items():
        if not name.endswith("_") or name in taken or hasattr(type(estimator), name):
            raise ValueError(f"{name!r} is no attribute that fit sets")
        setattr(estimator, name, from_json(value))
    shape, classes = estimator.input_shape_, estimator.classes_
    if not all(isinstance(size, int) and size > 0 for size in (*shape, len(classes) - 1)):
        raise ValueError(f"rows of shape {shape} and the classes {classes} cannot be")
    estimator.history_ = History(dict(from_json(epoch)) for epoch in description["history"])
    if description["output"] is not None:
        if description["output"] not in ("default", "pandas", "polars"):
            raise ValueError(f"{description['output']!r} is no output of set_output")
        estimator.set_output(transform=description["output"])


def build_net(estimator: BaseTransferClassifier, description: dict[str, Any]) -> None:
    """Make `net_` by the parameters, as `fit` does, for rows of the shape it has seen."""
    dtype = np.float64 if description["double_precision"] else np.float32
    # Ones and not zeros: as the mask of a text, zeros would leave nothing to take a mean of.
    rows = np.ones((2, *estimator.input_shape_), dtype)
    data = TrainingData(rows, np.empty(0), None, None, None)
    device = check_device(estimator.device)
    estimator.net_ = estimator._make_net(data, estimator.classes_, 0, device, Processes())
    with estimator.net_.generators:
        estimator.net_.module_.restore_structure(from_json(description["structure"]))
    estimator.net_.history = estimator.history_


def check_sizes(estimator: BaseTransferClassifier, tensors: dict[str, Tensor]) -> None:
    """Refuse sizes of which the file holds no weights, before memory is taken for them.

    Raises
    ------
    ValueError
        Where default layers by the parameters would be larger than the largest tensor.
    """
    given = {name for name, value in estimator.get_params(deep=False).items() if value is not None}
    sizes = {
        name.removesuffix("_layer_sizes"): check_layer_sizes(getattr(estimator, name), name)
        for name in given
        if name.endswith("_layer_sizes")
    }
    body, chains = [], []
    widths = sizes.pop("hidden", [])
    if given.isdisjoint(PARAMETERS_OF["body"]):
        body = [*estimator.input_shape_, *widths]
        chains.append(body)
    if given.isdisjoint(PARAMETERS_OF["label_classifier"]):
        chains.append([*body[-1:], len(estimator.classes_)])
    chains += [[*body[-1:], *sizes[n]] for n in sizes if f"{n}_classifier" not in given]
    largest = max((tensor.numel() for tensor in tensors.values()), default=0)
    for chain in chains:
        if any(n_in * n_out > largest for n_in, n_out in pairwise(chain)):
            raise ValueError(f"layers of the sizes {chain} are not in it")
    if math.prod(estimator.input_shape_) > MOST_ROW_ELEMENTS:
        raise ValueError(
            f"rows of shape {estimator.input_shape_} have more than {MOST_ROW_ELEMENTS:,} numbers"
        )


def difference(
    estimator: BaseTransferClassifier, tensors: dict[str, Tensor], place: str
) -> str | None:
    """Say how the network made by the parameters differs from these weights, if it does."""
    made = estimator.net_.module_.state_dict()
    parameters = estimator.get_params(deep=False)
    for name in [*made, *tensors]:
        if name in made and name in tensors and _kind(made[name]) == _kind(tensors[name]):
            continue
        child, _, weight = name.partition(".")
        owners = [owner for owner in PARAMETERS_OF.get(child, ()) if owner in parameters]
        owner = owners[0] if owners else child
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
