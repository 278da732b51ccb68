"""Scores of one group of rows, the known, or of two: how likely each row is unknown."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import yeojohnson

# So many nats a row, and what two more parameters cost by BIC, are two groups to explain better.
# For spectra and photos it was 0.06 where all rows were known, but for two of 18 fits, else 0.14.
LEAST_GAIN = 0.1

LEAST_ROWS = 10  # of a predicted class, from which it tells of groups

# A class's variance is estimated as with so many rows more that have the variance of all.
PRIOR_ROWS = 5

LEAST_VARIANCE = 1e-3  # of a group, as a share of that of all rows

MOST_POWER = 4.0  # of the transformation that makes the scores of one group normal

MOST_STEPS, LEAST_STEP = 200, 1e-6  # of expectation maximisation, and nats a row that one must gain


def lower_group(values: np.ndarray) -> np.ndarray:
    """Say which values belong to the lower of two groups, by k-means from the extremes.

    Each value goes with the nearer of two centres, at first the least and the greatest value and
    then the means of those that went with them, until none changes; of equally near ones
    with the upper. Where all values are one there is no lower group.

    Parameters
    ----------
    values : ndarray of shape (n,)

    Returns
    -------
    ndarray of bool of shape (n,)
    """
    border = (values.min() + values.max()) / 2
    below: np.ndarray = values < border
    for _ in range(len(values)):  # the border moves one way: it passes each value once at most
        if not below.any():
            break
        border = (values[below].mean() + values[~below].mean()) / 2
        again = values < border
        if np.array_equal(again, below):
            break
        below = again
    return below


def skewed_log_likelihood(values: np.ndarray, least_variance: float) -> float:
    """Return the log-likelihood of values that a power makes normal: one group, perhaps skewed.

    ``log N(g(v); mean, variance) + log |dg/dv|``, summed, with ``g`` the transformation of Yeo
    and Johnson of standardised values, and its power, mean and variance the most likely.

    Parameters
    ----------
    values : ndarray of shape (n,)
    least_variance : float
        Of the values; that of ``g(v)`` is this share of theirs at least.
    """
    n_rows, variance = len(values), max(values.var(), least_variance)
    scaled = (values - values.mean()) / math.sqrt(variance)
    stretch = (np.sign(scaled) * np.log1p(np.abs(scaled))).sum()
    least = least_variance / variance

    def loss(power: float) -> float:
        of_powers = max(yeojohnson(scaled, lmbda=power).var(), least)
        return float(n_rows / 2 * math.log(of_powers) - (power - 1) * stretch)

    found = minimize_scalar(loss, bounds=(2 - MOST_POWER, MOST_POWER), method="bounded")
    return float(-found.fun - n_rows / 2 * (math.log(2 * math.pi * variance) + 1))


class Groups(NamedTuple):
    """The unknown as one normal distribution, and one for the known rows of each class.

    Parameters
    ----------
    shares : ndarray of shape (n_classes,)
        Of the unknown among the rows of each predicted class.
    unknown : tuple of float
        Mean and variance.
    means, variances : ndarray of shape (n_classes,)
        Of the known.
    """

    shares: np.ndarray
    unknown: tuple[float, float]
    means: np.ndarray
    variances: np.ndarray

    def log_densities(self, scores: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return for each row those of being unknown and of being known, times their shares."""
        share = self.shares[classes]
        of_unknown = log_normal(scores, *self.unknown)
        of_known = log_normal(scores, self.means[classes], self.variances[classes])
        return np.log(share) + of_unknown, np.log1p(-share) + of_known


def log_normal(values: np.ndarray, mean: Any, variance: Any) -> np.ndarray:
    """Return the logarithm of the normal density at values."""
    logarithms: np.ndarray = np.log(2 * math.pi * variance) + np.square(values - mean) / variance
    return -logarithms / 2


