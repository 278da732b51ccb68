"""
Which pretrained body? Ranked without training
==============================================

Several pretrained bodies are at hand and two hundred labelled rows of the target. Fine-tuning each
of them takes time. LEEP, LogME and the H-score rank them from one pass of the labelled rows
through each body, before any training.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.stats import kendalltau
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tabulate import tabulate
from torch import nn
from torch.nn import functional as F

from sktransfer import DANNClassifier, FineTuneClassifier
from sktransfer.datasets import load_mnist_5k, load_mnist_m_5k
from sktransfer.metrics import h_score, leep, logme

SEEDS = range(3)  # each decides weights, training and the labelled rows
N_IMAGES = 3000  # of each source

# %%
# The target is scikit-learn's ``load_digits``; the bodies have learned from MNIST's 5,000 shipped
# digits, from the same on photos, or from something less useful: whether a digit is even, whether
# it is a zero, labels in random order, or nothing at all.


def resize(X):
    """Return images of one channel and 16x16 pixels."""
    images = torch.tensor(X, dtype=torch.float32)[:, None]
    return F.interpolate(images, (16, 16), mode="bilinear", antialias=True).numpy()


X_mnist, y_mnist = load_mnist_5k(return_X_y=True)
X_photos = load_mnist_m_5k(return_X_y=True)[0].mean(axis=1)
X_digits, y_digits = load_digits(return_X_y=True)
X_mnist, X_photos = (resize(X[:N_IMAGES, 4:24, 4:24] / 255) for X in (X_mnist, X_photos))
X_digits, y_mnist = resize(X_digits.reshape(-1, 8, 8) / 16), y_mnist[:N_IMAGES]
shuffled = np.random.default_rng(0).permutation(y_mnist)
sources = {
    "digits": (X_mnist, y_mnist),
    "digits on photos": (X_photos, y_mnist),
    "even or odd": (X_mnist, y_mnist % 2),
    "zero or not": (X_mnist, y_mnist == 0),
    "labels shuffled": (X_mnist, shuffled),
    "random weights": (X_mnist, y_mnist),
}


def pretrain(name, seed):
    """Return a plain classifier of the source, whose body is what we are after."""
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 25, 32),
        nn.ReLU(),
    )
    untrained = name == "random weights"
    clf = DANNClassifier(
        body,
        lambda_=0.0,
        learning_rate=1e-9 if untrained else 1e-3,
        max_epochs=1 if untrained else 8,
        random_state=seed,
    )
    return clf.fit(*sources[name])


# %%
# Scores need what the body makes of the 200 labelled rows: its features, or, for LEEP, the
# probabilities of the classes that it knows, whatever these are. The truth is the accuracy on all
# other rows of a new head trained on the features (``unfreeze_depth=0``).

rows = []
for seed in SEEDS:
    few, rest, y_few, y_rest = train_test_split(
        X_digits, y_digits, train_size=200, stratify=y_digits, random_state=seed
    )
    for name in sources:
        source = pretrain(name, seed)
        tuned = FineTuneClassifier(
            source.net_.module_.body, unfreeze_depth=0, head_epochs=200, random_state=seed
        )
        accuracy = tuned.fit(few, y_few).score(rest, y_rest)
        features = source.transform(few)
        scores = (
            leep(source.predict_proba(few), y_few),
            logme(features, y_few),
            h_score(features, y_few, shrinkage="auto"),
        )
        rows.append((name, accuracy, *scores))

names, *columns = zip(*rows, strict=True)
figures = np.array(columns).reshape(4, len(SEEDS), len(sources))
table = [[name, *figures[:, :, i].mean(axis=1)] for i, name in enumerate(sources)]
headers = ["body has learned", "accuracy", "LEEP", "LogME", "H-score"]
print(tabulate(table, headers, floatfmt=".3f"))
taus = [
    np.mean([kendalltau(figures[0, seed], scores[seed]).statistic for seed in range(len(SEEDS))])
    for scores in figures[1:]
]
for name, tau in zip(headers[2:], taus, strict=True):
    print(f"{name}: rank correlation (Kendall) with the accuracy {tau:.2f}")

# %%
# All three see that the bodies that know digits, plain or on photos, are the best. LEEP judges a
# body by its old head alone: random weights and shuffled labels get its worst scores, and yet their
# features serve the target better than those of a body that learned to tell zeros from the rest,
# and forgot what else there is. LogME and the H-score look at the features themselves; of the six
# bodies the H-score orders the most pairs as the accuracy does. No score says what unfreezing
# layers would add.

COLORS = ["#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#999999"]
figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), sharey=True, layout="constrained")
for ax, scores, name, tau in zip(axes, figures[1:], headers[2:], taus, strict=True):
    for i, source in enumerate(sources):
        ax.scatter(scores[:, i], figures[0, :, i], color=COLORS[i], label=source)
    ax.set(xlabel=name, title=f"{name}: Kendall's tau {tau:.2f}")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("accuracy of a new head")
axes[2].legend(title="the body has learned", fontsize="small")

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
