"""Do some labels of the target help, and never hurt? 0, 1, 5 or 20 for each class.

    python benchmarks/target_labels.py RUNS.jsonl [seed ...]
    python benchmarks/target_labels.py RUNS.jsonl --table

Labels are those of the first rows of each class in a random order; all are scored on the
target rows beyond the first 20 of each class. Adaptation sees all target rows. Logistic
regression on both weighs the labelled target rows as much as the source together.
"""

import sys

import numpy as np
from _holds_problems import PROBLEMS
from _resumable import run_missing, table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNClassifier, DeepCORALClassifier, FineTuneClassifier

# Pixels keep their scale: divided by what hardly varies in the source, some are out of all range.
INPUTS = {
    "moons: 35 degrees": "source",
    "spectra: 0 -> 3": "source",
    "digits,objects: MNIST -> USPS": "raw",
}
LABELS, MOST = (0, 1, 5, 20), 20
DEEP = {"DANN": DANNClassifier, "CORAL": DeepCORALClassifier, "fine-tuning": FineTuneClassifier}
METHODS = (*DEEP, "logistic on both", "logistic on the target")


def rank_in_class(y, seed):
    """Return for each row how many of its class come before it in a random order."""
    order = np.random.default_rng(seed).permutation(len(y))
    ranks = np.empty(len(y), int)
    for label in np.unique(y):
        of_class = order[y[order] == label]
        ranks[of_class] = np.arange(len(of_class))
    return ranks


def run(name, n_labels, method, seed):
    """Return the accuracy on target rows whose labels nobody sees."""
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    Xs, ys, Xt, yt = problem.rows(seed, INPUTS[name])
    ranks = rank_in_class(yt, seed)
    known, scored = ranks < n_labels, ranks >= MOST
    if method in DEEP:
        y_target = np.where(known, yt.astype(object), None)
        clf = DEEP[method](random_state=seed).fit(Xs, ys, Xt, y_target)
    else:
        clf = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        X, y, weights = Xt[known], yt[known], np.ones(known.sum())
        if method == "logistic on both":
            X, y = np.concatenate([Xs, X]), np.concatenate([ys, y])
            balance = len(ys) / max(1, len(weights))
            weights = np.concatenate([np.ones(len(ys)), balance * weights])
        elif n_labels == 0:
            return np.nan
        clf.fit(X, y, logisticregression__sample_weight=weights)
    return clf.score(Xt[scored], yt[scored])


if __name__ == "__main__":
    path, *rest = sys.argv[1:]
    if rest == ["--table"]:
        print(table(path, ["task", "labels", "method", "seed"], ["task", "method"], "labels"))
    else:
        seeds = map(int, rest or (0, 1, 2))
        keys = [(n, k, m, s) for s in seeds for n in INPUTS for k in LABELS for m in METHODS]
        run_missing(path, keys, run)
