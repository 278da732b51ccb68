"""Deep adaptation networks: the loss by plain loops, by the metric, and in a fit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from sktransfer import DeepMMDClassifier
from sktransfer.adaptation._mmd import mmd_loss
from sktransfer.metrics import mmd
from tests.adaptation.problems import ONE_STEP

features = arrays(np.float64, (5, 3), elements=st.floats(-10, 10)).map(torch.from_numpy)


def kernel_by_loops(rows):
    def distance(a, b):
        return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))

    n = len(rows)
    v = sum(distance(a, b) for a in rows for b in rows) / (n * (n - 1))
    scales = (1 / 4, 1 / 2, 1, 2, 4)
    return [
        [sum(math.exp(-distance(a, b) / (s * v)) for s in scales) / 5 for b in rows] for a in rows
    ]


@pytest.mark.parametrize("n_layers", [1, 2])
def test_loss_equals_the_formula_by_plain_loops(n_layers):
    rng = np.random.default_rng(0)
    source = [rng.normal(size=(7, width)) for width in (3, 2)[:n_layers]]
    target = [rng.normal(size=(4, width)) + 1 for width in (3, 2)[:n_layers]]
    kernels = [kernel_by_loops(np.concatenate(both)) for both in zip(source, target, strict=True)]
    expected = 0.0
    for i in range(11):
        for j in range(11):
            sign = 1 if (i < 7) == (j < 7) else -1
            n_pairs = (7 if i < 7 else 4) * (7 if j < 7 else 4)
            expected += sign * math.prod(k[i][j] for k in kernels) / n_pairs
    loss = mmd_loss(*([torch.from_numpy(Z) for Z in side] for side in (source, target)))
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_loss_is_the_metric():
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(9, 3)), rng.normal(size=(6, 3)) + 1
    rows = np.concatenate([X, Z])
    v = np.sum((rows[:, None] - rows) ** 2) / (15 * 14)
    expected = mmd(X, Z, kernel="gaussian_mixture", bandwidth=np.sqrt(v / 2), unbiased=False)
    loss = mmd_loss([torch.from_numpy(X)], [torch.from_numpy(Z)])
    assert loss.item() == pytest.approx(expected, rel=1e-9)


@given(features, features)
def test_loss_is_symmetric_and_not_negative(source, target):
    loss = mmd_loss([source], [target])
    assert loss > -1e-12
    torch.testing.assert_close(loss, mmd_loss([target], [source]), rtol=1e-9, atol=1e-12)


@given(features, st.permutations(range(5)))
def test_loss_of_shuffled_rows_is_zero(rows, order):
    assert abs(mmd_loss([rows], [rows[order]])) < 1e-12


@given(st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_loss_does_not_depend_on_scale_and_place(scale, shift):
    rng = torch.Generator().manual_seed(0)
    source, target = (torch.randn(5, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    moved = mmd_loss([scale * source + shift], [scale * target + shift])
    torch.testing.assert_close(moved, mmd_loss([source], [target]), rtol=1e-6, atol=1e-9)


def test_loss_keeps_its_digits_far_from_zero():
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randn(9, 20, generator=generator) + 1e3 for _ in range(2))
    exact = mmd_loss([source.double()], [target.double() + 1])
    torch.testing.assert_close(mmd_loss([source], [target + 1]).double(), exact, rtol=1e-4, atol=0)


def test_equal_rows_give_zero_and_a_finite_gradient():
    rows = torch.ones(4, 3, requires_grad=True)
    loss = mmd_loss([rows], [rows])
    loss.backward()
    assert loss == 0
    assert torch.equal(rows.grad, torch.zeros(4, 3))


def test_no_gradient_flows_through_the_bandwidth():
    # A pair of rows alone is always at the mean distance: were it not held, nothing would move.
    source = torch.zeros(1, 1, dtype=torch.float64)
    target = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    mmd_loss([source], [target]).backward()
    slopes = [2 / s * math.exp(-1 / s) / 5 for s in (1 / 4, 1 / 2, 1, 2, 4)]
    assert target.grad.item() == pytest.approx(2 * sum(slopes))


def modules():
    torch.manual_seed(0)
    return nn.Linear(4, 3).double(), nn.Linear(3, 2).double()


def trained(domains, lambda_, **params):
    """Return the network after one step down the loss of all rows, with rate 0.1."""
    X, y, X_target = domains
    body, head = modules()
    clf = DeepMMDClassifier(
        body,
        label_classifier=head,
        lambda_=lambda_,
        **ONE_STEP,
        **params,
    )
    return clf.fit(X, y, X_target[:50]).net_.module_


@pytest.mark.parametrize("joint", [False, True])
def test_lambda_weighs_the_gradient_and_only_joint_matching_teaches_the_head(domains, joint):
    X, _, X_target = domains
    adapted = trained(domains, 3.0, joint=joint, target_loss=None)
    without = trained(domains, 0.0, joint=joint, target_loss=None)
    body, head = modules()
    sides = []
    for Z in (X, X_target[:50]):
        f = body(torch.from_numpy(Z))
        sides.append([f, head(f).softmax(dim=1)] if joint else [f])
    wanted = [body.weight, head.weight]
    gradients = torch.autograd.grad(mmd_loss(*sides), wanted, allow_unused=True)
    for name, gradient in zip(("body", "label_head"), gradients, strict=True):
        difference = getattr(adapted, name).weight - getattr(without, name).weight
        expected = torch.zeros_like(difference) if gradient is None else -0.1 * 3.0 * gradient
        torch.testing.assert_close(difference, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("joint", [False, True])
def test_by_default_lambda_weighs_a_little_of_the_entropy_as_well(domains, joint):
    by_default = trained(domains, 3.0, joint=joint)
    published = trained(domains, 3.0, joint=joint, target_loss=None)
    body, head = modules()
    p = head(body(torch.from_numpy(domains[2][:50]))).softmax(dim=1)
    entropy = -(p * p.log()).sum(dim=1).mean()
    gradients = torch.autograd.grad(0.03 * entropy, [body.weight, head.weight])
    for name, gradient in zip(("body", "label_head"), gradients, strict=True):
        difference = getattr(by_default, name).weight - getattr(published, name).weight
        torch.testing.assert_close(difference, -0.1 * 3.0 * gradient, rtol=1e-8, atol=1e-12)
