"""DANN on the same layers, cut into body and label head at two places, and without the last.

    python benchmarks/where_the_body_ends.py [seeds]

MNIST to MNIST-M as in `holds.py`, 10 epochs, and MNIST and USPS as in `family.py`, 20 epochs: two
convolutions, then a dense layer of 100 with batch normalisation, which belongs to the body, to
the label head, or is left out; all else at its defaults.
"""

import sys
import warnings
from dataclasses import replace

import torch
from _family_problems import FAMILY, lenet
from _holds_problems import COLOUR_DIGITS
from torch import nn

from sktransfer import DANNClassifier

GREY_DIGITS = [
    replace(problem, body=lambda: lenet()[:9]) for problem in FAMILY if problem.dataset == "lenet"
]


def dense(n_features):
    """Return the dense layer."""
    return nn.Sequential(nn.Linear(n_features, 100), nn.BatchNorm1d(100), nn.ReLU())


def dense_in_body(convolutions, X):
    """Return body and label head."""
    n_features = convolutions(torch.tensor(X[:2], dtype=torch.float32)).flatten(1).shape[1]
    return nn.Sequential(convolutions, nn.Flatten(), dense(n_features)), None


def dense_in_head(convolutions, X):
    """Return body and label head."""
    return convolutions, lambda n, n_classes: nn.Sequential(dense(n), nn.Linear(100, n_classes))


def without(convolutions, X):
    """Return body and label head: no dense layer at all."""
    return convolutions, None


def main(n_seeds):
    """Print the accuracy on the target of every fit."""
    for problem in (*COLOUR_DIGITS, *GREY_DIGITS):
        epochs = 20 if problem in GREY_DIGITS else 10
        for cut in (dense_in_body, dense_in_head, without):
            for seed in range(n_seeds):
                X, y, X_target, y_target = problem.rows(seed, "raw")
                torch.manual_seed(seed)
                body, head = cut(problem.body(), X)
                clf = DANNClassifier(
                    body, label_classifier=head, max_epochs=epochs, random_state=seed
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    clf.fit(X, y, X_target=X_target)
                score = clf.score(X_target, y_target)
                print(problem.name, cut.__name__, seed, f"{score:.3f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
