"""A batch whose axes stand in another order is refused with the order that passes."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import DANNClassifier
from sktransfer.network._layouts import layout_that_fits


def images(n_channels):
    return nn.Sequential(nn.Conv2d(n_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("module", "shape", "code"),
    [
        (images(3), (2, 9, 8, 3), "X.transpose(0, 3, 1, 2)"),
        (images(1), (2, 9, 8), "X[:, None]"),
        (images(3), (2, 9, 8), "numpy.repeat(X[:, None], 3, axis=1)"),
        (images(1), (2, 64), "X.reshape(-1, 1, 8, 8)"),
        (nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten()), (2, 9, 3), "X.transpose(0, 2, 1)"),
        (nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten()), (2, 10), "X[:, None]"),
    ],
)
def test_the_code_in_the_hint_brings_rows_to_a_shape_that_passes(module, shape, code):
    hint = layout_that_fits(module, torch.zeros(shape))
    assert code in hint
    changed = eval(code, {"X": np.zeros(shape, np.float32), "numpy": np})
    assert len(module(torch.tensor(changed))) == len(changed) == 2


@pytest.mark.parametrize("shape", [(2, 9, 8, 4), (2, 9), (2, 3, 1, 1)])
def test_where_no_layout_passes_nothing_is_said(shape):
    assert layout_that_fits(images(3), torch.zeros(shape)) == ""


def test_fit_says_that_channels_come_first():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 8, 8, 3)).astype(np.float32), np.arange(12) % 2
    clf = DANNClassifier(images(3), max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match=r"Channels come first: X.transpose\(0, 3, 1, 2\)"):
        clf.fit(X, y, X)
    X = X.transpose(0, 3, 1, 2)
    assert clf.fit(X, y, X).transform(X).shape == (12, 4)
