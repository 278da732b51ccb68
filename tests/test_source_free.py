"""Learning from the target alone: its formulas and its labels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktransfer._source_free import centroid_labels, information_loss

logits = arrays(np.float64, (6, 3), elements=st.floats(-10, 10)).map(torch.from_numpy)


def softmax(row):
    return [math.exp(z) / sum(math.exp(other) for other in row) for z in row]


def test_information_loss_equals_the_formula_by_plain_loops():
    Z = np.random.default_rng(0).normal(size=(5, 3))
    P = [softmax(row) for row in Z.tolist()]
    entropies = sum(-p * math.log(p) for row in P for p in row) / 5
    means = [sum(row[k] for row in P) / 5 for k in range(3)]
    negative = sum(m * math.log(m) for m in means)
    Z = torch.from_numpy(Z)
    assert information_loss(Z).item() == pytest.approx(entropies + negative, rel=1e-12)
    assert information_loss(Z, diversity=False).item() == pytest.approx(entropies, rel=1e-12)


@given(logits, st.permutations(range(6)))
def test_information_loss_lies_between_its_bounds_whatever_the_order(Z, order):
    loss = information_loss(Z)
    assert -math.log(3) - 1e-12 <= loss <= 1e-12  # minus the information of row and class
    torch.testing.assert_close(loss, information_loss(Z[order]), rtol=1e-9, atol=1e-12)


def test_information_loss_is_least_for_sure_rows_of_all_classes():
    sure = 50 * torch.eye(3)
    assert information_loss(sure).item() == pytest.approx(-math.log(3))
    one_class = 50 * torch.eye(3)[[0, 0, 0]]
    assert information_loss(one_class).item() == pytest.approx(0, abs=1e-12)
    assert information_loss(one_class, diversity=False).item() == pytest.approx(0, abs=1e-12)


def test_a_class_that_is_never_predicted_gives_a_finite_gradient():
    Z = torch.tensor([[0.0, -2000.0], [0.0, -2000.0]], requires_grad=True)
    information_loss(Z).backward()
    assert Z.grad.isfinite().all()


def labels_by_loops(features, P):
    n, K = len(features), len(P[0])
    rows = [[*row, 1.0] for row in features]
    rows = [[v / math.sqrt(sum(w * w for w in row)) for v in row] for row in rows]
    labels = [max(range(K), key=lambda k: P[i][k]) for i in range(n)]
    for weights in (P, None):
        if weights is None:
            weights = [[float(labels[i] == k) for k in range(K)] for i in range(n)]
        cosines = [[-math.inf] * K for _ in range(n)]
        for k in range(K):
            if k not in labels:
                continue
            centroid = [
                sum(weights[i][k] * rows[i][j] for i in range(n)) for j in range(len(rows[0]))
            ]
            length = math.sqrt(sum(v * v for v in centroid))
            for i in range(n):
                cosines[i][k] = sum(a * b for a, b in zip(rows[i], centroid, strict=True)) / length
        labels = [max(range(K), key=lambda k: cosines[i][k]) for i in range(n)]
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_those_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    features, Z = rng.normal(size=(12, 3)), rng.normal(size=(12, 4))
    Z[:, 3] -= 100 * (seed % 2)  # a class without rows
    P = [softmax(row) for row in Z.tolist()]
    labels = centroid_labels(torch.from_numpy(features), torch.tensor(P, dtype=torch.float64))
    assert labels.tolist() == labels_by_loops(features.tolist(), P)


def test_labels_mend_what_the_head_gets_wrong_near_another_centroid():
    features = torch.tensor([[10.0, 0], [9, 0], [8, 0], [0, 10], [0, 9], [0, 8]])
    P = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    assert centroid_labels(features, P).tolist() == [0, 0, 0, 1, 1, 1]
