"""Deep CORAL: its loss by plain loops and by its properties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from sktransfer import DeepCORALClassifier
from sktransfer.adaptation._coral import coral_loss, covariance, squared_gap_by_rows
from sktransfer.datasets import make_shifted_moons

features = arrays(np.float64, (6, 3), elements=st.floats(-10, 10)).map(torch.from_numpy)


@pytest.mark.parametrize("width", [3, 12])  # of fewer and of more features than rows
def test_coral_loss_equals_the_formula_by_plain_loops(width):
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(7, width)), rng.normal(size=(4, width)) * 2

    def covariance(rows, i, j):
        n, products = len(rows), 0.0
        for row in rows:
            products += (row[i] - sum(rows[:, i]) / n) * (row[j] - sum(rows[:, j]) / n)
        return products / (n - 1)

    expected = 0.0
    for i in range(width):
        for j in range(width):
            gap = covariance(source, i, j) - covariance(target, i, j)
            expected += gap**2 / (4 * width**2)
    loss = coral_loss(torch.from_numpy(source), torch.from_numpy(target))
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 20), st.floats(-1e3, 1e3))
def test_the_gap_by_rows_is_that_of_the_matrices(n_source, n_target, width, offset):
    generator = torch.Generator().manual_seed(0)
    source, target = (
        torch.randn(n, width, generator=generator, dtype=torch.float64) + offset
        for n in (n_source, n_target)
    )
    gap = (covariance(source) - covariance(target)).square().sum()
    torch.testing.assert_close(squared_gap_by_rows(source, target), gap, rtol=1e-9, atol=1e-12)


def test_the_gap_by_rows_keeps_its_digits_in_single_precision():
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randn(20, 500, generator=generator) + 1e3 for _ in range(2))
    exact = squared_gap_by_rows(source.double(), target.double())
    found = squared_gap_by_rows(source, target)
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=0)


def test_gradients_of_the_gap_by_rows_are_those_of_the_formula():
    generator = torch.Generator().manual_seed(0)
    sides = [
        torch.randn(n, 12, generator=generator, dtype=torch.float64, requires_grad=True)
        for n in (4, 5)
    ]
    assert torch.autograd.gradcheck(squared_gap_by_rows, sides)
    by_rows = torch.autograd.grad(squared_gap_by_rows(*sides), sides)
    by_features = torch.autograd.grad(
        (covariance(sides[0]) - covariance(sides[1])).square().sum(), sides
    )
    torch.testing.assert_close(by_rows, by_features, rtol=1e-9, atol=1e-12)


def test_the_gap_by_rows_of_shuffled_rows_is_nothing_beside_the_covariance():
    rows = torch.randn(20, 500, generator=torch.Generator().manual_seed(0))
    gap = squared_gap_by_rows(rows, rows.flip(0))
    assert 0 <= gap < 1e-5 * covariance(rows).square().sum()


@given(features, features)
def test_coral_loss_is_symmetric_and_not_negative(source, target):
    loss = coral_loss(source, target)
    assert loss >= 0
    torch.testing.assert_close(loss, coral_loss(target, source), rtol=1e-9, atol=1e-12)


@given(features, st.permutations(range(6)), st.floats(-5, 5))
def test_coral_loss_is_zero_for_shuffled_and_shifted_rows(source, order, shift):
    assert coral_loss(source, source[order] + shift) < 1e-18


@given(features, features, st.floats(0.1, 5))
def test_coral_loss_scales_with_the_fourth_power(source, target, scale):
    scaled = coral_loss(scale * source, scale * target)
    torch.testing.assert_close(scaled, scale**4 * coral_loss(source, target), rtol=1e-9, atol=1e-12)


def test_coral_loss_of_two_rows_divides_by_one():
    source, target = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    assert coral_loss(source, target) == (2 - 8) ** 2 / 4  # variances 2 and 8


def test_coral_loss_of_single_rows_is_zero():
    assert coral_loss(torch.ones(1, 3), torch.zeros(1, 3)) == 0


@pytest.mark.accuracy
def test_default_epochs_end_before_the_source_is_learned_by_heart():
    Xs, ys, Xt, yt = make_shifted_moons(300, rotation=50, random_state=0)
    default, longer = (
        DeepCORALClassifier(**epochs, random_state=0).fit(Xs, ys, X_target=Xt).score(Xt, yt)
        for epochs in ({}, {"max_epochs": 100})
    )
    assert default > longer + 0.05  # measured at four seeds: +.15 to +.20


def test_lambda_weighs_the_gradient_to_the_body_alone():
    rng = np.random.default_rng(0)
    X, y, X_target = rng.normal(size=(20, 3)), rng.integers(0, 2, 20), rng.normal(size=(9, 3))

    def bodies_step(lambda_):
        torch.manual_seed(0)
        body = nn.Linear(3, 4).double()
        clf = DeepCORALClassifier(
            body,
            lambda_=lambda_,
            lambda_schedule="constant",
            optimizer=torch.optim.SGD,
            learning_rate=1.0,
            max_epochs=1,
            random_state=0,
        ).fit(X, y, X_target)
        step = clf.net_.module_.body.weight - body.weight
        Zs, Zt = (body(torch.from_numpy(Z)) for Z in (X, X_target))
        return step, torch.autograd.grad(coral_loss(Zs, Zt), body.weight)[0]

    (without, gradient), (with_coral, _) = bodies_step(0.0), bodies_step(5.0)
    torch.testing.assert_close(with_coral - without, -5.0 * gradient, rtol=1e-9, atol=1e-12)


def test_covariances_come_closer():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    y = (X[:, 0] > 0).astype(int)
    X_target = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5))
    clf = DeepCORALClassifier(lambda_=1000.0, max_epochs=60, random_state=0)
    losses = clf.fit(X, y, X_target).history_[:, "domain_loss"]
    assert losses[-1] < losses[0] / 10
