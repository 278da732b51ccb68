"""Batches: every row of the longer domain once an epoch, whatever the sizes."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from sktransfer.data import _streams
from sktransfer.data._rows import make_rows
from sktransfer.data._sampler import DomainRows, Sampler
from sktransfer.data._streams import Stream, draw_counts, scale_weights

CPU = torch.device("cpu")


def numbered(n):
    return make_rows(np.arange(n, dtype=np.float64)[:, None], CPU, torch.float64)


def make_batches(n_source, n_target, batch_size, weights=None, seed=0, share=(0, 1)):
    source = DomainRows(numbered(n_source), torch.arange(n_source), weights)
    target = DomainRows(numbered(n_target)) if n_target else None
    return Sampler(source, target, batch_size, seed, CPU, share)


@given(st.integers(1, 70), st.integers(0, 70), st.integers(1, 20))
def test_longer_domain_passes_once_and_no_batch_exceeds_the_size(n_source, n_target, batch_size):
    batches = list(make_batches(n_source, n_target, batch_size).epoch(0.0, 1.0))
    source = torch.cat([b.source.X[:, 0] for b in batches])
    lone_row = n_source == 1 and batch_size > 1  # which comes twice
    if n_source >= n_target and not lone_row:
        assert sorted(source.tolist()) == list(range(n_source))
    if n_target >= n_source and n_target > 1:
        target = torch.cat([b.target.X[:, 0] for b in batches])
        assert sorted(target.tolist()) == list(range(n_target))
    sizes = [len(b.source) for b in batches]
    longest = max(n_source, n_target)
    # One more where a row would be left alone, as with batches of 2.
    assert max(sizes) <= max(2, batch_size + (longest % batch_size == 1))
    assert min(sizes) >= min(2, batch_size)
    assert all(torch.equal(b.source.X[:, 0].long(), b.source.y) for b in batches)
    assert all(torch.equal(b.source.X[:, 0].long(), b.source.rows) for b in batches)


def test_no_step_leaves_a_row_alone():
    sizes = [len(b.source) for b in make_batches(41, 0, 2).epoch(0.0, 1.0)]
    assert sorted(sizes) == [2] * 19 + [3]


@given(st.integers(1, 70), st.integers(0, 70), st.integers(2, 9), st.integers(2, 4))
def test_shares_of_a_step_are_equal_and_leave_nothing_out(n_source, n_target, batch_size, size):
    each = [
        list(make_batches(n_source, n_target, batch_size, share=(rank, size)).epoch(0.0, 1.0))
        for rank in range(size)
    ]
    for views in zip(*each, strict=True):
        assert len({len(view.source) for view in views}) == 1
    taken = [row for batches in each for b in batches for row in b.source.rows.tolist()]
    if n_source >= n_target:  # the longest domain comes whole, and few of its rows twice
        assert set(taken) == set(range(n_source))
        assert len(taken) - n_source <= (size - 1) * len(each[0]) + max(0, 2 * size - n_source)


@given(st.integers(1, 30), st.integers(31, 200))
def test_shorter_domain_cycles_evenly(n_short, n_long):
    batches = list(make_batches(n_long, n_short, 16).epoch(0.0, 1.0))
    target = torch.cat([b.target.X[:, 0] for b in batches]).long()
    counts = torch.bincount(target, minlength=n_short)
    assert counts.max() - counts.min() <= 1
    assert all(len(b.target) >= 2 for b in batches)


def test_batches_of_an_epoch_differ_by_one_row_at_most():
    sizes = [len(b.source) for b in make_batches(65, 0, 64).epoch(0.0, 1.0)]
    assert sorted(sizes) == [32, 33]


def test_progress_runs_through_the_epoch():
    batches = make_batches(40, 0, 10).epoch(0.5, 0.5)
    assert [b.progress for b in batches] == [0.5, 0.625, 0.75, 0.875]


def test_order_depends_on_the_seed_and_on_the_epoch():
    def order(batches):
        return torch.cat([b.source.X[:, 0] for b in batches.epoch(0.0, 1.0)]).tolist()

    a, b, c = make_batches(50, 0, 8), make_batches(50, 0, 8), make_batches(50, 0, 8, seed=1)
    first = order(a)
    assert first == order(b) != order(c)
    assert first != order(a)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 9))
def test_integer_weights_are_exact_counts(weights, seed):
    assume(sum(weights) > 1)  # a lone row comes twice
    weights = np.array(weights, dtype=float)
    batches = list(make_batches(len(weights), 0, 4, weights, seed).epoch(0.0, 1.0))
    rows = torch.cat([b.source.X[:, 0] for b in batches]).long()
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


def test_integers_too_large_to_be_counts_are_weights():
    np.testing.assert_array_equal(scale_weights(np.array([50.0, 150.0])), [50, 150])
    np.testing.assert_allclose(scale_weights(np.array([50.0, 152.0])), [50 / 101, 152 / 101])


@pytest.mark.parametrize("n_target", [1, 2, 3])
def test_a_domain_smaller_than_the_batch_comes_whole(n_target):
    for batch in make_batches(100, n_target, 32).epoch(0.0, 1.0):
        assert set(batch.target.X[:, 0].tolist()) == set(range(n_target))


def plain_passes(weights, seed, n_rows):
    """Return rows of whole passes, each drawn of all rows, whether they weigh anything or not."""
    generator, taken = torch.Generator().manual_seed(seed), []
    while len(taken) < n_rows:
        counts = draw_counts(weights, generator)
        rows = torch.arange(len(weights)).repeat_interleave(counts)
        taken += rows[torch.randperm(len(rows), generator=generator)].tolist()
    return taken[:n_rows]


numbers = st.one_of(st.just(0.0), st.floats(0.1, 4), st.integers(1, 3).map(float))


@given(
    st.lists(numbers, min_size=1, max_size=20).filter(any), st.integers(0, 5), st.integers(1, 99)
)
def test_rows_without_weight_change_nothing(weights, seed, n_rows):
    stream = Stream(len(weights), np.array(weights), seed)
    assert stream.take(n_rows).tolist() == plain_passes(stream.weights, seed, n_rows)


def test_a_pass_over_few_weighted_rows_looks_at_these_alone(monkeypatch):
    looked_at = []

    def watched(weights, generator):
        looked_at.append(len(weights))
        return draw_counts(weights, generator)

    monkeypatch.setattr(_streams, "draw_counts", watched)
    weights = np.zeros(1000)
    weights[::100] = 1.0
    assert len(Stream(1000, weights, 0).take(50)) == 50
    assert looked_at == [10] * 5
