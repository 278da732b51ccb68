"""Regressors beside their twins and Ridge, on domains that differ: diabetes patients by age.

``python -m benchmarks.regression`` writes ``benchmarks/RESULTS_REGRESSION.md``.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNRegressor, DeepCORALRegressor, make_transfer_pipeline

SEEDS = range(5)


def diabetes_by_age():
    """Return rows and progressions of the younger half, then those of the older."""
    X, y = load_diabetes(return_X_y=True)
    old = X[:, 0] > np.median(X[:, 0])
    return X[~old], y[~old], X[old], y[old]


def scores(estimator, X, y, X_target, y_target) -> list[float]:
    """Return R^2 on the target, a seed each."""
    found = []
    for seed in SEEDS:
        pipe = make_transfer_pipeline(StandardScaler(), estimator.set_params(random_state=seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(pipe.fit(X, y, X_target=X_target).score(X_target, y_target))
    return found


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
    Path(__file__).with_name("RESULTS_REGRESSION.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
