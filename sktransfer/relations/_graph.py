"""Graphs over rows: nearest neighbours, how much they count, and walks that end at labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg
from sklearn.neighbors import NearestNeighbors

# Of the residual, relative to the right-hand side: far below what a label turns on.
TOLERANCE = 1e-10

# Of more columns a tree takes longer than all pairs (with 10, and 20,000 rows, three times).
MOST_COLUMNS_OF_A_TREE = 6


def nearest_rows(
    X: Any, rows: Any, n_neighbors: int, *, are_same: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and numbers of the nearest of `rows`, from near to far.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, n_features)
        Rows that have neighbours.
    rows : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Rows that may be neighbours.
    n_neighbors : int
        How many, at most; fewer where there are not so many.
    are_same : bool
        Whether both are the same rows, of which none is its own neighbour.

    Returns
    -------
    distances, neighbors : ndarray of shape (n, k)
    """
    k = min(n_neighbors, rows.shape[0] - are_same)
    if k == 0:
        return np.empty((X.shape[0], 0)), np.empty((X.shape[0], 0), dtype=np.intp)
    if not sparse.issparse(rows):  # far from zero, squares of distances would lose digits
        middle = rows.mean(axis=0)
        X, rows = X - middle, rows - middle
    algorithm = "auto" if rows.shape[1] <= MOST_COLUMNS_OF_A_TREE else "brute"
    search = NearestNeighbors(n_neighbors=k, algorithm=algorithm).fit(rows)
    distances, neighbors = search.kneighbors(None if are_same else X)
    return distances, neighbors


