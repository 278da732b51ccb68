"""Batches: every row of the longer domain once an epoch, whatever the sizes."""

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from sktransfer._batches import DomainBatches, draw_counts, make_rows, scale_weights
from sktransfer._processes import Processes

CPU = torch.device("cpu")


def numbered(n):
    return make_rows(np.arange(n, dtype=np.float64)[:, None], CPU, torch.float64)


def make_batches(n_source, n_target, batch_size, weights=None, seed=0):
    target = numbered(n_target) if n_target else None
    labels = torch.arange(n_source)
    return DomainBatches(numbered(n_source), labels, target, weights, batch_size, seed, Processes())


@given(st.integers(1, 70), st.integers(0, 70), st.integers(1, 20))
def test_longer_domain_passes_once_and_no_batch_exceeds_the_size(n_source, n_target, batch_size):
    batches = list(make_batches(n_source, n_target, batch_size).epoch(0.0, 1.0))
    source = torch.cat([b.X_source[:, 0] for b in batches])
    if n_source >= n_target:
        assert sorted(source.tolist()) == list(range(n_source))
    if n_target >= n_source:
        target = torch.cat([b.X_target[:, 0] for b in batches])
        assert sorted(target.tolist()) == list(range(n_target))
    sizes = [len(b.X_source) for b in batches]
    assert max(sizes) <= max(2, batch_size)
    assert min(sizes) >= 1
    assert all(torch.equal(b.X_source[:, 0].long(), b.y_source) for b in batches)


@given(st.integers(1, 30), st.integers(31, 200))
def test_shorter_domain_cycles_evenly(n_short, n_long):
    batches = list(make_batches(n_long, n_short, 16).epoch(0.0, 1.0))
    target = torch.cat([b.X_target[:, 0] for b in batches]).long()
    counts = torch.bincount(target, minlength=n_short)
    assert counts.max() - counts.min() <= 1
    assert all(len(b.X_target) >= 2 for b in batches)


def test_batches_of_an_epoch_differ_by_one_row_at_most():
    sizes = [len(b.X_source) for b in make_batches(65, 0, 64).epoch(0.0, 1.0)]
    assert sorted(sizes) == [32, 33]


def test_progress_runs_through_the_epoch():
    batches = make_batches(40, 0, 10).epoch(0.5, 0.5)
    assert [b.progress for b in batches] == [0.5, 0.625, 0.75, 0.875]


def test_order_depends_on_the_seed_and_on_the_epoch():
    def order(batches):
        return torch.cat([b.X_source[:, 0] for b in batches.epoch(0.0, 1.0)]).tolist()

    a, b, c = make_batches(50, 0, 8), make_batches(50, 0, 8), make_batches(50, 0, 8, seed=1)
    first = order(a)
    assert first == order(b) != order(c)
    assert first != order(a)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30).filter(any), st.integers(0, 9))
def test_integer_weights_are_exact_counts(weights, seed):
    weights = np.array(weights, dtype=float)
    batches = list(make_batches(len(weights), 0, 4, weights, seed).epoch(0.0, 1.0))
    rows = torch.cat([b.X_source[:, 0] for b in batches]).long()
    assert torch.bincount(rows, minlength=len(weights)).tolist() == weights.tolist()


@given(st.lists(st.floats(0, 4), min_size=1, max_size=30).filter(lambda w: sum(w) > 0.1))
def test_drawn_counts_are_the_weights_rounded_down_or_up(weights):
    scaled = scale_weights(np.array(weights))
    counts = draw_counts(scaled, torch.Generator().manual_seed(0)).numpy()
    assert (counts >= np.floor(scaled - 1e-9)).all()
    assert (counts <= np.ceil(scaled + 1e-9)).all()
    assert counts.sum() == round(scaled.sum())


def test_drawn_counts_are_the_weights_on_average():
    weights = scale_weights(np.array([0.1, 0.5, 1.3, 0.0, 2.7]))
    generator = torch.Generator().manual_seed(0)
    mean = np.mean([draw_counts(weights, generator).numpy() for _ in range(5000)], axis=0)
    np.testing.assert_allclose(mean, weights, atol=0.03)


def test_other_weights_are_scaled_to_mean_one_over_weighted_rows():
    np.testing.assert_allclose(scale_weights(np.array([0.25, 0.75, 0.0])), [0.5, 1.5, 0.0])
    np.testing.assert_array_equal(scale_weights(np.array([2.0, 0.0])), [2.0, 0.0])


def test_small_integers_stay_in_memory_and_are_cast_by_batch():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    rows = make_rows(images, CPU, torch.float32)
    assert rows.rows.dtype == torch.uint8
    assert rows.rows.data_ptr() == images.ctypes.data
    assert rows.take(torch.tensor([1])).dtype == torch.float32
    np.testing.assert_array_equal(rows.take(torch.tensor([1, 0])).numpy(), images[::-1])


def test_sparse_rows_equal_dense_rows_and_are_never_dense_as_a_whole():
    X = scipy.sparse.random(30, 7, density=0.3, format="csr", random_state=0)
    rows = make_rows(X, CPU, torch.float64)
    assert rows.rows is X
    order = torch.tensor([3, 3, 29, 0])
    np.testing.assert_array_equal(rows.take(order).numpy(), X.toarray()[order])
    np.testing.assert_array_equal(rows.slice(5, 9).numpy(), X.toarray()[5:9])


def test_read_only_arrays_give_no_warning():
    X = np.ones((3, 2))
    X.setflags(write=False)
    assert make_rows(X, CPU, torch.float64).take(torch.tensor([0])).sum() == 2


@pytest.mark.parametrize("n_target", [1, 2, 3])
def test_a_domain_smaller_than_the_batch_comes_whole(n_target):
    for batch in make_batches(100, n_target, 32).epoch(0.0, 1.0):
        assert set(batch.X_target[:, 0].tolist()) == set(range(n_target))
