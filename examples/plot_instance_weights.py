"""
Instance weights: fit where the target is
=========================================

A straight line is to describe a curve. It cannot be right everywhere, so it is right where most
rows of the source are, and the target is elsewhere. Rows weighed by how frequent their like is in
the target put that right, for as long as there are rows of that kind.
"""

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression

from sktransfer.instance import ImportanceWeightingRegressor

N_ROWS = 300


# %%
# The classic toy: both domains follow one curve, and are at different places on it.


def draw(center, spread, generator):
    """Return rows around a centre and values of the curve with noise."""
    X = generator.normal(center, spread, (N_ROWS, 1))
    return X, np.sinc(X[:, 0]) + generator.normal(0, 0.1, N_ROWS)


def fit(X, y, X_target):
    """Return a line on weighed rows; where few rows are left, it warns, which the picture shows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The weights of")
        regressor = ImportanceWeightingRegressor(LinearRegression(), random_state=0)
        return regressor.fit(X, y, X_target=X_target)


generator = np.random.default_rng(0)
X, y = draw(1.0, 0.5, generator)
X_target, y_target = draw(2.0, 0.25, generator)
plain = LinearRegression().fit(X, y)
weighted = fit(X, y, X_target)


def error(model, X, y):
    """Return the root mean squared error."""
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


print(f"error on the target: {error(plain, X_target, y_target):.3f} plain")
print(f"error on the target: {error(weighted, X_target, y_target):.3f} weighted")
print(f"{N_ROWS} rows are worth {weighted.effective_size_:.0f}")

# %%
# The further the target goes, the fewer rows of the source are of use. ``effective_size_`` tells it
# before the errors do, and needs no label of the target.

centers = np.linspace(1.0, 3.0, 9)
rows = []
for center in centers:
    trials = []
    for seed in range(5):
        trial = np.random.default_rng(seed)
        source, (rows_there, values) = draw(1.0, 0.5, trial), draw(center, 0.25, trial)
        line = fit(*source, rows_there)
        alone = LinearRegression().fit(*source)
        trials.append(
            [
                error(alone, rows_there, values),
                error(line, rows_there, values),
                line.effective_size_,
            ]
        )
    rows.append(np.mean(trials, axis=0))
of_plain, of_weighted, sizes = np.array(rows).T

figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
size = 4 + 25 * weighted.weights_ / weighted.weights_.max()
axes[0].scatter(X[:, 0], y, s=size, color="#0072B2", alpha=0.6, label="source, by weight")
axes[0].scatter(X_target[:, 0], y_target, s=6, color="#D55E00", alpha=0.5, label="target")
grid = np.linspace(-0.5, 3, 50)[:, np.newaxis]
axes[0].plot(grid, plain.predict(grid), color="0.5", ls="--", label="plain line")
axes[0].plot(grid, weighted.predict(grid), color="black", label="weighted line")
axes[0].set(ylim=(-0.6, 1.4), xlabel="x", ylabel="y", title="one curve, two places")
axes[0].legend(fontsize=9)
axes[1].plot(centers, of_plain, "o--", color="0.5", label="plain line")
axes[1].plot(centers, of_weighted, "D-", color="black", label="weighted line")
axes[1].set(xlabel="centre of the target (source: 1)", ylabel="error on the target")
axes[1].legend(loc="upper left", fontsize=9)
share = axes[1].twinx()
share.plot(centers, sizes / N_ROWS, color="#0072B2", lw=1)
share.set_ylabel("effective share of the rows", color="#0072B2")
share.set_ylim(0, 1)
axes[1].set_title("how far it goes")

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
