"""Weights are drawn towards zero by the same share, whatever trains them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sktransfer import DANNRegressor, DeepCORALRegressor
from sktransfer.engine._decay import WeightDecay, decay_rate, default_weights

STILL = {"learning_rate": 1e-3, "max_epochs": 3, "batch_size": 40, "average_weights": 0.0}


class Batch:
    progress = 0.5


@given(st.floats(1e-6, 1.0), st.floats(0.0, 1e6), st.integers(1, 10**9))
def test_a_rate_is_a_share_and_falls_with_the_rows(learning_rate, weight_decay, n_rows):
    rate = decay_rate(learning_rate, weight_decay, n_rows)
    assert 0 <= rate <= 1
    assert decay_rate(learning_rate, weight_decay, 4 * n_rows) <= rate
    if rate < 1:
        assert rate == pytest.approx(learning_rate * weight_decay / n_rows**0.5)


def test_a_step_takes_its_share_of_default_weights_alone():
    made, own = nn.Linear(3, 2), nn.Linear(3, 2)
    made.is_default = True
    before = [weight.detach().clone() for weight in (*made.parameters(), *own.parameters())]
    weights = default_weights(nn.ModuleList([made, own]))
    follower = WeightDecay(weights, 0.1, lambda p: 1 - p)
    follower.after_step(Batch())
    after = [*made.parameters(), *own.parameters()]
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        torch.testing.assert_close(new.detach(), old * (0.95 if index < 2 else 1.0))


class NoOptimizer(torch.optim.SGD):
    """Leaves all weights to what follows the steps."""

    def step(self, closure=None):
        return None


@pytest.mark.filterwarnings("ignore:The domain")
@pytest.mark.parametrize("cls", [DANNRegressor, DeepCORALRegressor])
def test_fit_takes_the_share_of_every_step_off(cls):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(100, 3)), rng.normal(1, 1, size=(80, 3))
    fits = {}
    for decay in (0.0, 50.0):
        reg = cls(optimizer=NoOptimizer, weight_decay=decay, random_state=0, **STILL)
        reg.fit(X, X[:, 0], X_target)
        fits[decay] = dict(reg.net_.module_.named_parameters())
    kept = (1 - 1e-3 * 50 / 10) ** 9  # 3 steps in each of 3 epochs, 100 rows
    for name, weight in fits[50.0].items():
        torch.testing.assert_close(weight, kept * fits[0.0][name])
