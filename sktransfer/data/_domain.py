"""A set of rows with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Domain:
    """Rows of one domain.

    Parameters
    ----------
    X : array of shape (n_rows, ...)
        Checked rows: an array, a CSR matrix, or rows that are read when needed.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs), or None
        What is known of each; what stands at rows without a label means nothing.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights of the rows.
    has_label : ndarray of bool of shape (n_rows,) or None
        Which rows `y` tells something of; None for all.
    domains : ndarray of shape (n_rows,) or None
        Which of several sources each row is from, by name; None for one source.
    """

    X: Any
    y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    has_label: np.ndarray | None = None
    domains: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self.X.shape[0])

    @property
    def labels(self) -> np.ndarray:
        """What is known of the rows, where something is."""
        assert self.y is not None
        return self.y

    def take(self, rows: np.ndarray) -> Domain:
        """Return the domain of these rows alone."""
        parts = (self.y, self.sample_weight, self.has_label, self.domains)
        return Domain(self.X[rows], *(None if part is None else part[rows] for part in parts))

    def weighted(self) -> Domain:
        """Return the domain of the rows that weigh something."""
        if self.sample_weight is None or self.sample_weight.all():
            return self
        return self.take(np.flatnonzero(self.sample_weight))

    def labelled(self) -> Domain:
        """Return the domain of the rows with a label."""
        if self.has_label is None:
            return self
        return replace(self.take(np.flatnonzero(self.has_label)), has_label=None)


@dataclass(frozen=True, slots=True)
class Domains:
    """What `fit` was given, checked.

    Parameters
    ----------
    source : Domain
        Labelled, where the estimator asks for labels; the rows of several sources
        stand in it together.
    target : Domain or None
        With labels for some of its rows, for all, or (``y`` None) for none.
    """

    source: Domain
    target: Domain | None
