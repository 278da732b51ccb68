"""A cut body computes what the whole body does, wherever it is cut."""

import copy
import itertools
import random

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer.finetuning._freezing import order_layers
from sktransfer.frozen._graph import BodyGraph
from sktransfer.frozen._trace import INPUT
from sktransfer.network._probe import probe
from tests.frozen.bodies import (
    Branching,
    Counts,
    Draws,
    Forgets,
    GateFirst,
    Overwrites,
    Pairs,
    Recurrent,
    Remembers,
    Residual,
    TrainsOtherwise,
    UsesOverwritten,
    sequential,
)

X = torch.rand(7, 4, generator=torch.Generator().manual_seed(0)).double() - 0.5


def graph_of(body, rows=X):
    """Return the graph of a body and its modules in the order of their calls."""
    called = probe(body, "body", rows[:2], "").called
    layers = order_layers(body, called)
    return BodyGraph(body, list(layers.weights), rows[:1]), layers


def crossing_at(graph, layers, layer):
    first = layers.position[layer]
    return graph.crossing([name for name, place in layers.position.items() if place >= first])


def bodies():
    torch.manual_seed(0)
    kinds = [sequential, Residual, Recurrent, Pairs, Branching, TrainsOtherwise, Counts, Draws]
    kinds += [Overwrites, UsesOverwritten, Forgets, Remembers, GateFirst]
    return [kind().double() for kind in kinds]


@torch.no_grad()
@pytest.mark.parametrize("body", bodies(), ids=lambda body: type(body).__name__)
def test_the_parts_of_a_body_make_what_the_whole_makes_at_every_cut(body):
    expected = body.eval()(X)
    graph, layers = graph_of(body)
    for layer in layers.weights:
        body.eval()
        crossing = crossing_at(graph, layers, layer)
        values = graph.frozen_part([INPUT], crossing)(X)
        found = graph.rest(crossing, training=False)(*copy.deepcopy(values))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("body", bodies(), ids=lambda body: type(body).__name__)
def test_tracing_leaves_the_body_as_it_was(body):
    twin = copy.deepcopy(body)
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    probe(twin, "body", X[:2], "")
    attributes = [dict(vars(module)) for module in twin.modules()]
    weights = copy.deepcopy(twin.state_dict())
    calls = getattr(twin, "calls", 0)
    BodyGraph(twin, [name for name, _ in twin.named_modules()], X[:1])
    for before, module in zip(attributes, twin.modules(), strict=True):
        before = {k: v for k, v in before.items() if k not in ("calls", "training")}
        after = {k: v for k, v in vars(module).items() if k not in ("calls", "training")}
        assert before == after
    assert getattr(twin, "calls", 0) - calls in (0, 2)  # passes with rows, not the trace
    if not isinstance(body, Remembers):
        assert all(torch.equal(v, weights[k]) for k, v in twin.state_dict().items())
    assert torch.equal(states[0], torch.get_rng_state())
    assert str(np.random.get_state()) == states[2]


def test_residual_edges_across_the_cut_are_cut_as_well():
    graph, layers = graph_of(Residual().double())
    crossing = crossing_at(graph, layers, "blocks.1.second")
    assert len(crossing) == 3  # the stem's output, the block's input, what the layer takes
    assert len(crossing_at(graph, layers, "last")) == 1
    assert crossing_at(graph, layers, "") == [INPUT]


def test_without_a_live_layer_the_output_alone_crosses():
    graph, _ = graph_of(sequential().double())
    assert len(graph.crossing([])) == 1
    assert graph.values[graph.crossing([])[0]].row_bytes == 3 * 8


def test_deeper_cuts_lead_to_later_ones_and_the_output_to_none():
    graph, layers = graph_of(Residual().double())
    cuts = [crossing_at(graph, layers, layer) for layer in layers.weights] + [graph.crossing([])]
    for early, late in itertools.pairwise(cuts):
        assert graph.leads(early, late)
        assert not graph.leads(cuts[-1], early)


