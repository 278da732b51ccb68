"""Scores of one group or of two: expectation maximisation, and which of both explains more."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sktransfer.adaptation import _two_groups
from sktransfer.adaptation._two_groups import (
    LEAST_GAIN,
    fitted_groups,
    gain_of_groups,
    groups_of,
    lower_group,
    skewed_log_likelihood,
    unknown_probabilities,
)

values = arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1))


def groups_by_loops(values):
    low, high = min(values), max(values)
    below = None
    while True:
        again = [v < (low + high) / 2 for v in values]
        if again == below or not any(again):
            return again
        below = again
        low = sum(v for v, b in zip(values, below, strict=True) if b) / sum(below)
        high = sum(v for v, b in zip(values, below, strict=True) if not b) / (
            len(values) - sum(below)
        )


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_those_of_plain_loops(seed):
    drawn = np.random.default_rng(seed).beta(0.6, 0.4, size=30)
    assert lower_group(drawn).tolist() == groups_by_loops(drawn.tolist())


@given(values, st.randoms())
def test_a_lower_value_is_in_the_lower_group_whatever_the_order(values, random):
    below = lower_group(values)
    if below.any():
        assert values[below].max() < values[~below].min()
    else:
        # The extremes are one value, or have none between them.
        assert values.min() >= (values.min() + values.max()) / 2
    order = list(range(len(values)))
    random.shuffle(order)
    assume(len(np.unique(values)) == len(values))
    assert lower_group(values[order]).sum() == below.sum()


def test_centres_begin_at_the_extremes():
    # From others, as 0.2 and 2, the 1 would stay below.
    assert lower_group(np.array([0.0, 0, 0, 0, 1, 2])).tolist() == [True] * 4 + [False] * 2


def test_two_heaps_are_told_apart_whatever_their_sizes():
    heaps = np.array([0.1] * 3 + [0.15] * 2 + [0.9] * 40 + [0.95] * 10)
    assert lower_group(heaps).tolist() == [True] * 5 + [False] * 50


def normal_density(value, mean, variance):
    return math.exp(-((value - mean) ** 2) / 2 / variance) / math.sqrt(2 * math.pi * variance)


def test_a_step_of_expectation_maximisation_equals_plain_loops():
    rng = np.random.default_rng(0)
    scores, classes, unknown = rng.normal(size=20), rng.integers(3, size=20), rng.random(20)
    n_unknown = sum(unknown)
    mean = sum(r * s for r, s in zip(unknown, scores, strict=True)) / n_unknown
    variance = sum(r * (s - mean) ** 2 for r, s in zip(unknown, scores, strict=True)) / n_unknown
    n_known, means, squares, shares = [], [], [], []
    for k in range(3):
        rows = [i for i in range(20) if classes[i] == k]
        n_known.append(sum(1 - unknown[i] for i in rows))
        means.append(sum((1 - unknown[i]) * scores[i] for i in rows) / n_known[k])
        squares.append(sum((1 - unknown[i]) * (scores[i] - means[k]) ** 2 for i in rows))
        shares.append((sum(unknown[i] for i in rows) + 0.5) / (len(rows) + 1))
    of_all = sum(squares) / sum(n_known)
    variances = [(squares[k] + 5 * of_all) / (n_known[k] + 5) for k in range(3)]

    groups = groups_of(unknown, scores, classes, 3)
    np.testing.assert_allclose(groups.unknown, (mean, variance), rtol=1e-12)
    np.testing.assert_allclose(groups.means, means, rtol=1e-12)
    np.testing.assert_allclose(groups.variances, variances, rtol=1e-12)
    np.testing.assert_allclose(groups.shares, shares, rtol=1e-12)

    as_unknown, as_known = groups.log_densities(scores, classes)
    for i, k in enumerate(classes):
        of_unknown = shares[k] * normal_density(scores[i], mean, variance)
        of_known = (1 - shares[k]) * normal_density(scores[i], means[k], variances[k])
        assert as_unknown[i] == pytest.approx(math.log(of_unknown), rel=1e-9)
        assert as_known[i] == pytest.approx(math.log(of_known), rel=1e-9)


def test_one_skewed_group_is_as_likely_as_a_search_over_powers_says():
    drawn = np.random.default_rng(0).gamma(2.0, size=60)
    mean, variance = drawn.mean(), drawn.var()
    best = -math.inf
    for power in np.linspace(-2, 4, 601):
        scaled = [(v - mean) / math.sqrt(variance) for v in drawn]
        powers = stats.yeojohnson(scaled, lmbda=power)
        total = sum(
            math.log(normal_density(g, powers.mean(), powers.var()))
            + (power - 1) * math.copysign(math.log1p(abs(z)), z)
            - math.log(variance) / 2
            for g, z in zip(powers, scaled, strict=True)
        )
        best = max(best, total)
    assert skewed_log_likelihood(drawn, 1e-6) == pytest.approx(best, abs=1e-3)
    of_normal = stats.norm.logpdf(drawn, mean, math.sqrt(variance)).sum()
    assert best > of_normal + 1  # the skew is worth its power


def test_of_values_that_do_not_vary_the_least_variance_is_theirs():
    likelihood = skewed_log_likelihood(np.full(5, 3.0), 0.25)
    assert likelihood == pytest.approx(5 * math.log(normal_density(3, 3, 0.25)) - 2.5)


def test_groups_without_rows_or_spread_have_what_the_others_have():
    scores, classes = np.array([0.0, 0.0, 4.0, 6.0]), np.array([0, 0, 1, 1])
    groups = groups_of(np.array([1.0, 1.0, 0.0, 0.0]), scores, classes, 3)
    least = 1e-3 * np.var(scores)
    assert groups.unknown == (0.0, pytest.approx(least))
    np.testing.assert_allclose(groups.means, [0, 5, 0])
    np.testing.assert_allclose(groups.variances, [1, (2 + 5 * 1) / (2 + 5), 1])
    np.testing.assert_allclose(groups.shares, [2.5 / 3, 0.5 / 3, 0.5])
    nobody = groups_of(np.ones(4), scores, classes, 2)
    np.testing.assert_allclose(nobody.variances, least)
    assert groups_of(np.zeros(4), scores, classes, 2).unknown == (0.0, pytest.approx(least))


def test_the_gain_of_groups_is_that_of_plain_loops():
    scores, classes = draws(0, 12, n_classes=2, n_rows=40)
    classes[:] = np.repeat([0, 1, 2], [10, 21, 9])  # nine rows are too few to tell
    groups, counted = fitted_groups(scores, classes, 3), range(31)
    least, gain = 1e-3 * np.var(scores[:31]), -math.log(31)
    for i in counted:
        share, k = groups.shares[classes[i]], classes[i]
        as_known = normal_density(scores[i], groups.means[k], groups.variances[k])
        gain += math.log(
            share * normal_density(scores[i], *groups.unknown) + (1 - share) * as_known
        )
    gain -= skewed_log_likelihood(scores[:10], least) + skewed_log_likelihood(scores[10:31], least)
    assert gain_of_groups(groups, scores, classes) == pytest.approx(gain / 31, rel=1e-9)


def draws(seed, n_unknown, n_classes=3, n_rows=600, gap=5.0):
    """Return scores of rows of which the last `n_unknown` score little, and their classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(1, n_classes + 1, size=n_rows)
    scores = gap + classes / 2 + rng.normal(size=n_rows)
    scores[n_rows - n_unknown :] = 1 + 0.5 * rng.normal(size=n_unknown)
    return scores, classes


