"""Whether a few columns outweigh all others, as they do where each has a unit of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._warning import warn

# What so few of the columns hold of the variance leaves the others next to nothing.
MOST_VARIANCE = 0.99
FEW_COLUMNS = 0.1

# Rows that are looked at, from first to last.
MOST_ROWS = 1000


def outweighing_columns(X: np.ndarray) -> np.ndarray:
    """Return the columns that outweigh the others: a tenth of them with .99 of the variance.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Numbers.

    Returns
    -------
    ndarray of int
        The columns by falling variance, as few as hold that much; none where these are more than
        a tenth of the columns that are not constant (one column in any case), or all of them.
    """
    rows = X[:: -(-len(X) // MOST_ROWS)]
    variances = rows.var(axis=0, dtype=np.float64)
    order = variances.argsort(kind="stable")[::-1]
    n_varying = int((variances > 0).sum())
    held = variances[order].cumsum()
    n_most = int(np.searchsorted(held, MOST_VARIANCE * held[-1])) + 1
    outweigh = n_most < n_varying and n_most <= max(1, int(FEW_COLUMNS * n_varying))
    few: np.ndarray = order[:n_most] if outweigh else order[:0]
    return few


# Ways out, by what is blind to the columns of a small unit.
TO_ONE_SCALE = "Bring the columns to one scale, make_transfer_pipeline(StandardScaler(), ...)"
SEERS = {
    "the default network hardly sees": f"{TO_ONE_SCALE}, or give a module that does.",
    "distances hardly show": f"{TO_ONE_SCALE}.",
    "nearness hardly depends on": "Set standardize=True.",
}


def warn_where_columns_outweigh(estimator: Any, X: Any, blind: str) -> None:
    """Warn where an estimator would see hardly more than a few columns.

    Parameters
    ----------
    estimator : estimator
        Fitted so far that it knows the names of its columns, if they have any.
    X : rows
        Dense ones are looked at, others are left alone.
    blind : str
        Out of `SEERS`: what the message says of the other columns.
    """
    if not isinstance(X, np.ndarray) or X.ndim != 2 or len(X) < 2:
        return
    found = outweighing_columns(X)
    if not found.size:
        return
    names = getattr(estimator, "feature_names_in_", None)
    listed = found[:5].tolist() if names is None else [str(names[place]) for place in found[:5]]
    more = f" and {found.size - 5} more" if found.size > 5 else ""
    warn(
        f"The columns {listed}{more} hold {MOST_VARIANCE:.0%} of the variance of the "
        f"{X.shape[1]}: {blind} the others. {SEERS[blind]}"
    )
