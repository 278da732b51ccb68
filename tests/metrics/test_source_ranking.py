"""Scores that rank pretrained models: by plain loops, by other roads and by their properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, ortho_group, spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, cross_val_score

from sktransfer.metrics import h_score, leep, logme
from sktransfer.metrics._source_ranking import best_ratios, decompose

LABELS = np.array(["cat", "dog", "dog", "owl", "cat", "owl", "cat", "dog"])
labels = st.lists(st.sampled_from("abc"), min_size=6, max_size=6).filter(lambda y: len(set(y)) > 1)
weights = arrays(np.float64, (6, 4), elements=st.floats(0.01, 1))
features = arrays(np.float64, (6, 3), elements=st.floats(-5, 5, width=32))
# Without differences of 1e-8: where these alone tell a class, rounding is what tells it.
features_on_a_grid = arrays(
    np.float64, (6, 3), elements=st.integers(-320, 320).map(lambda number: number / 64)
)


def make_features(n_samples=60, n_features=4, signal=1.0, n_classes=3, seed=0):
    """Return noise with the class added to its first feature, and the classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % n_classes
    X = rng.normal(size=(n_samples, n_features))
    X[:, 0] += signal * y
    return X, y


# LEEP


def test_leep_equals_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    theta = rng.dirichlet(np.ones(5), size=8)

    def joint(label, z):
        return sum(theta[i, z] for i in range(8) if LABELS[i] == label) / 8

    expected = 0.0
    for i in range(8):
        prediction = 0.0
        for z in range(5):
            marginal = sum(joint(label, z) for label in ("cat", "dog", "owl"))
            prediction += joint(LABELS[i], z) / marginal * theta[i, z]
        expected += math.log(prediction) / 8
    assert leep(theta, LABELS) == pytest.approx(expected, rel=1e-12)


@given(weights, labels, st.permutations(range(4)))
def test_leep_is_not_positive_whatever_the_order_of_source_classes(weights, y, order):
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    value = leep(probabilities, y)
    assert value <= 1e-12
    assert leep(probabilities[:, order], y) == pytest.approx(value, rel=1e-9, abs=1e-12)


@given(weights, labels)
def test_leep_of_source_classes_split_in_two_is_the_same(weights, y):
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    split = np.concatenate([0.3 * probabilities, 0.7 * probabilities], axis=1)
    assert leep(split, y) == pytest.approx(leep(probabilities, y), rel=1e-9, abs=1e-12)


def test_leep_of_a_perfect_source_is_0_and_of_a_blind_one_minus_the_entropy():
    sure = np.eye(3)[[0, 1, 1, 2, 0, 2, 0, 1]]
    assert leep(sure, LABELS) == 0
    shares = np.array([3, 3, 2]) / 8
    expected = (shares * np.log(shares)).sum()
    assert leep(np.full((8, 5), 0.2), LABELS) == pytest.approx(expected, rel=1e-12)


def test_leep_passes_over_source_classes_that_never_occur():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    padded = np.insert(probabilities, 1, 0.0, axis=1)
    assert leep(padded, [0, 0, 1]) == leep(probabilities, [0, 0, 1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[2.0, 3.0], [1.0, 0.0]], "rows that sum to 1 to 5; .*softmax"),
        ([[1.5, -0.5], [1.0, 0.0]], "values from -0.5"),
        ([[0.4, 0.4], [0.5, 0.5]], "sum to 0.8 to 1"),
    ],
)
def test_leep_refuses_what_are_no_probabilities(rows, message):
    with pytest.raises(ValueError, match=message):
        leep(rows, [0, 1])


def test_leep_takes_probabilities_in_half_precision():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(1000), size=8)
    expected = leep(probabilities, LABELS)
    assert leep(probabilities.astype(np.float16), LABELS) == pytest.approx(expected, abs=1e-2)


# LogME


def log_evidence(log_precisions, F, y):
    """Return log p(y | F, alpha, beta), the formula of the docstring word for word."""
    alpha, beta = np.exp(log_precisions)
    n, d = F.shape
    A = alpha * np.eye(d) + beta * F.T @ F
    m = beta * np.linalg.solve(A, F.T @ y)
    misfit = ((F @ m - y) ** 2).sum()
    return (
        n / 2 * math.log(beta)
        + d / 2 * math.log(alpha)
        - n / 2 * math.log(2 * math.pi)
        - beta / 2 * misfit
        - alpha / 2 * m @ m
        - np.linalg.slogdet(A)[1] / 2
    )


