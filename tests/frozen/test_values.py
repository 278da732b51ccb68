"""Values of rows, by a batcher of the test's own: nothing here is an estimator or a net."""

import contextlib
import copy
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn
import torch
from torch import nn
from torch.utils import _pytree as pytree

from sktransfer.frozen import (
    INPUT,
    ActivationRows,
    BodyGraph,
    PrivateActivations,
    RowStore,
    SharedActivations,
    examine,
)
from sktransfer.frozen._rows import StoredRows, TensorRows
from sktransfer.frozen._twin import twin_of
from tests.frozen.bodies import Branching, Pairs, Recurrent, Residual, Shortcut, sequential
from tests.frozen.test_store import fill_disk, make_read_only

X = np.random.default_rng(0).normal(size=(50, 4))


class Batches:
    """What `frozen` asks for: rows, batches of them, threads, device, type and shape."""

    device, dtype, input_shape = "cpu", torch.float64, (4,)

    def __init__(self):
        self.passed = 0

    def rows(self, X):
        return TensorRows(torch.from_numpy(X))

    def large_batches(self, rows):
        for start in range(0, len(rows), 16):
            self.passed += len(rows.slice(start, start + 16)) if isinstance(rows, TensorRows) else 0
            yield rows.slice(start, start + 16)

    def pass_threads(self, rows):
        return contextlib.nullcontext()


def layers_of(body):
    return [name for name, module in body.named_modules() if list(module.parameters(False))]


def shared(body, folder, live, batches=None, limit=None):
    graph, keys = examine(body, layers_of(body), torch.from_numpy(X[:1]), "context")
    crossing = graph.crossing(live)
    store = RowStore(folder, limit)
    return SharedActivations(graph, batches or Batches(), store, keys, [crossing], []), crossing


@torch.no_grad()
def output(activations, crossing, rows=X):
    """Return what the rest of the body makes of the values."""
    values = activations.values(rows, [name for name in crossing if name != INPUT])
    if INPUT in crossing:
        values[INPUT] = activations.batcher.rows(rows)
    given = ActivationRows(tuple(values[name] for name in crossing))
    return activations.graph.rest(crossing, training=False)(*given.slice(0, len(rows)))


@contextlib.contextmanager
def memory_of(megabytes):
    with sklearn.config_context(working_memory=megabytes):
        yield


BODIES = {
    "sequential": (sequential, ["7"]),
    "residual": (Residual, ["blocks.1", "blocks.1.first", "blocks.1.second", "last"]),
    "recurrent": (Recurrent, ["last"]),
    "pairs": (Pairs, ["second", "second.linear"]),
    "shortcut": (Shortcut, ["last"]),
}


