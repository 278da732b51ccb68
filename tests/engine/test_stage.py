"""Steps: the update rule by hand, and players that move in turn as with optimizers of their own."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sktransfer.data._batch import Batch, View
from sktransfer.engine._stage import AlternatingStep, GradientStep, Move


@pytest.fixture
def players():
    torch.manual_seed(0)
    return nn.ModuleDict({"body": nn.Linear(3, 4), "head": nn.Linear(4, 2)}).double()


def make_batch():
    X = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return Batch(View(X, None, torch.arange(6)), None, 0.0)


def make_update(optimizer):
    """Return what an engine hands to a step, without processes and callbacks."""

    def update(losses, parameters=None):
        optimizer.zero_grad()
        total = sum(losses.values())
        if parameters is None:
            total.backward()
        else:
            total.backward(inputs=list(parameters))
        optimizer.step()

    return update


def gap(players, batch):
    outputs = players["head"](torch.tanh(players["body"](batch.source.X)))
    return (outputs[:, 0] - outputs[:, 1]).square().mean()


def test_a_gradient_step_follows_the_update_rule(players):
    batch, before = make_batch(), copy.deepcopy(players)
    step = GradientStep(lambda batch: {"gap": gap(players, batch)})
    losses = step(batch, make_update(torch.optim.SGD(players.parameters(), lr=0.1)))
    gradients = torch.autograd.grad(gap(before, batch), list(before.parameters()))
    for p, p0, gradient in zip(players.parameters(), before.parameters(), gradients, strict=True):
        torch.testing.assert_close(p, p0 - 0.1 * gradient)
    torch.testing.assert_close(losses["gap"], gap(before, batch))


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_alternating_players_move_as_with_optimizers_of_their_own(players, kind):
    apart = copy.deepcopy(players)
    step = AlternatingStep(
        [
            Move(lambda batch: {"head": -gap(players, batch)}, list(players["head"].parameters())),
            Move(
                lambda batch: {"body": gap(players, batch)}, list(players["body"].parameters()), 3
            ),
        ]
    )
    update = make_update(kind(players.parameters(), lr=0.05))
    own = {name: kind(player.parameters(), lr=0.05) for name, player in apart.items()}
    for _ in range(4):
        losses = step(make_batch(), update)
        for name, sign, repeats in (("head", -1, 1), ("body", 1, 3)):
            for _ in range(repeats):
                apart.zero_grad()
                loss = sign * gap(apart, make_batch())
                loss.backward()
                own[name].step()
    assert losses.keys() == {"head", "body"}
    torch.testing.assert_close(losses["body"], loss)
    for p, q in zip(players.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_a_move_leaves_the_other_players_alone(players):
    before = copy.deepcopy(players["body"])
    step = AlternatingStep(
        [Move(lambda b: {"l": gap(players, b)}, [*players["head"].parameters()])]
    )
    step(make_batch(), make_update(torch.optim.SGD(players.parameters(), lr=0.1)))
    for p, q in zip(players["body"].parameters(), before.parameters(), strict=True):
        assert torch.equal(p, q)
    assert not torch.equal(players["head"].weight.grad, torch.zeros_like(players["head"].weight))


def test_a_step_may_update_as_often_as_it_likes():
    calls = []
    net = SimpleNamespace(parameter=nn.Parameter(torch.ones(1)))
    step = AlternatingStep([Move(lambda b: {"l": net.parameter.sum()}, [net.parameter], 5)])
    step(make_batch(), lambda losses, parameters=None: calls.append(parameters))
    assert len(calls) == 5
