"""What tests of displays share: no window opens, no figure stays open, no generator moves."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def no_open_figures():
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def no_matplotlib(monkeypatch):
    """Make every import of matplotlib fail."""
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def still_generators():
    """Check at the end that the global generators are where they were."""
    numpys, torchs = np.random.get_state(), torch.get_rng_state()
    yield
    for before, after in zip(numpys, np.random.get_state(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert torch.equal(torchs, torch.get_rng_state())
