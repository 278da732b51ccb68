"""MNIST to MNIST-M at full size: DANN with its defaults on 60,000 digits and 60,000 on photos.

    python benchmarks/full_mnist_m.py [--epochs 10] [--seed 0]

The target is all of MNIST's training digits, each on a photo of BSDS500 (`make_mnist_m`); the
body is that of the README. After each epoch 5,000 rows of the target are scored, and the time that
scoring takes is left out of what is printed.
"""

import argparse
import time

import numpy as np
import torch
from _holds_problems import arrays, colour_body, colours, photos
from skorch.callbacks import Callback

from sktransfer import DANNClassifier
from sktransfer.datasets import make_mnist_m

N_SCORED = 5000


class TimedAccuracy(Callback):
    """Print each epoch's accuracy on some rows of the target and the seconds of training."""

    def __init__(self, X, y):
        self.X = X
        self.y = y

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        """Score, and stop the clock for as long."""
        now = time.perf_counter()
        accuracy = np.mean(net.predict(self.X) == self.y)
        epoch = len(net.history)
        print(f"epoch {epoch}: {accuracy:.3f} after {now - self.start_:.0f} s", flush=True)
        self.start_ += time.perf_counter() - now


def main():
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    digits, y = arrays("mnist")["X_train"], arrays("mnist")["y_train"]
    X_target = make_mnist_m(digits, photos(), random_state=args.seed)
    rows = np.random.default_rng(args.seed).permutation(len(y))[:N_SCORED]
    torch.manual_seed(args.seed)
    clf = DANNClassifier(
        colour_body(),
        max_epochs=args.epochs,
        callbacks=[TimedAccuracy(X_target[rows], y[rows])],
        random_state=args.seed,
    )
    start = time.perf_counter()
    clf.fit(colours(digits), y, X_target=X_target)
    seconds = time.perf_counter() - start
    print(f"all {len(y)} rows of the target: {clf.score(X_target, y):.4f}, fit {seconds:.0f} s")


if __name__ == "__main__":
    main()
