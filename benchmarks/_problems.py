"""The two jobs that are timed: tabular rows through an MLP, small images through convolutions."""

from dataclasses import dataclass

import numpy as np
from torch import nn

BATCH_SIZE = 64
LEARNING_RATE = 1e-3


@dataclass
class Problem:
    """Two domains of equal size and the modules that every contender trains on them."""

    name: str
    n_features: int
    epochs: int
    X_source: np.ndarray
    y_source: np.ndarray
    X_target: np.ndarray

    @property
    def n_steps(self):
        """Training steps of a fit, of 64 + 64 rows each."""
        return self.epochs * len(self.X_source) // BATCH_SIZE

    def make_body(self):
        """Return a fresh body."""
        if self.name == "tabular":
            return nn.Sequential(nn.Linear(20, self.n_features), nn.ReLU())
        return nn.Sequential(
            nn.Conv2d(3, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )

    def make_label_classifier(self):
        """Return a fresh label head."""
        return nn.Linear(self.n_features, 2)

    def make_domain_classifier(self):
        """Return a fresh domain head."""
        return nn.Sequential(nn.Linear(self.n_features, 100), nn.ReLU(), nn.Linear(100, 1))


def make_problem(name):
    """Return the ``tabular`` (20 features) or the ``images`` (3x28x28) problem."""
    rng = np.random.default_rng(0)
    shape, n_rows, epochs, n_features = {
        "tabular": ((20,), 64 * 100, 3, 100),
        "images": ((3, 28, 28), 64 * 20, 5, 512),
    }[name]
    X = rng.normal(size=(n_rows, *shape)).astype(np.float32)
    y = (X.reshape(n_rows, -1)[:, 0] > 0).astype(np.int64)
    X_target = rng.normal(size=(n_rows, *shape)).astype(np.float32) + 0.5
    return Problem(name, n_features, epochs, X, y, X_target)
