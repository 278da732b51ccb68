"""Names for contents: of rows, of modules, and of values that a body's steps make of rows."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any

import joblib
import numpy as np
import scipy.sparse
import torch
from torch import Tensor, fx, nn

from .._lazy import LazyArray
from ._graph import BodyGraph

DIGEST_BYTES = 16

# What every module has. Hooks are among it: `examine` looks whether they matter.
MODULE_ATTRIBUTES = set(vars(nn.Module()))


def digest_rows(X: Any) -> np.ndarray:
    """Return a digest of each row's bytes, shape (n_rows, 16), uint8.

    Parameters
    ----------
    X : ndarray, CSR or LazyArray of shape (n_rows, ...)
        Rows as given. Rows of equal shape, type and content have equal digests.
    """
    if scipy.sparse.issparse(X):
        X = X.tocsr()  # a copy is sorted, the user's matrix stays as it is
        X = X if X.has_canonical_format else X.copy()
        X.sum_duplicates()
        rows: Iterable[Any] = (
            X.indices[start:stop].astype(np.int64).tobytes() + X.data[start:stop].tobytes()
            for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True)
        )
    elif isinstance(X, LazyArray):
        rows = (row.numpy().tobytes() for block in X.blocks() for row in block)
    else:
        rows = np.ascontiguousarray(X).reshape(len(X), -1).view(np.uint8)
    header = f"{X.dtype}{X.shape[1:]}{scipy.sparse.issparse(X)}".encode()
    digests = b"".join(_digest(header, row) for row in rows)
    return np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)


def value_keys(graph: BodyGraph, context: str) -> dict[str, str]:
    """Return a key for each value: equal where the steps that lead to it are.

    A key holds the steps' functions, the classes, attributes and weights of their
    modules and, through the keys of its inputs, all that comes before.

    Parameters
    ----------
    graph : BodyGraph
        The body's steps.
    context : str
        What else decides the values, such as the type of the rows.
    """
    keys: dict[fx.Node, str] = {}
    for node, used in graph.steps():
        target = node.target if node.op in ("call_method", "output") else _name(node.target)
        target = target if used is None and node.op != "placeholder" else context
        inputs = fx.node.map_arg((node.args, node.kwargs), keys.__getitem__)
        parts = [node.op, str(target), repr(inputs), fingerprint(used)]
        keys[node] = _digest(*(part.encode() for part in parts)).hex()
    return {node.name: key for node, key in keys.items()}


def fingerprint(used: Any) -> str:
    """Return a digest of a module, with all that decides its output, or of a tensor."""
    if isinstance(used, Tensor):
        return _digest(*_tensor_parts(used)).hex()
    if not isinstance(used, nn.Module):
        return repr(used)
    parts: list[bytes] = []
    for name, module in used.named_modules():
        own = {k: v for k, v in vars(module).items() if k not in MODULE_ATTRIBUTES and v}
        parts += [name.encode(), _name(type(module)).encode(), _code(type(module).forward)]
        parts += [f"{k}={_attribute(v)}".encode() for k, v in sorted(own.items())]
        for tensors in (module._parameters, module._buffers):
            for key, tensor in tensors.items():
                parts += [key.encode(), *([] if tensor is None else _tensor_parts(tensor))]
    return _digest(*parts).hex()


def _attribute(value: Any) -> str:
    if isinstance(value, Tensor):
        return fingerprint(value)
    try:
        return str(joblib.hash(value))
    except Exception:  # not to be pickled: a lambda, or what holds one
        if not isinstance(value, FunctionType):
            return uuid.uuid4().hex  # of such a thing there is no telling whether it is equal
        bound = [cell.cell_contents for cell in value.__closure__ or ()]
        inner = [*bound, value.__defaults__, value.__kwdefaults__]
        return " ".join([_code(value).hex(), *map(_attribute, inner)])


def _code(function: Any) -> bytes:
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None:
        return _name(function).encode()
    constants = [c for c in code.co_consts if not hasattr(c, "co_code")]
    return code.co_code + repr((constants, code.co_names)).encode()


def _name(target: Any) -> str:
    module, name = getattr(target, "__module__", ""), getattr(target, "__qualname__", str(target))
    return f"{module}.{name}"


def _tensor_parts(tensor: Tensor) -> list[Any]:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return [f"{tensor.dtype}{tuple(tensor.shape)}".encode(), flat.view(torch.uint8).numpy()]


def _digest(*parts: Any) -> bytes:
    digest = hashlib.sha256()  # of the standard library's the fastest: processors know it
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()[:DIGEST_BYTES]
