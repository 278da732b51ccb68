"""
Self-taught: what images without labels are worth
=================================================

Digits are plenty, labels are few. A decomposition, clusters and a dictionary of scikit-learn learn
from the images alone; so does a body that has to find each image again after it was turned, scaled
and shifted. All hand their features to logistic regression.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import affine_grid, grid_sample

from sktransfer import ContrastivePretrainer

EPOCHS = 40
LABELS_PER_CLASS = [1, 2, 5, 10]
SEEDS = range(3)

# %%
# 1,200 images of 8 x 8 give their pixels; of up to 100 of them the labels will be known. The rest
# is to be predicted.

X, y = load_digits(return_X_y=True)
X = X / 16
unlabelled, X_new, y_new = X[:1200], X[1200:], y[1200:]


def move(rows):
    """Turn each image by up to 15 degrees, scale it by up to 15 % and shift it by up to a pixel."""
    angle, scale, right, down = 2 * torch.rand(4, len(rows), dtype=rows.dtype) - 1
    angle, scale = 0.26 * angle, 1 + 0.15 * scale
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    lines = [cosine, -sine, 0.25 * right, sine, cosine, 0.25 * down]
    theta = torch.stack(lines, dim=1).view(-1, 2, 3)
    grid = affine_grid(theta, [len(rows), 1, 8, 8], align_corners=False)
    return grid_sample(rows.view(-1, 1, 8, 8), grid, align_corners=False).flatten(1)


# %%
# Three lines of scikit-learn, and a pretrainer that is told how images may change.

learners = {
    "PCA": PCA(30, random_state=0),
    "distances to 100 clusters": KMeans(100, random_state=0),
    "codes of 100 atoms": MiniBatchDictionaryLearning(
        100, transform_algorithm="threshold", transform_alpha=0.1, max_iter=20, random_state=0
    ),
    "moved images found again": ContrastivePretrainer(
        augment=move, temperature=0.5, max_epochs=EPOCHS, random_state=0
    ),
}
features = {"pixels": X}
for name, learner in learners.items():
    rows = learner.fit(unlabelled).transform(X)
    # One factor for all features, so that the same penalty means the same for each learner.
    features[name] = rows * np.sqrt(X.var(axis=0).sum() / rows.var(axis=0).sum())

# %%
# The fewer labels, the more the images without any are worth.

accuracy = {name: np.zeros((len(SEEDS), len(LABELS_PER_CLASS))) for name in features}
for row, seed in enumerate(SEEDS):
    order = np.random.default_rng(seed).permutation(1200)
    of_class = [order[y[order] == digit] for digit in range(10)]
    for column, n_labels in enumerate(LABELS_PER_CLASS):
        few = np.concatenate([rows[:n_labels] for rows in of_class])
        for name, rows in features.items():
            clf = LogisticRegression(max_iter=500).fit(rows[few], y[few])
            accuracy[name][row, column] = clf.score(rows[1200:], y_new)

print(f"{'labels a class':28s}" + "".join(f"{n:>7d}" for n in LABELS_PER_CLASS))
for name, scores in accuracy.items():
    print(f"{name:28s}" + "".join(f"{mean:7.3f}" for mean in scores.mean(axis=0)))

figure = plt.figure(figsize=(10, 4.4), layout="constrained")
curves, pictures = figure.subfigures(1, 2, width_ratios=[1.5, 1])
axes = curves.subplots()
for name, scores in accuracy.items():
    spread = scores.std(axis=0, ddof=1) if len(SEEDS) > 1 else None
    axes.errorbar(LABELS_PER_CLASS, scores.mean(axis=0), spread, marker="o", capsize=3, label=name)
axes.set(xscale="log", xlabel="labels a class", ylabel="accuracy on new images")
axes.set_xticks(LABELS_PER_CLASS, LABELS_PER_CLASS)
axes.minorticks_off()
axes.legend()

pictures.suptitle("an image, and how it may have been changed")
torch.manual_seed(0)
shown = torch.from_numpy(X[:4])
columns = [shown, *(move(shown) for _ in range(4))]
for row, line in enumerate(pictures.subplots(4, 5)):
    for ax, images in zip(line, columns, strict=True):
        ax.imshow(images[row].reshape(8, 8).numpy(), cmap="gray_r")
        ax.set_axis_off()

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
