"""
Numbers of another domain: sensors that drift, and patients who are older
=========================================================================

Five sensors, of which two read 0.4 too much in the target: what is measured there is the same as
in the source, and features that are alike in both domains predict it well. Adaptation by
:class:`~sktransfer.DANNRegressor` finds them without a label of the target.

The other problem is scikit-learn's diabetes patients, the older half predicted from the younger.
There the numbers themselves are higher in the target (168 in the mean, and 137 in the source), and
features that are alike take away what would tell of it: adaptation ends below the same network
without it, though still not below Ridge.
"""

import warnings
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNRegressor, make_transfer_pipeline

SEEDS = range(3)
EPOCHS = 60


def drifting_sensors(seed):
    """Return X, y, X_target and y_target, of which y is the same function of what is true."""
    X, y = make_friedman1(600, n_features=5, noise=0.5, random_state=seed)
    X[300:, :2] += 0.4
    return X[:300], y[:300], X[300:], y[300:]


def diabetes_by_age(seed):
    """Return the younger half and the older one, the same for each seed."""
    X, y = load_diabetes(return_X_y=True)
    old = X[:, 0] > np.median(X[:, 0])
    return X[~old], y[~old], X[old], y[old]


PROBLEMS = {"drifting sensors": drifting_sensors, "diabetes by age": diabetes_by_age}
METHODS = ("RidgeCV", "source only", "DANN")

# %%
# Each regressor stands behind a scaler that a pipeline fits on the source and applies to both.

scores = {problem: [] for problem in PROBLEMS}
shown = {}
for problem, make in PROBLEMS.items():
    for seed in SEEDS:
        X, y, X_target, y_target = make(seed)
        dann = DANNRegressor(max_epochs=EPOCHS, random_state=seed)
        row = []
        for name, reg in zip(METHODS, (RidgeCV(), dann.source_only(), dann), strict=True):
            pipe = make_transfer_pipeline(StandardScaler(), reg)
            targets = {} if name == "RidgeCV" else {"X_target": X_target}
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The domain classifier still tells")
                pipe.fit(X, y, **targets)
            row.append(pipe.score(X_target, y_target))
            shown.setdefault(problem, {}).setdefault(name, (y_target, pipe.predict(X_target)))
        scores[problem].append(row)

print(f"{'R2 on the target':18}" + "".join(f"{name:>18}" for name in METHODS))
for problem, rows in scores.items():
    mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
    cells = (f"{m:.2f} +- {s:.2f}" for m, s in zip(mean, spread, strict=True))
    print(f"{problem:18}" + "".join(f"{cell:>18}" for cell in cells))

# %%
# Of the first seed, what is predicted against what is true: on the line where it is right.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax, (problem, predictions) in zip(axes, shown.items(), strict=True):
    for name, marker in (("source only", "x"), ("DANN", "o")):
        true, predicted = predictions[name]
        ax.plot(true, predicted, marker, markersize=3.5, alpha=0.7, label=name)
    ends = [true.min(), true.max()]
    ax.plot(ends, ends, color="black", linewidth=1)
    means = np.mean(scores[problem], axis=0)
    ax.set(
        title=f"{problem}: R$^2$ {means[1]:.2f} to {means[2]:.2f}",
        xlabel="true",
        ylabel="predicted",
    )
    ax.legend()

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
