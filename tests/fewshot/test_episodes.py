"""What an episode holds, and on what it depends."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.data._rows import make_rows
from sktransfer.data._sampler import DomainRows
from sktransfer.fewshot._episodes import EpisodeSampler, EpisodeSize, split_class

CPU = torch.device("cpu")


def sampler(X, codes, weights=None, size=(3, 2, 4), n_episodes=20, seed=0):
    domain = DomainRows(make_rows(X, CPU, torch.float64), torch.as_tensor(codes), weights)
    return EpisodeSampler(domain, X, EpisodeSize(*size), n_episodes, seed, CPU)


def rows_by_class(sizes, seed=0):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).normal(size=(len(codes), 2)), codes


def test_an_episode_asks_about_other_rows_of_the_classes_it_shows():
    X, codes = rows_by_class([10, 10, 10, 10, 10])
    for episode in sampler(X, codes).epoch(0.0, 1.0):
        rows, y = episode.source.rows.numpy(), episode.source.y.numpy()
        assert len(np.unique(rows)) == len(rows) == 3 * (2 + 4)
        assert (episode.n_support, episode.n_way) == (6, 3)
        assert np.bincount(y[:6]).tolist() == [2, 2, 2]
        assert np.bincount(y[6:]).tolist() == [4, 4, 4]
        for k in range(3):
            assert len(np.unique(codes[rows[y == k]])) == 1
        np.testing.assert_array_equal(episode.source.X, X[rows])


def test_parts_of_training_hold_all_episodes():
    X, codes = rows_by_class([5, 5])
    made = sampler(X, codes, n_episodes=25)
    parts = [len(list(made.epoch(part / 7, 1 / 7))) for part in range(7)]
    assert sum(parts) == 25
    assert max(parts) - min(parts) <= 1


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 6))
def test_small_classes_give_their_share(n_rows, n_shot, n_query):
    size, pool = EpisodeSize(2, n_shot, n_query), torch.arange(n_rows)
    support, queries = split_class(pool, size, torch.Generator().manual_seed(0))
    assert 1 <= len(support) <= n_shot
    assert len(queries) <= n_query
    assert not set(support.tolist()) & set(queries.tolist())
    if n_rows >= n_shot + n_query:
        assert (len(support), len(queries)) == (n_shot, n_query)


def test_an_episode_without_questions_is_not_drawn():
    X, codes = rows_by_class([1, 1, 1, 1, 1, 1, 6])
    for episode in sampler(X, codes, size=(2, 1, 1)).epoch(0.0, 1.0):
        assert len(episode.source) > episode.n_support


def contents(made):
    return [episode.source.X for episode in made.epoch(0.0, 1.0)]


@given(st.integers(0, 10_000))
def test_weights_are_copies_and_order_does_not_matter(seed):
    X, codes = rows_by_class([5, 5, 5])
    rng = np.random.default_rng(seed)
    weights, order = rng.integers(1, 4, 15), rng.permutation(15)
    weights[rng.integers(15)] = 0
    repeated = contents(sampler(X.repeat(weights, axis=0), codes.repeat(weights)))
    weighted = contents(sampler(X[order], codes[order], weights[order].astype(float)))
    for one, other in zip(repeated, weighted, strict=True):
        torch.testing.assert_close(one, other)


def test_the_state_goes_on_where_it_stood():
    X, codes = rows_by_class([6, 6, 6])
    first = sampler(X, codes, np.full(18, 0.5))
    list(first.epoch(0.0, 0.5))
    state = first.state_dict()
    rest = [episode.source.rows for episode in first.epoch(0.5, 0.5)]
    second = sampler(X, codes, np.full(18, 0.5), seed=9)
    second.load_state_dict(state)
    again = [episode.source.rows for episode in second.epoch(0.5, 0.5)]
    assert all(map(torch.equal, rest, again))
