"""States of a fit as a file: tensors by their content, the rest as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .._replacing import replacing
from .._values import from_json, to_json
from ..frozen._digests import digest, tensor_parts

ENTRY = "sktransfer_checkpoint"
FORMAT_VERSION = 1

# The tensor that holds the JSON; all others are named by a digest of their content.
STATE = "state"


class TornFile(Exception):
    """A file that is no checkpoint, or only a part of one."""


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON; copies of its tensors go into `tensors`, equal ones once.

    Raises
    ------
    TypeError
        For what no file can hold.
    """
    if isinstance(value, Tensor):
        found = value.detach().cpu().contiguous()
        name = digest(*tensor_parts(found)).hex()
        if name not in tensors:
            tensors[name] = found.clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[to_json(key), pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        packed = [pack(item, tensors) for item in value]
        return packed if isinstance(value, list) else {"tuple": packed}
    return to_json(value)


def unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    """Return what `pack` was given, in memory of its own."""
    if isinstance(packed, list):
        return [unpack(item, tensors) for item in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "tensor":
        return tensors[content].clone()
    if kind == "dict":
        return {from_json(key): unpack(item, tensors) for key, item in content}
    if kind == "tuple":
        return tuple(unpack(item, tensors) for item in content)
    return from_json(packed)


def names_of_tensors(packed: Any) -> Iterator[str]:
    """Yield the names of the tensors that packed values refer to."""
    if isinstance(packed, list):
        for item in packed:
            yield from names_of_tensors(item)
    elif isinstance(packed, dict):
        for kind, content in packed.items():
            if kind == "tensor":
                yield content
            else:
                yield from names_of_tensors(content)


def previous(path: Path) -> Path:
    """Return where the checkpoint before the one at `path` is."""
    return path.with_name(f"{path.name}.previous")


def write_states(path: Path, states: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write packed states and their tensors; the file that is there becomes the previous one."""
    text = json.dumps(states, allow_nan=False).encode()
    held = {name: tensors[name] for name in names_of_tensors(states)}
    held[STATE] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    head = {"format_version": FORMAT_VERSION, "digest": digest(text).hex()}
    with replacing(path) as unfinished:
        safetensors.torch.save_file(held, unfinished, metadata={ENTRY: json.dumps(head)})
        with open(unfinished, "rb+") as file:  # before the old one leaves its place
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, previous(path))


def read_states(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return packed states and their tensors, each compared with its digest.

    Raises
    ------
    TornFile
        Where something is missing, altered or of another kind.
    """
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            head = json.loads((file.metadata() or {})[ENTRY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if head["format_version"] != FORMAT_VERSION:
            raise TornFile(f"it has format version {head['format_version']}")
        text = tensors.pop(STATE).numpy().tobytes()
        if digest(text).hex() != head["digest"]:
            raise TornFile("its state is not that of its checksum")
        for name, tensor in tensors.items():
            if digest(*tensor_parts(tensor)).hex() != name:
                raise TornFile("a tensor is not that of its checksum")
        states: dict[str, Any] = json.loads(text)
        return states, {name: tensor.clone() for name, tensor in tensors.items()}
    except (safetensors.SafetensorError, OSError, RuntimeError, LookupError, ValueError) as error:
        raise TornFile(f"{type(error).__name__}: {error}") from error
