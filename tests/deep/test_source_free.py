"""Learning from the target alone: its formulas and its labels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktransfer.deep._source_free import centroid_labels, information_loss

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


def test_diversity_is_of_the_known_classes_where_one_is_the_unknown():
    Z = np.random.default_rng(1).normal(size=(5, 4))
    P = [softmax(row) for row in Z.tolist()]
    expected = sum(-p * math.log(p) for row in P for p in row) / 5
    means = [sum(row[k] for row in P) / 5 for k in (0, 1, 3)]
    expected += sum(m / sum(means) * math.log(m / sum(means)) for m in means)
    Z = torch.from_numpy(Z)
    assert information_loss(Z, unknown=2).item() == pytest.approx(expected, rel=1e-12)
    without = information_loss(Z, diversity=False, unknown=2)
    torch.testing.assert_close(without, information_loss(Z, diversity=False))


@given(arrays(np.float64, (6, 2), elements=st.floats(-5, 5)), st.floats(0, 3))
def test_diversity_says_nothing_of_how_many_rows_are_unknown(Z, less):
    known = torch.from_numpy(Z).softmax(dim=1)
    unknown_too = torch.cat([known * math.exp(-less), torch.full((6, 1), 1 - math.exp(-less))], 1)
    logits = (unknown_too + 1e-300).log()
    parts = [information_loss(logits, diversity, unknown=2) for diversity in (True, False)]
    alone = [information_loss(known.log(), diversity) for diversity in (True, False)]
    torch.testing.assert_close(parts[0] - parts[1], alone[0] - alone[1], rtol=1e-9, atol=1e-9)


def test_all_rows_unknown_give_a_finite_gradient():
    Z = torch.tensor([[0.0, 0.0, 2000.0], [0.0, 0.0, 2000.0]], requires_grad=True)
    information_loss(Z, unknown=2).backward()
    assert Z.grad.isfinite().all()


def test_a_class_that_is_never_predicted_gives_a_finite_gradient():
    Z = torch.tensor([[0.0, -2000.0], [0.0, -2000.0]], requires_grad=True)
    information_loss(Z).backward()
    assert Z.grad.isfinite().all()


def labels_by_loops(features, P, unknown=None):
    n, K = len(features), len(P[0])
    rows = [[*row, 1.0] for row in features]
    rows = [[v / math.sqrt(sum(w * w for w in row)) for v in row] for row in rows]
    labels = predicted = [max(range(K), key=lambda k: P[i][k]) for i in range(n)]
    for weights in (P, None):
        if weights is None:
            weights = [[float(labels[i] == k) for k in range(K)] for i in range(n)]
        cosines = [[-math.inf] * K for _ in range(n)]
        for k in range(K):
            if k not in labels or k == unknown:
                continue
            centroid = [
                sum(weights[i][k] * rows[i][j] for i in range(n)) for j in range(len(rows[0]))
            ]
            length = math.sqrt(sum(v * v for v in centroid))
            for i in range(n):
                cosines[i][k] = sum(a * b for a, b in zip(rows[i], centroid, strict=True)) / length
        nearest = [max(range(K), key=lambda k: cosines[i][k]) for i in range(n)]
        labels = [unknown if predicted[i] == unknown else nearest[i] for i in range(n)]
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_those_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    features, Z = rng.normal(size=(12, 3)), rng.normal(size=(12, 4))
    Z[:, 3] -= 100 * (seed % 2)  # a class without rows
    P = [softmax(row) for row in Z.tolist()]
    labels = centroid_labels(torch.from_numpy(features), torch.tensor(P, dtype=torch.float64))
    assert labels.tolist() == labels_by_loops(features.tolist(), P)


@pytest.mark.parametrize("seed", range(5))
def test_rows_called_unknown_stay_so_and_no_others_become_so(seed):
    rng = np.random.default_rng(seed)
    features, P = rng.normal(size=(12, 3)), rng.dirichlet(np.ones(4), size=12)
    given = torch.from_numpy(features), torch.from_numpy(P)
    labels = centroid_labels(*given, unknown=2).tolist()
    assert labels == labels_by_loops(features.tolist(), P.tolist(), unknown=2)
    assert [k == 2 for k in labels] == (P.argmax(axis=1) == 2).tolist()
    assert (
        centroid_labels(given[0], torch.eye(4)[[2] * 12].double(), unknown=2).tolist() == [2] * 12
    )


def test_labels_mend_what_the_head_gets_wrong_near_another_centroid():
    features = torch.tensor([[10.0, 0], [9, 0], [8, 0], [0, 10], [0, 9], [0, 8]])
    P = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    assert centroid_labels(features, P).tolist() == [0, 0, 0, 1, 1, 1]
