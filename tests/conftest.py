"""Small problems that several tests share."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the processors; threads of each on top of that would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

# Time limits belong in benchmarks: on a busy machine a first call takes its time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def seed_torch():
    """Draw alike from here on."""
    import torch  # not before it is needed: the process that hands out tests to others needs none

    torch.manual_seed(0)


def pytest_collectstart(collector):
    """Draw the weights of what a file makes at import alike, whichever files came before it."""
    if isinstance(collector, pytest.Module):
        seed_torch()


@pytest.fixture(autouse=True)
def seed_modules_of_tests():
    """Draw the weights of a test's own modules alike, whichever tests ran before it."""
    seed_torch()


@pytest.fixture
def domains():
    """Return a source, its labels and a shifted target of the same size: (X, y, X_target)."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 4))
    y = np.where(X[:, 0] + X[:, 1] > 0, "up", "down")
    return X, y, rng.normal(size=(90, 4)) + 0.5
