"""Few-shot learning: Omniglot's new alphabets, and digits 5 to 9 by 0 to 4.

``python -m benchmarks.few_shot omniglot FOLDER [METHOD ...]`` keeps what it has found in a folder,
with the states of fits in progress: ended at any time and called again, it goes on, and prints the
table of what there is. A fit takes a minute on one core. ``python -m benchmarks.few_shot choose
FOLDER`` chooses settings for the digits by old ones left out, and ``python -m benchmarks.few_shot
digits`` reports them; they take a few minutes. Omniglot's small sets are expected in
``../shared/data/omniglot_small.npz``; their two parts share the alphabets Greek and Latin, which
are left out of the tests.
"""

import itertools
import json
import math
import sys
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.nn import functional as F

from benchmarks._resumable import read, run_missing
from sktransfer import FineTuneClassifier, FitCheckpoint
from sktransfer.fewshot import (
    FewShotScore,
    MatchingClassifier,
    NearestPrototypeClassifier,
    PrototypicalClassifier,
    few_shot_score,
)

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "omniglot_small.npz"
SEEDS = (0, 1, 2)
EPISODES = 400  # of 300 images


def conv_layers(widths, pools):
    """Return a body of 3 x 3 convolutions, each with batch normalisation, ReLU and pooling."""
    layers, n_in = [], 1
    for width, pool in zip(widths, pools, strict=True):
        layers += [nn.Conv2d(n_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
        n_in = width
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def omniglot_body(shape):
    """Return four convolutions as in the papers, the first ones narrower."""
    return conv_layers([24, 32, 48, 64], [True] * 4)


def digits_body(shape):
    """Return three convolutions for images of 8 x 8."""
    return conv_layers([32, 32, 64], [False, True, True])


def with_rotations(X, y):
    """Return each image and its turns by quarters, which are classes of their own."""
    turned = [np.rot90(X, k, axes=(-2, -1)) for k in range(4)]
    return np.concatenate(turned), np.concatenate([y + 1000 * k for k in range(4)])


def moved(X):
    """Return images turned, moved, scaled and sheared a little, each in a way of its own."""
    turn, wide, high, shear, right, down = torch.rand(6, len(X), dtype=X.dtype) * 2 - 1
    cosine, sine = torch.cos(turn * math.pi / 12), torch.sin(turn * math.pi / 12)
    wide, high, shear = 1 + 0.15 * wide, 1 + 0.15 * high, 0.15 * shear
    rows = [
        [cosine * wide, (shear * cosine - sine) * high, 0.12 * right],
        [sine * wide, (shear * sine + cosine) * high, 0.12 * down],
    ]
    maps = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = F.affine_grid(maps, X.shape, align_corners=False)
    return F.grid_sample(X, grid, align_corners=False)


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
    for of_seeds in zip(*scores, strict=True):
        means = [score.mean for score in of_seeds]
        width = np.mean([score.half_width for score in of_seeds])
        cells.append(f"{np.mean(means):.3f} ({np.std(means):.3f}) ±{width:.3f}")
    print(f"| {name} | {len(scores)} | " + " | ".join(cells) + f" | {seconds:.0f} |", flush=True)


WAYS = [(5, 1, False), (5, 5, False), (20, 1, True), (20, 5, True), (20, 1, False)]
METHODS = {
    "1-NN on pixels": None,
    "prototypical": PrototypicalClassifier,
    "SimpleShot": NearestPrototypeClassifier,
    "matching": MatchingClassifier,
}


def omniglot(folder, *names):
    """Train on one part, score on the other's new alphabets; what was found is kept."""
    X, y, alphabets, parts = load_omniglot()
    shared = np.intersect1d(alphabets[parts == 1], alphabets[parts == 2])
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    for seed in SEEDS:
        for name in names or METHODS:
            file = folder / f"{name}, {seed}.json".replace(" ", "_")
            if file.exists():
                continue
            known, new = parts == 1, (parts == 2) & ~np.isin(alphabets, shared)
            rows, started = with_rotations(X[known], y[known]), process_time()
            clf = fitted(METHODS[name], *rows, seed, file.with_suffix(".checkpoint"))
            pixels = X[new].reshape(new.sum(), -1) if METHODS[name] is None else X[new]
            scores = [
                few_shot_score(
                    clf,
                    pixels,
                    y[new],
                    groups=alphabets[new] if inside else None,
                    n_way=n_way,
                    n_shot=n_shot,
                    n_episodes=300,
                    random_state=seed,
                )
                for n_way, n_shot, inside in WAYS
            ]
            found = [[score.mean, score.half_width] for score in scores]
            file.write_text(json.dumps({"scores": found, "seconds": process_time() - started}))
    heads = [f"{n}-way {k}-shot{' in an alphabet' * inside}" for n, k, inside in WAYS]
    print(
        "| method | seeds | " + " | ".join(heads) + " | CPU s |\n" + "|---" * (len(WAYS) + 3) + "|"
    )
    for name in names or METHODS:
        files = [folder / f"{name}, {seed}.json".replace(" ", "_") for seed in SEEDS]
        found = [json.loads(file.read_text()) for file in files if file.exists()]
        scores = [[FewShotScore(*score, None) for score in one["scores"]] for one in found]
        if found:
            show(name, scores, np.mean([one["seconds"] for one in found]))


def fitted(method, X, y, seed, checkpoint):
    """Return what is scored, trained on Omniglot's known characters and their turns."""
    if method is None:
        return KNeighborsClassifier(1)
    if method is NearestPrototypeClassifier:
        plain = FineTuneClassifier(
            omniglot_body,
            unfreeze_depth="all",
            head_epochs=0,
            finetune_epochs=EPISODES * 300 // len(y),  # as many images
            finetune_learning_rate=2e-3,
            learning_rate_schedule="cosine",
            batch_size=128,
            augment=moved,
            random_state=seed,
            checkpoint=FitCheckpoint(checkpoint, every_seconds=30),
        )
        return method(plain.fit(X, y).backbone_).fit(X, y)
    return method(
        omniglot_body,
        n_way=60,
        n_shot=1,
        n_query=4,
        episodes=EPISODES,
        augment=moved,
        learning_rate=2e-3,
        learning_rate_schedule="cosine",
        random_state=seed,
        checkpoint=FitCheckpoint(checkpoint, every_seconds=30),
    ).fit(X, y)


GRID = {
    f"{episodes} episodes, {n_shot} shot{', moved' * (augment is not None)}": {
        "episodes": episodes,
        "n_shot": n_shot,
        "augment": augment,
    }
    for n_shot, augment, episodes in itertools.product((1, 5), (None, moved), (15, 30, 60, 120))
}
CHOSEN = GRID["120 episodes, 5 shot, moved"]


def load_images():
    """Return scikit-learn's digits as images, and their labels."""
    X, y = load_digits(return_X_y=True)
    return (X / 16).reshape(-1, 1, 8, 8).astype(np.float32), y


def left_out(first, second, name):
    """Return the accuracy on two old digits and their turns of a fit on the three others."""
    X, y = load_images()
    out, known = np.isin(y, (first, second)), (y < 5) & ~np.isin(y, (first, second))
    clf = PrototypicalClassifier(digits_body, random_state=0, **GRID[name])
    clf.fit(*with_rotations(X[known], y[known]))
    new = with_rotations(X[out], y[out])
    scores = [
        few_shot_score(clf, *new, n_shot=n_shot, n_episodes=100, random_state=0).mean
        for n_shot in (1, 5)
    ]
    return np.mean(scores)


def choose(folder):
    """Print for each setting the mean of 5-way accuracies, by 1 and by 5 rows, on old digits."""
    path = Path(folder) / "digits.jsonl"
    pairs = ((0, 1), (1, 2), (2, 4), (3, 4), (0, 3))
    run_missing(path, ((*pair, name) for pair in pairs for name in GRID), left_out)
    frame = pd.DataFrame([(line["key"][2], line["accuracy"]) for line in read(path)])
    print(frame.groupby(0)[1].mean().sort_values().round(3).to_markdown())


def digits(*names):
    """Train on digits 0 to 4, tell 5 to 9 apart by one and by five rows; some methods or all."""
    images, y = load_images()
    known = y < 5
    rows = with_rotations(images[known], y[known])
    print("| method | seeds | 1 row a class | 5 rows a class | CPU s |\n|---|---|---|---|---|")

    def report(name, make, shown=images):
        if names and name not in names:
            return
        started, scores = process_time(), []
        for seed in SEEDS:
            clf = make(seed)
            ways = [
                few_shot_score(clf, shown[~known], y[~known], n_shot=n_shot, random_state=seed)
                for n_shot in (1, 5)
            ]
            scores.append(ways)
        show(name, scores, (process_time() - started) / len(SEEDS))

    def simple_shot(augment):
        def fitted(seed):
            plain = FineTuneClassifier(
                digits_body,
                unfreeze_depth="all",
                head_epochs=0,
                finetune_epochs=10,
                finetune_learning_rate=1e-3,
                augment=augment,
                random_state=seed,
            ).fit(*rows)
            return NearestPrototypeClassifier(plain.backbone_).fit(*rows)

        return fitted

    def episodic(method, settings):
        return lambda seed: method(digits_body, random_state=seed, **settings).fit(*rows)

    def on_its_body(seed):
        clf = episodic(PrototypicalClassifier, CHOSEN)(seed)
        return NearestPrototypeClassifier(clf.net_.module_.body).fit(*rows)

    pixels = images.reshape(len(images), -1)
    report("logistic regression on pixels", lambda seed: LogisticRegression(), pixels)
    report(
        "SimpleShot on pixels",
        lambda seed: NearestPrototypeClassifier().fit(pixels[known], y[known]),
        pixels,
    )
    report("SimpleShot", simple_shot(None))
    report("SimpleShot, images moved", simple_shot(moved))
    report("prototypical, 500 episodes", episodic(PrototypicalClassifier, {}))
    report("prototypical", episodic(PrototypicalClassifier, CHOSEN))
    report("matching", episodic(MatchingClassifier, CHOSEN))
    report("SimpleShot on the prototypical body", on_its_body)


if __name__ == "__main__":
    {"omniglot": omniglot, "choose": choose, "digits": digits}[sys.argv[1]](*sys.argv[2:])