@pytest.mark.parametrize(
    "kind", [Branching, TrainsOtherwise, Counts, Draws, UsesOverwritten, Forgets, Remembers]
)
def test_a_body_that_no_trace_can_follow_is_one_step(kind):
    graph, layers = graph_of(kind().double())
    steps = [node.target for node, _ in graph.steps() if node.op.startswith("call")]
    assert steps == ["body"]
    assert crossing_at(graph, layers, list(layers.weights)[-1]) == [INPUT]


def test_a_part_that_no_trace_can_follow_leaves_cuts_beside_it():
    body = nn.Sequential(Branching(), nn.Linear(3, 3), nn.Linear(3, 2)).double()
    graph, layers = graph_of(body)
    steps = [node.target for node, _ in graph.steps() if node.op.startswith("call")]
    assert steps == ["body.0", "body.1", "body.2"]
    assert crossing_at(graph, layers, "1") != [INPUT]
    assert crossing_at(graph, layers, "0.second") == [INPUT]


def test_what_was_traced_in_vain_leaves_no_names_behind():
    graph, layers = graph_of(GateFirst().double())
    assert graph.findings.opaque == {"body.gate"}
    assert crossing_at(graph, layers, "second") == ["body_first"]


def test_a_body_seen_before_is_known_without_a_pass():
    body = Residual().double()
    graph, layers = graph_of(body)
    twin, passed = copy.deepcopy(body), []
    twin.register_forward_hook(lambda *_: passed.append(1))
    again = BodyGraph(twin, list(layers.weights), X[:1], graph.findings)
    assert crossing_at(again, layers, "last") == crossing_at(graph, layers, "last")
    assert again.values == graph.values
    assert not passed


def test_a_value_that_is_overwritten_later_does_not_cross():
    graph, layers = graph_of(Overwrites().double())
    assert crossing_at(graph, layers, "side") == [INPUT, "relu_"]


@torch.no_grad()
def test_functions_act_as_in_training_only_while_training():
    body = Residual().double()
    graph, layers = graph_of(body)
    crossing = crossing_at(graph, layers, "blocks.1.first")
    values = graph.frozen_part([INPUT], crossing)(X)
    passes = [graph.rest(crossing, training=True)(*values) for _ in range(2)]
    assert not torch.equal(*passes)
    passes = [graph.rest(crossing, training=False)(*values) for _ in range(2)]
    assert torch.equal(*passes)


def test_hooks_are_for_rows_and_not_for_the_trace():
    body, seen = sequential().double(), []
    body[0].register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    graph, layers = graph_of(body)
    assert all(isinstance(n_rows, int) and n_rows <= 3 for n_rows in seen)
    seen.clear()
    graph.frozen_part([INPUT], crossing_at(graph, layers, "3"))(X)
    assert seen == [7]


def test_a_value_of_another_size_does_not_cross():
    class Transposed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, X):
            return self.second(self.first(X).T.contiguous().T)

    graph, layers = graph_of(Transposed().double())
    (crossing,) = crossing_at(graph, layers, "second")
    assert crossing != "contiguous"
    assert graph.values.keys() >= {"body_first", crossing}
    assert "contiguous" not in graph.values


@torch.no_grad()
@pytest.mark.parametrize("width", [2, 3, 4])
def test_what_stands_in_the_body_is_no_value_of_the_rows(width):
    class Scales(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, width), nn.Linear(width, width)
            self.register_buffer("scale", torch.full((width,), 2.0))

        def forward(self, X):
            return self.second(self.first(X)) * self.scale

    body = Scales().double().eval()
    graph, layers = graph_of(body)
    crossing = crossing_at(graph, layers, "second")
    assert crossing == ["body_first"]
    values = graph.frozen_part([INPUT], crossing)(X)
    torch.testing.assert_close(graph.rest(crossing, training=False)(*values), body(X))


def test_a_body_that_is_never_the_same_is_not_cut():
    class Noisy(nn.Linear):
        def forward(self, X):
            return super().forward(X + torch.rand_like(X))

    graph, _ = graph_of(Noisy(4, 3).double())
    assert graph.crossing([]) == [INPUT]
