"""Whether columns have units of their own: a few outweigh all others, or all lie far from zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._warning import warn

# What so few of the columns hold of the variance leaves the others next to nothing.
MOST_VARIANCE = 0.99
FEW_COLUMNS = 0.1

# What a default network learns from. On scikit-learn's wine and diabetes patients, standardised
# and moved, regressors of it lost half of their R^2 with means of 6 standard deviations and all
# with 10, classifiers .05 of accuracy with 10; scaled to rows that vary by .15 in all, R^2 fell
# from .43 to .27, and with columns that vary by 50 from .46 to -4.
MOST_OFFSET = 5.0
LEAST_SPREAD = 0.3
MOST_SPREAD_OF_COLUMNS = 10.0

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


def offset_and_spread(X: np.ndarray) -> tuple[float, float]:
    """Return how far from zero rows lie, and how much they vary, over all columns.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Numbers.

    Returns
    -------
    offset, spread : float
        Roots of the summed squares of the columns' means, and of their summed variances.
    """
    rows = X[:: -(-len(X) // MOST_ROWS)]
    means, variances = rows.mean(axis=0, dtype=np.float64), rows.var(axis=0, dtype=np.float64)
    return float(np.sqrt(np.square(means).sum())), float(np.sqrt(variances.sum()))


# Ways out, by what is blind to the columns of a small unit.
TO_ONE_SCALE = "Bring the columns to one scale, make_transfer_pipeline(StandardScaler(), ...)"
SEERS = {
    "the default network hardly sees": f"{TO_ONE_SCALE}, or give a module that does.",
    "distances hardly show": f"{TO_ONE_SCALE}.",
    "nearness hardly depends on": "Set standardize=True.",
}


def warn_where_numbers_are_unscaled(X: Any) -> None:
    """Warn where the default network would learn little, as rows are not of the size of 1.

    Parameters
    ----------
    X : rows
        What it trains on. Dense ones are looked at, but for those of which a few columns outweigh
        the others, which `warn_where_columns_outweigh` tells.
    """
    if not _is_table(X) or outweighing_columns(X).size:
        return
    offset, spread = offset_and_spread(X)
    of_columns = spread / np.sqrt(X.shape[1])
    way = SEERS["the default network hardly sees"]
    if offset > MOST_OFFSET * spread > 0:
        warn(
            f"The columns lie far from zero beside how little they vary: by {offset / spread:.0f} "
            f"standard deviations in the mean square. The default network hardly sees what varies. "
            f"{way}"
        )
    elif 0 < spread < LEAST_SPREAD or of_columns > MOST_SPREAD_OF_COLUMNS:
        harm = "it may learn nothing" if spread < LEAST_SPREAD else "its steps may be far too large"
        warn(
            f"The columns vary by {of_columns:.2g} in the mean square, and the default network is "
            f"made for about 1: {harm}. {way}"
        )


def _is_table(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.ndim == 2 and len(X) > 1


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
    if not _is_table(X):
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
