"""Numbers of two domains: tables on which the defaults of regressors were chosen, and others.

The schools lie in ``$SKTRANSFER_DATA``, by default ``../shared/data`` beside the repository.
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    load_wine,
    make_friedman1,
    make_friedman2,
    make_friedman3,
    make_regression,
)

DATA = Path(
    os.environ.get("SKTRANSFER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


def halves(X, y, seed):
    """Return random halves: no shift."""
    order, half = np.random.default_rng(seed).permutation(len(X)), len(X) // 2
    first, second = order[:half], order[half:]
    return X[first], y[first], X[second], y[second]


def with_noise(y, share, seed):
    """Return numbers with noise of so many of their standard deviations."""
    return y + share * np.std(y) * np.random.default_rng(seed + 1).normal(size=len(y))


def made(make, n_rows, share, seed, **settings):
    """Return halves of what scikit-learn generates, so many rows each."""
    X, y = make(2 * n_rows, random_state=seed, **settings)
    return halves(X, with_noise(y, share, seed), seed)


def column(load, place, seed):
    """Return halves of a table, one column to be told by the others."""
    X = load().data
    return halves(np.delete(X, place, 1), X[:, place], seed)


def below_and_above(X, y, values, seed):
    """Return rows whose value is at most the median, in random order, and the others."""
    above = values > np.median(values)
    first = np.random.default_rng(seed).permutation(np.flatnonzero(~above))
    return X[first], y[first], X[above], y[above]


def by_column(load, place, by, seed):
    """Return rows in which one column is low, and those in which it is high."""
    X = load().data
    return below_and_above(np.delete(X, place, 1), X[:, place], X[:, by], seed)


def drifted(seed, n_sensors=2, offset=0.4, gain=1.0):
    """Return sensors of which some read otherwise in the target, of what is the same."""
    X, y = make_friedman1(600, n_features=5, noise=0.5, random_state=seed)
    X[300:, :n_sensors] = 0.5 + gain * (X[300:, :n_sensors] - 0.5) + offset
    return X[:300], y[:300], X[300:], y[300:]


def drifted_linear(seed):
    """Return the same of a linear function with noise."""
    X, y = make_regression(400, 10, n_informative=8, random_state=seed)
    y = with_noise(y, 0.3, seed)
    X[200:, :3] += 1.0
    return X[:200], y[:200], X[200:], y[200:]


def diabetes(seed, shift):
    """Return the younger half of scikit-learn's patients and the older; or random halves."""
    X, y = load_diabetes(return_X_y=True)
    return below_and_above(X, y, X[:, 0], seed) if shift else halves(X, y, seed)


def schools(seed):
    """Return pupils' examination scores in the source's schools, and in the target's.

    Source: 600 pupils of the schools of which the mean of feature 3 (a number that a school
    has each year) is at most the median over schools; target: 1,500 of the others.
    """
    file = np.load(DATA / "school.npz")
    X, y, school = file["X"].astype(float), file["y"].astype(float), file["school"]
    numbers = np.unique(school)
    means = np.array([X[school == number, 3].mean() for number in numbers])
    in_target = np.isin(school, numbers[means > np.median(means)])
    rng = np.random.default_rng(seed)
    source = rng.permutation(np.flatnonzero(~in_target))[:600]
    target = rng.permutation(np.flatnonzero(in_target))[:1500]
    return X[source], y[source], X[target], y[target]


# Those by which weight decay and its like were chosen, on seeds 10 and 11.
CHOSEN_ON = {
    "friedman1, 200 rows": partial(made, make_friedman1, 200, 0.4),
    "friedman1, 80 noisy rows": partial(made, make_friedman1, 80, 0.8),
    "friedman1, 1,000 rows": partial(made, make_friedman1, 1000, 0.4),
    "friedman2, 200 rows": partial(made, make_friedman2, 200, 0.7),
    "friedman3, 200 rows": partial(made, make_friedman3, 200, 0.5),
    "linear, 10 columns, 200 rows": partial(
        made, make_regression, 200, 1.0, n_features=10, n_informative=5
    ),
    "linear, 50 columns, 100 rows": partial(
        made, make_regression, 100, 0.7, n_features=50, n_informative=10
    ),
    "wine: alcohol": partial(column, load_wine, 0),
    "cancer: smoothness": partial(column, load_breast_cancer, 4),
    "iris: petal width": partial(column, load_iris, 3),
    "cancer: smoothness, by radius": partial(by_column, load_breast_cancer, 4, 0),
    "offset of two sensors": drifted,
    "gain of two sensors": partial(drifted, offset=0.0, gain=1.6),
    "offset, linear": drifted_linear,
}
REPORTED = {
    "diabetes, random halves": partial(diabetes, shift=False),
    "diabetes, by age": partial(diabetes, shift=True),
    "schools": schools,
}
