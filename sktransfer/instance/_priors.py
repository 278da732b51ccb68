"""Estimates of a target's class shares from predictions, and a test whether they differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import lsq_linear, minimize_scalar
from scipy.stats import chi2_contingency

# Rounds of expectation maximisation, and the change of a share that ends them.
MOST_ROUNDS = 1000
LEAST_CHANGE = 1e-7

# Of the theoretical penalty of RLLS, the share that its authors' code uses.
RLLS_SHARE = 0.01


class HeldOut(NamedTuple):
    """Predictions for rows of the source that were not trained on."""

    probabilities: np.ndarray
    codes: np.ndarray
    weights: np.ndarray


def source_shares(held_out: HeldOut) -> np.ndarray:
    """Return the mean calibrated prediction, which is what expectation maximisation divides by."""
    return np.average(held_out.probabilities, axis=0, weights=held_out.weights)


def correct_probabilities(
    probabilities: np.ndarray, priors: np.ndarray, target_priors: np.ndarray
) -> np.ndarray:
    """Return ``(q_k / p_k) p_ik``, scaled so that each row sums to 1."""
    ratio = target_priors / np.maximum(priors, np.finfo(float).tiny)
    corrected = np.maximum(probabilities * ratio, np.finfo(float).tiny)
    return corrected / corrected.sum(axis=1, keepdims=True)


def maximize_likelihood(
    probabilities: np.ndarray,
    priors: np.ndarray,
    start: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    tolerance: float = LEAST_CHANGE,
) -> np.ndarray:
    """Return the fixed point of ``q_k <- mean_i [(q_k / p_k) p_ik / sum_j (q_j / p_j) p_ij]``.

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows, n_classes)
        Calibrated ``p_ik`` of the target's rows.
    priors : ndarray of shape (n_classes,)
        The source's shares ``p_k``.
    start : ndarray of shape (n_classes,) or None
        First ``q``; None for ``p``.
    weights : ndarray of shape (n_rows,) or None
        How often each row counts.
    tolerance : float
        The greatest change of a share that ends the rounds.
    """
    ratio = probabilities / np.maximum(priors, np.finfo(float).tiny)
    shares = np.full(len(ratio), 1 / len(ratio)) if weights is None else weights / weights.sum()
    q = priors / priors.sum() if start is None else start
    for _ in range(MOST_ROUNDS):
        mixture = np.maximum(ratio @ q, np.finfo(float).tiny)
        updated = q * ((shares / mixture) @ ratio)
        change = np.abs(updated - q).max()
        q = updated / updated.sum()
        if change < tolerance:
            break
    return q


def joint_confusion(
    predicted: np.ndarray, codes: np.ndarray, weights: np.ndarray, n_classes: int
) -> np.ndarray:
    """Return ``C[j, k]``, the share of held-out rows of class ``k`` that are taken for ``j``."""
    confusion = np.zeros((n_classes, n_classes))
    np.add.at(confusion, (predicted, codes), weights)
    return confusion / weights.sum()


def solve_bbse(confusion: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return ``w = max(C^-1 mu, 0)``, by least squares where ``C`` has no inverse."""
    return np.maximum(np.linalg.lstsq(confusion, predicted, rcond=1e-10)[0], 0)


def solve_rlls(confusion: np.ndarray, predicted: np.ndarray, penalty: float) -> np.ndarray:
    """Return ``w = 1 + t`` with ``t`` of ``min ||C t - (mu - C 1)|| + penalty ||t||``, ``t >= -1``.

    Both norms are not squared; the solution is that of a ridge problem for some strength, which is
    searched for.
    """
    n_classes = len(confusion)
    shift = predicted - confusion.sum(axis=1)

    def ridge(strength: float) -> np.ndarray:
        rows = np.vstack([confusion, np.sqrt(strength) * np.eye(n_classes)])
        values = np.concatenate([shift, np.zeros(n_classes)])
        return lsq_linear(rows, values, bounds=(-1, np.inf), method="bvls").x

    def loss(theta: np.ndarray) -> float:
        residual = np.linalg.norm(confusion @ theta - shift)
        return float(residual + penalty * np.linalg.norm(theta))

    best = minimize_scalar(lambda log: loss(ridge(10.0**log)), bounds=(-12, 3), method="bounded").x
    candidates = [ridge(10.0**best), ridge(1e-14), np.zeros(n_classes)]
    return 1 + min(candidates, key=loss)


