"""Distances of domains: by plain loops, by closed forms and by their properties."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array
from scipy.stats import wasserstein_distance
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import ShuffleSplit, StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from sktransfer.adaptation._coral import coral_loss
from sktransfer.metrics import coral_distance, proxy_a_distance, sliced_wasserstein_distance
from sktransfer.metrics._domain_distances import random_directions, transport_cost

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(size=(7, 3)), 2 * RNG.normal(size=(4, 3)) + 1
numbers = st.floats(-10, 10, width=32)
samples = arrays(np.float64, st.tuples(st.integers(2, 6), st.just(3)), elements=numbers)
columns = arrays(np.float64, st.tuples(st.integers(1, 9), st.just(1)), elements=numbers)
whole_rows = arrays(np.float64, (6, 3), elements=numbers)


def sliced(X, Z, **params):
    return sliced_wasserstein_distance(X, Z, **{"n_projections": 5, "random_state": 0, **params})


# Proxy A-distance


@pytest.mark.parametrize("n_target", [400, 40])
def test_proxy_a_distance_is_about_0_for_equal_and_2_for_separable_domains(n_target):
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(400, 5)), rng.normal(size=(n_target, 5))
    assert proxy_a_distance(X, Z, random_state=0) == pytest.approx(0, abs=0.35)
    assert proxy_a_distance(X, Z + 6, random_state=0) == 2


@pytest.mark.parametrize("n_target", [4000, 400])
def test_proxy_a_distance_of_shifted_gaussians_follows_the_best_error(n_target):
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(4000, 2)), rng.normal([1, 0], size=(n_target, 2))
    best_error = 0.5 * math.erfc(0.5 / math.sqrt(2))
    expected = 2 * (1 - 2 * best_error)
    assert proxy_a_distance(X, Z, random_state=0) == pytest.approx(expected, abs=0.1)


def test_proxy_a_distance_equals_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(40, 2)), rng.normal(size=(20, 2)) + 1
    both, domain = np.concatenate([X, Z]), np.array([0] * 40 + [1] * 20)
    classifier, cv = DecisionTreeClassifier(random_state=0), StratifiedKFold(4)
    n_wrong = [0, 0]
    for train, test in cv.split(both, domain):
        classifier.fit(both[train], domain[train])
        for i in test:
            n_wrong[domain[i]] += classifier.predict(both[i : i + 1])[0] != domain[i]
    expected = 2 * (1 - 2 * (n_wrong[0] / 40 + n_wrong[1] / 20) / 2)
    value = proxy_a_distance(X, Z, classifier=classifier, cv=cv)
    assert value == pytest.approx(expected, rel=1e-12)


def test_a_classifier_that_ignores_the_rows_finds_no_distance_at_any_sizes():
    value = proxy_a_distance(SOURCE, TARGET, classifier=DummyClassifier(), random_state=0)
    assert value == 0


def test_the_seed_decides_the_folds_of_the_proxy_a_distance():
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 0.5
    values = [proxy_a_distance(X, Z, random_state=seed) for seed in (0, 0, 1, 2, 3)]
    assert values[0] == values[1]
    assert len(set(values)) > 1


@pytest.mark.parametrize("sparse", [(True, True), (True, False), (False, True)])
def test_proxy_a_distance_of_sparse_rows_is_that_of_dense_ones(sparse):
    rows = [part.round() for part in (SOURCE, TARGET)]
    given = [csr_array(X) if is_sparse else X for X, is_sparse in zip(rows, sparse, strict=True)]
    for cv in (2, 3):
        dense = proxy_a_distance(*rows, cv=cv, random_state=0)
        assert proxy_a_distance(*given, cv=cv, random_state=0) == dense


def test_with_folds_of_ones_own_two_rows_of_each_domain_will_do():
    cv = StratifiedKFold(2)
    assert abs(proxy_a_distance(SOURCE[:2], TARGET[:2], cv=cv)) <= 2
    with pytest.raises(ValueError, match=r"X_target has 1 row.* at least 2 of each domain"):
        proxy_a_distance(SOURCE[:2], TARGET[:1], cv=cv)


def test_proxy_a_distance_refuses_folds_that_cannot_be():
    with pytest.raises(ValueError, match="cv=1 must be at least 2"):
        proxy_a_distance(SOURCE, TARGET, cv=1)
    with pytest.raises(ValueError, match=r"X_target has 4 row\(s\), but cv=5 needs at least 5"):
        proxy_a_distance(SOURCE, TARGET, cv=5)
    with pytest.raises(ValueError, match="partitions"):
        proxy_a_distance(SOURCE, TARGET, cv=ShuffleSplit(2, random_state=0))


# CORAL


def test_coral_distance_equals_the_formula_by_plain_loops():
    def covariance(rows, i, j):
        n, products = len(rows), 0.0
        for row in rows:
            products += (row[i] - sum(rows[:, i]) / n) * (row[j] - sum(rows[:, j]) / n)
        return products / (n - 1)

    expected = 0.0
    for i in range(3):
        for j in range(3):
            gap = covariance(SOURCE, i, j) - covariance(TARGET, i, j)
            expected += gap**2 / (4 * 3**2)
    assert coral_distance(SOURCE, TARGET) == pytest.approx(expected, rel=1e-12)


@given(samples, samples)
def test_coral_distance_is_the_loss_that_deep_coral_trains_by(X, Z):
    loss = coral_loss(torch.from_numpy(X), torch.from_numpy(Z)).item()
    assert coral_distance(X, Z) == pytest.approx(loss, rel=1e-9, abs=1e-12)


@given(whole_rows, st.permutations(range(6)), st.floats(-5, 5))
def test_coral_distance_is_zero_for_shuffled_and_shifted_rows(X, order, shift):
    assert coral_distance(X, X[order] + shift) < 1e-18


@given(samples, samples, st.floats(0.1, 5))
def test_coral_distance_is_symmetric_and_scales_with_the_fourth_power(X, Z, scale):
    expected = scale**4 * coral_distance(Z, X)
    assert coral_distance(scale * X, scale * Z) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_coral_distance_of_a_single_row_is_refused():
    with pytest.raises(ValueError, match=r"X_target has 1 row.*covariance needs at least 2"):
        coral_distance(SOURCE, TARGET[:1])
    assert coral_distance(SOURCE[:2], SOURCE[:2] + 1) == pytest.approx(0)


def test_coral_distance_of_single_precision_far_from_zero_keeps_its_digits():
    # A sum of squares in single precision would leave no digit of the variance 1.
    signs = np.tile([[1.0], [-1.0]], (500, 1))
    X, Z = (10_000 + signs).astype(np.float32), (10_000 + 2 * signs).astype(np.float32)
    expected = (3 * 1000 / 999) ** 2 / 4
    assert coral_distance(X, Z) == pytest.approx(expected, rel=1e-9)


# Sliced Wasserstein


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_sliced_wasserstein_equals_the_formula_by_plain_loops(p):
    # Each of 7 source rows is 4 parts, each of 4 target rows 7 parts of mass 1/28.
    directions = random_directions(3, 5, np.random.RandomState(0))
    total = 0.0
    for direction in directions:
        source = sorted(float(x @ direction) for x in SOURCE for _ in range(4))
        target = sorted(float(z @ direction) for z in TARGET for _ in range(7))
        total += sum(abs(a - b) ** p for a, b in zip(source, target, strict=True)) / 28
    expected = (total / 5) ** (1 / p)
    assert sliced(SOURCE, TARGET, p=p) == pytest.approx(expected, rel=1e-12)


@given(columns, columns)
def test_in_one_dimension_it_is_scipys_wasserstein_distance(X, Z):
    expected = wasserstein_distance(X[:, 0], Z[:, 0])
    assert sliced(X, Z, p=1) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(columns, columns, st.sampled_from([1.0, 2.0, 3.0]))
def test_transport_cost_is_that_of_the_quantile_functions(X, Z, p):
    X, Z = np.sort(X, axis=0), np.sort(Z, axis=0)
    middles = (np.arange(2520) + 0.5) / 2520  # all levels i/n with n < 10 lie between these
    quantiles = [Y[(middles * len(Y)).astype(int), 0] for Y in (X, Z)]
    expected = (np.abs(quantiles[0] - quantiles[1]) ** p).mean()
    assert transport_cost(X, Z, p) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(whole_rows, st.permutations(range(6)))
def test_sliced_wasserstein_is_zero_for_shuffled_and_repeated_rows(X, order):
    assert sliced(X, X[order]) == pytest.approx(0, abs=1e-12)
    assert sliced(X, np.concatenate([X, X[order]])) == pytest.approx(0, abs=1e-12)


@given(samples, samples, st.floats(-5, 5))
def test_sliced_wasserstein_is_symmetric_and_scales_with_its_unit(X, Z, scale):
    expected = abs(scale) * sliced(Z, X)
    assert sliced(scale * X, scale * Z) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(samples, samples, samples, st.sampled_from([1, 2]))
def test_sliced_wasserstein_obeys_the_triangle_inequality(X, Y, Z, p):
    assert sliced(X, Z, p=p) <= sliced(X, Y, p=p) + sliced(Y, Z, p=p) + 1e-9


def test_sliced_wasserstein_of_a_translated_sample_is_the_mean_projected_shift():
    rng = np.random.default_rng(0)
    X, shift = rng.normal(size=(50, 8)), np.arange(8.0)
    directions = random_directions(8, 5, np.random.RandomState(0))
    expected = math.sqrt(((directions @ shift) ** 2).mean())
    assert sliced(X, X[::-1] + shift) == pytest.approx(expected, rel=1e-12)
    (direction,) = random_directions(8, 1, np.random.RandomState(0))
    assert sliced(X, X + shift, n_projections=1) == pytest.approx(abs(direction @ shift))
    many = sliced(X, X + shift, n_projections=4000)
    assert many == pytest.approx(np.linalg.norm(shift) / math.sqrt(8), rel=0.05)


def test_directions_are_uniform_unit_vectors():
    directions = random_directions(3, 20_000, np.random.RandomState(0))
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=0.02)
    # A coordinate of a uniform point on the sphere in three dimensions is uniform in [-1, 1].
    for column in directions.T:
        np.testing.assert_allclose(np.quantile(column, [0.25, 0.75]), [-0.5, 0.5], atol=0.03)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_projections": 0}, "n_projections=0 must be an integer of at least 1"),
        ({"n_projections": 2.5}, "n_projections=2.5"),
        ({"p": 0.5}, "p=0.5 must be a finite number of at least 1"),
        ({"p": math.inf}, "p=inf must be"),
    ],
)
def test_sliced_wasserstein_refuses_what_is_no_distance(params, message):
    with pytest.raises(ValueError, match=message):
        sliced(SOURCE, TARGET, **params)
