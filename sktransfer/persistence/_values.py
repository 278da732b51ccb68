"""Parameters and attributes as JSON, from which they come back as they were."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

# Kinds of arrays whose elements JSON can hold: bool, numbers, text, and objects that are these.
ARRAY_KINDS = "biufUO"
# Most bytes for all elements of an array, where a file says how long each text may be.
MOST_TEXT_BYTES = 2**29


def to_json(value: Any) -> Any:
    """Turn a value into what `json` writes without loss, tuples and arrays marked as such.

    Raises
    ------
    TypeError
        For what no file can hold: modules, functions, other objects.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [to_json(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[to_json(key), to_json(item)] for key, item in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.kind in ARRAY_KINDS:
        elements = [to_json(element) for element in value.ravel().tolist()]
        dtype = value.dtype.newbyteorder("=").str
        return {"array": {"dtype": dtype, "shape": list(value.shape), "elements": elements}}
    raise TypeError(f"{type(value).__name__} is no value of JSON")


def from_json(value: Any) -> Any:
    """Return what `to_json` was given.

    Raises
    ------
    ValueError, TypeError, KeyError
        For what it has not made.
    """
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(from_json(content))
    if kind == "dict":
        return {from_json(key): from_json(item) for key, item in content}
    if kind == "array":
        return _array(**content)
    raise ValueError(f"{kind!r} is no kind of value")


def _array(dtype: str, shape: list[int], elements: list) -> np.ndarray:
    as_type = np.dtype(dtype)
    fits = 0 <= as_type.itemsize * len(elements) <= MOST_TEXT_BYTES  # in NumPy 1 it overflows
    if as_type.kind not in ARRAY_KINDS or not fits:
        raise ValueError(f"{dtype!r} is no type of array in such a file")
    array = np.empty(len(elements), as_type)
    for position, element in enumerate(from_json(elements)):
        array[position] = element
    return array.reshape(shape)
