"""Kernel mean matching."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq, minimize
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils import gen_batches

from .._row_order import draw_rows, shuffle_rows
from ..data._domain import Domain
from ..validation._constraints import Integral, Interval, Real, StrOptions
from ._density_ratio import BaseDensityRatio, normalized
from ._rows import median_distance

# Kernels of new rows that are computed together: 64 MB.
KERNELS_AT_ONCE = 2**23


def match_means(
    kernel: np.ndarray,
    target_mean: np.ndarray,
    *,
    bound: float,
    slack: float,
    masses: np.ndarray | None = None,
) -> np.ndarray:
    """Solve ``min 1/2 b'Kb - k'b`` with ``0 <= b_i <= bound m_i`` and ``|sum b - n| <= n slack``.

    ``b = m w`` with weights ``w``, masses ``m`` of the rows and ``k`` the `target_mean`. The box is
    L-BFGS-B's own; where the solution in it leaves the band of the sum, the multiplier of the
    nearer end is the root of a monotone function.

    Returns
    -------
    ndarray of shape (n_rows,)
        The weights ``w``.
    """
    n_rows = len(kernel)
    masses = np.ones(n_rows) if masses is None else masses
    bounds = np.column_stack([np.zeros(n_rows), bound * masses])

    def solve(multiplier: float, start: np.ndarray) -> np.ndarray:
        def objective(b: np.ndarray) -> tuple[float, np.ndarray]:
            product = kernel @ b
            linear = multiplier - target_mean
            return b @ (product / 2 + linear) / n_rows, (product + linear) / n_rows

        # More digits resolve directions in which the domains' means do not differ measurably.
        options = {"maxiter": 1000, "maxfun": 2000, "ftol": 1e-8, "gtol": 1e-9, "maxcor": 30}
        return minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x

    b = free = solve(0.0, np.minimum(masses, bounds[:, 1]))
    nearest = np.clip(b.sum(), n_rows * (1 - slack), n_rows * (1 + slack))
    nearest = min(nearest, bounds[:, 1].sum())
    step = np.sign(b.sum() - nearest)
    if step:
        end = step * 1e-3
        while step * (solve(end, free).sum() - nearest) > 0:
            end *= 4
        root = brentq(lambda u: solve(u, free).sum() - nearest, 0, end, rtol=1e-4)
        b = solve(root, free)
        b *= nearest / b.sum()  # what the solver's tolerance leaves
    return np.divide(b, masses, out=np.zeros(n_rows), where=masses > 0)


class KMM(BaseDensityRatio):
    """Kernel mean matching: weights that bring the mean of the source to that of the target.

    In the space of a Gaussian kernel ``k(x, z) = exp(-gamma ||x - z||^2)`` the weighted mean of
    the source is moved as near to the target's mean as the bounds allow, with no density in
    between. Solved is ::

        min_w  1/2 sum_ij w_i w_j k(x_i, x_j) - n/m sum_i w_i sum_j k(x_i, z_j)
        0 <= w_i <= bound,   |sum_i w_i - n| <= n eps

    for ``n`` rows ``x`` of the source and ``m`` rows ``z`` of the target. `sample_weight` makes a
    row of weight 2 two rows.

    Parameters
    ----------
    gamma : "median" or float, default="median"
        Of the kernel; "median" is ``1 / (2 d^2)`` with ``d`` the median distance of two rows of
        both domains (from 500 of each).
    bound : float, default=1000
        The greatest weight.
    eps : float or None, default=None
        How far the mean of the weights may be from 1; None is ``(sqrt(n) - 1) / sqrt(n)``.
    block_size : int, default=5000
        Most rows of a domain that are matched at once; memory grows with its square. A longer
        source is split at random, and each part is matched to as many rows of the target.
    random_state : int, RandomState instance or None, default=None
        Draws the rows for the median and the blocks.

    Attributes
    ----------
    weights_ : ndarray of shape (n_source,)
        Weights of the source's rows.
    effective_size_ : float
        ``(sum w)^2 / sum w^2`` (with `sample_weight` multiplied in).
    gamma_ : float
        Of the kernel.
    n_target_, n_features_in_ : int
        Rows of the target (0 where there was none), and columns.

    Notes
    -----
    The method weighs the rows it was given and no others. `predict` smooths: it gives a new row the
    mean of the weights ``w_i``, weighted by ``k(x, x_i)``. It looks at every row of the source for
    each new one, so its time grows with the product of their numbers (on one core a second for
    5,000 new rows and 20,000 of the source in 20 columns, five seconds in 500); its memory does
    not, as it goes block by block. `weights_`, of the source's own rows, costs nothing more.

    In hundreds of dimensions it may harm: on eleven tasks with 256 to 2,000 columns (texts, digits,
    photos, spectra; logistic regression) its weights moved the accuracy on the target by -.024 in
    the mean, those of ``ULSIF(alpha=0.5)`` by .000.

    References
    ----------
    Huang et al., "Correcting sample selection bias by unlabeled data", NIPS 2006, eq. 6.

    In blocks: Miao et al., "Ensemble kernel mean matching", ICDM 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.instance import KMM
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(size=(200, 1)), rng.normal(1, 0.5, size=(100, 1))
    >>> weights = KMM(random_state=0).fit(X, X_target=X_target).weights_
    >>> bool(abs(np.average(X[:, 0], weights=weights) - X_target.mean()) < 0.1)
    True
    """

    _parameter_constraints: ClassVar = {
        **BaseDensityRatio._parameter_constraints,
        "gamma": [StrOptions({"median"}), Interval(Real, 0, None, closed="neither")],
        "bound": [Interval(Real, 0, None, closed="neither")],
        "eps": [None, Interval(Real, 0, None, closed="left")],
        "block_size": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self, gamma="median", *, bound=1000.0, eps=None, block_size=5000, random_state=None
    ):
        self.gamma = gamma
        self.bound = bound
        self.eps = eps
        self.block_size = block_size
        self.random_state = random_state

    def _estimate(self, source: Domain, X_target: Any, random_state: Any) -> np.ndarray:
        X, n_rows = source.X, len(source)
        self.gamma_ = self.gamma
        if self.gamma == "median":
            self.gamma_ = 1 / (2 * median_distance(X, X_target, random_state) ** 2)
        masses = n_rows * normalized(source.sample_weight, n_rows)
        n_blocks = -(-n_rows // self.block_size)
        weights = np.empty(n_rows)
        order = shuffle_rows(X, random_state)
        for rows in np.array_split(order, n_blocks):
            target = draw_rows(X_target, self.block_size, random_state)
            weights[rows] = self._match(X[rows], target, masses[rows])
        self._X, self._masses, self._weights = X, masses, weights * masses
        return weights

    def _match(self, X: Any, X_target: Any, masses: np.ndarray) -> np.ndarray:
        n_rows = X.shape[0]
        eps = (np.sqrt(n_rows) - 1) / np.sqrt(n_rows) if self.eps is None else self.eps
        kernel = rbf_kernel(X, gamma=self.gamma_).astype(np.float64, copy=False)
        target_mean = n_rows * rbf_kernel(X, X_target, gamma=self.gamma_).mean(axis=1)
        return match_means(
            kernel,
            target_mean.astype(np.float64),
            bound=self.bound,
            slack=eps,
            masses=masses,
        )

    def _ratio(self, X: Any) -> np.ndarray:
        weights = np.empty(X.shape[0])
        for rows in gen_batches(X.shape[0], max(1, KERNELS_AT_ONCE // self._X.shape[0])):
            kernel = rbf_kernel(X[rows], self._X, gamma=self.gamma_)
            near = np.maximum(kernel @ self._masses, np.finfo(np.float64).tiny)
            weights[rows] = kernel @ self._weights / near
        return weights