@pytest.mark.parametrize("n_unknown", [60, 200, 400])
def test_two_groups_are_found_and_how_large_they_are(n_unknown):
    probabilities = unknown_probabilities(*draws(0, n_unknown), 4)
    assert probabilities.mean() == pytest.approx(n_unknown / 600, abs=0.02)
    assert np.mean(probabilities[600 - n_unknown :] > 0.5) > 0.97
    assert np.mean(probabilities[: 600 - n_unknown] > 0.5) < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_one_group_is_one_skewed_or_not(seed):
    assert not unknown_probabilities(*draws(seed, 0), 4).any()
    scores, classes = np.random.default_rng(seed).gamma(3.0, size=600), np.resize([1, 2, 3], 600)
    groups = fitted_groups(scores, classes, 4)
    assert gain_of_groups(groups, scores, classes) < LEAST_GAIN
    assert not unknown_probabilities(scores, classes, 4).any()


@given(st.integers(0, 20), st.floats(0.1, 10), st.randoms())
def test_neither_scale_nor_order_of_rows_or_classes_matters(seed, scale, random):
    scores, classes = draws(seed, 200)
    probabilities = unknown_probabilities(scores, classes, 4)
    assert np.all((probabilities >= 0) & (probabilities <= 1))
    order = list(range(600))
    random.shuffle(order)
    others = np.array([0, 3, 1, 2])[classes]
    again = unknown_probabilities(scale * scores[order] - 3, others[order], 4)
    np.testing.assert_allclose(again, probabilities[order], atol=1e-3)
    # Within a class who scores more is no likelier unknown.
    for k in (1, 2, 3):
        of_class = probabilities[classes == k][np.argsort(scores[classes == k])]
        assert np.all(np.diff(of_class) <= 1e-9)


@given(st.floats(0, 1))
def test_a_share_that_is_told_is_kept_to_the_row(share):
    scores, classes = draws(0, 150)
    told = unknown_probabilities(scores, classes, 4, share)
    assert told.sum() == round(share * 600)
    assert set(told) <= {0.0, 1.0}
    likely = unknown_probabilities(scores, classes, 4)
    if 0 < told.sum() < 600:
        assert likely[told == 1].min() >= likely[told == 0].max()


@pytest.mark.parametrize("scores", [np.zeros(5), np.ones(1), np.arange(4.0)])
def test_rows_too_few_or_all_alike_are_known(scores):
    classes = np.resize([1, 2], len(scores))
    assert not unknown_probabilities(scores, classes, 3).any()
    assert unknown_probabilities(scores, classes, 3, 1.0).all()


def test_small_classes_do_not_tell_of_groups(monkeypatch):
    scores, classes = draws(0, 200)
    groups = fitted_groups(scores, classes, 4)
    monkeypatch.setattr(_two_groups, "LEAST_ROWS", 601)
    assert gain_of_groups(groups, scores, classes) == -math.inf