def rlls_penalty(n_rows: float, n_classes: int) -> float:
    """Return ``0.01 * 3 (2 ln(2K/d) / (3n) + sqrt(2 ln(2K/d) / n))`` with ``d = 0.05``."""
    log = np.log(2 * n_classes / 0.05)
    return float(RLLS_SHARE * 3 * (2 * log / (3 * n_rows) + np.sqrt(2 * log / n_rows)))


def estimate_priors(
    method: str,
    held_out: HeldOut,
    target: np.ndarray,
    target_weights: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Return the target's class shares by "em", "bbse" or "rlls".

    Parameters
    ----------
    method : str
        Of estimation.
    held_out : HeldOut
        Calibrated predictions for the source.
    target : ndarray of shape (n_rows, n_classes)
        Calibrated predictions for the target.
    target_weights : ndarray of shape (n_rows,) or None
        How often each row counts.
    start : ndarray or None
        Where "em" starts.
    """
    if method == "em":
        loose = LEAST_CHANGE if start is None else 1e-5
        return maximize_likelihood(target, source_shares(held_out), start, target_weights, loose)
    n_classes = target.shape[1]
    counts = np.bincount(target.argmax(axis=1), target_weights, minlength=n_classes)
    predicted = counts / counts.sum()
    confusion = joint_confusion(
        held_out.probabilities.argmax(axis=1), held_out.codes, held_out.weights, n_classes
    )
    if method == "bbse":
        weights = solve_bbse(confusion, predicted)
    else:
        weights = solve_rlls(confusion, predicted, rlls_penalty(len(held_out.codes), n_classes))
    q = weights * confusion.sum(axis=0)
    return q / q.sum() if q.sum() > 0 else confusion.sum(axis=0)


def shift_p_value(held_out: HeldOut, target: np.ndarray) -> float:
    """Return the p-value of the chi-squared test that predicted classes are equally frequent.

    Counts of the source are those of its weights, scaled to their effective number of rows.
    """
    n_classes = target.shape[1]
    weights = held_out.weights
    scale = weights.sum() / (weights**2).sum()
    source = np.bincount(held_out.probabilities.argmax(axis=1), weights * scale, n_classes)
    counts = np.stack([source, np.bincount(target.argmax(axis=1), minlength=n_classes)])
    counts = counts[:, counts.sum(axis=0) > 0]
    return float(chi2_contingency(counts, correction=False)[1]) if counts.shape[1] > 1 else 1.0


def bootstrap_interval(
    method: str,
    held_out: HeldOut,
    target: np.ndarray,
    priors: np.ndarray,
    n_draws: int,
    confidence: float,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Return percentiles of the shares found in draws of rows, (2, n_classes).

    A lower end below the share of a single row is 0.
    """
    n_source, n_target = len(held_out.codes), len(target)
    chances = held_out.weights / held_out.weights.sum()
    # A share of exactly 0 would stay there in every draw.
    start = (priors + 1e-3 / len(priors)) / (1 + 1e-3)
    draws = []
    for _ in range(n_draws):
        weights = random_state.multinomial(n_source, chances)
        drawn = held_out._replace(weights=weights.astype(float))
        counts = random_state.multinomial(n_target, np.full(n_target, 1 / n_target))
        draws.append(estimate_priors(method, drawn, target, counts.astype(float), start))
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return np.stack([np.where(low < 1 / n_target, 0.0, low), high])
