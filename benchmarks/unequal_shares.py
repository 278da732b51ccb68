"""Defaults of adaptation where the target has other shares of the classes than the source.

    python benchmarks/unequal_shares.py RUNS.jsonl [--methods dann "dann weighted" ...]
    python benchmarks/unequal_shares.py RUNS.jsonl --table

The tasks of `holds.py`, standardised by the source, of whose target classes rows were left out: at
a ratio of 10 the most frequent class keeps all of its rows and the rarest a tenth, those between
them in geometric steps; the seed says which is which. At 1 nothing is left out. Unseen tables are
scikit-learn's, halved at random in its class shares or along their first principal axis (rows of
one end are in one half for the most part, so that class shares move with the rows), and halved
evenly with other gains and offsets of the sensors in the target. "Unweighted" is a method with
``class_weighting=None``, "weighted" with "target", "twin" the network of the source alone. All
target rows are scored.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from _holds_problems import PROBLEMS
from _resumable import read, record_missing
from holds import make_estimator
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

DATASETS = ("moons", "spectra", "newsgroups", "office", "digits,objects", "no_shift")
TABLES = {"wine": load_wine, "cancer": load_breast_cancer, "digits": load_digits}
SHIFTS = ("rows", "shares", "gain")
SETTINGS = {
    "unweighted": {"class_weighting": None},
    "weighted": {"class_weighting": "target"},
}
METHODS = ("logistic", "dann twin", "dann unweighted", "dann weighted")
NAMES = ["task", "shift", "method", "seed"]


def unequal(y, ratio, seed):
    """Return a mask of the rows that are kept."""
    classes, rng = np.unique(y), np.random.default_rng(seed + 7)
    kept = rng.permutation(np.geomspace(1, 1 / ratio, len(classes)))
    return rng.random(len(y)) < kept[np.searchsorted(classes, y)]


def halves(load, shift, seed):
    """Return both domains of a table, standardised by the source."""
    X, y = load(return_X_y=True)
    rng = np.random.default_rng(seed)
    if shift == "rows":
        Z = StandardScaler().fit_transform(X)
        along = Z @ np.linalg.svd(Z, full_matrices=False)[2][0]
        in_target = rng.random(len(X)) < 1 / (1 + np.exp(-1.5 * along / along.std()))
    elif shift == "shares":
        chances = np.linspace(0.15, 0.85, len(np.unique(y)))
        in_target = rng.random(len(X)) < chances[y]
    else:
        in_target = rng.permutation(len(X)) < len(X) / 2
    X_target = X[in_target]
    if shift == "gain":
        gains = np.exp(rng.normal(0, 0.3, X.shape[1]))
        X_target = X_target * gains + rng.normal(0, 0.7, X.shape[1]) * X.std(axis=0)
    scaler = StandardScaler().fit(X[~in_target])
    return scaler.transform(X[~in_target]), y[~in_target], scaler.transform(X_target), y[in_target]


def accuracy(make, fit_rows, method, seed):
    """Return that of a method on the target."""
    Xs, ys, Xt, yt = fit_rows()
    if method == "logistic":
        return {"accuracy": LogisticRegression(max_iter=2000).fit(Xs, ys).score(Xt, yt)}
    kind, _, variant = method.partition(" ")
    clf = make(kind, SETTINGS.get(variant, {}), seed)
    clf = clf.source_only() if variant == "twin" else clf
    return {"accuracy": clf.fit(Xs, ys, X_target=Xt).score(Xt, yt)}


def runs(args):
    """Yield the key of each run, and what makes it."""
    for seed, problem, ratio, method in product(args.seeds, PROBLEMS, args.ratios, args.methods):
        if problem.dataset in args.datasets:

            def rows(problem=problem, ratio=ratio, seed=seed):
                Xs, ys, Xt, yt = problem.rows(seed, "source")
                kept = unequal(yt, ratio, seed)
                return Xs, ys, Xt[kept], yt[kept]

            key = problem.name, f"1:{ratio}", method, seed
            yield key, partial(accuracy, partial(make_estimator, problem), rows, method, seed)
    for seed, table, shift, method in product(args.seeds, args.tables, SHIFTS, args.methods):
        rows = partial(halves, TABLES[table], shift, seed)
        plain = next(problem for problem in PROBLEMS if problem.dataset == "no_shift")
        key = table, shift, method, seed
        yield key, partial(accuracy, partial(make_estimator, plain), rows, method, seed)


def make_table(path):
    """Return Markdown: means over tasks and seeds, in brackets the least gain over the twin."""
    lines = read(path)
    frame = pd.DataFrame([line["key"] for line in lines], columns=NAMES)
    frame["accuracy"] = [line["accuracy"] for line in lines]
    frame["data"] = frame["task"].str.partition(":")[0]
    wide = frame.pivot_table(index=["data", "shift", "task", "seed"], columns="method")["accuracy"]
    cells = {}
    for method in wide:
        means = wide[method].groupby(["data", "shift"], sort=False).mean()
        cells[method] = means.map("{:.3f}".format)
        twin = f"{method.partition(' ')[0]} twin"
        if twin in wide and method != twin:
            gains = (wide[method] - wide[twin]).groupby(["task", "shift"]).mean()
            gains.index = [(task.partition(":")[0], shift) for task, shift in gains.index]
            least = gains.groupby(level=0).min()
            cells[method] += [f" ({least[place]:+.2f})" for place in means.index]
    return pd.DataFrame(cells).to_markdown()


def main():
    """Make the runs that lack, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--datasets", nargs="*", default=DATASETS)
    parser.add_argument("--tables", nargs="*", default=list(TABLES), choices=TABLES)
    parser.add_argument("--ratios", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        print(make_table(args.runs))
    else:
        record_missing(args.runs, runs(args))


if __name__ == "__main__":
    main()
