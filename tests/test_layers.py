"""Layers that change gradients."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sktransfer.layers import GradientReversal, scale_gradient


def loss_behind(layer, x):
    return torch.sin(layer(x)).sum()


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=5), st.floats(0, 10))
def test_reversed_gradient_is_exactly_minus_lambda_times_the_plain_one(values, lambda_):
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    (plain,) = torch.autograd.grad(loss_behind(nn.Identity(), x), x)
    (reversed_,) = torch.autograd.grad(loss_behind(GradientReversal(lambda_), x), x)
    assert torch.equal(reversed_, plain * -lambda_)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=5), st.floats(-10, 10))
def test_scale_gradient_passes_values_on_and_scales_gradients(values, factor):
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    scaled = scale_gradient(x, factor)
    assert torch.equal(scaled, x)
    (gradient,) = torch.autograd.grad(scaled.square().sum(), x)
    assert torch.equal(gradient, 2 * x.detach() * factor)


def test_lambda_can_change_between_passes():
    layer, x = GradientReversal(1.0), torch.ones(1, requires_grad=True)
    layer.lambda_ = 3.0
    (gradient,) = torch.autograd.grad(layer(x), x)
    assert gradient.item() == -3.0
    assert "lambda_=3" in repr(layer)
