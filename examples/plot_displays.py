"""
Look at a fit: four displays
============================

Did training settle, and does the domain classifier still tell the domains apart? Do the classes of
both domains meet in the features? How many layers are worth unfreezing, and which depths do the
folds hardly tell apart (those are ringed)? And which domain helps which? Each question has a
display, which draws what it has found by one call. Here they look at digits of three hands: MNIST,
MNIST on photos, and scikit-learn's `load_digits`.
"""

import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.nn import functional as F

from sktransfer import DANNClassifier, FineTuneClassifier
from sktransfer.callbacks import DomainScoring
from sktransfer.datasets import load_mnist_5k, load_mnist_m_5k
from sktransfer.displays import (
    DomainEmbeddingDisplay,
    TrainingHistoryDisplay,
    TransferMatrixDisplay,
    UnfreezeDepthDisplay,
)

PICTURE = Path(__file__).with_suffix(".png") if "__file__" in globals() else None
N_TRAIN, N_TEST = 800, 400  # images of each domain
EPOCHS = {"DANN": 12, "pretraining": 6, "head": 80, "fine-tuning": 40}
N_LABELS = 200  # for fine-tuning
DEPTHS = [0, 1, 2, 3, "all"]


def load_domains():
    """Return (X, y) by name: grey images of 16x16 pixels, without MNIST's margins."""
    X, y = load_mnist_5k(return_X_y=True)
    X_m, y_m = load_mnist_m_5k(return_X_y=True)
    X_d, y_d = load_digits(return_X_y=True)
    domains = {
        "MNIST": (X[:, 4:24, 4:24], y),
        "MNIST-M": (X_m.mean(axis=1)[:, 4:24, 4:24], y_m),
        "load_digits": (X_d.reshape(-1, 8, 8), y_d),
    }
    n_images = N_TRAIN + N_TEST
    return {name: (resize(X[:n_images]), y[:n_images]) for name, (X, y) in domains.items()}


def resize(X):
    """Return images of one channel and 16x16 pixels."""
    images = torch.tensor(X, dtype=torch.float32)[:, np.newaxis]
    return F.interpolate(images, (16, 16), mode="bilinear", antialias=True).numpy()


def make_body(input_shape):
    """Return a small network that standardises each image and gives 64 features."""
    return nn.Sequential(
        nn.InstanceNorm2d(input_shape[0]),
        nn.Conv2d(input_shape[0], 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 64),
        nn.ReLU(),
    )


def make_dann(**params):
    """Return a DANN of this body."""
    params = {"lambda_": 0.3, "target_loss": "entropy", "target_loss_weight": 0.1, **params}
    return DANNClassifier(
        make_body, max_epochs=EPOCHS["DANN"], batch_size=32, random_state=0, **params
    )


def adapt(source, target):
    """Fit with and without the target and return both estimators and the rows held out."""
    (X_source, X_source_test), (y_source, y_source_test) = (split(rows) for rows in source)
    (X_target, X_target_test), (_, y_target_test) = (split(rows) for rows in target)
    test = {
        "X_source": X_source_test,
        "y_source": y_source_test,
        "X_target": X_target_test,
        "y_target": y_target_test,
    }
    adapted = make_dann(callbacks=[DomainScoring(**test)])
    adapted.fit(X_source, y_source, X_target=X_target)
    plain = make_dann(lambda_=0.0, target_loss=None).fit(X_source, y_source)
    return adapted, plain, test


def split(rows):
    """Return the rows to train on and those held out."""
    return rows[:N_TRAIN], rows[N_TRAIN:]


def search_depth(source, target):
    """Pretrain on the source and search on a few labels how many layers to unfreeze."""
    # MNIST-M shows MNIST's digits in the same order: those to be labelled are left out here.
    X, y = (rows[N_LABELS:] for rows in source)
    pretrained = FineTuneClassifier(
        make_body,
        unfreeze_depth="all",
        head_epochs=0,
        finetune_epochs=EPOCHS["pretraining"],
        finetune_learning_rate=1e-3,
        random_state=0,
    ).fit(X, y)
    tuned = FineTuneClassifier(
        pretrained.backbone_,
        head_epochs=EPOCHS["head"],
        finetune_epochs=EPOCHS["fine-tuning"],
        random_state=0,
    )
    X, y = (rows[:N_LABELS] for rows in target)
    return GridSearchCV(tuned, {"unfreeze_depth": DEPTHS}, cv=5).fit(X, y)


def plot(domains):
    """Return a figure with the four displays."""
    figure = plt.figure(figsize=(14, 11.5), layout="constrained")
    (top_left, top_right), (left, right) = figure.subfigures(
        2, 2, height_ratios=[1.2, 1], wspace=0.03, hspace=0.03
    )
    adapted, plain, test = adapt(domains["load_digits"], domains["MNIST"])
    TrainingHistoryDisplay.from_estimator(adapted, ax=top_left.subplots(2, 1, sharex=True))
    top_left.suptitle("DANN from load_digits to MNIST")
    DomainEmbeddingDisplay.from_estimator(
        adapted,
        **test,
        before=plain,
        method="tsne",
        n_samples=300,
        random_state=0,
        ax=top_right.subplots(2, 2),
    )
    top_right.suptitle("features without and with adaptation")
    search = search_depth(domains["MNIST"], domains["MNIST-M"])
    UnfreezeDepthDisplay.from_search(search, ax=left.subplots())
    left.suptitle(f"MNIST fine-tuned to {N_LABELS} labels of MNIST-M")
    TransferMatrixDisplay.from_estimator(
        make_dann(), domains, random_state=0, ax=right.subplots(), text_kwargs={"fontsize": 13}
    )
    right.suptitle("DANN from each to each")
    return figure


def main():
    """Fit what there is to look at and draw it."""
    start = time.perf_counter()
    figure = plot(load_domains())
    print(f"{time.perf_counter() - start:.0f} seconds")
    if PICTURE is not None:
        figure.savefig(PICTURE, dpi=100)
        print(f"picture: {PICTURE}")


if __name__ == "__main__":
    main()
