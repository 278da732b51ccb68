"""Scores of predicted probabilities: plain loops, bounds and known orders."""

import math
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.svm import SVC

from sktransfer.model_selection import BNMScorer, EntropyScorer, InfoMaxScorer, SNDScorer
from sktransfer.model_selection._confidence import (
    batch_nuclear_norm,
    mean_entropy,
    mutual_information,
    soft_neighborhood_density,
)

SCORERS = [EntropyScorer, InfoMaxScorer, BNMScorer, SNDScorer]


@st.composite
def probabilities(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows, n_classes = draw(st.integers(2, 12)), draw(st.integers(2, 5))
    sharpness = draw(st.sampled_from([0.1, 1.0, 10.0, 100.0]))
    logits = sharpness * rng.normal(size=(n_rows, n_classes))
    P = np.exp(logits - logits.max(axis=1, keepdims=True))
    return P / P.sum(axis=1, keepdims=True)


def entropy_of(values):
    return -sum(v * math.log(v) for v in values if v > 0)


def predicting(P):
    """Return an estimator that predicts these probabilities, whatever the rows."""
    return SimpleNamespace(predict_proba=lambda X: P)


@given(probabilities())
def test_entropy_by_plain_loops(P):
    total = 0.0
    for row in P:
        total += entropy_of(row)
    assert mean_entropy(P) == pytest.approx(total / len(P), abs=1e-12)


@given(probabilities())
def test_mutual_information_by_plain_loops(P):
    n_rows, n_classes = P.shape
    mean = [sum(P[i, k] for i in range(n_rows)) / n_rows for k in range(n_classes)]
    expected = entropy_of(mean) - sum(entropy_of(row) for row in P) / n_rows
    assert mutual_information(P) == pytest.approx(expected, abs=1e-12)


@given(probabilities())
def test_nuclear_norm_is_the_sum_of_singular_values(P):
    # The singular values are the roots of the eigenvalues of P^T P.
    gram = [[sum(P[:, j] * P[:, k]) for k in range(P.shape[1])] for j in range(P.shape[1])]
    eigenvalues = np.linalg.eigvalsh(gram)
    expected = sum(math.sqrt(max(v, 0)) for v in eigenvalues) / math.sqrt(P.size)
    assert batch_nuclear_norm(P) == pytest.approx(expected, abs=1e-6)


@given(probabilities(), st.sampled_from([0.05, 1.0]))
def test_soft_neighborhood_density_by_plain_loops(P, temperature):
    total = 0.0
    for i, row in enumerate(P):
        similarities = []
        for j, other in enumerate(P):
            if i != j:
                lengths = math.sqrt(sum(row**2)) * math.sqrt(sum(other**2))
                similarities.append(sum(row * other) / lengths / temperature)
        weights = [math.exp(s - max(similarities)) for s in similarities]
        total += entropy_of([w / sum(weights) for w in weights])
    assert soft_neighborhood_density(P, temperature) == pytest.approx(total / len(P), abs=1e-9)


@given(probabilities())
def test_scores_keep_their_bounds(P):
    n_rows, n_classes = P.shape
    assert -1e-12 <= mean_entropy(P) <= math.log(n_classes) + 1e-12
    assert -1e-12 <= mutual_information(P) <= math.log(n_classes) + 1e-12
    assert 1 / n_classes - 1e-12 <= batch_nuclear_norm(P) <= 1 + 1e-12
    assert -1e-12 <= soft_neighborhood_density(P, 0.05) <= math.log(n_rows - 1) + 1e-9


@given(probabilities(), st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order_of_rows_and_classes(P, random):
    rows, classes = list(range(len(P))), list(range(P.shape[1]))
    random.shuffle(rows)
    random.shuffle(classes)
    for scorer in SCORERS:
        score = scorer(np.zeros((len(P), 1)))
        assert score(predicting(P)) == pytest.approx(score(predicting(P[rows][:, classes])))


def test_sure_and_balanced_predictions_get_the_best_score():
    P = np.tile(np.eye(4), (5, 1))
    X = np.zeros((20, 1))
    assert EntropyScorer(X)(predicting(P)) == 0
    assert InfoMaxScorer(X)(predicting(P)) == pytest.approx(math.log(4))
    assert BNMScorer(X)(predicting(P)) == pytest.approx(1)
    # Each row has 4 neighbours of its own class, and the others do not count.
    assert SNDScorer(X)(predicting(P)) == pytest.approx(math.log(4), abs=1e-4)


def test_only_entropy_and_density_take_a_collapsed_model_for_the_best():
    X = np.zeros((20, 1))
    balanced, collapsed = np.tile(np.eye(4), (5, 1)), np.eye(4)[np.zeros(20, int)]
    for scorer, is_fooled in zip(SCORERS, [True, False, False, True], strict=True):
        score = scorer(X)
        fooled = score(predicting(collapsed)) >= score(predicting(balanced))
        assert fooled == is_fooled


def test_density_is_the_same_in_small_chunks():
    P = np.random.default_rng(0).dirichlet(np.ones(3), size=500)
    whole = soft_neighborhood_density(P, 0.05)  # 524 rows would be one chunk
    with config_context(working_memory=0.05):  # 6 rows at once
        assert soft_neighborhood_density(P, 0.05) == pytest.approx(whole, rel=1e-12)


def test_density_of_many_rows_takes_megabytes():
    P = np.random.default_rng(0).dirichlet(np.ones(3), size=3000)
    tracemalloc.start()
    soft_neighborhood_density(P, 0.05)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20  # all pairs at once are 72 MB


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, math.inf, "warm"])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number above 0"):
        SNDScorer(np.zeros((3, 1)), temperature=temperature)


@pytest.mark.parametrize("scorer", SCORERS)
def test_estimators_without_probabilities_are_refused_with_a_way_out(scorer):
    with pytest.raises(TypeError, match=r"SVC has no predict_proba.*CalibratedClassifierCV"):
        scorer(np.zeros((3, 1)))(SVC())
