"""Marginalised denoising autoencoders."""

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import TargetDomain, make_transfer_pipeline
from sktransfer.selftaught import MarginalizedDenoisingAutoencoder
from sktransfer.selftaught._msda import denoising_map


@parametrize_with_checks(
    [
        MarginalizedDenoisingAutoencoder(),
        MarginalizedDenoisingAutoencoder(2, corruption=0.0, regularization=0.1),
        MarginalizedDenoisingAutoencoder(1, n_frequent=2, random_state=0),
    ]
)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def words(n_rows=60, n_words=6, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((n_rows, n_words)) < rng.random(n_words)).astype(float)


def test_the_map_is_the_mean_over_all_deletions():
    X, p, ridge = words(9, 3), 0.3, 0.01
    Z = np.c_[X, np.ones(len(X))]
    normal, products = np.zeros((4, 4)), np.zeros((4, 3))
    for kept in itertools.product([0, 1], repeat=3):
        chance = np.prod([1 - p if k else p for k in kept])
        left = Z * [*kept, 1]
        for row in range(len(X)):
            normal += chance * np.outer(left[row], left[row])
            products += chance * np.outer(left[row], X[row])
    normal += ridge * np.trace(normal) / 4 * np.eye(4)
    found = denoising_map(Z.T @ Z, Z.T @ X, p, ridge)
    np.testing.assert_allclose(found, np.linalg.inv(normal) @ products, rtol=1e-9)


def test_layers_are_stacked_beside_the_rows():
    X = words()
    found = MarginalizedDenoisingAutoencoder(2, corruption=0.4).fit(X)
    expected = [X]
    for _ in range(2):
        Z = np.c_[expected[-1], np.ones(len(X))]
        M = denoising_map(Z.T @ Z, (Z.T @ Z)[:, :-1], 0.4, 1e-5)
        expected.append(np.tanh(Z @ M))
    np.testing.assert_allclose(found.transform(X), np.hstack(expected), rtol=1e-9)
    assert len(found.get_feature_names_out()) == 18


def test_without_corruption_a_layer_repeats_its_rows():
    X = words(200)
    features = MarginalizedDenoisingAutoencoder(1, corruption=0.0, regularization=1e-12)
    np.testing.assert_allclose(features.fit_transform(X)[:, 6:], np.tanh(X), atol=1e-6)


def test_both_domains_count_and_a_weight_is_a_number_of_rows():
    X, X_target = words(seed=1), words(40, seed=2)
    both = MarginalizedDenoisingAutoencoder().fit(X, X_target=X_target)
    stacked = MarginalizedDenoisingAutoencoder().fit(np.r_[X, X_target])
    np.testing.assert_allclose(both.transform(X), stacked.transform(X), rtol=1e-8)
    counts = np.arange(len(X)) % 3
    weighted = MarginalizedDenoisingAutoencoder().fit(X, sample_weight=counts)
    repeated = MarginalizedDenoisingAutoencoder().fit(X.repeat(counts, axis=0))
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-8)


@given(st.integers(0, 1000), st.sampled_from([3, 100]))
def test_sparse_rows_and_other_orders_give_the_same(seed, n_frequent):
    X = words(30, 7, seed)
    order = np.random.default_rng(seed).permutation(len(X))
    model = MarginalizedDenoisingAutoencoder(2, n_frequent=n_frequent, random_state=0)
    expected = model.fit_transform(X)
    sparse = scipy.sparse.csr_matrix(X[order])
    np.testing.assert_allclose(model.fit_transform(sparse), expected[order], atol=1e-9)


def test_many_features_restore_the_frequent_ones_by_blocks():
    X = words(80, 10)
    model = MarginalizedDenoisingAutoencoder(2, n_frequent=4, random_state=0).fit(X)
    blocks = [columns for columns, _ in model.layers_[0]]
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(10))
    assert max(map(len, blocks)) <= 4
    frequent = np.sort(np.argsort(-X.sum(axis=0), kind="stable")[:4])
    total = np.zeros((80, 4))
    for columns in blocks:
        Z = np.c_[X[:, columns], np.ones(80)]
        total += Z @ denoising_map(Z.T @ Z, Z.T @ X[:, frequent], 0.5, 1e-5)
    np.testing.assert_allclose(
        model.transform(X)[:, 10:14], np.tanh(total / len(blocks)), rtol=1e-9
    )
    assert model.transform(X).shape == (80, 18)


def test_wide_sparse_rows_are_never_dense_in_fit():
    X = scipy.sparse.random_array((2000, 4000), density=0.005, rng=0, format="csr")
    model = MarginalizedDenoisingAutoencoder(2, n_frequent=100, random_state=0)
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000 * 4000 * 8 / 2


def test_serves_pipelines_and_searches_with_a_target():
    X, X_target = words(seed=1), words(40, seed=2)
    y = X[:, 0].astype(int)
    pipe = make_transfer_pipeline(MarginalizedDenoisingAutoencoder(), LogisticRegression())
    grid = {"marginalizeddenoisingautoencoder__corruption": [0.2, 0.5]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y, X_target=TargetDomain(X_target))
    alone = MarginalizedDenoisingAutoencoder(
        **{key.split("__")[1]: value for key, value in search.best_params_.items()}
    ).fit(X, X_target=X_target)
    step = search.best_estimator_[0]
    np.testing.assert_allclose(step.transform(X_target), alone.transform(X_target))


def test_its_twin_learns_from_the_source_alone():
    X, X_target = words(seed=1), words(40, seed=2)
    twin = MarginalizedDenoisingAutoencoder().source_only().fit(X, X_target=X_target)
    alone = MarginalizedDenoisingAutoencoder().fit(X)
    np.testing.assert_array_equal(twin.transform(X), alone.transform(X))


def test_bad_parameters_are_refused_by_name():
    with pytest.raises(ValueError, match="corruption"):
        MarginalizedDenoisingAutoencoder(corruption=1.0).fit(words())
