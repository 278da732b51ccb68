"""The file: named tensors and a description as JSON, complete or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

# The entry of the header that is ours, and the version of what it holds. One entry alone, as
# safetensors writes several in any order.
ENTRY = "sktransfer"
FORMAT_VERSION = 1

# The most that safetensors reads of a header, less some room for the names of tensors.
MOST_DESCRIPTION_BYTES = 90_000_000


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a name to write to; what is written takes the place of `path` once complete.

    Raises
    ------
    FileNotFoundError
        Where there is no such folder.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {target.parent}; make it first.")
    unfinished = target.with_name(f".{uuid.uuid4().hex}.unfinished")
    try:
        unfinished.touch()
        mode = unfinished.stat().st_mode
        yield unfinished
        unfinished.chmod(mode)  # safetensors lets nobody but the owner read
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def write_file(path: str | os.PathLike, description: dict, tensors: dict[str, Tensor]) -> None:
    """Write tensors and their description to one file of safetensors.

    Raises
    ------
    ValueError
        For a description that is too long to be read again.
    """
    tensors = _apart(tensors)
    text = json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "sha256": _digest(description, tensors),
            "estimator": description,
        },
        allow_nan=False,
    )
    # In the header it is a JSON string once more.
    if len(json.dumps(text)) > MOST_DESCRIPTION_BYTES:
        raise ValueError(
            f"history_ and parameters are {len(text):,} characters of JSON, more than a "
            "safetensors file takes. Shorten the history: del clf.history_[:-100]."
        )
    with replacing(path) as unfinished:
        safetensors.torch.save_file(tensors, unfinished, metadata={ENTRY: text})


def read_file(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the tensors of a file that is whole.

    Raises
    ------
    ValueError
        For any other file, with the path and what it seems to be.
    OSError
        Where there is no such file, or it may not be read.
    """
    with open(path, "rb"):  # a plain OSError, where safetensors would raise its own
        pass
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, ValueError, TypeError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{path} is no file that sktransfer.save has written, or only a part of one: {error}. "
            "Copy it again; a file of pickle, joblib, skops or torch.save is read by what wrote it."
        ) from error
    if ENTRY not in metadata:
        raise ValueError(
            f"{path} is a safetensors file of {len(tensors)} tensors, but not by sktransfer.save: "
            "it describes no estimator. For its weights alone, load them into a module, "
            "module.load_state_dict(safetensors.torch.load_file(path)), and give the module as "
            "feature_extractor or backbone."
        )
    try:
        return _checked(path, json.loads(metadata[ENTRY]), tensors), tensors
    except (LookupError, TypeError, RecursionError, json.JSONDecodeError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def damaged(path: str | os.PathLike, reason: object) -> ValueError:
    """Return the error for a file of ours that holds what was not saved."""
    return ValueError(
        f"{path} is damaged: {reason}. Copy it again from where it was saved, or fit and save the "
        "estimator anew."
    )


def _checked(
    path: str | os.PathLike, entry: dict[str, Any], tensors: dict[str, Tensor]
) -> dict[str, Any]:
    if entry["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {entry['format_version']!r}; this version of sktransfer "
            f"reads {FORMAT_VERSION}. Upgrade it: pip install --upgrade sktransfer."
        )
    if entry["sha256"] != _digest(entry["estimator"], tensors):
        raise damaged(path, "its content is not that of its checksum")
    return entry["estimator"]


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy what safetensors does not take: tensors that share memory, or lie in it with gaps."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu()
        place = tensor.untyped_storage().data_ptr()
        tensor = tensor.clone(memory_format=torch.contiguous_format) if place in seen else tensor
        apart[name] = tensor.contiguous()
        seen.add(place)
    return apart


def _digest(description: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(description).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
