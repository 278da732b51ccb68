"""What travels through a pipeline: rows of the source, of the target, and what is known of them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import scipy.sparse

from ..validation._target_labels import find_labelled, in_type_of, refuse_words_beside_numbers


class TravellingRows:
    """What a step gets: the rows so far, and what travels with them.

    Parameters
    ----------
    X, y
        Rows of the source and their labels.
    moving : dict
        Rows of other sets, transformed up to here, by name.
    given : dict
        The same before any step, and all that is not transformed.
    """

    def __init__(self, X, y, moving: dict[str, Any], given: dict[str, Any]):
        self.X, self.y, self.moving, self.given = X, y, moving, given

    def current(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return a step's parameters with rows as they are by now, whatever its names are."""
        by_id = {id(self.given[name]): rows for name, rows in self.moving.items()}
        return {name: by_id.get(id(value), value) for name, value in params.items()}

    def with_labelled_target(self, params: dict[str, Any]):
        """Return source and labelled target rows as one set, with labels and parameters of fit.

        Target rows weigh 1 where the source's have weights.
        """
        if "X_target" not in self.given:
            raise ValueError("y_target was given without X_target: pass the rows it labels too.")
        rows, labels = self.moving["X_target"], self.given["y_target"]
        n_rows = rows.shape[0] if hasattr(rows, "shape") else len(rows)
        labelled = np.flatnonzero(find_labelled(labels))
        if len(labels) != n_rows:
            raise ValueError(
                f"y_target has {len(labels)} labels for the {n_rows} rows of X_target: give one "
                "label for each row (None or NaN where it is not known)."
            )
        if self.y is None:
            raise ValueError("y_target was given without y: pass the source's labels too.")
        if not len(labelled):
            return self.X, self.y, params
        known = np.array(np.ma.getdata(np.asarray(labels))[labelled].tolist())
        y = np.asarray(self.y)
        refuse_words_beside_numbers(y, known)
        stacked_y = np.concatenate([y, in_type_of(y, known)])
        for name in params:
            if params[name] is self.given.get("sample_weight"):
                params = {**params, name: np.r_[params[name], np.ones(len(labelled))]}
        return _stack(self.X, rows, labelled), stacked_y, params


def fit_transform_step(step, X, y, moving, params):
    """Fit a transformer; return it, the source transformed, and what travels with it."""
    if hasattr(step, "fit_transform"):
        transformed = step.fit_transform(X, y, **params["fit_transform"])
    else:
        transformed = step.fit(X, y, **params["fit"]).transform(X, **params["transform"])
    moved = {name: _transform(step, X, rows, name) for name, rows in moving.items()}
    return step, transformed, moved


def _transform(step, X, rows, name: str):
    """Transform rows of another set; where they have other columns than `X`, say why that fails."""
    try:
        return step.transform(rows)
    except ValueError as error:
        widths = [getattr(part, "shape", (0, 0))[1:] for part in (X, rows)]
        if widths[0] == widths[1]:
            raise
        raise ValueError(
            f"{name} has rows of shape {widths[1]}, but X has rows of shape {widths[0]}, to which "
            f"{type(step).__name__} was fitted: {error} A step before the last takes source and "
            "target of the same features. Where they are to differ "
            "(HeterogeneousTransferClassifier), transform each domain by itself before fit."
        ) from error


def by_method(routed, rows: TravellingRows) -> dict[str, dict[str, Any]]:
    """Return a step's parameters of each method, with rows as they are by now."""
    return {
        method: rows.current(dict(routed.get(method, {})))
        for method in ("fit", "fit_transform", "transform")
    }


def _stack(X, rows, labelled):
    """Return `X` with the labelled rows below, as a frame, a CSR matrix or an array."""
    if hasattr(X, "iloc") and hasattr(rows, "iloc"):
        pandas = sys.modules["pandas"]  # whose frames these are
        return pandas.concat([X, rows.iloc[labelled]], ignore_index=True)
    if hasattr(X, "lazy") and hasattr(rows, "lazy"):
        polars = sys.modules["polars"]
        return polars.concat([X, rows[labelled]], how="vertical_relaxed")
    if scipy.sparse.issparse(X) or scipy.sparse.issparse(rows):
        return scipy.sparse.vstack([X, scipy.sparse.csr_array(rows)[labelled]], format="csr")
    return np.concatenate([np.asarray(X), np.asarray(rows)[labelled]])
