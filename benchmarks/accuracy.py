"""MNIST -> MNIST-M on the shipped digits: accuracy on unseen images, mean of several seeds.

python benchmarks/accuracy.py [seeds]
"""

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch

from sktransfer import DANNClassifier

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from plot_dann_mnist_m import EPOCHS, TRAINING, load_domains, make_body

METHODS = {
    "source only": None,
    "DANN": {},
    "DANN, entropy on the target": {"target_loss": "entropy", "target_loss_weight": 0.1},
}
BODIES = {
    "images standardised": make_body,
    "images as they are": lambda: make_body()[1:],
}


def evaluate(make_body, params, seed):
    """Return source accuracy, target accuracy, domain accuracy and seconds of one fit."""
    source, target = load_domains()
    torch.manual_seed(seed)
    epochs = EPOCHS["source only" if params is None else "DANN"]
    clf = DANNClassifier(make_body(), **TRAINING, max_epochs=epochs, random_state=seed)
    start = time.perf_counter()
    if params is None:
        clf.set_params(lambda_=0.0).fit(source.X_train, source.y_train)
    else:
        clf.set_params(**params).fit(source.X_train, source.y_train, target.X_train)
    seconds = time.perf_counter() - start
    scores = [clf.score(domain.X_test, domain.y_test) for domain in (source, target)]
    return [*scores, clf.history_[-1].get("domain_accuracy", np.nan), seconds]


def main(n_seeds=3):
    """Return the table as Markdown."""
    lines = [
        f"| mean (standard deviation) of {n_seeds} seeds | source test | target test | "
        "domain accuracy | seconds |",
        "|---|---|---|---|---|",
    ]
    for (body, make), (name, params) in itertools.product(BODIES.items(), METHODS.items()):
        runs = np.array([evaluate(make, params, seed) for seed in range(n_seeds)])
        mean, spread = runs.mean(axis=0), runs.std(axis=0, ddof=1)
        cells = [
            "-" if np.isnan(m) else f"{m:.3f} ({s:.3f})"
            for m, s in zip(mean[:3], spread[:3], strict=True)
        ]
        lines.append(f"| {name}; {body} | {' | '.join(cells)} | {mean[3]:.0f} |")
        print(lines[-1], *(f"{run[1]:.3f}" for run in runs), file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
