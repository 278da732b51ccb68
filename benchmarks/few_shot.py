"""Few-shot learning: Omniglot's new alphabets, and digits 5 to 9 by 0 to 4.

``python -m benchmarks.few_shot omniglot`` takes a quarter of an hour on one core, ``python -m
benchmarks.few_shot digits`` a few minutes. Omniglot's small sets are expected in
``../shared/data/omniglot_small.npz``; their two parts share the alphabets Greek and Latin, which
are left out of the tests.
"""

import sys
from pathlib import Path
from time import process_time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from sktransfer import FineTuneClassifier, SourceTraining
from sktransfer.fewshot import (
    MatchingClassifier,
    NearestPrototypeClassifier,
    PrototypicalClassifier,
    few_shot_score,
)

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "omniglot_small.npz"
SEEDS = (0, 1, 2)


def conv_layers(widths, pools):
    """Return a body of 3 x 3 convolutions, each with batch normalisation, ReLU and pooling."""
    layers, n_in = [], 1
    for width, pool in zip(widths, pools, strict=True):
        layers += [nn.Conv2d(n_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
        n_in = width
    return nn.Sequential(*layers)


def omniglot_body(shape):
    """Return the four convolutions of the papers, of half their width."""
    return conv_layers([32] * 4, [True] * 4)


def digits_body(shape):
    """Return three convolutions for images of 8 x 8."""
    return conv_layers([32, 32, 64], [False, True, True])


def with_rotations(X, y):
    """Return each image and its turns by 90, 180 and 270 degrees, which are classes of their own."""
    turned = [np.rot90(X, k, axes=(-2, -1)) for k in range(4)]
    return np.concatenate(turned), np.concatenate([y + 1000 * k for k in range(4)])


def load_omniglot():
    """Return images of 28 x 28 (1 is ink), numbers of characters, alphabets and parts."""
    data = np.load(DATA)
    pixels = np.unpackbits(data["packed"], axis=1)[:, :11025].reshape(-1, 105, 105)
    edges = np.linspace(0, 105, 29).astype(int)
    means = np.add.reduceat(np.add.reduceat(pixels, edges[:-1], axis=1, dtype=float), edges[:-1], 2)
    X = means / np.diff(edges)[:, None] / np.diff(edges)
    names = np.char.add(data["alphabet"], data["character"])
    y = np.unique(names, return_inverse=True)[1]
    return X[:, None].astype(np.float32), y, data["alphabet"], data["part"]


def show(name, scores, seconds):
    """Print means over seeds, their standard deviation and the episodes' interval."""
    cells = []
    for of_seeds in scores:
        means = [score.mean for score in of_seeds]
        width = np.mean([score.half_width for score in of_seeds])
        cells.append(f"{np.mean(means):.3f} ({np.std(means):.3f}) ±{width:.3f}")
    print(f"| {name} | " + " | ".join(cells) + f" | {seconds:.0f} |", flush=True)


def omniglot():
    """Train on one part, score on the other's new alphabets, both ways."""
    X, y, alphabets, parts = load_omniglot()
    shared = np.intersect1d(alphabets[parts == 1], alphabets[parts == 2])
    ways = [(5, 1, None), (5, 5, None), (20, 1, "within"), (20, 5, "within"), (20, 1, None)]
    heads = [f"{n}-way {k}-shot{' in an alphabet' * bool(g)}" for n, k, g in ways]
    print("| trained on, method | " + " | ".join(heads) + " | CPU s |")
    print("|---" * (len(ways) + 2) + "|")
    methods = {
        "1-NN on pixels": None,
        "SimpleShot": NearestPrototypeClassifier,
        "prototypical": PrototypicalClassifier,
        "matching": MatchingClassifier,
    }
    for part in (1, 2):
        known = parts == part
        new = ~known & ~np.isin(alphabets, shared)
        rows = with_rotations(X[known], y[known])
        for name, method in methods.items():
            started, scores = process_time(), [[] for _ in ways]
            for seed in SEEDS:
                clf = fitted(method, *rows, seed)
                pixels = X[new].reshape(new.sum(), -1) if method is None else X[new]
                for (n_way, n_shot, within), found in zip(ways, scores, strict=True):
                    found.append(
                        few_shot_score(
                            clf,
                            pixels,
                            y[new],
                            groups=alphabets[new] if within else None,
                            n_way=n_way,
                            n_shot=n_shot,
                            n_episodes=300,
                            random_state=seed,
                        )
                    )
            show(f"part {part}, {name}", scores, (process_time() - started) / len(SEEDS))


def fitted(method, X, y, seed):
    """Return what is scored, trained on Omniglot's known characters and their turns."""
    if method is None:
        return KNeighborsClassifier(1)
    if method is NearestPrototypeClassifier:
        plain = FineTuneClassifier(
            omniglot_body,
            unfreeze_depth="all",
            head_epochs=0,
            finetune_epochs=8,
            finetune_learning_rate=2e-3,
            batch_size=128,
            random_state=seed,
        )
        return method(plain.fit(X, y).backbone_).fit(X, y)
    return method(
        omniglot_body,
        n_way=30,
        n_shot=1,
        n_query=4,
        episodes=800,
        learning_rate=2e-3,
        learning_rate_schedule="cosine",
        random_state=seed,
    ).fit(X, y)


def digits():
    """Train on digits 0 to 4, tell 5 to 9 apart by one and by five rows of each."""
    X, y = load_digits(return_X_y=True)
    images, known = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32), y < 5
    rows = with_rotations(images[known], y[known])
    print("| method | 1 row a class | 5 rows a class | CPU s |\n|---|---|---|---|")

    def report(name, make):
        started, scores = process_time(), [[], []]
        for seed in SEEDS:
            clf, shown = make(seed)
            for n_shot, found in zip((1, 5), scores, strict=True):
                found.append(
                    few_shot_score(clf, shown[~known], y[~known], n_shot=n_shot, random_state=seed)
                )
        show(name, scores, (process_time() - started) / len(SEEDS))

    def simple_shot(seed):
        settings = SourceTraining(epochs=10)
        plain = FineTuneClassifier(
            digits_body,
            unfreeze_depth="all",
            head_epochs=0,
            finetune_epochs=settings.epochs,
            finetune_learning_rate=1e-3,
            random_state=seed,
        ).fit(*rows)
        return NearestPrototypeClassifier(plain.backbone_).fit(*rows), images

    def episodic(method, seed, **settings):
        return method(digits_body, episodes=500, random_state=seed, **settings).fit(*rows), images

    report("logistic regression on pixels", lambda seed: (LogisticRegression(), X / 16))
    report(
        "SimpleShot on pixels",
        lambda seed: (NearestPrototypeClassifier().fit(X[known] / 16, y[known]), X / 16),
    )
    report("SimpleShot", simple_shot)
    report("prototypical", lambda seed: episodic(PrototypicalClassifier, seed))
    report("matching", lambda seed: episodic(MatchingClassifier, seed))


if __name__ == "__main__":
    {"omniglot": omniglot, "digits": digits}[sys.argv[1]]()