@pytest.mark.parametrize("megabytes", [0, 1024])
@pytest.mark.parametrize("name", BODIES)
def test_values_lead_to_what_the_body_makes(name, megabytes, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make, live = BODIES[name]
    body = make().double().eval()
    with torch.no_grad():
        expected = body(torch.from_numpy(X))
    with memory_of(megabytes):
        kept, crossing = shared(body, tmp_path / "store", live)
        graph = BodyGraph(body, layers_of(body), torch.from_numpy(X[:1]))
        private = PrivateActivations(graph, Batches())
        assert crossing == graph.crossing(live) != [INPUT]
        for activations in (private, kept, kept):
            torch.testing.assert_close(output(activations, crossing), expected)
            values = activations.values(X, [name for name in crossing if name != INPUT])
            kinds = {type(leaf) for value in values.values() for leaf in pytree.tree_leaves(value)}
            assert kinds == {TensorRows if megabytes else StoredRows}
        del values
    assert not list(tmp_path.glob("sktransfer-*"))


def test_what_is_taken_can_be_overwritten():
    rows = TensorRows(torch.zeros(4, 2))
    rows.slice(0, 2).add_(1)
    rows.take(torch.tensor([0, 1])).add_(1)
    assert not rows.rows.any()
    assert len(rows.slice(2, 9)) == 2


def test_rows_pass_once_and_only_missing_ones_pass(tmp_path):
    body, batches = sequential().double().eval(), Batches()
    activations, crossing = shared(body, tmp_path, ["7"], batches)
    for rows, passed in ((X[:20], 20), (X[:20], 0), (X, 30), (X[::-1], 0), (X[[3, 3]], 0)):
        batches.passed = 0
        output(activations, crossing, rows)
        assert batches.passed == passed


@pytest.mark.parametrize("megabytes", [0, 1024])
@pytest.mark.parametrize("hinder", [make_read_only, fill_disk])
def test_what_cannot_be_kept_is_computed(hinder, megabytes, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sktransfer.frozen._shared.SHARD_BYTES", 1)
    body = sequential().double().eval()
    with torch.no_grad():
        expected = body(torch.from_numpy(X))
    first, crossing = shared(body, tmp_path / "store", ["7"])
    output(first, crossing, X[:20])
    before = sorted((tmp_path / "store").rglob("*"))
    batches = Batches()
    activations, _ = shared(body, tmp_path / "store", ["7"], batches)
    hinder(monkeypatch)
    if megabytes == 0 and hinder is fill_disk:
        with memory_of(0), pytest.warns(UserWarning, match="nothing more can be kept"):
            with pytest.raises(OSError, match=r"do not fit the temporary folder .*TMPDIR"):
                output(activations, crossing)
    elif megabytes > 0:
        with memory_of(megabytes), pytest.warns(UserWarning, match="nothing more can be kept"):
            torch.testing.assert_close(output(activations, crossing), expected)
        assert batches.passed == 30
    monkeypatch.undo()
    assert sorted((tmp_path / "store").rglob("*")) == before


def test_what_cannot_be_kept_and_fits_no_memory_lies_in_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    body = sequential().double().eval()
    with torch.no_grad():
        expected = body(torch.from_numpy(X))
    activations, crossing = shared(body, tmp_path / "file" / "store", ["7"])
    (tmp_path / "file").touch()
    with memory_of(0), pytest.warns(UserWarning, match="nothing more can be kept"):
        values = activations.values(X, crossing)
    (left,) = tmp_path.glob("sktransfer-*")
    assert len(os.listdir(left)) == 2  # the lock, the values
    rest = activations.graph.rest(crossing, training=False)
    given = ActivationRows(tuple(values[name] for name in crossing))
    torch.testing.assert_close(rest(*given.slice(0, 50)).detach(), expected)
    del values, given
    assert not left.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("out of memory")])
def test_an_interrupted_pass_leaves_no_temporary_folder(tmp_path, monkeypatch, error):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    body = sequential().double().eval()

    class Interrupted(Batches):
        def large_batches(self, rows):
            yield rows.slice(0, 16)
            raise error

    graph = BodyGraph(body, layers_of(body), torch.from_numpy(X[:1]))
    private = PrivateActivations(graph, Interrupted())
    with memory_of(0), pytest.raises((KeyboardInterrupt, RuntimeError)):
        private.values(X, graph.crossing(["7"]))
    assert os.listdir(tmp_path) == []


def test_a_full_disk_for_temporary_files_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    body = sequential().double().eval()
    graph = BodyGraph(body, layers_of(body), torch.from_numpy(X[:1]))
    private = PrivateActivations(graph, Batches())
    fill_disk(monkeypatch)
    with memory_of(0), pytest.raises(OSError, match=r"No space left.*do not fit the temporary"):
        private.values(X, graph.crossing(["7"]))
    assert os.listdir(tmp_path) == []


def test_a_broken_shard_is_computed_anew(tmp_path):
    body, batches = sequential().double().eval(), Batches()
    activations, crossing = shared(body, tmp_path, ["7"], batches)
    expected = output(activations, crossing)
    for path in tmp_path.glob("*/shard-*"):
        content = bytearray(path.read_bytes())
        content[-2] ^= 0x40
        path.write_bytes(content)
    batches.passed = 0
    torch.testing.assert_close(output(activations, crossing), expected, rtol=0, atol=0)
    assert batches.passed == len(X)
    batches.passed = 0
    output(activations, crossing)
    assert batches.passed == 0


