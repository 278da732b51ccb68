"""Two domains to align."""

import numpy as np


def shifted(n_source=60, n_target=50, n_features=4, seed=0):
    """Return rows and labels of a source, and rows of a target that was sheared and moved."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n_source)
    X = rng.normal(size=(n_source, n_features)) + y[:, None]
    mixing = np.eye(n_features) + rng.normal(size=(n_features, n_features)) / 4
    X_target = (
        rng.normal(size=(n_target, n_features)) + rng.integers(0, 3, (n_target, 1))
    ) @ mixing
    return X, y, X_target + 2.0
