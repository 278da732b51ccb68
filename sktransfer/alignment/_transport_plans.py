"""Plans that carry shares of the source's rows to the target's, by POT."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

from ..data._domain import Domain

# Of the class regularization: its concave roots are replaced by tangents so many times.
N_MAJORISATIONS, EPSILON = 10, 1e-3

# Shares that a plan may give to other target rows than it should.
MOST_MISSED = 0.01


def transport_cost(source: Domain, target: Domain) -> np.ndarray:
    """Return squared distances divided by their (weighted) mean.

    Where a target row has a known label, rows of the source of another cost the largest
    cost more.

    Parameters
    ----------
    source, target : Domain
        Merged rows.

    Returns
    -------
    ndarray of shape (n_source, n_target)
    """
    cost = euclidean_distances(source.X, target.X, squared=True)
    mean = _shares(source) @ cost @ _shares(target)
    if mean > 0:
        cost /= mean
    if source.y is not None and target.y is not None:
        differs = source.y[:, None] != target.y[None, :]
        if target.has_label is not None:
            differs &= target.has_label[None, :]
        cost += differs * cost.max()
    return cost


def transport_plan(method, source, target, regularization, class_regularization) -> np.ndarray:
    """Return the plan G, whose rows sum to the source's shares and columns to the target's.

    Parameters
    ----------
    method : {"exact", "sinkhorn", "class_regularized"}
    source, target : Domain
        Merged rows.
    regularization, class_regularization : float
        As for `OptimalTransport`.

    Returns
    -------
    ndarray of shape (n_source, n_target)
    """
    ot = _import_pot()
    cost = transport_cost(source, target)
    a, b = _shares(source), _shares(target)
    if method == "exact":
        return ot.emd(a, b, cost, numItermax=10**7)
    if method == "sinkhorn":
        plan = _quietly(ot.sinkhorn)(
            a, b, cost, regularization, numItermax=5000, stopThr=1e-6, warn=False
        )
        return _check_plan(plan, b, method, regularization)
    penalty, potentials = np.zeros_like(cost), None
    for _ in range(N_MAJORISATIONS):
        plan, log = _quietly(ot.sinkhorn)(
            a,
            b,
            cost + class_regularization * penalty,
            regularization,
            numItermax=1000,
            stopThr=1e-6,
            warmstart=potentials,
            log=True,
            warn=False,
        )
        _check_plan(plan, b, method, regularization)
        potentials = np.log(log["u"]), np.log(log["v"])
        for label in np.unique(source.y):
            of_class = source.y == label
            penalty[of_class] = 0.5 / np.sqrt(plan[of_class].sum(axis=0) + EPSILON)
    return plan


def _quietly(solve: Any) -> Any:
    """Return a solver of which what it divides by zero is told by `_check_plan` alone."""

    def solved(*args: Any, **options: Any) -> Any:
        with np.errstate(all="ignore"):
            return solve(*args, **options)

    return solved


def _check_plan(plan: np.ndarray, b: np.ndarray, method: str, regularization: float) -> np.ndarray:
    """Return a plan that gives the target its shares.

    Raises
    ------
    ValueError
        For one that does not, as ``exp(-M / r)`` was 0 for all that a row could go to.
    """
    missed = float(np.abs(plan.sum(axis=0) - b).sum())
    if not missed <= MOST_MISSED:
        raise ValueError(
            f"method={method!r} found no plan with regularization={regularization!r}, which is too "
            f"small for these rows: shares of {missed:.2g} of 1 are not where they should be. "
            'Raise it, as to 0.1, scale the features, or take method="exact", which has none.'
        )
    return plan


def _shares(domain: Domain) -> np.ndarray:
    weights = np.asarray(domain.sample_weight)
    return weights / weights.sum()


def _import_pot() -> Any:
    try:
        return importlib.import_module("ot")
    except ImportError as error:
        raise ImportError(
            "This method of OptimalTransport needs POT: pip install 'sktransfer[ot]'. "
            'method="linear" does without.'
        ) from error
