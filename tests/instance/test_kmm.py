"""Kernel mean matching solves its quadratic programme."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize
from sklearn.metrics.pairwise import rbf_kernel

from sktransfer.instance import KMM
from sktransfer.instance._kmm import match_means


def make_problem(seed=0, n_rows=25, n_target=20):
    rng = np.random.default_rng(seed)
    X, X_target = rng.normal(size=(n_rows, 2)), rng.normal(1, 1, size=(n_target, 2))
    kernel = rbf_kernel(X, gamma=0.5)
    means = n_rows / n_target * rbf_kernel(X, X_target, gamma=0.5).sum(axis=1)
    return X, X_target, kernel, means


def objective_by_loops(weights, X, X_target, gamma):
    n, m = len(X), len(X_target)
    total = 0.0
    for i in range(n):
        for j in range(n):
            total += weights[i] * weights[j] / 2 * np.exp(-gamma * ((X[i] - X[j]) ** 2).sum())
        for j in range(m):
            total -= n / m * weights[i] * np.exp(-gamma * ((X[i] - X_target[j]) ** 2).sum())
    return total


@pytest.mark.parametrize(
    ("bound", "slack"), [(1000.0, 0.8), (1.5, 0.8), (1000.0, 0.0), (3.0, 0.01)]
)
def test_no_general_solver_finds_a_better_solution(bound, slack):
    X, X_target, kernel, means = make_problem()
    weights = match_means(kernel, means, bound=bound, slack=slack)
    n = len(X)
    assert weights.min() >= 0
    assert weights.max() <= bound * (1 + 1e-6)
    assert n * (1 - slack) - 1e-6 <= weights.sum() <= n * (1 + slack) + 1e-6
    found = minimize(
        lambda b: b @ kernel @ b / 2 - means @ b,
        np.ones(n),
        jac=lambda b: kernel @ b - means,
        method="SLSQP",
        bounds=[(0, bound)] * n,
        constraints=LinearConstraint(np.ones(n), n * (1 - slack), n * (1 + slack)),
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    assert objective_by_loops(weights, X, X_target, 0.5) <= found.fun + 1e-4 * abs(found.fun)


@pytest.mark.parametrize(
    ("bound", "slack", "expected"),
    [
        (10.0, 1.0, [0.5, 1.0, 2.5]),  # k itself: the band has room for its sum
        (2.0, 1.0, [0.5, 1.0, 2.0]),
        (10.0, 0.0, [1 / 6, 2 / 3, 13 / 6]),  # k less a third
        (10.0, 0.1, [0.5 - 0.7 / 3, 1.0 - 0.7 / 3, 2.5 - 0.7 / 3]),
        (0.5, 0.1, [0.5, 0.5, 0.5]),  # the box ends before the band begins
    ],
)
def test_rows_that_are_like_none_but_themselves_get_what_is_left_in_closed_form(
    bound, slack, expected
):
    weights = match_means(np.eye(3), np.array([0.5, 1.0, 2.5]), bound=bound, slack=slack)
    np.testing.assert_allclose(weights, expected, rtol=1e-4)


def test_where_the_target_is_nowhere_near_the_sum_is_the_least_that_may_be():
    weights = match_means(np.eye(4), np.zeros(4), bound=10.0, slack=0.25)
    np.testing.assert_allclose(weights, 0.75, rtol=1e-4)


@pytest.mark.parametrize("bound", [1.2, 1000.0])
def test_a_row_of_mass_two_weighs_like_the_same_row_twice(bound):
    _, _, kernel, means = make_problem(n_rows=6)
    twice = [0, 1, 2, 3, 3, 4, 5]
    masses = np.array([1.0, 1, 1, 2, 1, 1])
    once = match_means(kernel, means, bound=bound, slack=0.9, masses=masses)
    each = match_means(kernel[np.ix_(twice, twice)], means[twice], bound=bound, slack=0.9)
    assert once.max() <= bound * (1 + 1e-9)
    np.testing.assert_allclose(once[twice], each, atol=0.02 * each.max())
    assert once[3] > 1.1


def test_a_row_without_mass_has_no_weight():
    _, _, kernel, means = make_problem(n_rows=6)
    masses = np.array([1.0, 1, 1, 0, 1, 1])
    weights = match_means(kernel, means, bound=1000.0, slack=0.9, masses=masses)
    assert weights[3] == 0
    assert np.isfinite(weights).all()


def test_weights_are_those_of_the_programme():
    X, X_target, kernel, means = make_problem()
    fitted = KMM(0.5, random_state=0).fit(X, X_target=X_target)
    slack = (np.sqrt(25) - 1) / np.sqrt(25)
    expected = match_means(kernel, means, bound=1000.0, slack=slack)
    at_fit = objective_by_loops(fitted.weights_, X, X_target, 0.5)
    assert at_fit == pytest.approx(objective_by_loops(expected, X, X_target, 0.5), rel=1e-5)


@given(st.integers(0, 1000), st.floats(0.0, 0.5), st.floats(1.0, 50.0))
@settings(max_examples=20)
def test_bounds_hold(seed, slack, bound):
    _, _, kernel, means = make_problem(seed, n_rows=12, n_target=7)
    weights = match_means(kernel, means, bound=bound, slack=slack)
    assert weights.min() >= 0
    assert weights.max() <= bound * (1 + 1e-3)
    assert 12 * (1 - slack) - 1e-6 <= weights.sum() <= 12 * (1 + slack) + 1e-6


def test_equal_domains_need_no_weights():
    X = np.random.default_rng(0).normal(size=(50, 2))
    weights = KMM(random_state=0).fit(X, X_target=X).weights_
    np.testing.assert_allclose(weights, 1, atol=0.01)


def test_new_rows_get_the_mean_of_weights_around_them():
    X, X_target, _, _ = make_problem()
    kmm = KMM(0.5, random_state=0).fit(X, X_target=X_target)
    new = np.array([[0.3, -0.2]])
    near = [np.exp(-0.5 * ((row - new[0]) ** 2).sum()) for row in X]
    expected = sum(k * w for k, w in zip(near, kmm.weights_, strict=True)) / sum(near)
    assert kmm.predict(new)[0] == pytest.approx(expected)


def test_blocks_weigh_like_the_whole():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(600, 1)), rng.normal(0.5, 0.8, size=(400, 1))
    whole = KMM(random_state=0).fit(X, X_target=X_target)
    blocks = KMM(block_size=200, random_state=0).fit(X, X_target=X_target)
    assert np.mean(blocks.weights_) == pytest.approx(1, abs=0.1)
    smooth, smooth_blocks = whole.predict(X), blocks.predict(X)
    assert np.corrcoef(smooth, smooth_blocks)[0, 1] > 0.98


def test_default_bandwidth_is_the_median_distance_of_all_pairs():
    X, X_target, _, _ = make_problem(n_rows=9, n_target=6)
    rows = [*X, *X_target]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(rows) for b in rows[:i]]
    kmm = KMM(random_state=0).fit(X, X_target=X_target)
    assert kmm.gamma_ == pytest.approx(1 / (2 * np.median(distances) ** 2))


def test_by_default_the_mean_weight_is_no_less_than_one_over_the_root_of_n():
    X = np.random.default_rng(0).normal(size=(25, 2))
    kmm = KMM(0.5, random_state=0).fit(X, X_target=X[:10] + 6.0)  # hardly any row is like these
    assert kmm.weights_.mean() == pytest.approx(1 / np.sqrt(25))


def test_rows_are_weighed_alike_however_many_there_are(monkeypatch):
    X, X_target, _, _ = make_problem()
    kmm = KMM(0.5, random_state=0).fit(X, X_target=X_target)
    new = np.random.default_rng(1).normal(size=(7, 2))
    expected = [kmm.predict(row[np.newaxis])[0] for row in new]
    monkeypatch.setattr("sktransfer.instance._kmm.KERNELS_AT_ONCE", 60)  # two rows
    np.testing.assert_allclose(kmm.predict(new), expected)