def test_many_threads_look_at_one_body_while_others_compute_with_it(tmp_path):
    torch.manual_seed(0)
    body = nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(4, 4), nn.Tanh())])
    body = body.double().eval()
    body.register_forward_pre_hook(lambda module, args: None)
    with torch.no_grad():
        expected = body(torch.from_numpy(X))
    barrier, wrong = threading.Barrier(6), []

    @torch.no_grad()
    def work(number):
        barrier.wait()
        for turn in range(8):
            if number % 2:
                found = body(torch.from_numpy(X))
            else:  # a context of its own each time, so that nothing is known
                row = torch.from_numpy(X[:1])
                graph, keys = examine(body, layers_of(body), row, f"{number} {turn}")
                crossing = graph.crossing(["10"])
                store = RowStore(tmp_path, None)
                made = SharedActivations(graph, Batches(), store, keys, [crossing], [])
                found = output(made, crossing)
            if not torch.allclose(found, expected):
                wrong.append(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert not wrong


def test_threads_that_share_values_compute_them_once(tmp_path):
    body, batches = sequential().double().eval(), Batches()
    activations, crossing = shared(body, tmp_path, ["7"], batches)
    expected = body(torch.from_numpy(X)).detach()
    barrier = threading.Barrier(6)

    def work(_):
        barrier.wait()
        return output(activations, crossing)

    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(work, range(6)):
            torch.testing.assert_close(found, expected)
    assert batches.passed == len(X)


def test_an_equal_body_is_known_without_a_pass_and_a_changed_one_is_not():
    passed = []

    class Watched(nn.Linear):
        def forward(self, X):
            passed.append(len(X)) if isinstance(X, torch.Tensor) else None
            return super().forward(X)

    Watched.__module__ = "elsewhere"
    body = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).double().eval()
    row = torch.from_numpy(X[:1])
    graph, keys = examine(body, ["0", "1"], row, "a")
    again, same = examine(copy.deepcopy(body), ["0", "1"], row, "a")
    assert again.findings is graph.findings
    assert same == keys
    assert examine(body, ["0", "1"], row, "b")[1] != keys
    with torch.no_grad():
        body[0].weight[0, 0] += 1e-9
    assert examine(body, ["0", "1"], row, "a")[1] != keys


def test_hooks_that_change_values_make_them_other_each_time():
    body = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).double().eval()
    row, seen = torch.from_numpy(X[:1]), []
    plain = examine(body, ["0", "1"], row, "a")[1]
    looks = body[0].register_forward_hook(lambda *args: seen.append(args))
    assert examine(body, ["0", "1"], row, "a")[1] == plain
    assert seen
    looks.remove()
    body[0].register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    keys = [examine(body, ["0", "1"], row, "a")[1] for _ in range(2)]
    assert keys[0]["body_0"] != keys[1]["body_0"]
    assert keys[0]["body_0"] != plain["body_0"]
    assert len(body[0]._forward_pre_hooks) == 1


@pytest.mark.parametrize("kind", [sequential, Residual, Recurrent, Pairs, Branching])
def test_a_twin_computes_the_same_with_the_same_weights(kind):
    body = kind().double().eval()
    twin = twin_of(body)
    assert torch.equal(twin(torch.from_numpy(X)), body(torch.from_numpy(X)))
    for one, other in zip(body.modules(), twin.modules(), strict=True):
        assert one is not other
        assert type(one) is type(other)
    for one, other in zip(body.parameters(), twin.parameters(), strict=True):
        assert one is other
    before = pickle.dumps(body.state_dict())
    twin.train()
    twin(torch.from_numpy(X))
    assert not any(module.training for module in body.modules())
    assert pickle.dumps(body.state_dict()) == before


def test_a_twin_has_its_own_of_what_the_body_holds_where_that_can_be_copied():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Linear(4, 4)
            self.parts, self.method, self.lock = [self.part], self.act, threading.Lock()
            self.mean = np.zeros(3)

        def act(self, X):
            return self.part(X)

    body = Holder()
    twin = twin_of(body)
    assert twin.parts[0] is twin.part is not body.part
    assert twin.method.__self__ is twin
    assert twin.mean is not body.mean
    assert twin.lock is body.lock
    assert twin.part.weight is body.part.weight


@pytest.mark.parametrize(
    "make", [lambda v: np.full(4, v), lambda v: torch.full((4,), v).double(), lambda v: [v] * 4]
)
def test_arrays_and_tensors_as_attributes_are_no_hindrance(make, tmp_path):
    class Centred(nn.Module):
        def __init__(self, mean):
            super().__init__()
            self.mean = mean
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, X):
            return self.second(self.first(X - torch.as_tensor(self.mean)))

    body = Centred(make(0.5)).double().eval()
    expected = body(torch.from_numpy(X)).detach()
    activations, crossing = shared(body, tmp_path, ["second"])
    torch.testing.assert_close(output(activations, crossing), expected)
    assert crossing == ["body_first"]
    other = copy.deepcopy(body)
    other.mean = make(0.25)
    keys = [examine(b, layers_of(b), torch.from_numpy(X[:1]), "a")[1] for b in (body, other)]
    assert keys[0][crossing[0]] != keys[1][crossing[0]]
