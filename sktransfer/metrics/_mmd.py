"""The maximum mean discrepancy."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import euclidean_distances, manhattan_distances

from .._kernels import mean_of_powers
from ..validation._arguments import check_random_state
from ..validation._constraints import Real
from ._moments import mean_row, total_variance
from ._rows import check_domains, read_rows, row_blocks

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]

# The median distance of so many rows is that of all of them to a few percent.
MEDIAN_ROWS = 1000


def squared_distances(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return ``||a - b||_2^2`` of all pairs of rows."""
    # ||a||^2 - 2ab + ||b||^2 loses digits where rows are far from zero.
    centre = A.mean(axis=0)
    return euclidean_distances(A - centre, B - centre, squared=True)


def gaussian_kernel(A: np.ndarray, B: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return ``exp(-||a - b||_2^2 / (2 bandwidth^2))``."""
    exponents = squared_distances(A, B)
    exponents /= -2 * bandwidth**2
    return np.exp(exponents, out=exponents)


def gaussian_mixture_kernel(A: np.ndarray, B: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return the mean of Gaussian kernels of squared bandwidths (1/4, 1/2, 1, 2, 4) times."""
    # The square of a Gaussian kernel is that of half the squared bandwidth.
    mixture: np.ndarray = mean_of_powers(gaussian_kernel(A, B, 2 * bandwidth))
    return mixture


def laplacian_kernel(A: np.ndarray, B: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return ``exp(-||a - b||_1 / bandwidth)``."""
    exponents = manhattan_distances(A, B)
    exponents /= -bandwidth
    return np.exp(exponents, out=exponents)


def polynomial_kernel(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return ``(<a, b> / d + 1)^3``."""
    return (A @ B.T / A.shape[1] + 1) ** 3


# With the distance of which the bandwidth is the median.
RADIAL_KERNELS = {
    "gaussian": (gaussian_kernel, "euclidean"),
    "gaussian_mixture": (gaussian_mixture_kernel, "euclidean"),
    "laplacian": (laplacian_kernel, "cityblock"),
}
KERNELS = [*RADIAL_KERNELS, "linear", "polynomial"]


def mean_of_all_pairs(kernel: Kernel, X, Y) -> float:
    """Return ``1/(n m) sum_i sum_j k(x_i, y_j)``, block by block."""
    total = 0.0
    for rows in row_blocks(X):
        A = read_rows(X, rows)
        for columns in row_blocks(Y):
            total += kernel(A, read_rows(Y, columns)).sum(dtype=np.float64)
    return total / (X.shape[0] * Y.shape[0])


def mean_of_own_pairs(kernel: Kernel, X, *, with_itself: bool) -> float:
    """Return the mean of ``k(x_i, x_j)``, block by block, with or without the pairs i = j."""
    total, blocks = 0.0, row_blocks(X)
    for i, rows in enumerate(blocks):
        A = read_rows(X, rows)
        within = kernel(A, A)
        total += within.sum(dtype=np.float64)
        total -= 0.0 if with_itself else within.trace(dtype=np.float64)
        for columns in blocks[i + 1 :]:
            total += 2 * kernel(A, read_rows(X, columns)).sum(dtype=np.float64)
    n = X.shape[0]
    return total / (n * n if with_itself else n * (n - 1))


def linear_mmd(X, Y, *, unbiased: bool) -> float:
    """Return the discrepancy of the kernel ``<a, b>`` from means and variances alone.

    ``||m_X - m_Y||^2``, less ``tr(C_X) / n + tr(C_Y) / m`` where unbiased.
    """
    gap = mean_row(X) - mean_row(Y)
    bias = sum(total_variance(Z) / Z.shape[0] for Z in (X, Y)) if unbiased else 0.0
    return float(gap @ gap) - bias


def kernel_mmd(kernel: Kernel, X, Y, *, unbiased: bool) -> float:
    """Return the discrepancy from the mean kernel within and across both samples."""
    within = sum(mean_of_own_pairs(kernel, Z, with_itself=not unbiased) for Z in (X, Y))
    return float(within - 2 * mean_of_all_pairs(kernel, X, Y))


def median_distance(X, Y, metric: str, random_state) -> float:
    """Return the median of the distances above rounding in the pooled sample; 1 if none is."""
    n_rows = X.shape[0] + Y.shape[0]
    drawn = np.arange(n_rows)
    if n_rows > MEDIAN_ROWS:
        drawn = check_random_state(random_state).choice(n_rows, MEDIAN_ROWS, replace=False)
    of_X, of_Y = drawn[drawn < X.shape[0]], drawn[drawn >= X.shape[0]] - X.shape[0]
    distances = pdist(np.concatenate([read_rows(X, of_X), read_rows(Y, of_Y)]), metric)
    distances = distances[distances > np.finfo(np.float64).eps * distances.max()]
    return float(np.median(distances)) if len(distances) else 1.0


def mmd(
    X_source: Any,
    X_target: Any,
    *,
    kernel: Any = "gaussian",
    bandwidth: float | str = "median",
    unbiased: bool = True,
    random_state: Any = 0,
) -> float:
    """Squared maximum mean discrepancy: how far apart the mean embeddings of two domains are.

    A kernel maps rows into a space of functions; two domains are compared by the
    squared distance of their means there. With the radial kernels the population
    value is 0 only for equal distributions.

    For ``n`` source rows ``x`` and ``m`` target rows ``z`` it is, unbiased,

    ``1/(n (n-1)) sum_{i != j} k(x_i, x_j) + 1/(m (m-1)) sum_{i != j} k(z_i, z_j)
    - 2/(n m) sum_i sum_j k(x_i, z_j)``,

    which is 0 on average for equal distributions and may be below 0. The biased
    one has ``1/n^2`` and ``1/m^2`` with the pairs ``i = j`` among its sums: the
    squared distance of the two empirical means, never below 0, and ``k(x, x)/n +
    k(z, z)/m`` or less above 0 on average for equal distributions.

    Time grows with ``(n + m)^2 d`` (the linear kernel: ``(n + m) d``), memory
    stays within scikit-learn's ``working_memory``. Two domains of 50,000 rows of
    512 features take minutes; a few thousand rows drawn of each serve as well.

    Parameters
    ----------
    X_source : array-like or CSR matrix of shape (n_source, n_features)
        Rows of the source, most often features: ``clf.transform(X)``.
    X_target : array-like or CSR matrix of shape (n_target, n_features)
        Rows of the target.
    kernel : str or callable, default="gaussian"
        With bandwidth ``s`` and ``d`` features:

        - "gaussian": ``exp(-||a - b||_2^2 / (2 s^2))``;
        - "gaussian_mixture": the mean of five Gaussian kernels of squared
          bandwidths ``s^2 / 4, s^2 / 2, s^2, 2 s^2, 4 s^2``, which sees
          differences of several scales (the paper learns the weights);
        - "laplacian": ``exp(-||a - b||_1 / s)``; its distances take some ten
          times as long;
        - "linear": ``<a, b>``, which compares means alone;
        - "polynomial": ``(<a, b> / d + 1)^3``;
        - a callable: gets float64 arrays of shapes (n_a, d) and (n_b, d) and
          returns the positive definite kernel of all pairs, shape (n_a, n_b).
    bandwidth : float or "median", default="median"
        Scale ``s`` of the first three kernels; the others have none. "median" is the
        median of the distances above 0 (but for rounding) between rows of the
        pooled sample, 1 if all are equal, in the kernel's own norm. Of more than
        1,000 rows 1,000 are drawn for it.
    unbiased : bool, default=True
        Which of the two estimates.
    random_state : int, RandomState instance or None, default=0
        Decides which rows are drawn for the median.

    Returns
    -------
    float
        The squared discrepancy.

    Raises
    ------
    ValueError, TypeError
        For rows that are not finite or not 2-D, domains of different width, less
        than two rows in the unbiased estimate, an unknown kernel, a kernel of
        the wrong shape, or a bandwidth that is not above 0.

    References
    ----------
    Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012), eqs. 3 (unbiased)
    and 5 (the root of the biased one). https://jmlr.org/papers/v13/gretton12a.html

    Long et al., "Learning Transferable Features with Deep Adaptation Networks",
    ICML 2015 (several bandwidths). https://arxiv.org/abs/1502.02791

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.metrics import mmd
    >>> Xs, ys, Xt, yt = make_shifted_moons(200, random_state=0)
    >>> mmd(Xs, Xs + 1) > mmd(Xs, Xt) > 0
    True
    >>> round(mmd([[0.0], [0.0]], [[1.0], [1.0]], bandwidth=1.0), 6)  # 2 - 2 exp(-1/2)
    0.786939
    """
    if not isinstance(unbiased, (bool, np.bool_)):
        raise TypeError(f"unbiased must be True or False; got {unbiased!r}.")
    random_state = check_random_state(random_state)
    why = "the unbiased estimate needs" if unbiased else "a distance needs"
    X, Y = check_domains(X_source, X_target, least_rows=2 if unbiased else 1, why=why)
    check_kernel(kernel)
    if isinstance(kernel, str) and kernel == "linear":
        return linear_mmd(X, Y, unbiased=unbiased)
    estimate = kernel_mmd(
        make_kernel(kernel, bandwidth, X, Y, random_state), X, Y, unbiased=unbiased
    )
    # The biased estimate is not negative but for rounding, or a callable that is no kernel.
    return estimate if unbiased or callable(kernel) else max(estimate, 0.0)


def check_kernel(kernel):
    """Raise an error unless kernel is one of the names or a callable."""
    if not callable(kernel) and kernel not in KERNELS:
        raise ValueError(f"kernel={kernel!r} is unknown; give one of {KERNELS} or a callable.")


def make_kernel(kernel, bandwidth, X, Y, random_state) -> Kernel:
    """Return the kernel with its bandwidth bound, or the user's with its values checked."""
    if callable(kernel):
        return partial(checked_kernel, kernel)
    if kernel == "polynomial":
        return polynomial_kernel
    function, metric = RADIAL_KERNELS[kernel]
    if isinstance(bandwidth, str) and bandwidth == "median":
        bandwidth = median_distance(X, Y, metric, random_state)
    elif not isinstance(bandwidth, Real) or not 0 < float(bandwidth) < math.inf:
        raise ValueError(
            f'bandwidth={bandwidth!r} must be a number above 0 or "median", which finds one.'
        )
    return partial(function, bandwidth=float(bandwidth))


def checked_kernel(kernel, A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Call the user's kernel and check shape and values of what it returns."""
    block = np.asarray(kernel(A, B))
    if block.shape != (len(A), len(B)):
        raise ValueError(
            f"kernel returned shape {block.shape} for {len(A)} and {len(B)} rows; it must return "
            f"one value for each pair, shape {len(A), len(B)}."
        )
    if not np.isfinite(block).all():
        raise ValueError("kernel returned values that are not finite; check its scale.")
    return block
