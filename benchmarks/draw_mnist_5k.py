"""Draw the 5,000 digits that the package ships: 500 of each class, from MNIST's training set.

    python benchmarks/draw_mnist_5k.py path/to/mnist.npz

The file holds ``X_train`` (60000, 28, 28) uint8 and ``y_train`` (60000,).
"""

import sys
from pathlib import Path

import numpy as np

SHIPPED = Path(__file__).parents[1] / "sktransfer" / "datasets" / "data" / "mnist_5k.npz"
PER_CLASS = 500


def draw(images, labels, seed=0):
    """Return images and labels of `PER_CLASS` digits of each class, in random order."""
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(labels == digit))[:PER_CLASS] for digit in range(10)]
    order = rng.permutation(np.concatenate(chosen))
    return images[order], labels[order].astype(np.uint8)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    mnist = np.load(sys.argv[1])
    images, labels = draw(mnist["X_train"], mnist["y_train"])
    np.savez_compressed(SHIPPED, data=images, target=labels)
    print(f"{SHIPPED.name}: {len(images)} digits, {SHIPPED.stat().st_size / 1e6:.2f} MB")
