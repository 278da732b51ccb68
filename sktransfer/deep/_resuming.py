"""Which fit a checkpoint belongs to: its parameters, data and versions."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import sklearn
import skorch
import torch
from sklearn.base import clone

from .._version import __version__
from ..data._domain import Domains
from ..data._lazy import LazyArray
from ..engine._checkpoint import FitCheckpoint, Journal
from ..engine._net import TransferNet
from ..engine._processes import Processes
from ..frozen._digests import digest, digest_rows, tensor_parts
from ..frozen._fingerprint import Fingerprints
from ..validation._arguments import check_path

# Parameters that make no difference to what is learned.
BESIDE_THE_POINT = ("checkpoint", "num_workers", "verbose", "warm_start")

# What the arguments of `fit` are called in a message.
ARGUMENTS = {
    "source.X": "X",
    "source.y": "y",
    "source.sample_weight": "sample_weight",
    "target.X": "X_target",
    "target.y": "y_target",
    "target.has_label": "which of y_target are missing",
}
MOST_SHOWN = 60


def open_journal(
    estimator: Any, domains: Domains, before: TransferNet | None, processes: Processes
) -> Journal | None:
    """Return the journal of a fit that has a `checkpoint`, with what an earlier call has left.

    Raises
    ------
    ValueError, TypeError
        For a checkpoint of another fit, and for parameters that cannot be compared.
    """
    if estimator.checkpoint is None:
        return None
    settings = check_checkpoint(estimator.checkpoint)
    identity = {
        "estimator": _name_of(estimator),
        "parameters": _describe_parameters(estimator),
        "data": _describe_data(domains),
        "begin": {} if before is None else {"warm start": _describe_net(before)},
        "versions": {
            "sktransfer": __version__,
            "torch": str(torch.__version__),
            "scikit-learn": sklearn.__version__,
            "skorch": skorch.__version__,
            "numpy": np.__version__,
        },
        "machine": {"device": processes.device.type, "processes": str(processes.size)},
    }
    path = _path_of(settings, identity)
    journal = Journal(path, settings, processes)
    if journal.identity:
        _check_same(identity, journal.identity, path)
    journal.identity = identity
    return journal


def check_checkpoint(given: Any) -> FitCheckpoint:
    """Return what was given as `checkpoint`, a path alone with the defaults.

    Raises
    ------
    TypeError, ValueError
        For what it does not take, and for a file in a folder that is not there.
    """
    if isinstance(given, (str, os.PathLike)):
        given = FitCheckpoint(given)
    settings = FitCheckpoint.of(given, "checkpoint")
    parent = Path(check_path(settings.path, "checkpoint")).parent
    if not parent.is_dir():
        raise FileNotFoundError(
            f"checkpoint={str(settings.path)!r}: there is no folder {str(parent)!r}; make it first."
        )
    return settings


def checkpoint_of_part(given: Any, ending: str) -> FitCheckpoint | None:
    """Return the checkpoint of a fit that is a part of one with the `checkpoint` given.

    In a folder it has a file of its own, as it has data of its own; else one beside, by its
    ending.
    """
    if given is None:
        return None
    settings = check_checkpoint(given)
    if Path(settings.path).is_dir():
        return settings
    part: FitCheckpoint = clone(settings)
    return part.set_params(path=f"{os.fspath(settings.path)}.{ending}")


def _path_of(settings: FitCheckpoint, identity: dict[str, Any]) -> Path:
    """Return the file; in a folder the one of this candidate (parameters) and fold (data)."""
    path = Path(settings.path)
    if not path.is_dir():
        return path
    fingerprints = [(name, pair[-1]) for name, pair in identity["parameters"].items()]
    of_candidate = repr([identity["estimator"], fingerprints]).encode()
    of_fold = repr([identity["data"], identity["begin"]]).encode()
    return path / f"{digest(of_candidate).hex()[:16]}-{digest(of_fold).hex()[:16]}.checkpoint"


def _name_of(estimator: Any) -> str:
    name = type(estimator).__name__
    return f"{name}.source_only()" if estimator._is_source_only else name


def _describe_parameters(estimator: Any) -> dict[str, list[str]]:
    """Return of each parameter how it looks and a fingerprint of all that it does."""
    described = {}
    for name, value in estimator.get_params(deep=False).items():
        if name in BESIDE_THE_POINT:
            continue
        shown = repr(value)
        shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."
        fingerprint = Fingerprints().of(value)
        if fingerprint != Fingerprints().of(value):
            raise ValueError(
                f"{name}={shown} cannot be compared with that of another process, so that no "
                "checkpoint could tell whether it belongs to this fit. Give it as a function, a "
                "class or an object that holds numbers, text and arrays alone, or fit without "
                "checkpoint."
            )
        described[name] = [shown, fingerprint]
    return described


def _describe_data(domains: Domains) -> dict[str, str]:
    described: dict[str, str] = {}
    _describe_fields(domains, "", described)
    return described


def _describe_fields(value: Any, place: str, described: dict[str, str]) -> None:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            inner = f"{place}.{field.name}" if place else field.name
            _describe_fields(getattr(value, field.name), inner, described)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            _describe_fields(item, f"{place}[{number}]", described)
    elif value is not None:
        described[ARGUMENTS.get(place, place)] = _digest_of(value)


def _digest_of(value: Any) -> str:
    if scipy.sparse.issparse(value) or isinstance(value, LazyArray):
        return digest(repr(value.shape).encode(), digest_rows(value)).hex()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return digest(f"{value.dtype.str} {value.shape}".encode(), flat).hex()
    return Fingerprints().of(value)


def _describe_net(net: TransferNet) -> str:
    """Return a digest of what a warm start begins with: network and optimizer's state."""
    parts: list[Any] = []
    for name, tensor in net.module_.state_dict().items():
        parts += [name.encode(), *tensor_parts(tensor)]
    for number, of_parameter in net.optimizer_.state_dict()["state"].items():
        for name, value in of_parameter.items():
            parts += [f"{number} {name}".encode()]
            parts += (
                tensor_parts(value) if isinstance(value, torch.Tensor) else [repr(value).encode()]
            )
    return digest(*parts, str(len(net.history)).encode()).hex()


def _check_same(identity: dict[str, Any], found: dict[str, Any], path: Path) -> None:
    differences = []
    if identity["estimator"] != found.get("estimator"):
        differences.append(f"it is of a {found.get('estimator')}, not a {identity['estimator']}")
    for group in ("parameters", "data", "begin", "versions", "machine"):
        here, there = identity[group], found.get(group, {})
        for name in [*here, *(name for name in there if name not in here)]:
            pair = (here.get(name), there.get(name))
            if group == "parameters":  # how they look may tell an address
                pair = tuple(value and value[-1] for value in pair)
            if pair[0] != pair[1]:
                differences.append(_difference(group, name, here.get(name), there.get(name)))
    if differences:
        raise ValueError(
            f"checkpoint={str(path)!r} is of another fit: {'; '.join(differences)}. Set that back "
            "and the fit goes on; delete the file or give another path to fit from the beginning. "
            "(In a search, give a folder that is there: each candidate and fold has its own file.)"
        )


def _difference(group: str, name: str, here: Any, there: Any) -> str:
    if group == "parameters":
        shown = [None if value is None else value[0] for value in (here, there)]
        if shown[0] == shown[1]:
            return f"{name} does or holds something else"
        return f"{name} is {shown[0]}, there {shown[1]}"
    if group in ("data", "begin"):
        if here is None or there is None:
            return f"{name} was {'not ' if there is None else ''}given there"
        return f"{name} has other content"
    return f"{name} is {here}, there {there}"
