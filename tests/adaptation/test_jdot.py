"""Deep joint distribution optimal transport: cost, plan and gradients."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skorch.callbacks import Callback
from torch import nn

from sktransfer import DeepJDOTClassifier
from sktransfer.adaptation._jdot import cheapest_pairs, transport_cost
from tests.adaptation.problems import ONE_STEP

costs = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(0, 10)).map(torch.from_numpy)
)


def test_cost_equals_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    y, logits = rng.integers(0, 2, 5), rng.normal(size=(4, 2))
    expected = np.zeros((5, 4))
    for i in range(5):
        for j in range(4):
            distance = sum((source[i, a] - target[j, a]) ** 2 for a in range(3))
            p = math.exp(logits[j, y[i]]) / sum(math.exp(z) for z in logits[j])
            expected[i, j] = 0.3 / 3 * distance - 0.7 * math.log(p)
    tensors = map(torch.from_numpy, (source, y, target, logits))
    np.testing.assert_allclose(transport_cost(*tensors, 0.3, 0.7).numpy(), expected, rtol=1e-12)


def test_each_source_row_may_have_a_label_cost_of_its_own():
    rng = np.random.default_rng(0)
    source, target, logits = (torch.from_numpy(rng.normal(size=(5, 3))) for _ in range(3))
    y, costs = torch.tensor([0, 2, 1, 1, 0]), torch.rand(5, 1, dtype=torch.float64)
    each = transport_cost(source, y, target, logits, 0.3, costs)
    for i in range(5):
        rows = transport_cost(source[i : i + 1], y[i : i + 1], target, logits, 0.3, costs[i].item())
        torch.testing.assert_close(each[i], rows[0])


def test_class_weights_multiply_the_label_cost_of_the_source_rows(domains):
    X, y, X_target = domains
    weights = {"up": 4.0, "down": 1.0}
    seen = []

    class Seen(Callback):
        def on_batch_end(self, net, batch, training, loss, **kwargs):
            seen.append((batch, loss.item()))

    torch.manual_seed(0)
    body, head = nn.Linear(4, 3).double(), nn.Linear(3, 2).double()
    clf = DeepJDOTClassifier(
        body, label_classifier=head, class_weight=weights, lambda_schedule="constant",
        batch_size=90, max_epochs=1, average_weights=0.0, random_state=0, callbacks=[Seen()],
        feature_cost=10.0, label_cost=1.0, transported_share=1.0,
    )  # fmt: skip
    clf.fit(X, y, X_target)
    batch, loss = seen[0]
    counts = {label: (y == label).sum() for label in weights}
    mean = sum(weights[label] * counts[label] for label in weights) / len(y)
    of_rows = torch.tensor([weights[label] / mean for label in y[batch.source.rows.numpy()]])
    of_rows = of_rows.double()
    by_head = -head(body(batch.source.X)).log_softmax(dim=1)[torch.arange(90), batch.source.y]
    features, logits = body(batch.target.X), head(body(batch.target.X))
    M = transport_cost(
        body(batch.source.X), batch.source.y, features, logits, 10.0, of_rows[:, None]
    )
    expected = (of_rows * by_head).mean() + M[cheapest_pairs(M)].mean()
    assert loss == pytest.approx(expected.item(), rel=1e-9)


@given(arrays(np.float64, (4, 4), elements=st.floats(-10, 10)))
def test_no_other_pairing_is_cheaper(cost):
    best = min(
        sum(cost[i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(4))
    )
    pairs = cheapest_pairs(torch.from_numpy(cost))
    assert cost[pairs[0].numpy(), pairs[1].numpy()].sum() == pytest.approx(best, abs=1e-9)


@given(costs)
def test_every_row_has_its_share_of_the_plan(cost):
    n = max(cost.shape)
    for side, size in zip(cheapest_pairs(cost), cost.shape, strict=True):
        counts = torch.bincount(side, minlength=size)
        assert counts.sum() == n
        assert set(counts.tolist()) <= {n // size, -(-n // size)}


@given(arrays(np.float64, (5, 2), elements=st.floats(-10, 10)), st.permutations(range(5)))
def test_shuffled_rows_are_carried_to_themselves_for_nothing(rows, order):
    source = torch.from_numpy(rows)
    y, logits = torch.zeros(5, dtype=torch.long), torch.zeros(5, 2, dtype=torch.float64)
    cost = transport_cost(source, y, source[order], logits, 1.0, 0.0)
    assert cost[cheapest_pairs(cost)].mean() < 1e-12


def test_cost_keeps_its_digits_far_from_zero():
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randn(9, 20, generator=generator) + 1e3 for _ in range(2))
    logits, y = torch.zeros(9, 2), torch.zeros(9, dtype=torch.long)
    exact = transport_cost(source.double(), y, target.double(), logits.double(), 1.0, 0.1)
    cost = transport_cost(source, y, target, logits, 1.0, 0.1)
    torch.testing.assert_close(cost.double(), exact, rtol=1e-4, atol=0)


def test_cost_that_is_no_number_still_gives_pairs():
    first, second = cheapest_pairs(torch.tensor([[math.nan, math.inf], [1.0, 2.0]]))
    assert sorted(first.tolist()) == sorted(second.tolist()) == [0, 1]


@given(arrays(np.float64, (4, 4), elements=st.floats(-10, 10)), st.integers(1, 4))
def test_no_other_pairs_of_that_number_are_cheaper(cost, n_pairs):
    best = min(
        sum(cost[i, j] for i, j in zip(rows, columns, strict=True))
        for rows in itertools.combinations(range(4), n_pairs)
        for columns in itertools.permutations(range(4), n_pairs)
    )
    rows, columns = cheapest_pairs(torch.from_numpy(cost), n_pairs / 4)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == n_pairs
    assert cost[rows.numpy(), columns.numpy()].sum() == pytest.approx(best, abs=1e-9)


@given(costs, st.floats(0.01, 1))
def test_a_share_of_the_longer_side_is_paired(cost, share):
    n = max(cost.shape)
    for side, size in zip(cheapest_pairs(cost, share), cost.shape, strict=True):
        assert len(side) == max(1, round(share * n))
        assert torch.bincount(side, minlength=size).max() <= -(-n // size)


def test_what_one_class_has_too_many_of_is_left_out():
    source, target = torch.zeros(10, 1), torch.zeros(10, 1)
    source[5:], target[3:] = 9.0, 9.0  # five and five against three and seven
    cost = (source - target.T).square()
    rows, columns = cheapest_pairs(cost, 0.8)
    assert cost[rows, columns].sum() == 0
    assert cost[cheapest_pairs(cost)].sum() == 2 * 81


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("n_target", [90, 50])
def test_the_plan_is_held_fixed_and_lambda_weighs_the_gradient(domains, n_target, share):
    X, y, X_target = domains
    X_target = X_target[:n_target]

    def modules():
        torch.manual_seed(0)
        return nn.Linear(4, 3).double(), nn.Linear(3, 2).double()

    def step(lambda_):
        body, head = modules()
        clf = DeepJDOTClassifier(
            body,
            feature_cost=0.5,
            label_cost=2.0,
            transported_share=share,
            label_classifier=head,
            lambda_=lambda_,
            **ONE_STEP,
        )
        return clf.fit(X, y, X_target)

    adapted, without = step(3.0), step(0.0)
    loss = adapted.history_[0, "domain_loss"]
    body, head = modules()
    encoded = torch.from_numpy(np.unique(y, return_inverse=True)[1])
    source, target = body(torch.from_numpy(X)), body(torch.from_numpy(X_target))
    if n_target == len(X):  # else which rows are repeated depends on their order
        cost = transport_cost(source, encoded, target, head(target), 0.5, 2.0)
        first, second = cheapest_pairs(cost.detach(), share)
        by_hand = cost[first, second].mean()
        assert loss == pytest.approx(by_hand.item())
        gradients = torch.autograd.grad(by_hand, [body.weight, head.weight])
        for name, gradient in zip(("body", "label_head"), gradients, strict=True):
            weights = [getattr(clf.net_.module_, name).weight for clf in (adapted, without)]
            difference = weights[0] - weights[1]
            torch.testing.assert_close(difference, -0.1 * 3.0 * gradient, rtol=1e-8, atol=1e-12)
    assert 0 < loss < math.inf
