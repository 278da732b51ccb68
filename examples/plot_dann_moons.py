"""
DANN on two moons: the boundary moves
=====================================

Two moons with labels are the source; the same moons turned by 35 degrees, without labels, are the
target. This is the smallest problem on which one can see what domain-adversarial training does:
it has two features, so the decision boundary can be drawn before and after.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from sklearn.inspection import DecisionBoundaryDisplay

from sktransfer import DANNClassifier
from sktransfer.datasets import make_shifted_moons

SEEDS = range(5)  # each decides the moons and the training

# %%
# Two fits of one network for each seed: on the source alone (``source_only()``), and with the rows
# of the target, all at its defaults. The labels of the target serve for nothing but the score.

accuracy = []
for seed in SEEDS:
    Xs, ys, Xt, yt = make_shifted_moons(300, rotation=35, random_state=seed)
    dann = DANNClassifier(random_state=seed).fit(Xs, ys, X_target=Xt)
    source_only = dann.source_only().fit(Xs, ys)
    accuracy.append([source_only.score(Xt, yt), dann.score(Xt, yt)])
    if seed == SEEDS[0]:
        drawn = {"source only": source_only, "DANN": dann}, (Xs, ys, Xt, yt)
    print(f"seed {seed}: target accuracy {accuracy[-1][0]:.3f}, adapted {accuracy[-1][1]:.3f}")
accuracy = np.array(accuracy)
print("mean: target accuracy {:.3f}, adapted {:.3f}".format(*accuracy.mean(axis=0)))

# %%
# Without adaptation the boundary follows the moons of the source (faint) and cuts through those of
# the target (bold): three quarters of these are right on average. DANN has no labels of the target,
# but it knows where its rows lie. Its boundary is still right for the source and runs nearer to the
# gap of the target: nearly 90%, a gain of more than 10 points.

BLUE, ORANGE = "#0072B2", "#D55E00"
classes = ListedColormap([BLUE, ORANGE])
fits, (Xs, ys, Xt, yt) = drawn
everything = np.concatenate([Xs, Xt])
figure, axes = plt.subplots(
    1, 3, figsize=(13, 4.6), width_ratios=[1.2, 1.2, 0.8], layout="constrained"
)
for ax, (name, clf) in zip(axes, fits.items(), strict=False):
    DecisionBoundaryDisplay.from_estimator(
        clf,
        everything,
        response_method="predict",
        ax=ax,
        eps=0.3,
        cmap=classes,
        alpha=0.2,
        grid_resolution=300,
    )
    ax.scatter(*Xs.T, c=ys, cmap=classes, s=12, alpha=0.35, lw=0)
    ax.scatter(*Xt.T, c=yt, cmap=classes, s=22, ec="white", lw=0.5)
    ax.set(title=f"{name}: {clf.score(Xt, yt):.0%} of the target right", xticks=[], yticks=[])

points = {"lw": 0, "marker": "o", "color": "0.3"}
axes[0].plot([], [], label="source", alpha=0.4, markersize=3.5, **points)
axes[0].plot([], [], label="target", markersize=5, **points)
axes[0].legend(loc="upper left", fontsize=9)

axes[2].plot([0, 1], accuracy.T, "o-", color="0.6", markersize=4, lw=1)
axes[2].plot([0, 1], accuracy.mean(axis=0), "ko-", lw=2.5, label=f"mean of {len(SEEDS)} seeds")
axes[2].set(title="accuracy on the target", xlim=(-0.3, 1.3), ylim=(0.5, 1.02))
axes[2].set_xticks([0, 1], ["source only", "DANN"])
axes[2].grid(axis="y", color="0.92")
axes[2].legend(loc="lower right", fontsize=9)

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
