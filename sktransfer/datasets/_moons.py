"""Two moons and the same moons turned: the smallest problem with a known shift."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.datasets import make_moons

from ..validation._arguments import check_random_state

# The midpoint of the noise-free moons, about which they are symmetric.
CENTRE = np.array([0.5, 0.25])


def make_shifted_moons(
    n_samples: int = 300, *, rotation: float = 35.0, noise: float = 0.05, random_state: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Make two moons as the source and two moons turned as the target.

    Source and target are drawn independently by scikit-learn's `make_moons`: for
    t evenly spaced in [0, pi], ``(cos t, sin t)`` is the upper moon and ``(1 - cos t,
    0.5 - sin t)`` the lower, plus noise, in random order. The target is then
    turned, noise and all, counter-clockwise about the midpoint of the moons,
    ``(0.5, 0.25)``; nothing but the rotation differs between the domains.

    Parameters
    ----------
    n_samples : int, default=300
        Rows of each domain, half of them of each class; the odd one is of class
        1. The default is the paper's.
    rotation : float, default=35.0
        Angle in degrees, counter-clockwise; the default is the paper's.
    noise : float, default=0.05
        Standard deviation of the Gaussian noise on every coordinate, which the
        paper does not state.
    random_state : int, RandomState instance or None, default=None
        Decides the draws.

    Returns
    -------
    X_source : ndarray of shape (n_samples, 2)
        float64, rows of the source.
    y_source : ndarray of shape (n_samples,)
        int64, 0 for the upper moon and 1 for the lower (scikit-learn's labels; the
        paper's are the other way round).
    X_target : ndarray of shape (n_samples, 2)
        float64, rows of the target.
    y_target : ndarray of shape (n_samples,)
        int64, their labels, for scoring.

    Raises
    ------
    ValueError
        For less than 2 rows, negative or infinite noise, or an angle that is not
        finite.

    References
    ----------
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17
    (2016), section 5.1.1 (inter-twinning moons).

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(100, random_state=0)
    >>> Xs.shape, Xt.shape
    ((100, 2), (100, 2))
    """
    if not isinstance(n_samples, Integral) or int(n_samples) < 2:
        raise ValueError(f"n_samples must be an integer of at least 2; got {n_samples!r}.")
    if not isinstance(noise, Real) or not 0 <= float(noise) < math.inf:
        raise ValueError(f"noise must be a finite number of at least 0; got {noise!r}.")
    if not isinstance(rotation, Real) or not math.isfinite(rotation):
        raise ValueError(f"rotation must be a finite angle in degrees; got {rotation!r}.")
    random_state = check_random_state(random_state)
    X_source, y_source = make_moons(n_samples, noise=noise, random_state=random_state)
    X_target, y_target = make_moons(n_samples, noise=noise, random_state=random_state)
    cosine, sine = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return X_source, y_source, (X_target - CENTRE) @ turn.T + CENTRE, y_target
