"""Regressors beside their twins and Ridge: diabetes patients by age, pupils by school.

``python -m benchmarks.regression`` writes ``benchmarks/RESULTS_REGRESSION.md``. The schools lie in
``$SKTRANSFER_DATA``, by default ``../shared/data`` beside the repository.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    DANNRegressor,
    DeepCORALRegressor,
    FineTuneRegressor,
    HeldOut,
    make_transfer_pipeline,
)

DATA = Path(
    os.environ.get("SKTRANSFER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)

SEEDS = range(5)


def diabetes_by_age():
    """Return rows and progressions of the younger half, then those of the older."""
    X, y = load_diabetes(return_X_y=True)
    old = X[:, 0] > np.median(X[:, 0])
    return X[~old], y[~old], X[old], y[old]


def scores(estimator, X, y, X_target, y_target, seeds=SEEDS) -> list[float]:
    """Return R^2 on the target, a seed each."""
    found = []
    for seed in seeds:
        pipe = make_transfer_pipeline(StandardScaler(), estimator.set_params(random_state=seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(pipe.fit(X, y, X_target=X_target).score(X_target, y_target))
    return found


def length_lines() -> list[str]:
    """Return a table of DANNRegressor by epochs, with and without a shift."""
    X, y, X_target, y_target = diabetes_by_age()
    rows, values = load_diabetes(return_X_y=True)
    second = np.random.default_rng(0).permutation(len(rows))[: len(rows) // 2]
    first = np.setdiff1d(np.arange(len(rows)), second)
    halves = rows[first], values[first], rows[second], values[second]
    ridge = make_transfer_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 11)))
    of_ridge = ridge.fit(*halves[:2]).score(*halves[2:])
    lines = [
        "",
        "## Longer and shorter training: DANNRegressor on diabetes",
        "",
        f"3 seeds. Random halves have no shift; RidgeCV comes there to {of_ridge:.3f}.",
        "",
        "| halves | epochs | source only | adapted |",
        "|---|---|---|---|",
    ]
    for name, domains in (("by age", (X, y, X_target, y_target)), ("random", halves)):
        for epochs in (30, 100):
            one = DANNRegressor(max_epochs=epochs)
            found = [scores(e, *domains, seeds=range(3)) for e in (one.source_only(), one)]
            cells = " | ".join(f"{np.mean(f):.3f} +- {np.std(f):.3f}" for f in found)
            lines.append(f"| {name} | {epochs} | {cells} |")
    return lines


def schools(seed):
    """Return pupils of the source's schools, of the target's, and which of these are labelled.

    Source: the schools of which the mean of feature 3 (a number that a school has each year)
    is at most the median over schools; target: the others. 600 pupils of the source.
    """
    file = np.load(DATA / "school.npz")
    X, y, school = file["X"].astype(float), file["y"].astype(float), file["school"]
    numbers = np.unique(school)
    means = np.array([X[school == number, 3].mean() for number in numbers])
    in_target = np.isin(school, numbers[means > np.median(means)])
    rng = np.random.default_rng(seed)
    source = rng.permutation(np.flatnonzero(~in_target))[:600]
    target = rng.permutation(np.flatnonzero(in_target))
    return X[source], y[source], X[target], y[target]


def few_labels(n_labelled) -> dict[str, list[float]]:
    """Return R^2 on the target's rows without labels, a seed each, by method."""
    found: dict[str, list[float]] = {}
    for seed in range(3):
        X, y, X_target, y_target = schools(seed)
        known = np.where(np.arange(len(y_target)) < n_labelled, y_target, np.nan)
        test = X_target[n_labelled:], y_target[n_labelled:]
        tuned, ridge = FineTuneRegressor(random_state=seed), RidgeCV(np.logspace(-2, 3, 11))
        stopped = FineTuneRegressor(early_stopping=HeldOut(), random_state=seed)
        given = X_target[:n_labelled], y_target[:n_labelled]
        fits = {
            "RidgeCV on the source": (ridge, X, y, None, None),
            "RidgeCV on the labelled target rows": (ridge, *given, None, None),
            "FineTuneRegressor, source only": (tuned.source_only(), X, y, X_target, known),
            "FineTuneRegressor": (tuned, X, y, X_target, known),
            "FineTuneRegressor(early_stopping=HeldOut())": (stopped, X, y, X_target, known),
        }
        for name, (estimator, X_fit, y_fit, X_other, y_other) in fits.items():
            pipe = make_transfer_pipeline(StandardScaler(), clone(estimator))
            targets = {} if X_other is None else {"X_target": X_other, "y_target": y_other}
            found.setdefault(name, []).append(pipe.fit(X_fit, y_fit, **targets).score(*test))
    return found


def school_lines() -> list[str]:
    """Return the table of the schools."""
    by_number = {n_labelled: few_labels(n_labelled) for n_labelled in (20, 100)}
    lines = [
        "",
        "## A few labels of the target: schools",
        "",
        "Examination scores of pupils. Source: 600 pupils of the schools whose mean of",
        "feature 3 is at most the median over schools; target: all pupils of the others, of which",
        "some have labels and the rest are scored. 3 seeds draw pupils and weights; defaults.",
        "",
        "| | 20 labels | 100 labels |",
        "|---|---|---|",
    ]
    for name in by_number[20]:
        cells = [f"{np.mean(f[name]):.3f} +- {np.std(f[name]):.3f}" for f in by_number.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Write the table."""
    domains = diabetes_by_age()
    X, y, X_target, y_target = domains
    ridge = make_transfer_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 11)))
    lines = [
        "# Regression",
        "",
        "`python -m benchmarks.regression`: R^2 on the target, mean and standard deviation of",
        f"{len(SEEDS)} seeds. Source: the younger half of `load_diabetes`; target: the older half,",
        "without labels. Everything else is at its defaults, set before this table was made.",
        "",
        "| | R^2 on the target |",
        "|---|---|",
        f"| RidgeCV | {ridge.fit(X, y).score(X_target, y_target):.3f} |",
    ]
    for estimator in (DANNRegressor(), DeepCORALRegressor()):
        for name, one in (("adapted", estimator), ("source only", estimator.source_only())):
            found = scores(one, *domains)
            row = f"{np.mean(found):.3f} +- {np.std(found):.3f}"
            lines.append(f"| {type(one).__name__}, {name} | {row} |")
    lines += length_lines()
    if (DATA / "school.npz").exists():
        lines += school_lines()
    Path(__file__).with_name("RESULTS_REGRESSION.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
