"""Regressors beside their twins and Ridge, without and with some labels of the target.

    python benchmarks/regression.py RUNS.jsonl
    python benchmarks/regression.py RUNS.jsonl --table

R^2 on the target; rows are standardised by the source. A run goes on where an earlier
one stopped. Defaults were chosen on the generated and bundled tables of `CHOSEN_ON` (other
seeds); diabetes and schools only report.
"""

import sys

import numpy as np
import pandas as pd
from _regression_problems import CHOSEN_ON, REPORTED
from _resumable import read, run_missing
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNRegressor, DeepCORALRegressor, FineTuneRegressor

PROBLEMS = CHOSEN_ON | REPORTED
SEEDS = (0, 1, 2)
ALPHAS = np.logspace(-2, 3, 11)
ADAPTING = {"DANN": DANNRegressor, "CORAL": DeepCORALRegressor}
METHODS = ("RidgeCV", "DANN, source only", "DANN", "CORAL, source only", "CORAL")
TUNED = (
    "RidgeCV on the source",
    "RidgeCV on the labelled target rows",
    "FineTuneRegressor, source only",
    "FineTuneRegressor",
    "DANNRegressor with y_target",
)
LABELS = (20, 100)


def rows_of(problem, seed):
    """Return both domains, standardised by the source."""
    X, y, X_target, y_target = PROBLEMS[problem](seed)
    scaler = StandardScaler().fit(X)
    return scaler.transform(X), y, scaler.transform(X_target), y_target


def run(problem, n_labels, method, seed):
    """Return R^2 on target rows, beyond the labelled ones."""
    X, y, X_target, y_target = rows_of(problem, seed)
    test = X_target[n_labels:], y_target[n_labels:]
    given = X_target[:n_labels], y_target[:n_labels]
    known = np.where(np.arange(len(y_target)) < n_labels, y_target, np.nan)
    tuned = FineTuneRegressor(random_state=seed)
    fits = {
        "RidgeCV": lambda: RidgeCV(ALPHAS).fit(X, y),
        "RidgeCV on the source": lambda: RidgeCV(ALPHAS).fit(X, y),
        "RidgeCV on the labelled target rows": lambda: RidgeCV(ALPHAS).fit(*given),
        "FineTuneRegressor, source only": lambda: tuned.source_only().fit(X, y),
        "FineTuneRegressor": lambda: tuned.fit(X, y, *given),
        "DANNRegressor with y_target": lambda: DANNRegressor(random_state=seed).fit(
            X, y, X_target, known
        ),
    }
    for name, kind in ADAPTING.items():
        reg = kind(random_state=seed)
        fits[name] = lambda reg=reg: reg.fit(X, y, X_target)
        fits[f"{name}, source only"] = lambda reg=reg: reg.source_only().fit(X, y)
    return fits[method]().score(*test)


def keys():
    """List all runs: those that report first."""
    found = []
    for problem in (*REPORTED, *CHOSEN_ON):
        if problem == "schools":
            found += [(problem, n, method, s) for n in LABELS for method in TUNED for s in SEEDS]
        found += [(problem, 0, method, s) for method in METHODS for s in SEEDS]
    return found


def table(path):
    """Return the tables as Markdown: without labels of the target, and with some."""
    lines = read(path)
    frame = pd.DataFrame([line["key"] for line in lines], columns=["on", "labels", "by", "seed"])
    frame["r2"] = [line["accuracy"] for line in lines]
    frame["on"] = pd.Categorical(frame["on"], list(PROBLEMS))

    def cells(part, rows, columns, order):
        grouped = part.groupby([rows, columns], observed=True)["r2"]
        text = grouped.agg(lambda values: f"{values.mean():.3f} ± {values.std():.3f}")
        return text.unstack(columns).reindex(columns=order).to_markdown()

    plain, some = frame[frame["labels"] == 0], frame[frame["labels"] > 0]
    first = cells(plain, "on", "by", list(METHODS))
    return first + "\n\n" + cells(some, "by", "labels", list(LABELS))


if __name__ == "__main__":
    path, *rest = sys.argv[1:]
    if rest == ["--table"]:
        print(table(path))
    else:
        run_missing(path, keys(), run)
