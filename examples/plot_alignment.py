"""
Two instruments brought to one scale
====================================

Two instruments measure the same three materials. The second has another gain, another zero, and its
channels leak into each other; labels exist for the first alone. Aligners map both to where they are
alike, before any classifier of scikit-learn. They suppose that the materials come in the same
shares: where these differ, they take the difference for a shift of the rows, and set right what was
right.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from sktransfer import make_transfer_pipeline
from sktransfer.alignment import CORAL, DomainStandardScaler, OptimalTransport

SEEDS = range(5)
CENTRES = np.array([[0.0, 0.0], [3.0, 1.0], [1.0, 4.0]])
GAIN, ZERO = np.array([[1.6, 0.5], [0.2, 0.7]]), np.array([3.0, -2.0])


def measure(n_rows, shares, generator):
    """Return rows of the first instrument and the materials."""
    material = generator.choice(3, size=n_rows, p=shares)
    return CENTRES[material] + generator.normal(scale=0.6, size=(n_rows, 2)), material


# %%
# Each aligner is a step of a pipeline. At ``fit`` the source passes its ``fit_transform`` and the
# target its ``transform``; at ``predict`` rows are the target's. CORAL with a small
# ``regularization`` makes the covariances equal, and so does optimal transport of Gaussians, which
# turns nothing that it need not turn.

ALIGNERS = {
    "none": None,
    "DomainStandardScaler": DomainStandardScaler(),
    "CORAL": CORAL(regularization=1e-3),
    "OptimalTransport": OptimalTransport(regularization=1e-3),
}


def score(aligner, seed, shares):
    """Return source, target and materials as aligned, and the accuracy on the target."""
    generator = np.random.default_rng(seed)
    X, y = measure(300, [1 / 3, 1 / 3, 1 / 3], generator)
    X_target, y_target = measure(300, shares, generator)
    X_target = X_target @ GAIN + ZERO
    if aligner is None:
        return X, y, X_target, LogisticRegression().fit(X, y).score(X_target, y_target)
    pipe = make_transfer_pipeline(aligner, LogisticRegression()).fit(X, y, X_target=X_target)
    source = aligner.transform_source(X)
    return source, y, aligner.transform(X_target), pipe.score(X_target, y_target)


accuracy = {}
print(f"{'target accuracy, mean of seeds':<34}{'equal shares':>14}{'80 : 10 : 10':>14}")
for name, aligner in ALIGNERS.items():
    accuracy[name] = means = [
        np.mean([score(aligner, seed, shares)[-1] for seed in SEEDS])
        for shares in ([1 / 3, 1 / 3, 1 / 3], [0.8, 0.1, 0.1])
    ]
    print(f"{name:<34}{means[0]:>14.3f}{means[1]:>14.3f}")

# %%
# The pictures show equal shares: colours are the materials of the source, grey dots the target,
# whose materials no aligner knows.

figure, axes = plt.subplots(1, len(ALIGNERS), figsize=(12, 3.2), layout="constrained")
for axis, (name, aligner) in zip(axes, ALIGNERS.items(), strict=True):
    source, y, target, _ = score(aligner, 0, [1 / 3, 1 / 3, 1 / 3])
    axis.scatter(*target.T, s=8, color="0.7", label="target")
    for material, colour in enumerate(("tab:blue", "tab:orange", "tab:green")):
        axis.scatter(*source[y == material].T, s=8, color=colour, label=f"material {material}")
    axis.set(title=name, xticks=[], yticks=[])
axes[0].legend(fontsize="small", loc="lower right")

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
