"""Weights that change with the training progress ``p`` in [0, 1]."""

from __future__ import annotations

import math

from .validation._arguments import check_number

__all__ = ["constant", "cosine_annealing", "dann_annealing", "dann_ramp"]


def constant(progress: float) -> float:
    """Return 1 whatever the progress.

    Parameters
    ----------
    progress : float in [0, 1]
        Share of the training steps already taken.

    Returns
    -------
    float
        1.0

    Examples
    --------
    >>> from sktransfer.schedules import constant
    >>> constant(0.3)
    1.0
    """
    return 1.0


def cosine_annealing(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine.

    ``(1 + cos(pi p)) / 2``

    Parameters
    ----------
    progress : float in [0, 1]
        Share of the training steps already taken, ``p``.

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5 without restarts.

    Examples
    --------
    >>> from sktransfer.schedules import cosine_annealing
    >>> [round(cosine_annealing(p), 3) for p in (0, 0.25, 0.5, 1)]
    [1.0, 0.854, 0.5, 0.0]
    """
    return (1.0 + math.cos(math.pi * _check_progress(progress))) / 2.0


def dann_ramp(progress: float, gamma: float = 10.0) -> float:
    """Rise from 0 to nearly 1, so that a noisy domain classifier is not obeyed early.

    ``2 / (1 + exp(-gamma p)) - 1``

    Parameters
    ----------
    progress : float in [0, 1]
        Share of the training steps already taken, ``p``.
    gamma : float, default=10.0
        Steepness.

    Returns
    -------
    float
        In [0, 1).

    References
    ----------
    Ganin et al., JMLR 17 (2016), section 5.2.2.

    Examples
    --------
    >>> from sktransfer.schedules import dann_ramp
    >>> [round(dann_ramp(p), 3) for p in (0, 0.1, 0.5, 1)]
    [0.0, 0.462, 0.987, 1.0]
    """
    gamma = check_number(gamma, "gamma", 0.0, math.inf, "a number of at least 0")
    return 2.0 / (1.0 + math.exp(-gamma * _check_progress(progress))) - 1.0


def dann_annealing(progress: float, alpha: float = 10.0, beta: float = 0.75) -> float:
    """Fall from 1 as the learning rate of the DANN paper does.

    ``1 / (1 + alpha p)^beta``

    Parameters
    ----------
    progress : float in [0, 1]
        Share of the training steps already taken, ``p``.
    alpha, beta : float, default=10.0 and 0.75
        Speed and shape of the fall.

    Returns
    -------
    float
        In (0, 1].

    References
    ----------
    Ganin et al., JMLR 17 (2016), section 5.2.2.

    Examples
    --------
    >>> from sktransfer.schedules import dann_annealing
    >>> [round(dann_annealing(p), 3) for p in (0, 0.1, 1)]
    [1.0, 0.595, 0.166]
    """
    alpha = check_number(alpha, "alpha", 0.0, math.inf, "a number of at least 0")
    beta = check_number(beta, "beta", 0.0, math.inf, "a number of at least 0")
    divisor: float = (1.0 + alpha * _check_progress(progress)) ** beta
    return 1.0 / divisor


def _check_progress(progress: float) -> float:
    return check_number(
        progress, "progress", 0.0, 1.0, "a number in [0, 1], the share of steps already taken"
    )
