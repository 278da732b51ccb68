"""
Fine-tuning on digits: how many layers to unfreeze?
===================================================

A small network learns MNIST's digits once. It is then fine-tuned to other digits, those of
scikit-learn's `load_digits` (other writers, 8x8 pixels), with 5, 10 and 20 labels per class: its
features alone, its last layers unfrozen, or as many as a grid search on the labelled rows
chooses. The same network from random weights shows what the pretraining is worth.

Fine-tuning uses the estimator's defaults, and training from scratch takes as many epochs. Size and
crop of the images were chosen by cross-validation on the labelled rows. All other rows are unseen.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from tabulate import tabulate
from torch import nn
from torch.nn import functional as F

from sktransfer import FineTuneClassifier
from sktransfer.datasets import load_mnist_5k
from sktransfer.finetuning import FrozenCache

PICTURE = Path(__file__).with_suffix(".png") if "__file__" in globals() else None
LABELS_PER_CLASS = [5, 10, 20]
SEEDS = [0, 1, 2]  # each decides the labelled rows and the training
DEPTHS = [0, 1, 2, 3, "all"]
EPOCHS = {"pretraining": 10, "head": 100, "fine-tuning": 50, "from scratch": 150}
DRAWN = {  # rows of the table that the first panel shows
    "not fine-tuned": "0.5",
    "from scratch": "C3",
    "features only": "C0",
    "unfreeze_depth=1": "C1",
    "grid search": "k",
}


def load_domains():
    """Return (X, y) of source and target, images of 16x16 pixels between 0 and 1."""
    X_source, y_source = load_mnist_5k(return_X_y=True)
    X_target, y_target = load_digits(return_X_y=True)
    # MNIST leaves a margin of 4 pixels around its digits, load_digits none.
    X_source = X_source[:, np.newaxis, 4:24, 4:24] / 255
    X_target = X_target.reshape(-1, 1, 8, 8) / 16
    return (resize(X_source), y_source), (resize(X_target), y_target)


def resize(X):
    """Return images of 16x16 pixels in the type of torch's weights."""
    images = torch.tensor(X, dtype=torch.float32)
    return F.interpolate(images, (16, 16), mode="bilinear", antialias=True).numpy()


def make_body(input_shape):
    """Return a network of four layers, with random weights, that gives 64 features."""
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 64),
        nn.ReLU(),
    )


def make_plain_classifier(epochs, seed):
    """Return a classifier that trains all layers at once, from random weights."""
    return FineTuneClassifier(
        make_body,
        unfreeze_depth="all",
        head_epochs=0,
        finetune_epochs=epochs,
        finetune_learning_rate=1e-3,
        random_state=seed,
    )


def compare(pretrained, X, y, n_labels, seed, memory):
    """Return the accuracy on unseen rows by row of the table, and the depth chosen."""
    X, X_test, y, y_test = train_test_split(
        X, y, train_size=10 * n_labels, stratify=y, random_state=seed
    )
    plain = make_plain_classifier(EPOCHS["from scratch"], seed)
    tuned = FineTuneClassifier(
        pretrained.backbone_,
        head_epochs=EPOCHS["head"],
        finetune_epochs=EPOCHS["fine-tuning"],
        frozen_cache=FrozenCache(memory=memory),
        random_state=seed,
    )
    fits = {"not fine-tuned": pretrained, "from scratch": plain.fit(X, y)}
    for depth in DEPTHS:
        fits[name_of(depth)] = clone(tuned).set_params(unfreeze_depth=depth).fit(X, y)
    search = GridSearchCV(tuned, {"unfreeze_depth": DEPTHS}, cv=3).fit(X, y)
    fits["grid search"] = search
    scores = {name: clf.score(X_test, y_test) for name, clf in fits.items()}
    return scores, search.best_params_["unfreeze_depth"]


def name_of(depth):
    """Return the name of a depth's row in the table."""
    return "features only" if depth == 0 else f"unfreeze_depth={depth}"


