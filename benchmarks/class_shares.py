"""When does `class_weighting="auto"` act? What predicted shares explain of the gap, by data set.

    python benchmarks/class_shares.py RUNS.csv [--method dann] [--seeds 0 1] [--datasets moons ...]
    python benchmarks/class_shares.py RUNS.csv --table

DANN (or CORAL) at its defaults is ended after a twentieth of its epochs, where it looks first: for
how many classes are predicted shares of the target grossly others than the source's, and how much
of what is between the domains do they explain? It acts where there is such a class and at .9 or
more. Each fit adds a line to the file; those that stand there are not made again.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _holds_problems import PROBLEMS
from holds import make_estimator
from skorch.callbacks import Callback

from sktransfer.adaptation._class_shares import class_shares, explained_by_shares
from sktransfer.adaptation._class_weighting import FIRST_LOOK, LEAST_EXPLAINED
from sktransfer.adaptation._diagnosis import gross_shares

COLUMNS = ["dataset", "task", "inputs", "seed", "gross classes", "explained"]


class EndEarly(Callback):
    """Ends training where the method looks first."""

    def on_epoch_end(self, net, **kwargs):
        """End it, and keep what was learned."""
        if len(net.history) >= max(1, round(FIRST_LOOK * net.max_epochs)):
            raise KeyboardInterrupt


def look(problem, inputs, method, seed):
    """Return the number of classes whose shares differ grossly, and what the shares explain."""
    Xs, ys, Xt, _ = problem.rows(seed, inputs)
    clf = make_estimator(problem, method, {"callbacks": [EndEarly()]}, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(Xs, ys, X_target=Xt)
    n_classes, ones = len(clf.classes_), np.ones(len(ys))
    rows = [np.searchsorted(clf.classes_, y) for y in (ys, clf.predict(Xs), clf.predict(Xt))]
    known, in_source, shares = (class_shares(y, np.ones(len(y)), n_classes) for y in rows)
    gross = gross_shares(known, in_source, shares, len(rows[2]))
    features = [clf.transform(X).astype(float) for X in (Xs, Xt)]
    return gross.sum(), explained_by_shares(features[0], rows[0], ones, features[1], shares)


def table(path):
    """Return Markdown: fits, those with gross shares, and the most that such shares explain."""
    runs = pd.read_csv(path)
    gross = runs["gross classes"] > 0
    runs = runs.assign(gross=gross, explained=runs["explained"].where(gross))
    runs["acts"] = runs["explained"] >= LEAST_EXPLAINED
    groups = runs.groupby("dataset")
    columns = {
        "fits": groups.size(),
        "with gross shares": groups["gross"].sum(),
        "most explained by these": groups["explained"].max(),
        "acts": groups["acts"].sum(),
    }
    return pd.DataFrame(columns, dtype=object).fillna("").to_markdown(floatfmt=".2f")


def main():
    """Make the fits that lack, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--method", choices=["dann", "coral"], default="dann")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if not args.runs.exists():
        pd.DataFrame(columns=COLUMNS).to_csv(args.runs, index=False)
    done = set(pd.read_csv(args.runs)[COLUMNS[:4]].itertuples(index=False, name=None))
    for problem in [] if args.table else PROBLEMS:
        if problem.dataset not in (args.datasets or [problem.dataset]):
            continue
        for inputs in problem.inputs:
            for seed in args.seeds:
                key = (problem.dataset, problem.task, inputs, seed)
                if key not in done:
                    seen = look(problem, inputs, args.method, seed)
                    row = pd.DataFrame([[*key, *seen]], columns=COLUMNS)
                    row.to_csv(args.runs, mode="a", header=False, index=False)
                    print(row.to_string(header=False, index=False), flush=True)
    print(table(args.runs))


if __name__ == "__main__":
    main()
