"""
Labels that spread: digits from other pens
==========================================

MNIST's digits are labelled; those of forty-odd other writers, scanned on another device, are not.
A classifier of the ones is right about less than half of the others. Yet digits of one class look
alike among themselves: told by the source what each may be, rows of the target agree on it with
their neighbours.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sktransfer.datasets import load_mnist_5k
from sktransfer.relations import CrossDomainLabelPropagation

ALPHAS = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98]
N_SOURCE = 2000

# %%
# MNIST's images shrink to the 8 x 8 of the target.

images, y = load_mnist_5k(return_X_y=True)
images, y = images[:N_SOURCE, 2:26, 2:26].astype(float), y[:N_SOURCE]
X = images.reshape(-1, 8, 3, 8, 3).mean(axis=(2, 4)).reshape(-1, 64) / 255
X_target, y_target = load_digits(return_X_y=True)
X_target = X_target / 16
logistic = LogisticRegression(max_iter=300).fit(X, y).score(X_target, y_target)
print(f"logistic regression of the source {logistic:.3f}")

# %%
# ``alpha`` is the share of a row's own domain in what it becomes; with 0 it is what the nearest
# rows of the source say. That classes are as frequent as in the source
# (``class_mass_normalization``, the default) keeps one digit from taking the rows of others.

found = {}
for mass in (False, True):
    for alpha in ALPHAS:
        clf = CrossDomainLabelPropagation(alpha=alpha, class_mass_normalization=mass)
        found[alpha, mass] = clf.fit(X, y, X_target=X_target)
accuracies = {key: np.mean(clf.transduction_ == y_target) for key, clf in found.items()}
for (alpha, mass), accuracy in accuracies.items():
    print(f"alpha {alpha:.2f}, class mass {mass!s:5} {accuracy:.3f}")

# %%
# Some digits that the source alone takes for another, and what their neighbours make of them.

told, spread = found[0.0, False].transduction_, found[0.9, True].transduction_
mended = np.flatnonzero((told != y_target) & (spread == y_target))
spoiled = np.sum((told == y_target) & (spread != y_target))
print(f"{len(mended)} labels mended, {spoiled} spoiled")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for mass, style in ((False, "o--"), (True, "o-")):
    label = "with class mass" if mass else "without"
    left.plot(ALPHAS, [accuracies[alpha, mass] for alpha in ALPHAS], style, label=label)
left.axhline(logistic, color="0.5", label="logistic regression of the source")
left.set(xlabel="alpha", ylabel="accuracy on the target")
left.legend(loc="upper left")
shown = np.random.default_rng(0).permutation(mended)[:20]
right.imshow(
    X_target[shown].reshape(4, 5, 8, 8).transpose(0, 2, 1, 3).reshape(32, 40), cmap="gray_r"
)
for place, row in enumerate(shown):
    at = 8 * (place % 5) + 0.1, 8 * (place // 5) + 7
    right.text(*at, f"{told[row]}→{spread[row]}", color="tab:red", fontsize=9)
right.set_xticks(np.arange(-0.5, 40, 8), [])
right.set_yticks(np.arange(-0.5, 32, 8), [])
right.grid(color="0.8")
right.set_title("what the source said, and what their neighbours did")
if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