def run(source, target):
    """Return all accuracies, arrays (label counts, seeds) by row, and the depths chosen."""
    pretrained = make_plain_classifier(EPOCHS["pretraining"], seed=0).fit(*source)
    scores, chosen = {}, []
    with tempfile.TemporaryDirectory() as memory:  # frozen layers see each image once
        for n_labels in LABELS_PER_CLASS:
            found = [compare(pretrained, *target, n_labels, seed, memory) for seed in SEEDS]
            for name in found[0][0]:
                scores.setdefault(name, []).append([accuracies[name] for accuracies, _ in found])
            chosen.append([depth for _, depth in found])
    return {name: np.array(rows) for name, rows in scores.items()}, chosen


def print_table(scores, chosen):
    """Print mean and standard deviation over the seeds, and the depths that were chosen."""
    table = [
        [name, *(f"{row.mean():.3f} ({row.std():.3f})" for row in rows)]
        for name, rows in scores.items()
    ]
    table.append(["depths chosen", *(" ".join(map(str, depths)) for depths in chosen)])
    counts = [f"{n} labels per class" for n in LABELS_PER_CLASS]
    print(tabulate(table, headers=["", *counts], disable_numparse=True))


def plot_images(ax, source, target):
    """Draw each digit once in both domains."""
    rows = [
        np.hstack([X[np.flatnonzero(y == digit)[0], 0] for digit in range(10)])
        for X, y in (source, target)
    ]
    ax.imshow(np.vstack(rows), cmap="gray")
    ax.set(title="ten digits of MNIST and of load_digits", xticks=[], yticks=[])


def draw_line(ax, x, rows, color, style, label):
    """Draw means over the seeds, and a band of one standard deviation to each side."""
    mean, std = rows.mean(axis=1), rows.std(axis=1)
    ax.plot(x, mean, style, color=color, markersize=4, label=label)
    ax.fill_between(x, mean - std, mean + std, color=color, alpha=0.15, lw=0)


def plot_label_counts(ax, scores):
    """Draw what the number of labels does."""
    for name, color in DRAWN.items():
        style = "o--" if name == "grid search" else "o-"
        draw_line(ax, LABELS_PER_CLASS, scores[name], color, style, name)
    ax.set(title="what pretraining is worth", xlabel="labels per class", xscale="log")
    ax.set_xticks(LABELS_PER_CLASS, LABELS_PER_CLASS)
    ax.minorticks_off()
    finish_panel(ax)


def plot_depths(ax, scores):
    """Draw what the number of unfrozen layers does."""
    x = range(len(DEPTHS))
    for i, n_labels in enumerate(LABELS_PER_CLASS):
        rows = np.array([scores[name_of(depth)][i] for depth in DEPTHS])
        color = plt.get_cmap("Purples")(0.4 + 0.25 * i)
        draw_line(ax, x, rows, color, "o-", f"{n_labels} labels per class")
    ax.set(title="what unfreezing adds", xlabel="unfreeze_depth")
    ax.set_xticks(x, DEPTHS)
    finish_panel(ax)


def finish_panel(ax):
    """Name the axis of the accuracies and put the legend above the lines."""
    bottom, top = ax.get_ylim()
    ax.set(ylabel="accuracy on unseen rows", ylim=(bottom, top + 0.15 * (top - bottom)))
    ax.grid(axis="y", color="0.92")
    ax.legend(fontsize=9, loc="upper left", ncols=3)


def plot(scores, source, target):
    """Return a figure with the images, the accuracies by labels and those by depth."""
    figure = plt.figure(figsize=(13, 5.5), layout="constrained")
    axes = figure.subplot_mosaic([["labels", "images"], ["labels", "depths"]], height_ratios=[1, 3])
    plot_label_counts(axes["labels"], scores)
    plot_images(axes["images"], source, target)
    plot_depths(axes["depths"], scores)
    return figure


def main():
    """Pretrain, compare, print the table and draw the picture."""
    start = time.perf_counter()
    source, target = load_domains()
    scores, chosen = run(source, target)
    print_table(scores, chosen)
    print(f"{time.perf_counter() - start:.0f} seconds")
    figure = plot(scores, source, target)
    if PICTURE is not None:
        figure.savefig(PICTURE, dpi=110)
        print(f"picture: {PICTURE}")


if __name__ == "__main__":
    main()
