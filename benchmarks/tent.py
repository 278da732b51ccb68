"""Tent on streams: MNIST to MNIST-M, a body with batch normalisation.

    python benchmarks/tent.py --seed 0 --results tent.jsonl
    python benchmarks/tent.py --results tent.jsonl

A model of the source alone (2,500 shipped digits of MNIST in three channels) meets the other 2,500
on photos (MNIST-M), in batches of 64 in a random order, and sorted by class. Each batch is
answered by: the model as it was fitted; with the batch's own statistics and no step; by Tent; and
by a model whose statistics `adapt` has moved to those of the first 256 rows, once. What counts is
the accuracy over all rows of the stream. Logistic regression on the pixels of the source stands
beside. Without ``--seed`` the table of what is kept is printed.
"""

import argparse
import copy
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from sktransfer import DANNClassifier, TentAdapter
from sktransfer.datasets import load_mnist_5k, load_mnist_m_5k

BATCH = 64
# A step so small that no weight moves by it: the batch's own statistics alone.
NO_STEP = 1e-30


def body():
    """Return two convolutions with batch normalisation and a dense layer."""
    blocks = []
    for n_in, n_out in ((3, 16), (16, 32)):
        blocks += [nn.Conv2d(n_in, n_out, 5, padding=2), nn.BatchNorm2d(n_out), nn.ReLU()]
        blocks.append(nn.MaxPool2d(2))
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32 * 49, 100), nn.ReLU())


def images():
    """Return half of the digits of MNIST, and the others of MNIST-M, as (n, 3, 28, 28) to 1."""
    X, y = load_mnist_5k(return_X_y=True)
    X_target, y_target = load_mnist_m_5k(return_X_y=True)
    source = np.repeat(X[:2500, np.newaxis], 3, axis=1).astype(np.float32) / 255
    return source, y[:2500], X_target[2500:].astype(np.float32) / 255, y_target[2500:]


def answers(predict, X):
    """Return what is predicted of a stream, batch after batch."""
    starts = range(0, len(X), BATCH)
    return np.concatenate([predict(X[start : start + BATCH]) for start in starts])


def measure(seed):
    """Return the accuracies of a seed by stream and contender."""
    X, y, X_target, y_target = images()
    torch.manual_seed(seed)
    clf = DANNClassifier(body(), max_epochs=6, random_state=seed).source_only().fit(X, y)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(y_target))
    orders = {
        "random order": shuffled,
        "sorted by class": shuffled[np.argsort(y_target[shuffled], kind="stable")],
    }
    plain = LogisticRegression(max_iter=100).fit(X.mean(axis=1).reshape(len(X), -1), y)
    found = {}
    for name, order in orders.items():
        rows, labels = X_target[order], y_target[order]
        moved = copy.deepcopy(clf).adapt(rows[:256])
        contenders = {
            "logistic regression": lambda Z: plain.predict(Z.mean(axis=1).reshape(len(Z), -1)),
            "as fitted": clf.predict,
            "adapt on the first 256 rows": moved.predict,
            "batch statistics, no step": TentAdapter(clf, learning_rate=NO_STEP).adapt_predict,
            "TentAdapter": TentAdapter(clf).adapt_predict,
        }
        found[name] = {
            contender: float(np.mean(answers(predict, rows) == labels))
            for contender, predict in contenders.items()
        }
    return found


def main():
    """Measure a seed, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int)
    parser.add_argument("--results", default="tent.jsonl")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.seed is not None:
        with open(given.results, "a") as file:
            file.write(json.dumps(measure(given.seed)) + "\n")
        return
    table = defaultdict(list)
    for line in Path(given.results).read_text().splitlines():
        for stream, by_contender in json.loads(line).items():
            for contender, accuracy in by_contender.items():
                table[contender, stream].append(accuracy)
    streams = sorted({stream for _, stream in table})
    print(f"| answered by | {' | '.join(streams)} |\n|---|{'---|' * len(streams)}")
    for contender in dict.fromkeys(contender for contender, _ in table):
        cells = [
            f"{np.mean(table[contender, s]):.3f} ({np.std(table[contender, s], ddof=1):.3f})"
            for s in streams
        ]
        print(f"| {contender} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
