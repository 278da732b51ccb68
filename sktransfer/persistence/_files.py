"""The file: named tensors and a description as JSON, complete or not there."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .._replacing import replacing
from ..validation._arguments import check_path

# The entry of the header that is ours, and the version of what it holds. One entry alone, as
# safetensors writes several in any order.
ENTRY = "sktransfer"
FORMAT_VERSION = 1

# The most that safetensors reads of a header, less some room for the names of tensors.
MOST_DESCRIPTION_BYTES = 90_000_000

# How a description may fail to be one of ours.
NOT_OURS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)

# How much of what a file holds is shown in a message.
MOST_SHOWN = 500


@dataclass(frozen=True)
class SavedFile:
    """A file whose description is whole; its tensors are mapped, and read when they are used.

    Parameters
    ----------
    path : str or path
        Where it is, for messages.
    description : dict
        What `describe` has said.
    tensors : dict of Tensor
        The weights by name.
    sha256 : str
        The checksum of the tensors' bytes, by the file.
    """

    path: str | os.PathLike
    description: dict[str, Any]
    tensors: dict[str, Tensor]
    sha256: str

    def check_weights(self) -> None:
        """Read all weights once.

        Raises
        ------
        ValueError
            Where they are not those of the checksum.
        """
        if self.sha256 != _digest_of_weights(self.tensors):
            raise damaged(self.path, "its weights are not those of their checksum")


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
            "sha256_of_weights": _digest_of_weights(tensors),
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


def read_file(path: str | os.PathLike) -> SavedFile:
    """Return what a file holds, without reading the weights.

    Raises
    ------
    ValueError
        For any other file, with the path and what it seems to be.
    OSError
        Where there is no such file, or it may not be read.
    """
    with open(check_path(path), "rb"):  # a plain OSError, where safetensors would raise its own
        pass
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError, RuntimeError, *NOT_OURS) as error:
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
        entry = json.loads(metadata[ENTRY])  # a ValueError also for an integer of many digits
        version = entry["format_version"]
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {shortened(repr(version))}; this version of sktransfer "
            f"reads {FORMAT_VERSION}. Upgrade it: pip install --upgrade sktransfer."
        )
    try:
        if entry["sha256"] != _digest(entry["estimator"], tensors):
            raise damaged(path, "its content is not that of its checksum")
        return SavedFile(path, entry["estimator"], tensors, entry["sha256_of_weights"])
    except (LookupError, RecursionError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def damaged(path: str | os.PathLike, reason: object) -> ValueError:
    """Return the error for a file of ours that holds what was not saved."""
    return ValueError(
        f"{path} is damaged: {shortened(str(reason))}. Copy it again from where it was saved, or "
        "fit and save the estimator anew."
    )


def shortened(text: str, most: int = MOST_SHOWN) -> str:
    """Return text out of a file as it may be shown: not too long, on one line."""
    shown = text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)


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
    """Return the checksum of all that is not the weights' bytes."""
    digest = hashlib.sha256(json.dumps(description).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
    return digest.hexdigest()


def _digest_of_weights(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
