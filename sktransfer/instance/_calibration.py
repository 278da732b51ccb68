"""Temperature scaling with a bias for each class."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

# Probabilities are kept at least this large, to have a logarithm.
LEAST_PROBABILITY = 1e-10

# Rows of a class that a bias is counted by when few are there: a weak pull of the biases to 0.
PULL = 1e-4


def to_logits(probabilities: np.ndarray) -> np.ndarray:
    """Return ``log p``, with ``p`` at least 1e-10."""
    return np.log(np.maximum(probabilities, LEAST_PROBABILITY))


def fit_calibration(
    probabilities: np.ndarray, codes: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the inverse temperature and biases of the least log loss on held-out rows.

    ``min_{a, b}  sum_i w_i -log softmax(a log p_i + b)[y_i] / sum w + 1e-4 ||b||^2`` with ``a``
    between 0.05 and 20; the last term fixes what a common bias leaves open, and holds that of a
    class that no row has.
    """
    logits = to_logits(probabilities)
    shares = weights / weights.sum()
    answers = (codes[:, np.newaxis] == np.arange(logits.shape[1])).astype(float)

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, biases = parameters[0], parameters[1:]
        logs = log_softmax(slope * logits + biases, axis=1)
        slopes = shares[:, np.newaxis] * (np.exp(logs) - answers)
        value = -(shares @ (answers * logs).sum(axis=1)) + PULL * (biases**2).sum()
        of_biases = slopes.sum(axis=0) + 2 * PULL * biases
        return value, np.concatenate([[(slopes * logits).sum()], of_biases])

    n_classes = logits.shape[1]
    bounds = [(0.05, 20.0)] + [(None, None)] * n_classes
    start = np.concatenate([[1.0], np.zeros(n_classes)])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), found[1:]


def calibrate(probabilities: np.ndarray, slope: float, biases: np.ndarray) -> np.ndarray:
    """Return ``softmax(a log p + b)``."""
    return softmax(slope * to_logits(probabilities) + biases, axis=1)
