"""
A pipeline that scales both domains
===================================

Two machines report the speed of a shaft, in revolutions per minute, and its vibration, in
millimetres per second: thousands and hundredths. A network learns little from such columns, so a
`StandardScaler` comes first. In a plain `Pipeline` the scaler sees the source alone, and the target
reaches the classifier in thousands and hundredths. `make_transfer_pipeline` sends both domains
through the scaler.
"""

import textwrap
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNClassifier, make_transfer_pipeline
from sktransfer.datasets import make_shifted_moons

SEEDS = range(3)  # each decides the rows and the training
dann = DANNClassifier()


def make_machines(seed):
    """Return source and target: moons in the units of two sensors."""
    Xs, ys, Xt, yt = make_shifted_moons(300, rotation=35, random_state=seed)
    scale, offset = np.array([400.0, 0.02]), np.array([3000.0, 0.1])
    return Xs * scale + offset, ys, Xt * scale + offset, yt


# %%
# Three ways to fit. A plain pipeline takes the target as an argument of its last step, and hands
# it on as it is. Nothing fails, but the classifier sees who called it, and warns.

accuracy, warned = {}, {}
for seed in SEEDS:
    Xs, ys, Xt, yt = make_machines(seed)
    dann.set_params(random_state=seed)
    source_only = make_pipeline(StandardScaler(), clone(dann).set_params(lambda_=0.0))
    plain = make_pipeline(StandardScaler(), clone(dann))
    transfer = make_transfer_pipeline(StandardScaler(), clone(dann))
    fits = {
        "source only": (source_only, {}),
        "Pipeline": (plain, {"dannclassifier__X_target": Xt}),
        "make_transfer_pipeline": (transfer, {"X_target": Xt}),
    }
    for name, (pipeline, target) in fits.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pipeline.fit(Xs, ys, **target)
        accuracy.setdefault(name, []).append(pipeline.score(Xt, yt))
        warned.setdefault(name, []).extend(str(warning.message) for warning in caught)

print(f"{'target accuracy':<24}{'mean':>6}   each seed")
for name, scores in accuracy.items():
    print(f"{name:<24}{np.mean(scores):6.3f}  ", *(f"{score:.3f}" for score in scores))
for name, messages in warned.items():
    for message in messages:
        print(textwrap.fill(f"{name} warned: {message.split(':')[0]}.", 88))

# %%
# What the classifier of each pipeline was given, here for the last seed. A domain classifier can
# tell rows around 0 from rows around 3000 at a glance, so nothing is left to adapt. And the scaled
# target, on which the pipeline predicts, is one that the classifier has never seen.

figure, axes = plt.subplots(1, 3, figsize=(13, 4.3), width_ratios=[1, 1, 0.8], layout="constrained")
scaler = transfer[0]
for ax, name, target in (
    (axes[0], "Pipeline", Xt),
    (axes[1], "make_transfer_pipeline", scaler.transform(Xt)),
):
    ax.scatter(*scaler.transform(Xs).T, s=14, color="#0072B2", label="source")
    ax.scatter(*target.T, s=14, color="#D55E00", marker="^", label="target")
    ax.set(title=f"{name}:\nwhat the classifier is given", xlabel="speed", ylabel="vibration")
axes[0].set_xscale("symlog")
axes[0].legend(loc="upper right", fontsize=9)

for row, scores in enumerate(accuracy.values()):
    axes[2].plot(scores, [row] * len(scores), "o", color="0.6", markersize=5)
    axes[2].plot(np.mean(scores), row, "kD", markersize=9)
    axes[2].text(np.mean(scores), row - 0.18, f"{np.mean(scores):.2f}", ha="center")
axes[2].set_yticks(range(len(accuracy)), accuracy)
axes[2].set(title=f"accuracy on the target,\n{len(SEEDS)} seeds and their mean")
axes[2].set(xlim=(0.4, 1.02), ylim=(2.5, -0.5))
axes[2].axvline(0.5, color="0.4", ls=":", lw=1)
axes[2].text(0.505, 2.4, "chance", color="0.4")

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
