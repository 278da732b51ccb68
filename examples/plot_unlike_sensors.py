"""
Two spectrometers whose bands overlap in part
=============================================

The old sensor saw 400 to 900 nm, and what it saw is labelled. The new one sees 700 to 1,400 nm and
has a few labels. Six bands are the same in both. What the materials look like is known here, so one
can see what the old labels are worth: much where shared bands tell the new sensor's rows apart,
little where nothing but the classes ties the two.
"""

import textwrap
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import HeterogeneousTransferClassifier

EPOCHS = 30
LABELS_PER_CLASS = [1, 2, 3, 5]
SEEDS = range(3)

# %%
# Five materials reflect a smooth spectrum each, with absorption bands of their own. A row is seen
# in some light, with some of another material in the field of view.

wavelengths = np.arange(400, 1401, 10.0)
generator = np.random.default_rng(1)
centres, depths = generator.uniform(400, 1400, (5, 8)), generator.uniform(-0.3, 0.3, (5, 8))
bumps = np.exp(-(((wavelengths[:, None, None] - centres) / 60) ** 2))
spectra = 0.5 + np.einsum("wck,ck->cw", bumps, depths)


def measure(y, bands, seed):
    """Return what a sensor with bands of 20 nm gives of rows of these materials."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0, 0.5, size=(len(y), 1))
    mixed = (1 - share) * spectra[y] + share * spectra[rng.integers(0, 5, len(y))]
    light = rng.lognormal(0, 0.2, size=(len(y), 1))
    response = np.exp(-(((wavelengths[:, None] - bands) / 20) ** 2))
    seen = light * mixed @ (response / response.sum(axis=0))
    seen += rng.normal(scale=0.03, size=seen.shape)
    return pd.DataFrame(seen, columns=[f"{band:g} nm" for band in bands])


shared_bands = np.arange(710, 890, 30)
old_bands = np.r_[np.arange(405, 700, 15), shared_bands]
new_bands = np.r_[shared_bands, np.arange(905, 1400, 15)]


def problem(seed):
    """Return source and target, each band scaled; a shared one is scaled alike in both."""
    rng = np.random.default_rng(seed)
    y, y_target = rng.integers(0, 5, 300), rng.integers(0, 5, 600)
    X, X_target = measure(y, old_bands, seed), measure(y_target, new_bands, seed + 100)
    scale = pd.concat([X, X_target]).agg(["mean", "std"])  # of the rows that have the band
    X, X_target = ((rows - scale.loc["mean"]) / scale.loc["std"] for rows in (X, X_target))
    return X.dropna(axis=1), y, X_target.dropna(axis=1), y_target


# %%
# With and without the knowledge that six columns are the same, and the new labels alone.

transfer = HeterogeneousTransferClassifier(
    hidden_layer_sizes=64, max_epochs=EPOCHS, inner_folds=0, random_state=0
)
tied = HeterogeneousTransferClassifier(
    shared=True, hidden_layer_sizes=64, max_epochs=EPOCHS, inner_folds=0, random_state=0
)
alone = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
accuracy = {
    name: np.zeros((len(SEEDS), len(LABELS_PER_CLASS)))
    for name in ("new labels alone", "both sensors", "both sensors, shared bands")
}
for row, seed in enumerate(SEEDS):
    X, y, X_target, y_target = problem(seed)
    rest = np.arange(len(y_target)) >= 300
    for column, n_labels in enumerate(LABELS_PER_CLASS):
        known = np.concatenate([np.flatnonzero(y_target[:300] == k)[:n_labels] for k in range(5)])
        few = np.full(len(y_target), None)
        few[known] = y_target[known]
        alone.fit(X_target.iloc[known], y_target[known])
        for clf in (transfer, tied):
            clf.fit(X, y, X_target=X_target, y_target=few)
        models = dict(zip(accuracy, (alone, transfer, tied), strict=True))
        for name, clf in models.items():
            accuracy[name][row, column] = clf.score(X_target[rest], y_target[rest])

print(f"{'labels a class':28s}" + "".join(f"{n:>7d}" for n in LABELS_PER_CLASS))
for name, scores in accuracy.items():
    print(f"{name:28s}" + "".join(f"{mean:7.3f}" for mean in scores.mean(axis=0)))
print("taken for the same:", *tied.shared_)

# %%
# ``fit`` holds labelled rows out, and warns where the new labels alone do as well.

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    transfer.set_params(inner_folds=3).fit(X, y, X_target=X_target, y_target=few)
    tied.set_params(inner_folds=3).fit(X, y, X_target=X_target, y_target=few)
for clf, name in ((transfer, "both sensors"), (tied, "both sensors, shared bands")):
    print(f"{name}:", ", ".join(f"{of} {score:.2g}" for of, score in clf.inner_scores_.items()))
for warning in caught:
    print(textwrap.fill(f"warned: {warning.message}", 88))

figure, (truth, curves) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for material, spectrum in enumerate(spectra):
    truth.plot(wavelengths, spectrum, label=f"material {material}")
truth.plot(old_bands, np.full(len(old_bands), -0.25), "|", color="#0072B2", ms=9)
truth.plot(new_bands, np.full(len(new_bands), -0.35), "|", color="#D55E00", ms=9)
truth.text(400, -0.2, "old sensor", color="#0072B2")
truth.text(1400, -0.3, "new sensor", color="#D55E00", ha="right")
truth.axvspan(700, 870, color="0.9")
truth.set(xlabel="wavelength (nm)", ylabel="reflectance", ylim=(-0.4, None))
truth.legend(fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
for name, scores in accuracy.items():
    spread = scores.std(axis=0, ddof=1) if len(SEEDS) > 1 else None
    curves.errorbar(
        LABELS_PER_CLASS, scores.mean(axis=0), spread, marker="o", capsize=3, label=name
    )
curves.set(
    xlabel="labels of the new sensor, a class",
    ylabel="accuracy on new rows",
    xticks=LABELS_PER_CLASS,
)
curves.legend()

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
