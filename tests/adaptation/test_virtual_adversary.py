"""Virtual adversarial perturbations: norm, direction against the analytic answer, who sees them."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from sktransfer.adaptation._virtual_adversary import (
    adversarial_perturbation,
    divergences,
    spread,
    unit_rows,
    virtual_adversarial_logits,
    without_noise,
)

rows = arrays(np.float64, (5, 3), elements=st.floats(-20, 20)).map(torch.from_numpy)


def linear(n_in=4, n_out=3, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(n_in, n_out).double()


def test_divergences_equal_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    logits, other = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    found = divergences(torch.from_numpy(logits), torch.from_numpy(other)).numpy()
    for i in range(5):
        p, q = (np.exp(z[i]) / sum(np.exp(v) for v in z[i]) for z in (logits, other))
        expected = sum(p[k] * (np.log(p[k]) - np.log(q[k])) for k in range(3))
        assert found[i] == pytest.approx(expected, rel=1e-12)


@given(rows, rows, st.floats(-5, 5))
def test_divergences_are_none_of_equal_predictions_and_never_negative(logits, other, shift):
    assert (divergences(logits, other) >= -1e-12).all()
    zero = divergences(logits, logits + shift)
    torch.testing.assert_close(zero, torch.zeros_like(zero), rtol=0, atol=1e-12)


def test_spread_equals_the_formula_by_plain_loops():
    X = np.random.default_rng(0).normal(size=(6, 2, 3))
    total = sum(((x - X.mean(axis=0)) ** 2).sum() for x in X)
    assert spread(torch.from_numpy(X)).item() == pytest.approx((total / 6) ** 0.5, rel=1e-12)


@given(rows, st.floats(0.01, 100), st.floats(-100, 100))
def test_spread_scales_with_the_unit_and_not_with_the_origin(X, factor, shift):
    assume(spread(X) > 0.1)
    torch.testing.assert_close(spread(factor * X + shift), factor * spread(X), rtol=1e-6, atol=0)


@given(arrays(np.float64, (4, 3), elements=st.floats(-1e300, 1e300, allow_subnormal=False)))
def test_unit_rows_have_norm_one_or_are_zeros(X):
    norms = unit_rows(torch.from_numpy(X)).norm(dim=1)
    expected = torch.from_numpy(np.where((X == 0).all(axis=1), 0.0, 1.0))
    torch.testing.assert_close(norms, expected, rtol=1e-12, atol=0)


@given(
    arrays(np.float64, (5, 3), elements=st.floats(-2, 2)).map(torch.from_numpy),
    arrays(np.float64, (5, 3), elements=st.floats(0.1, 1)).map(torch.from_numpy),
    st.floats(0.001, 10),
)
def test_every_perturbation_has_the_radius_for_its_norm(X, start, radius):
    head = linear(3, 2)
    moves = adversarial_perturbation(head, X, head(X), radius, start)
    norms = moves.norm(dim=1)
    moving = norms > 0  # along the border nothing changes
    expected = torch.full_like(norms, radius)
    torch.testing.assert_close(norms[moving], expected[moving], rtol=1e-9, atol=0)


def test_images_have_a_norm_for_each():
    body = nn.Sequential(nn.Flatten(), linear(12, 3))
    X = torch.randn(5, 3, 2, 2, dtype=torch.float64)
    moves = adversarial_perturbation(body, X, body(X), 0.7, torch.randn_like(X))
    torch.testing.assert_close(moves.flatten(1).norm(dim=1), torch.full((5,), 0.7).double())


def test_the_direction_is_one_power_iteration_of_the_analytic_hessian():
    """Of a linear softmax KL(p(x) || p(x + r)) is r' H r / 2, H = W' (diag p - p p') W."""
    head = linear()
    X, start = torch.randn(6, 4).double(), torch.randn(6, 4).double()
    moves = adversarial_perturbation(head, X, head(X), 1e-4, start)
    W = head.weight.detach().numpy()
    for i in range(6):
        p = head(X)[i].softmax(dim=0).detach().numpy()
        hessian = np.zeros((4, 4))
        for a in range(4):
            for b in range(4):
                mean_a, mean_b = (sum(p[k] * W[k, c] for k in range(3)) for c in (a, b))
                hessian[a, b] = sum(p[k] * W[k, a] * W[k, b] for k in range(3)) - mean_a * mean_b
        expected = hessian @ start[i].numpy()
        expected *= 1e-4 / np.linalg.norm(expected)
        np.testing.assert_allclose(moves[i].detach().numpy(), expected, rtol=0, atol=1e-8)


def test_the_gradient_is_taken_a_tenth_of_the_radius_away():
    network = nn.Sequential(linear(4, 8), nn.Tanh(), linear(8, 3))
    X, start = torch.randn(6, 4).double(), torch.randn(6, 4).double()
    moves = adversarial_perturbation(network, X, network(X), 3.0, start)
    away = (X + 0.3 * start / start.norm(dim=1, keepdim=True)).requires_grad_()
    log_p, log_q = network(X).log_softmax(dim=1).detach(), network(away).log_softmax(dim=1)
    (gradient,) = torch.autograd.grad((log_p.exp() * (log_p - log_q)).sum(), away)
    expected = 3.0 * gradient / gradient.norm(dim=1, keepdim=True)
    torch.testing.assert_close(moves, expected, rtol=1e-9, atol=1e-12)


def test_of_two_classes_the_direction_is_the_border_s_normal():
    """There H has one eigenvector, so that one iteration finds it from any start."""
    head = linear(n_out=2)
    X = torch.randn(6, 4).double()
    moves = unit_rows(adversarial_perturbation(head, X, head(X), 1e-3, torch.randn_like(X)))
    normal = unit_rows(head.weight[1:] - head.weight[:1]).detach()
    torch.testing.assert_close((moves @ normal.T).abs(), torch.ones(6, 1).double())


def test_it_changes_predictions_more_than_random_moves_do():
    head = nn.Sequential(linear(4, 20), nn.ReLU(), linear(20, 3))
    X = torch.randn(50, 4).double()
    logits = head(X).detach()
    moves = adversarial_perturbation(head, X, logits, 0.1, torch.randn_like(X))
    at_random = 0.1 * unit_rows(torch.randn_like(X))
    changes = [divergences(logits, head(X + r)).mean() for r in (moves, at_random)]
    assert changes[0] > 1.5 * changes[1]


def test_no_gradient_flows_into_the_perturbation_nor_from_making_it():
    head, X = linear(), torch.randn(6, 4).double().requires_grad_()
    logits = head(X)
    moves = adversarial_perturbation(head, X, logits, 0.1, torch.randn_like(X))
    assert not moves.requires_grad
    assert X.grad is None
    assert head.weight.grad is None


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_predictions_of_rows_as_they_are_are_held_fixed(dropout):
    network = nn.Sequential(linear(4, 8), nn.Dropout(dropout), linear(8, 3))
    X = torch.randn(6, 4).double()
    fixed, moved = virtual_adversarial_logits(network, X, network(X), 0.1)
    assert not fixed.requires_grad
    assert moved.requires_grad


@pytest.mark.parametrize(
    "predict",
    [lambda X: torch.zeros(len(X), 3).double(), lambda X: 0 * X[:, :3]],
    ids=["constant", "flat"],
)
def test_where_nothing_changes_predictions_nothing_moves(predict):
    X = torch.randn(5, 4).double()
    moves = adversarial_perturbation(predict, X, predict(X), 0.1, torch.randn_like(X))
    assert torch.equal(moves, torch.zeros_like(X))


@pytest.mark.parametrize("factor", [0.01, 1000.0])
def test_rows_in_another_unit_are_moved_by_as_much_of_it(factor):
    head = linear()
    scaled = linear()
    scaled.weight.data /= factor
    X = torch.randn(8, 4).double()
    found = []
    for network, rows_ in ((head, X), (scaled, factor * X)):
        torch.manual_seed(1)
        found.append(virtual_adversarial_logits(network, rows_, network(rows_), 0.1))
    torch.testing.assert_close(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


def test_rows_are_moved_by_the_radius_in_spreads():
    seen = []

    class Watched(nn.Linear):
        def forward(self, X):
            seen.append(X.detach())
            return super().forward(X)

    head, X = Watched(4, 3).double(), 5 * torch.randn(8, 4).double()
    virtual_adversarial_logits(head, X, nn.Linear.forward(head, X), 0.2)
    lengths = (seen[-1] - X).norm(dim=1)
    torch.testing.assert_close(lengths, (0.2 * spread(X)).expand(8))


def test_without_noise_dropout_rests_and_statistics_stay():
    network = nn.Sequential(linear(4, 5), nn.BatchNorm1d(5).double(), nn.Dropout(0.5)).train()
    X = torch.randn(9, 4).double()
    before = network[1].running_mean.clone()
    with without_noise(network) as is_noisy:
        assert is_noisy
        assert torch.equal(network(X), network(X))
    assert torch.equal(network[1].running_mean, before)
    assert network[2].training
    network(X)
    assert not torch.equal(network[1].running_mean, before)


def test_with_dropout_the_fixed_predictions_are_without_it():
    network = nn.Sequential(linear(4, 50), nn.Dropout(0.5), linear(50, 3)).train()
    X = torch.randn(9, 4).double()
    fixed, moved = virtual_adversarial_logits(network, X, network(X), 1e-9)
    torch.testing.assert_close(fixed, moved)