def maximum_by_scipy(F, y):
    """Return the greatest log density of y ~ N(0, I / beta + F F^T / alpha), over n."""

    def loss(logarithms):  # of 1 / alpha and of alpha / beta
        variance, ratio = np.exp(np.clip(logarithms, -40, 40))
        root = np.linalg.cholesky(variance * (ratio * np.eye(len(y)) + F @ F.T))
        white = np.linalg.solve(root, y)
        return (white @ white + len(y) * math.log(2 * math.pi)) / 2 + np.log(np.diag(root)).sum()

    starts = [(variance, ratio) for variance in (-6, -3, 0) for ratio in (-10, -3, 1, 4)]
    return -min(minimize(loss, start, method="Nelder-Mead").fun for start in starts) / len(y)


def test_the_evidence_of_the_docstring_is_that_of_the_labels_under_the_model():
    F, y = make_features(9, 4)
    alpha, beta = 0.7, 2.5
    marginal = multivariate_normal(cov=np.eye(9) / beta + F @ F.T / alpha)
    value = log_evidence(np.log([alpha, beta]), F, (y == 0).astype(float))
    assert value == pytest.approx(marginal.logpdf(y == 0), rel=1e-10)


@pytest.mark.parametrize(
    ("n_samples", "n_features", "signal"), [(60, 4, 1.0), (30, 30, 2.0), (15, 40, 3.0), (40, 8, 9)]
)
def test_logme_is_the_maximum_that_scipy_finds(n_samples, n_features, signal):
    F, y = make_features(n_samples, n_features, signal)
    expected = np.mean([maximum_by_scipy(F, (y == c).astype(float)) for c in range(3)])
    assert logme(F, y) == pytest.approx(expected, abs=1e-6)


def test_the_ratio_found_is_a_fixed_point_of_the_papers_iteration():
    F, y = make_features(50, 6)
    values, sums = decompose(F, y, np.linalg.norm(F))
    squares, counts = sums.T**2, np.bincount(y)
    ratios = best_ratios(values[:, None] ** 2, squares, counts - squares.sum(axis=0), 50)
    for c, ratio in enumerate(ratios):
        label = (y == c).astype(float)
        m = np.linalg.solve(ratio * np.eye(6) + F.T @ F, F.T @ label)
        gamma = sum(s**2 / (ratio + s**2) for s in np.linalg.svd(F, compute_uv=False))
        alpha, beta = gamma / (m @ m), (50 - gamma) / ((F @ m - label) ** 2).sum()
        assert alpha / beta == pytest.approx(ratio, rel=1e-3)


def test_logme_finds_the_greatest_of_several_maxima():
    # A weak feature that tells the classes apart, beside a strong one that almost does.
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    F = np.column_stack([1e3 * (y + rng.normal(size=60)), 1e-3 * (y - 0.5), rng.normal(size=60)])
    F[:, 1] += 1e-6 * rng.normal(size=60)
    expected = np.mean([maximum_by_scipy(F, (y == c).astype(float)) for c in range(2)])
    assert logme(F, y) >= expected - 1e-4


def test_features_without_a_sign_of_the_labels_have_the_evidence_of_noise_alone():
    # With all weights 0 the best beta is n / y^T y, whatever the features.
    y = np.arange(40) % 2
    noise = -(math.log(2 * math.pi * 0.5) + 1) / 2
    assert logme(np.zeros((40, 3)), y) == pytest.approx(noise, rel=1e-12)
    orthogonal = np.tile([[1.0], [1.0], [-1.0], [-1.0]], (10, 1))
    assert logme(orthogonal, y) == pytest.approx(noise, rel=1e-9)


@given(features_on_a_grid, labels, st.floats(0.01, 100), st.integers(0, 9))
def test_logme_is_invariant_to_rotation_and_scale(F, y, scale, seed):
    rotated = scale * F @ ortho_group.rvs(3, random_state=np.random.RandomState(seed))
    assert logme(rotated, y) == pytest.approx(logme(F, y), abs=1e-4)


def test_logme_of_rank_deficient_features_is_that_of_their_span():
    F, y = make_features(50, 4)
    rotation = ortho_group.rvs(4, random_state=np.random.RandomState(0))
    expected = logme(F, y)
    assert logme(np.column_stack([F, np.zeros((50, 30))]), y) == pytest.approx(expected, rel=1e-9)
    copies = np.column_stack([F, F @ rotation]) / math.sqrt(2)
    assert logme(copies, y) == pytest.approx(expected, rel=1e-9)


def test_logme_of_a_perfect_fit_is_finite_and_above_that_of_a_good_one():
    y = np.arange(60) % 3
    good = np.eye(3)[y] + 0.01 * np.random.default_rng(0).normal(size=(60, 3))
    assert logme(good, y) < logme(np.eye(3)[y], y) < math.inf


# H-score


def test_h_score_equals_the_formula_by_plain_loops():
    F, y = make_features(20, 3)
    mean = [sum(F[:, j]) / 20 for j in range(3)]
    of_class = [[sum(F[y == c, j]) / sum(y == c) for j in range(3)] for c in range(3)]
    total, between = np.zeros((3, 3)), np.zeros((3, 3))
    for i in range(20):
        for j in range(3):
            for k in range(3):
                total[j, k] += (F[i, j] - mean[j]) * (F[i, k] - mean[k]) / 20
                gaps = of_class[y[i]][j] - mean[j], of_class[y[i]][k] - mean[k]
                between[j, k] += gaps[0] * gaps[1] / 20
    expected = sum((np.linalg.inv(total) @ between)[j, j] for j in range(3))
    assert h_score(F, y) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n_samples", [50, 9])
