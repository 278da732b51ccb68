"""Shares of classes from predictions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import chi2

from sktransfer.instance._priors import (
    HeldOut,
    correct_probabilities,
    estimate_priors,
    joint_confusion,
    maximize_likelihood,
    rlls_penalty,
    shift_p_value,
    solve_bbse,
    solve_rlls,
    source_shares,
)


def test_correction_by_plain_loops_where_classes_are_unequally_frequent():
    rng = np.random.default_rng(0)
    probabilities, priors, q = (
        rng.dirichlet(np.ones(3), 5),
        np.array([0.7, 0.2, 0.1]),
        [0.1, 0.3, 0.6],
    )
    for row, corrected in zip(
        probabilities, correct_probabilities(probabilities, priors, np.array(q)), strict=True
    ):
        expected = [q[k] / priors[k] * row[k] for k in range(3)]
        np.testing.assert_allclose(corrected, np.array(expected) / sum(expected))


def test_p_value_by_plain_loops():
    codes, weights = np.array([0, 0, 0, 1, 1, 1, 2]), np.array([1.0, 1, 2, 1, 1, 3, 0])
    target = np.eye(4)[[0, 0, 0, 0, 1, 2]]  # one row of class 2, none of class 3
    effective = weights.sum() ** 2 / (weights**2).sum()
    source = [weights[codes == k].sum() / weights.sum() * effective for k in range(3)]
    counts = [source, [4, 1, 1]]
    total, statistic = sum(map(sum, counts)), 0.0
    for row in counts:
        for k in range(3):
            expected = sum(row) * (counts[0][k] + counts[1][k]) / total
            statistic += (row[k] - expected) ** 2 / expected
    found = shift_p_value(HeldOut(np.eye(4)[codes], codes, weights), target)
    assert found == pytest.approx(chi2.sf(statistic, 2))


def test_likelihood_is_greatest_where_plain_loops_end():
    rng = np.random.default_rng(0)
    probabilities, priors = rng.dirichlet(np.ones(3), 40), np.array([0.5, 0.3, 0.2])
    q = priors.copy()
    for _ in range(5000):
        updated = np.zeros(3)
        for row in probabilities:
            corrected = [q[k] / priors[k] * row[k] for k in range(3)]
            updated += np.array(corrected) / sum(corrected) / 40
        q = updated
    np.testing.assert_allclose(maximize_likelihood(probabilities, priors), q, atol=1e-4)


@given(st.integers(0, 10_000))
@settings_of(max_examples=20)
def test_equal_shares_are_a_fixed_point(seed):
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(4), 30)
    priors = probabilities.mean(axis=0)
    np.testing.assert_allclose(maximize_likelihood(probabilities, priors), priors, atol=1e-9)


def test_rounds_begin_where_they_are_told_and_end_by_the_tolerance():
    rng = np.random.default_rng(0)
    probabilities, priors = rng.dirichlet(np.ones(3), 40), np.array([0.5, 0.3, 0.2])
    start = np.array([0.2, 0.2, 0.6])
    once = maximize_likelihood(probabilities, priors, start, tolerance=1.0)
    expected = np.zeros(3)
    for row in probabilities:
        corrected = [start[k] / priors[k] * row[k] for k in range(3)]
        expected += np.array(corrected) / sum(corrected) / 40
    np.testing.assert_allclose(once, expected)
    weighted = maximize_likelihood(probabilities, priors, start, np.full(40, 7.0), tolerance=1.0)
    np.testing.assert_allclose(weighted, expected)


@pytest.mark.parametrize("tolerance", [0.1, 0.03, 0.01, 0.003, 0.001])
@pytest.mark.parametrize("seen", [[0.5, 0.5, 2.0], [0.5, 2.0, 2.0]])  # one share rises, or falls
def test_rounds_end_once_no_share_changes_by_more(tolerance, seen):
    rng = np.random.default_rng(1)
    probabilities, priors = rng.dirichlet(seen, 30), np.array([0.6, 0.1, 0.3])
    q, change = priors, 1.0
    while change >= tolerance:
        updated = np.zeros(3)
        for row in probabilities:
            corrected = [q[k] / priors[k] * row[k] for k in range(3)]
            updated += np.array(corrected) / sum(corrected) / 30
        change = max(abs(updated[k] - q[k]) for k in range(3))
        q = updated
    found = maximize_likelihood(probabilities, priors, tolerance=tolerance)
    np.testing.assert_allclose(found, q, rtol=1e-10)


def test_a_class_that_the_source_lacks_has_no_share_and_makes_no_nan():
    probabilities, priors = (
        np.array([[0.75, 0.25, 0.0], [0.25, 0.75, 0.0]]),
        np.array([0.5, 0.5, 0]),
    )
    np.testing.assert_allclose(maximize_likelihood(probabilities, priors), priors)
    corrected = correct_probabilities(probabilities, priors, priors)
    np.testing.assert_allclose(corrected, probabilities, atol=1e-200)


def test_a_row_of_classes_that_the_target_lacks_is_left_undecided():
    row = np.array([[0.0, 0.0, 1.0]])
    corrected = correct_probabilities(row, np.full(3, 1 / 3), np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(corrected, 1 / 3)
    start = np.array([0.5, 0.5, 0.0])
    assert np.isfinite(
        maximize_likelihood(np.r_[row, row[:, ::-1]], np.full(3, 1 / 3), start)
    ).all()


def test_shares_of_the_source_are_the_weighted_mean_prediction():
    rows = HeldOut(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 1]), np.array([1.0, 3.0]))
    np.testing.assert_allclose(source_shares(rows), [0.625, 0.375])


def test_weights_repeat_rows():
    rng = np.random.default_rng(0)
    probabilities, times = rng.dirichlet(np.ones(3), 20), rng.integers(0, 4, 20)
    priors = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(
        maximize_likelihood(probabilities, priors, weights=times.astype(float)),
        maximize_likelihood(probabilities.repeat(times, axis=0), priors),
        atol=1e-6,
    )


def test_bbse_inverts_the_confusion():
    confusion = np.array([[0.4, 0.1], [0.1, 0.4]])
    weights = np.array([1.6, 0.4])
    np.testing.assert_allclose(solve_bbse(confusion, confusion @ weights), weights)
    assert (solve_bbse(confusion, np.array([1.0, 0.0])) >= 0).all()


@pytest.mark.parametrize("method", ["bbse", "rlls"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_shares_by_the_confusion_are_those_of_plain_loops(method, n_classes):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(n_classes), 25)
    taken_for = codes.copy()
    if method == "rlls":  # two classes are taken for each other, so that the penalty counts
        mixed = np.flatnonzero(codes < 2)
        taken_for[mixed] = mixed % 2
    probabilities = 2 * np.eye(n_classes)[taken_for] + rng.dirichlet([1.0] * n_classes, len(codes))
    held_out = HeldOut(probabilities / 3, codes, rng.uniform(0.5, 2, len(codes)))
    # Of the last class nothing is predicted in the target.
    target = rng.dirichlet([5.0] * (n_classes - 1) + [1e-9], 30)
    counts = rng.integers(1, 4, 30).astype(float)
    confusion, predicted = np.zeros((n_classes, n_classes)), np.zeros(n_classes)
    for row, code, weight in zip(*held_out, strict=True):
        confusion[np.argmax(row), code] += weight / held_out.weights.sum()
    for row, count in zip(target, counts, strict=True):
        predicted[np.argmax(row)] += count / counts.sum()
    if method == "bbse":
        weights = np.maximum(np.linalg.inv(confusion) @ predicted, 0)
    else:
        weights = solve_rlls(confusion, predicted, rlls_penalty(len(codes), n_classes))
    shares = [weights[k] * sum(confusion[j, k] for j in range(n_classes)) for k in range(n_classes)]
    found = estimate_priors(method, held_out, target, counts)
    np.testing.assert_allclose(found, np.array(shares) / sum(shares), atol=1e-6)


def test_shares_that_nothing_speaks_for_are_the_sources():
    # All that is predicted for the target is what no row of the source is taken for.
    held_out = HeldOut(np.tile([1.0, 0.0], (4, 1)), np.array([0, 0, 0, 1]), np.ones(4))
    found = estimate_priors("bbse", held_out, np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(found, [0.75, 0.25])


@pytest.mark.parametrize("penalty", [0.0, 0.01, 0.1, 5.0])
def test_no_general_solver_does_better_than_rlls(penalty):
    rng = np.random.default_rng(1)
    confusion = np.diag([0.3, 0.2, 0.2]) + rng.random((3, 3)) / 30
    confusion /= confusion.sum()
    predicted = np.array([0.1, 0.2, 0.7])
    shift = predicted - confusion.sum(axis=1)

    def loss(theta):
        return np.linalg.norm(confusion @ theta - shift) + penalty * np.linalg.norm(theta)

    starts = [np.full(3, 0.1), np.array([-0.5, 0.2, 1.0]), np.zeros(3) - 0.01]
    best = min(
        minimize(
            loss, s, method="Nelder-Mead", bounds=[(-1, None)] * 3, options={"xatol": 1e-9}
        ).fun
        for s in starts
    )
    weights = solve_rlls(confusion, predicted, penalty)
    assert (weights >= -1e-12).all()
    assert loss(weights - 1) <= best + 1e-6
    if penalty == 5.0:
        np.testing.assert_allclose(weights, 1)
    if penalty == 0.0:
        np.testing.assert_allclose(weights, solve_bbse(confusion, predicted), atol=1e-3)


def test_penalty_of_rlls_shrinks_with_rows():
    log = np.log(2 * 3 / 0.05)
    expected = 0.03 * (2 * log / 300 + np.sqrt(2 * log / 100))
    assert rlls_penalty(100, 3) == pytest.approx(expected)
    assert rlls_penalty(1000, 3) < expected


def test_confusion_counts_pairs():
    confusion = joint_confusion(
        np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), np.array([1.0, 1, 1, 2]), 2
    )
    np.testing.assert_allclose(confusion, np.array([[3, 0], [1, 1]]) / 5)


def test_p_value_is_uniform_without_shift_and_small_with_it():
    rng = np.random.default_rng(0)

    def one_hot(shares, n_rows):
        return np.eye(2)[rng.choice(2, n_rows, p=shares)]

    equal, shifted = [], []
    for _ in range(300):
        held_out = HeldOut(one_hot([0.3, 0.7], 400), np.zeros(400, int), np.ones(400))
        equal.append(shift_p_value(held_out, one_hot([0.3, 0.7], 300)))
        shifted.append(shift_p_value(held_out, one_hot([0.5, 0.5], 300)))
    assert 0.01 < np.mean(np.array(equal) < 0.05) < 0.1
    assert np.mean(np.array(shifted) < 0.05) > 0.95


def test_p_value_of_a_single_predicted_class_is_one():
    held_out = HeldOut(np.array([[1.0, 0], [1.0, 0]]), np.array([0, 1]), np.ones(2))
    assert shift_p_value(held_out, np.array([[0.9, 0.1]])) == 1
