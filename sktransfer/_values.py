"""Parameters and attributes as JSON, from which they come back as they were."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import torch

# Types of arrays whose elements JSON can hold: bool, numbers, text, and objects that are these.
ARRAY_KINDS = "biufUO"
ARRAY_TYPE = re.compile(rf"[<>|=][{ARRAY_KINDS}]\d{{0,9}}")

# An array of text takes the room of its longest element for each, so that few characters of JSON
# may ask for much. All arrays of a file share this room; the elements of numbers, of at most 16
# bytes, have more of their own with each character.
ROOM_FOR_ARRAYS = 2**26
BYTES_PER_ELEMENT = 16

# Beyond, many integers have one hash, and a dict with such keys takes long to make.
LARGEST_KEY = 2**60


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
        return {"dict": [[to_json(_key(key)), to_json(item)] for key, item in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.kind in ARRAY_KINDS:
        elements = [to_json(element) for element in value.ravel().tolist()]
        dtype = value.dtype.newbyteorder("=").str
        return {"array": {"dtype": dtype, "shape": list(value.shape), "elements": elements}}
    raise TypeError(f"{type(value).__name__} is no value of JSON")


def _key(key: Any) -> Any:
    if isinstance(key, int) and abs(key) > LARGEST_KEY:
        raise TypeError(f"a key above {LARGEST_KEY} is no value of JSON")
    return key


class Reader:
    """Turns what a file holds back into the values that `to_json` was given.

    All that one reader returns shares one limit of memory, so that many arrays, each
    small enough, cannot ask for more than the file's length warrants.
    """

    def __init__(self) -> None:
        self.room = ROOM_FOR_ARRAYS

    def read(self, value: Any) -> Any:
        """Return what `to_json` was given.

        Raises
        ------
        ValueError, TypeError, KeyError, ArithmeticError
            For what it has not made.
        """
        if isinstance(value, list):
            return [self.read(item) for item in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind == "float":
            return float(content)
        if kind == "tuple":
            return tuple(self.read(content))
        if kind == "dict":
            return {_key(self.read(key)): self.read(item) for key, item in content}
        if kind == "array":
            return self._array(**content)
        raise ValueError(f"{kind!r} is no kind of value")

    def _array(self, dtype: str, shape: list[int], elements: list) -> np.ndarray:
        if not ARRAY_TYPE.fullmatch(dtype):
            raise ValueError(f"{dtype!r} is no type of array in such a file")
        as_type = np.dtype(dtype)
        self.room -= max(0, as_type.itemsize - BYTES_PER_ELEMENT) * len(elements)
        if self.room < 0:
            raise ValueError(
                f"its arrays of text ask for more than the {ROOM_FOR_ARRAYS / 2**20:g} MiB that "
                "are lent to a file"
            )
        if any(size < 0 for size in shape) or math.prod(shape) != len(elements):
            raise ValueError(f"{len(elements)} elements make no array of shape {shape}")
        array = np.empty(len(elements), as_type)
        with np.errstate(all="ignore"):  # a number that a half cannot hold is infinite in it
            for position, element in enumerate(self.read(elements)):
                array[position] = element
        return array.reshape(shape)


def from_json(value: Any) -> Any:
    """Return what `to_json` was given, in memory of its own."""
    return Reader().read(value)