def decays(distances: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return ``exp(-d^2 / s)``, with 1 for ``d = 0`` and 0 for ``d > 0`` where ``s`` is 0."""
    squares = np.square(distances)
    limit = np.where(squares > 0, np.inf, 0.0)
    ratio = np.divide(squares, scales, out=limit, where=np.broadcast_to(scales > 0, limit.shape))
    return np.exp(-ratio)


def vote_shares(distances: np.ndarray, neighbors: np.ndarray, mass: np.ndarray) -> Any:
    """Return the share that each neighbour has in what a row is told, rows summing to 1.

    ``B_ij = m_j exp(-d_ij^2 / s_i^2) / sum_l m_l exp(-d_il^2 / s_i^2)`` over the neighbours
    ``j`` of a row ``i``, with ``s_i`` the distance of the farthest of them.

    Parameters
    ----------
    distances, neighbors : ndarray of shape (n, k)
        As from `nearest_rows`.
    mass : ndarray of shape (n_rows,)
        What each row that may be a neighbour weighs, ``m``.

    Returns
    -------
    CSR array of shape (n, n_rows)
    """
    weights = mass[neighbors] * decays(distances, np.square(distances[:, -1:]))
    return _csr(weights / weights.sum(axis=1, keepdims=True), neighbors, len(mass))


def levels(votes: Any, mass: np.ndarray, mass_told: np.ndarray) -> np.ndarray:
    """Return factors by which rows that tell very many others tell each of them less.

    ``v_s = 1 / (1 + c_s / c)`` with ``c_s = sum_i m_i B_is / m_s`` and ``c`` its mean over rows
    of the source, weighed by ``m_s``: 1 for a row that tells none, 1/2 for one that tells as much
    as the others.

    Parameters
    ----------
    votes : CSR array of shape (n, n_source)
        ``B``.
    mass : ndarray of shape (n_source,)
    mass_told : ndarray of shape (n,)
        ``m_i``, what rows that are told weigh.
    """
    told = (mass_told @ votes) / mass
    factors: np.ndarray = 1 / (1 + told * mass.sum() / mass_told.sum())
    return factors


def affinity(distances: np.ndarray, neighbors: np.ndarray, mass: np.ndarray) -> Any:
    """Return how strongly the rows of one domain hang together.

    ``W_ij = m_i m_j exp(-d_ij^2 / (s_i s_j))`` where ``j`` is a neighbour of ``i`` or ``i`` of
    ``j``, else 0, with ``s_i`` the distance of the farthest neighbour of ``i``.

    Parameters
    ----------
    distances, neighbors : ndarray of shape (n, k)
        As from `nearest_rows` of rows with themselves.
    mass : ndarray of shape (n,)
        What each row weighs, ``m``.

    Returns
    -------
    symmetric CSR array of shape (n, n)
    """
    if distances.shape[1] == 0:
        return sparse.csr_array((len(mass), len(mass)))
    scales = distances[:, -1]
    weights = (
        mass[:, None] * mass[neighbors] * decays(distances, scales[:, None] * scales[neighbors])
    )
    directed = _csr(weights, neighbors, len(mass))
    return directed.maximum(directed.T).tocsr()


def ends_of_walks(
    walks: Any, told: np.ndarray, known: np.ndarray, has_label: np.ndarray, alpha: float
) -> np.ndarray:
    """Return where walks end that go on within the domain with probability `alpha`.

    A walk that stands at a row without label steps with probability alpha to a neighbour ``j``,
    in proportion to ``W_ij``, and ends otherwise, at class ``k`` with probability ``H_ik``; at a
    row with a label it ends there. With ``D_i = sum_j W_ij`` the probabilities ``F`` solve::

        F_i = alpha sum_j W_ij F_j / D_i + (1 - alpha) H_i     without a label (H_i where D_i = 0)
        F_i = Y_i                                              with a label

    by conjugate gradients on ``(D - alpha W) F = (1 - alpha) D H + alpha W Y``.

    Parameters
    ----------
    walks : symmetric CSR array of shape (n, n)
        ``W``.
    told : ndarray of shape (n, n_classes)
        ``H``, what each row is told from outside.
    known : ndarray of shape (n, n_classes)
        ``Y``; rows without a label are not read.
    has_label : ndarray of bool of shape (n,)
        Which rows have a label.
    alpha : float in [0, 1)

    Returns
    -------
    ndarray of shape (n, n_classes)
        ``F``; rows sum to 1 where those of `told` and `known` do.
    """
    degrees = np.asarray(walks.sum(axis=1)).ravel()
    ends = np.where(has_label[:, None], known, told)
    free = np.flatnonzero(~has_label & (degrees > 0))
    if alpha == 0 or len(free) == 0:
        return ends
    labelled = np.flatnonzero(has_label)
    system = sparse.diags_array(degrees[free]) - alpha * walks[free][:, free]
    right = (1 - alpha) * degrees[free, None] * told[free]
    right += alpha * (walks[free][:, labelled] @ known[labelled])
    inverse = sparse.diags_array(1 / degrees[free])
    for k in range(ends.shape[1]):
        if right[:, k].any():
            ends[free, k], _ = cg(system, right[:, k], x0=told[free, k], rtol=TOLERANCE, M=inverse)
        else:
            ends[free, k] = 0.0
    ends = np.maximum(ends, 0.0)
    return ends / ends.sum(axis=1, keepdims=True)


def distinct_rows(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of rows of which none is equal to another, and of each row's equal.

    Their order is that of the rows' bytes, whatever order they came in.

    Returns
    -------
    first : ndarray of shape (n_distinct,)
    inverse : ndarray of shape (n,)
        ``X[first][inverse]`` are the rows `X`.
    """
    if sparse.issparse(X):
        X = sparse.csr_array(X, copy=True)
        X.sum_duplicates()
        X.eliminate_zeros()
        columns, values = X.indices.astype(np.int64), X.data
        spans = [slice(*span) for span in zip(X.indptr[:-1], X.indptr[1:], strict=True)]
        keys = np.array([(columns[s].tobytes() + values[s].tobytes()).hex() for s in spans])
    else:
        rows = np.ascontiguousarray(X) + 0.0  # -0. becomes 0., whose bytes differ
        keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first, inverse.ravel()


def _csr(weights: np.ndarray, neighbors: np.ndarray, n_columns: int) -> Any:
    n, k = weights.shape
    starts = np.arange(0, n * k + 1, k)
    return sparse.csr_array((weights.ravel(), neighbors.ravel(), starts), shape=(n, n_columns))
