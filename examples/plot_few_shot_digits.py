"""
Few-shot: digits that nobody has shown it
=========================================

A body learns from the digits 0 to 4 and is then to tell 5 to 9 apart by one to ten rows of each.
Five classes are few to learn from, so each image is also turned and mirrored: a 4 that lies on its
side is another class.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

from sktransfer.fewshot import (
    NearestPrototypeClassifier,
    PrototypicalClassifier,
    few_shot_score,
)

EPISODES = 150
N_SCORED = 200
SHOTS = [1, 2, 5, 10]

# %%
# Images of 8 x 8; the old classes in eight positions each make 40.

X, y = load_digits(return_X_y=True)
images, old = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32), y < 5
turned = [np.rot90(images[old], k, axes=(2, 3)) for k in range(4)]
positions = turned + [position[..., ::-1] for position in turned]
X_old = np.concatenate(positions)
y_old = np.concatenate([y[old] + 10 * k for k in range(8)])


def body(shape):
    """Return two convolutions with pooling."""
    first = nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*first, *second)


# %%
# Training knows nothing of 5 to 9. ``set_support`` shows it a row of each.

clf = PrototypicalClassifier(body, n_way=40, n_shot=1, episodes=EPISODES, random_state=0)
clf.fit(X_old, y_old)
shown = [np.flatnonzero(y == digit)[0] for digit in range(5, 10)]
clf.set_support(images[shown], y[shown])
print(f"classes {clf.classes_}, accuracy by one row each {clf.score(images[~old], y[~old]):.3f}")

# %%
# One draw of rows says little; ``few_shot_score`` makes hundreds. SimpleShot compares class means
# on pixels, logistic regression is fitted on each support.

contenders = {
    "prototypical": (clf, images),
    "SimpleShot on pixels": (NearestPrototypeClassifier().fit(X[old] / 16, y[old]), X / 16),
    "logistic regression": (LogisticRegression(), X / 16),
}
figure, (curves, pictures) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
scores = {}
for name, (estimator, rows) in contenders.items():
    scores[name] = [
        few_shot_score(
            estimator, rows[~old], y[~old], n_shot=n_shot, n_episodes=N_SCORED, random_state=0
        )
        for n_shot in SHOTS
    ]
    means = [score.mean for score in scores[name]]
    widths = [score.half_width for score in scores[name]]
    curves.errorbar(range(len(SHOTS)), means, widths, marker="o", capsize=3, label=name)
    print(f"{name:22s}" + "  ".join(str(score) for score in scores[name]))
curves.set(
    xticks=range(len(SHOTS)), xticklabels=SHOTS, xlabel="rows a class", ylabel="accuracy, 5 classes"
)
curves.legend()

# Beside the curves the features of all rows of the new classes, in their two main directions.
features = clf.transform(images[~old])
directions = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[2][:2]
places = (features - features.mean(axis=0)) @ directions.T
for digit in range(5, 10):
    of_digit = places[y[~old] == digit]
    pictures.scatter(*of_digit.T, s=6, label=str(digit))
pictures.set(title="features of digits not trained on", xticks=[], yticks=[])
pictures.legend(markerscale=2)

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