@pytest.mark.parametrize("shrinkage", ["auto", 0.3])
def test_shrunk_h_score_equals_the_formula_with_an_inverse(n_samples, shrinkage):
    F, y = make_features(n_samples, 12)
    share = ledoit_wolf(F)[1] if shrinkage == "auto" else shrinkage
    C = np.cov(F.T, bias=True)
    shrunk = (1 - share) * C + share * np.trace(C) / 12 * np.eye(12)
    means = np.array([F[y == c].mean(axis=0) for c in range(3)])[y]
    expected = np.trace(np.linalg.inv(shrunk) @ ((1 - share) * np.cov(means.T, bias=True)))
    assert h_score(F, y, shrinkage=shrinkage) == pytest.approx(expected, rel=1e-9)


def test_h_score_is_the_r2_of_class_indicators_summed_over_principal_features():
    # For one feature: the share of its variance that lies between the classes.
    F, y = make_features(40, 1)
    means = np.array([F[y == c].mean() for c in range(3)])[y]
    assert h_score(F, y) == pytest.approx(means.var() / F.var(), rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_h_score_is_invariant_to_invertible_linear_maps(seed):
    F, y = make_features(30, 5)
    rng = np.random.default_rng(seed)
    mapped = F @ rng.normal(size=(5, 5)) + 100 * rng.normal(size=5)
    assert h_score(mapped, y) == pytest.approx(h_score(F, y), rel=1e-8)


@given(features, labels, st.floats(0, 1))
def test_h_score_lies_between_0_and_the_number_of_classes_less_1(F, y, shrinkage):
    value = h_score(F, y, shrinkage=shrinkage)
    assert -1e-9 <= value <= min(len(set(y)) - 1, 3) + 1e-9
    assert value <= h_score(F, y) + 1e-9


def test_h_score_of_few_rows_is_blind_unless_shrunk():
    informative, y = make_features(20, 50, signal=5.0)
    noise, _ = make_features(20, 50, signal=0.0, seed=1)
    assert h_score(informative, y) == pytest.approx(2, rel=1e-9)
    assert h_score(noise, y) == pytest.approx(2, rel=1e-9)
    assert h_score(informative, y, shrinkage="auto") > h_score(noise, y, shrinkage="auto") + 0.1


def test_constant_features_score_0_and_change_nothing_beside_others():
    F, y = make_features(30, 3)
    constant = np.full((30, 2), 0.1)
    assert h_score(constant, y) == 0
    assert h_score(constant, y, shrinkage="auto") == 0
    assert h_score(np.column_stack([F, constant]), y) == pytest.approx(h_score(F, y), rel=1e-9)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.5, "ledoit", None, math.nan])
def test_h_score_refuses_a_share_that_is_none(shrinkage):
    with pytest.raises(ValueError, match=rf'shrinkage={shrinkage!r} must be in \[0, 1\] or "auto"'):
        h_score(*make_features(), shrinkage=shrinkage)


# Ranking


def regularised_h_score(F, y):
    return h_score(F, y, shrinkage="auto")


@pytest.mark.parametrize("score", [logme, h_score, regularised_h_score])
def test_scores_of_features_order_them_as_a_linear_probe_does(score):
    X, y = make_classification(400, 10, n_informative=6, n_classes=3, class_sep=1.5, random_state=0)
    noise = np.random.default_rng(0).normal(size=X.shape)
    bodies = [(1 - share) * X + 3 * share * noise for share in np.linspace(0, 1, 8)]
    accuracies = [cross_val_score(LogisticRegression(), F, y, cv=4).mean() for F in bodies]
    scores = [score(F, y) for F in bodies]
    assert spearmanr(scores, accuracies).statistic > 0.9
    assert score(X, y) > score(noise, y)


def test_leep_orders_source_models_as_their_probabilities_serve_a_linear_probe():
    X, y = make_classification(400, 10, n_informative=6, n_classes=6, class_sep=2, random_state=0)
    model, scores, accuracies = LogisticRegression(), [], []
    for n_merged in (1, 2, 3, 4, 5):  # source models that learned ever coarser classes
        coarse = np.maximum(y, n_merged - 1)
        probabilities = cross_val_predict(model, X, coarse, cv=4, method="predict_proba")
        scores.append(leep(probabilities, y))
        accuracies.append(cross_val_score(model, probabilities, y, cv=4).mean())
    assert scores == sorted(scores, reverse=True)
    assert accuracies == sorted(accuracies, reverse=True)