def groups_of(
    unknown: np.ndarray, scores: np.ndarray, classes: np.ndarray, n_classes: int
) -> Groups:
    """Return the groups of rows that are unknown with these probabilities.

    Shares and variances lean on what they would be without rows: one half, with the weight
    of a row, and the variance of all known rows about their means, with `PRIOR_ROWS`.

    Parameters
    ----------
    unknown : ndarray of shape (n,), in [0, 1]
        Probability of each row.
    scores : ndarray of shape (n,)
    classes : ndarray of int of shape (n,)
        Predicted among the known.
    n_classes : int
    """
    least, tiny = LEAST_VARIANCE * scores.var(), np.finfo(float).tiny
    n_unknown = max(unknown.sum(), tiny)
    mean = unknown @ scores / n_unknown
    variance = max(unknown @ np.square(scores - mean) / n_unknown, least)

    known = 1 - unknown
    n_known = np.bincount(classes, known, n_classes)
    means = np.bincount(classes, known * scores, n_classes) / np.maximum(n_known, tiny)
    squares = np.bincount(classes, known * np.square(scores - means[classes]), n_classes)
    of_all = squares.sum() / max(n_known.sum(), tiny)
    variances = np.maximum((squares + PRIOR_ROWS * of_all) / (n_known + PRIOR_ROWS), least)
    n_rows = np.bincount(classes, minlength=n_classes)
    shares = (n_rows - n_known + 0.5) / (n_rows + 1)
    return Groups(shares, (float(mean), float(variance)), means, variances)


def fitted_groups(scores: np.ndarray, classes: np.ndarray, n_classes: int) -> Groups:
    """Return the groups by expectation maximisation, at first the lower half of each class."""
    unknown, reached = np.zeros(len(scores)), -np.inf
    for k in np.unique(classes):
        unknown[classes == k] = lower_group(scores[classes == k])
    for _ in range(MOST_STEPS):
        groups = groups_of(unknown, scores, classes, n_classes)
        as_unknown, as_known = groups.log_densities(scores, classes)
        of_rows = np.logaddexp(as_unknown, as_known)
        unknown = np.exp(as_unknown - of_rows)
        if of_rows.mean() - reached < LEAST_STEP:
            break
        reached = of_rows.mean()
    return groups


def gain_of_groups(groups: Groups, scores: np.ndarray, classes: np.ndarray) -> float:
    """Return how many nats a row these groups explain better than one skewed group a class.

    Both have three parameters a class, and the groups two more, for which half the
    logarithm of the rows is taken off each (BIC). Rows count that have `LEAST_ROWS` of their
    class; where there are none it is minus infinity.
    """
    counted = np.bincount(classes)[classes] >= LEAST_ROWS
    if not counted.any():
        return -np.inf
    scores, classes, least = scores[counted], classes[counted], LEAST_VARIANCE * scores.var()
    of_groups = np.logaddexp(*groups.log_densities(scores, classes)).sum()
    of_one = sum(skewed_log_likelihood(scores[classes == k], least) for k in np.unique(classes))
    return float(of_groups - of_one - math.log(len(scores))) / len(scores)


def unknown_probabilities(
    scores: np.ndarray, classes: np.ndarray, n_classes: int, share: float | None = None
) -> np.ndarray:
    """Return how likely each row is of no known class; 0 for all where there is one group.

    The probabilities are those of `fitted_groups`, but for rows that score less than the mean
    of the unknown or more than that of the known of their class, whose probability is 1 and
    0. A `share` that is told takes the place of all doubt: so many rows, those that are most
    likely unknown, have 1 and the others 0.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        How much each row is like the class that is predicted for it.
    classes : ndarray of int of shape (n,)
        That class.
    n_classes : int
    share : float in [0, 1] or None
        Of unknown rows.
    """
    if scores.var() == 0:  # nothing tells one row from another
        gain, probabilities = -np.inf, np.zeros(len(scores))
    else:
        groups = fitted_groups(scores, classes, n_classes)
        as_unknown, as_known = groups.log_densities(scores, classes)
        probabilities = np.exp(as_unknown - np.logaddexp(as_unknown, as_known))
        probabilities[scores >= groups.means[classes]] = 0.0
        probabilities[scores <= groups.unknown[0]] = 1.0
        gain = gain_of_groups(groups, scores, classes)
    if share is None:
        return probabilities if gain >= LEAST_GAIN else np.zeros(len(scores))
    most_likely = np.lexsort((scores, -probabilities))[: round(share * len(scores))]
    told = np.zeros(len(scores))
    told[most_likely] = 1.0
    return told
