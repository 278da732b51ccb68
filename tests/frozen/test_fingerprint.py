"""Equal contents have equal names, others have others."""

import copy
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from sktransfer.frozen._digests import digest_rows
from sktransfer.frozen._keys import value_keys
from tests.frozen.bodies import Residual, sequential
from tests.frozen.test_graph import X, crossing_at, graph_of


def as_set(digests):
    return {row.tobytes() for row in digests}


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=3, max_side=4)))
def test_rows_have_equal_digests_where_their_bytes_are_equal(rows):
    digests = digest_rows(rows)
    assert digests.shape == (len(rows), 16)
    equal = [[a.tobytes() == b.tobytes() for b in rows] for a in rows]
    found = [[a.tobytes() == b.tobytes() for b in digests] for a in digests]
    assert equal == found
    order = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_array_equal(digest_rows(rows[order]), digests[order])


def test_type_and_shape_of_rows_count():
    rows = np.zeros((1, 8), np.uint8)
    others = [rows.view(np.int8), rows.view(np.int16), rows.reshape(1, 2, 4), rows.view(np.int64)]
    assert len(as_set(np.concatenate([digest_rows(r) for r in [rows, *others]]))) == 5


@given(st.integers(0, 100))
def test_sparse_rows_are_told_apart_by_their_values_alone(seed):
    dense = np.random.default_rng(seed).integers(0, 3, size=(6, 5)).astype(float)
    dense[3] = dense[1]
    X = scipy.sparse.csr_array(dense)
    shuffled = X.copy()
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        order = np.arange(start, stop)[::-1]
        shuffled.indices[start:stop], shuffled.data[start:stop] = X.indices[order], X.data[order]
    shuffled.has_sorted_indices = shuffled.has_canonical_format = False
    before = shuffled.indices.copy()
    np.testing.assert_array_equal(digest_rows(shuffled), digest_rows(X))
    np.testing.assert_array_equal(shuffled.indices, before)
    assert len(as_set(digest_rows(X))) == len(np.unique(dense, axis=0))


def keys_of(body, context="float64"):
    graph, layers = graph_of(body)
    names = [n for layer in [*list(layers.weights)[1:]] for n in crossing_at(graph, layers, layer)]
    keys = value_keys(graph, context)
    return {name: keys[name] for name in [*names, *graph.crossing([])]}


@pytest.mark.parametrize("kind", [sequential, Residual])
def test_a_copy_has_the_same_keys(kind):
    body = kind().double()
    assert keys_of(copy.deepcopy(body)) == keys_of(body)


def test_a_changed_weight_changes_what_comes_after_it_and_nothing_before():
    body = sequential().double()
    before = keys_of(body)
    with torch.no_grad():
        body[3].weight[0, 0] += 1e-9
    after = keys_of(body)
    same = {name for name in before if before[name] == after[name]}
    assert same == {"body_2"}


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[4].running_mean.add_(1e-9),
        lambda body: setattr(body[4], "eps", 1e-3),
        lambda body: body.__setitem__(1, nn.ELU()),
    ],
)
def test_whatever_decides_a_value_changes_its_key(change):
    body = sequential().double()
    before = keys_of(body)
    change(body)
    last = list(before)[-1]
    assert keys_of(body)[last] != before[last]


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, X):
        return X * self.factor


class Shifted(Scaled):
    def forward(self, X):
        return X + self.factor


def test_attributes_and_code_of_the_users_modules_count():
    torch.manual_seed(0)
    linear = nn.Linear(4, 3).double()
    bodies = [nn.Sequential(kind(f), linear) for kind in (Scaled, Shifted) for f in (2.0, 3.0)]
    assert len({next(iter(value_keys_of(body))) for body in bodies}) == 4
    assert value_keys_of(bodies[0]) == value_keys_of(copy.deepcopy(bodies[0]))


class Applied(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, X):
        return self.function(X)


def applied(factor, shift=0.0):
    return nn.Sequential(Applied(lambda X, shift=shift: X * factor + shift)).double()


def test_functions_are_told_apart_by_what_they_hold():
    keys = [value_keys_of(applied(f, s))[0] for f in (2.0, 3.0) for s in (0.0, 1.0)]
    assert len(set(keys)) == 4
    assert value_keys_of(applied(2.0)) == value_keys_of(applied(2.0))


def test_what_cannot_be_compared_is_never_equal():
    body = nn.Sequential(Applied(torch.tanh)).double()
    body[0].lock = threading.Lock()
    assert value_keys_of(body) != value_keys_of(body)


def value_keys_of(body):
    graph, _ = graph_of(body)
    return [value_keys(graph, "")[name] for name in graph.crossing([])]


def test_context_counts():
    body = sequential().double()
    a, b = keys_of(body, "float64"), keys_of(body, "float32")
    assert not set(a.values()) & set(b.values())


def test_keys_are_the_same_in_another_process():
    code = (
        "import torch\n"
        "from tests.frozen.test_fingerprint import keys_of\n"
        "from tests.frozen.bodies import Residual\n"
        "torch.manual_seed(0)\n"
        "print(sorted(keys_of(Residual().double()).values()))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "1"}  # sets have another order there than here
    call = [sys.executable, "-c", code]
    run = subprocess.run(call, capture_output=True, text=True, check=True, env=env)
    torch.manual_seed(0)
    assert run.stdout == f"{sorted(keys_of(Residual().double()).values())}\n"
    assert X.shape == (7, 4)
