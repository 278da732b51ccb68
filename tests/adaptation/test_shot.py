"""Learning from the target alone: its formulas, its labels, and that the head stays."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from sktransfer import SHOTClassifier, load, save
from sktransfer.adaptation._source_free import centroid_labels, information_loss

logits = arrays(np.float64, (6, 3), elements=st.floats(-10, 10)).map(torch.from_numpy)
FAST = {"max_epochs": 3, "target_epochs": 2, "random_state": 0}


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


def modules():
    torch.manual_seed(0)
    return nn.Linear(4, 6).double(), nn.Linear(6, 2).double()


def test_the_head_stays_and_the_body_moves_in_the_second_stage(domains):
    X, y, X_target = domains
    body, head = modules()
    clf = SHOTClassifier(body, label_classifier=head, average_weights=0.0, **FAST)
    plain = clf.source_only().fit(X, y).net_.module_
    adapted = clf.fit(X, y, X_target).net_.module_
    assert torch.equal(plain.label_head.weight, adapted.label_head.weight)
    assert torch.equal(plain.label_head.bias, adapted.label_head.bias)
    assert not torch.equal(plain.body.weight, adapted.body.weight)


def test_history_tells_the_stages_and_their_losses(domains):
    history = SHOTClassifier(**FAST).fit(*domains).history_
    assert history[:, "stage"] == ["source"] * 3 + ["target"] * 2
    assert "label_loss" in history[0]
    assert {"information_loss", "pseudo_label_loss"} <= history[-1].keys()
    without = SHOTClassifier(pseudo_label_weight=0.0, **FAST).fit(*domains).history_
    assert "pseudo_label_loss" not in without[-1]


def test_the_first_step_on_the_target_goes_down_its_losses_by_the_body(domains):
    X, y, X_target = domains
    body, head = modules()
    clf = SHOTClassifier(
        body,
        label_classifier=head,
        learning_rate=0.1,
        optimizer=torch.optim.SGD,
        average_weights=0.0,
        target_learning_rate=0.1,
        batch_size=90,
        max_epochs=2,
        target_epochs=1,
        random_state=0,
    )
    plain = clf.source_only().fit(X, y).net_.module_
    T = torch.from_numpy(X_target)
    features = plain.body(T)
    outputs = plain.label_head(features)
    labels = centroid_labels(features.detach(), outputs.detach().softmax(dim=1))
    by_labels = -outputs.log_softmax(dim=1)[torch.arange(len(T)), labels].mean()
    loss = information_loss(outputs) + 0.3 * by_labels
    (gradient,) = torch.autograd.grad(loss, plain.body.weight)
    adapted = clf.fit(X, y, X_target).net_.module_
    expected = plain.body.weight - 0.1 * gradient
    torch.testing.assert_close(adapted.body.weight, expected, rtol=1e-9, atol=1e-12)


def test_known_labels_of_the_target_stand_in_for_pseudo_labels():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 2)), rng.integers(0, 2, 90)
    X_target = rng.normal(size=(60, 2))
    y_target = pd.array([0] * 30 + [None] * 30, dtype="Int64")
    strong = {"pseudo_label_weight": 50.0, "diversity": False, "target_learning_rate": 0.03}
    clf = SHOTClassifier(max_epochs=5, target_epochs=30, random_state=0, **strong)
    clf.fit(X, y, X_target, y_target)
    assert (clf.predict(X_target[:30]) == 0).mean() > 0.9


def test_without_diversity_a_target_of_one_class_stays_of_one_class():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-2, 1, size=(100, 2)), rng.normal(2, 1, size=(100, 2))])
    y = np.repeat([0, 1], 100)
    X_target = rng.normal(2, 1, size=(100, 2)) + np.array([0.5, -0.5])
    shares = {}
    for diversity in (True, False):
        clf = SHOTClassifier(diversity=diversity, target_learning_rate=0.01, random_state=0)
        clf.set_params(max_epochs=30).fit(X, y, X_target)
        shares[diversity] = clf.predict(X_target).mean()
    assert shares[False] > 0.97
    assert shares[True] < shares[False]


def test_without_a_target_it_says_so():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    with pytest.warns(UserWarning, match="without X_target.*or call adapt"):
        SHOTClassifier(**FAST).fit(X, y)


def test_it_adapts_later_without_the_source_to_the_same_bits_after_load(domains, tmp_path):
    X, y, X_target = domains
    clf = SHOTClassifier(**FAST).source_only().fit(X, y)
    before = clf.predict_proba(X_target)
    save(clf, tmp_path / "source.safetensors")
    again = load(tmp_path / "source.safetensors")
    head = clf.net_.module_.label_head.weight.clone()
    adapted = clf.adapt(X_target)
    assert adapted is clf
    assert torch.equal(clf.net_.module_.label_head.weight, head)
    assert clf.n_iter_ == len(clf.history_) == 5
    assert not np.array_equal(clf.predict_proba(X_target), before)
    later = again.adapt(X_target).predict_proba(X_target)
    np.testing.assert_array_equal(later, clf.predict_proba(X_target))


def test_it_comes_back_from_a_file(domains, tmp_path):
    clf = SHOTClassifier(diversity=False, **FAST).fit(*domains)
    save(clf, tmp_path / "shot.safetensors")
    again = load(tmp_path / "shot.safetensors")
    np.testing.assert_array_equal(again.predict_proba(domains[2]), clf.predict_proba(domains[2]))
    assert again.diversity is False
