"""Digests of bytes, of rows and of tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ..data._lazy import LazyArray

DIGEST_BYTES = 16


def digest(*parts: Any) -> bytes:
    """Return a digest of parts that are bytes or hold them; where one ends counts."""
    hashed = hashlib.sha256()  # of the standard library's the fastest: processors know it
    for part in parts:
        view = memoryview(part)
        hashed.update(view.nbytes.to_bytes(8, "little"))
        hashed.update(view)
    return hashed.digest()[:DIGEST_BYTES]


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
    digests = b"".join(digest(header, row) for row in rows)
    return np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)


def tensor_parts(tensor: Tensor) -> list[Any]:
    """Return what tells tensors apart: their type, shape and bytes."""
    flat = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return [f"{tensor.dtype}{tuple(tensor.shape)}".encode(), flat.view(torch.uint8).numpy()]
