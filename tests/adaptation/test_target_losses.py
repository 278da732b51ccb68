"""Losses of predictions on a target: by plain loops, by their properties, and in a fit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from torch import nn

from sktransfer import DANNClassifier, DeepCORALClassifier
from sktransfer.adaptation._target_losses import (
    TARGET_LOSSES,
    batch_nuclear_norm,
    class_confusion,
    entropy,
)
from tests.adaptation.problems import ONE_STEP

logits = arrays(np.float64, (6, 3), elements=st.floats(-20, 20)).map(torch.from_numpy)
each_loss = pytest.mark.parametrize("loss", TARGET_LOSSES.values(), ids=TARGET_LOSSES)


def softmax_by_loops(rows):
    return [[math.exp(z) / sum(math.exp(v) for v in row) for z in row] for row in rows]


def entropy_by_loops(probabilities):
    return -sum(p * math.log(p) for p in probabilities)


def test_entropy_equals_the_formula_by_plain_loops():
    rows = np.random.default_rng(0).normal(size=(7, 4))
    expected = sum(map(entropy_by_loops, softmax_by_loops(rows))) / 7
    assert entropy(torch.from_numpy(rows)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_class_confusion_equals_the_formula_by_plain_loops(temperature):
    n, K = 7, 4
    rows = 3 * np.random.default_rng(0).normal(size=(n, K))
    P = softmax_by_loops(rows / temperature)
    certainties = [1 + math.exp(-entropy_by_loops(p)) for p in P]
    w = [n * c / sum(certainties) for c in certainties]
    expected = 0.0
    for k in range(K):
        C = [sum(w[i] * P[i][k] * P[i][j] for i in range(n)) for j in range(K)]
        expected += sum(C[j] for j in range(K) if j != k) / sum(C) / K
    loss = class_confusion(torch.from_numpy(rows), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_nuclear_norm_is_the_trace_of_the_root_of_the_products():
    P = np.array(softmax_by_loops(np.random.default_rng(0).normal(size=(7, 4))))
    values, vectors = np.linalg.eigh(P.T @ P)
    expected = -np.trace(vectors @ np.diag(np.sqrt(values)) @ vectors.T) / 7
    loss = batch_nuclear_norm(torch.tensor(np.log(P)))
    assert loss.item() == pytest.approx(expected, rel=1e-10)


@each_loss
@given(logits, st.permutations(range(6)), st.permutations(range(3)), st.floats(-5, 5))
def test_order_of_rows_and_of_classes_and_a_shift_do_not_matter(loss, rows, order, classes, shift):
    changed = rows[order][:, classes] + shift
    torch.testing.assert_close(loss(changed), loss(rows), rtol=1e-7, atol=1e-9)


@given(logits)
def test_bounds_hold(rows):
    assert 0 <= entropy(rows) <= math.log(3) + 1e-12
    assert 0 <= class_confusion(rows) <= 2 / 3 + 1e-12
    assert -math.sqrt(3 / 6) - 1e-12 <= batch_nuclear_norm(rows) <= -math.sqrt(1 / 18) + 1e-12


def test_sure_predictions_of_all_classes_are_best_and_undecided_ones_worst():
    sure, undecided = 100 * torch.eye(3).repeat(2, 1).double(), torch.zeros(6, 3).double()
    assert class_confusion(sure).item() == pytest.approx(0, abs=1e-12)
    assert class_confusion(undecided).item() == pytest.approx(2 / 3)
    assert batch_nuclear_norm(sure).item() == pytest.approx(-math.sqrt(3 / 6))
    assert batch_nuclear_norm(undecided).item() == pytest.approx(-math.sqrt(1 / 18))


def test_a_class_of_no_probability_is_not_confused():
    rows = torch.tensor([[0.0, 0.0, -1e6], [1.0, -1.0, -1e6]], requires_grad=True)
    loss = class_confusion(rows)
    loss.backward()
    assert 0 < loss < 1 / 3 + 1e-6
    assert torch.isfinite(rows.grad).all()


def test_no_gradient_flows_through_the_weights_of_class_confusion():
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3))).requires_grad_()
    class_confusion(rows).backward()
    P = (rows.detach() / 2.5).softmax(dim=1)
    certainty = 1 + torch.exp((P * P.log()).sum(dim=1))
    w = 5 * certainty / certainty.sum()

    def with_weights_held(values):
        P = (values / 2.5).softmax(dim=1)
        C = P.T @ (w[:, None] * P)
        C = C / C.sum(dim=1, keepdim=True)
        return (C.sum() - C.trace()) / 3

    held = rows.detach().clone().requires_grad_()
    with_weights_held(held).backward()
    torch.testing.assert_close(rows.grad, held.grad, rtol=1e-10, atol=1e-14)


@each_loss
def test_a_step_down_the_gradient_lowers_the_loss(loss):
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 3))).requires_grad_()
    before = loss(rows)
    before.backward()
    assert loss(rows.detach() - 0.1 * rows.grad) < before


def one_step(domains, **params):
    torch.manual_seed(0)
    clf = DeepCORALClassifier(
        nn.Linear(4, 3).double(),
        label_classifier=nn.Linear(3, 2).double(),
        lambda_=0.4,
        **ONE_STEP,
        **params,
    )
    return clf.fit(*domains).net_.module_


@pytest.mark.parametrize("name", [*TARGET_LOSSES, "callable"])
def test_a_fit_adds_the_weighed_gradient_of_the_loss_to_body_and_label_head(domains, name):
    def sharpness(logits):
        return -logits.square().mean()

    given = sharpness if name == "callable" else name
    without = one_step(domains)
    trained = one_step(domains, target_loss=given, target_loss_weight=0.7)
    torch.manual_seed(0)
    body, head = nn.Linear(4, 3).double(), nn.Linear(3, 2).double()
    loss = TARGET_LOSSES.get(name, sharpness)(head(body(torch.from_numpy(domains[2]))))
    for before, of_body, of_head in (("body", body, None), ("label_head", None, head)):
        module = of_body or of_head
        (gradient,) = torch.autograd.grad(loss, module.weight, retain_graph=True)
        difference = getattr(trained, before).weight - getattr(without, before).weight
        torch.testing.assert_close(difference, -0.1 * 0.4 * 0.7 * gradient, rtol=1e-8, atol=1e-12)


def test_history_shows_the_plain_loss(domains):
    X, y, X_target = domains
    clf = DANNClassifier(
        target_loss="entropy", target_loss_weight=5.0, max_epochs=1, batch_size=90, random_state=0
    )
    clf.set_params(learning_rate=1e-300).fit(X, y, X_target)
    P = clf.predict_proba(X_target)
    assert clf.history_[0, "target_loss"] == pytest.approx(-(P * np.log(P)).sum(axis=1).mean())


def test_no_loss_and_a_weight_of_zero_are_the_same(domains):
    clf = DANNClassifier(target_loss=None, max_epochs=2, random_state=0)
    plain = clone(clf).fit(*domains)
    weightless = clf.set_params(target_loss="mcc", target_loss_weight=0.0).fit(*domains)
    assert "target_loss" not in weightless.history_[-1]
    np.testing.assert_array_equal(
        plain.predict_proba(domains[2]), weightless.predict_proba(domains[2])
    )


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            "infomax",
            ValueError,
            "The 'target_loss' parameter of DANNClassifier must be a str among",
        ),
        (lambda: 0.0, TypeError, r"target_loss is called as target_loss\(logits\)"),
        (lambda logits: 0.5, ValueError, "made a float of 2 rows of logits; it must return"),
        (lambda logits: logits.mean(dim=1), ValueError, r"a Tensor of shape \(2,\) of 2 rows"),
        (
            lambda logits: logits @ torch.ones(5, 1).double(),
            ValueError,
            r"failed for logits of shape \(2, 2\): .*without labels",
        ),
    ],
)
def test_what_is_no_loss_is_refused(domains, given, error, message):
    with pytest.raises(error, match=message):
        DANNClassifier(target_loss=given, max_epochs=1).fit(*domains)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, codes):
        return self.table(codes).mean(dim=1)


def test_rows_of_whole_numbers_have_logits_of_fractions():
    X, body = np.random.default_rng(0).integers(0, 9, size=(40, 5)), Tokens()
    named, own = (
        DANNClassifier(body, target_loss=loss, max_epochs=2, random_state=0)
        .fit(X, X[:, 0] > 4, X)
        .predict_proba(X)
        for loss in ("entropy", entropy)
    )
    np.testing.assert_array_equal(named, own)


def test_what_diverged_is_told_by_its_loss(domains):
    assert batch_nuclear_norm(torch.full((4, 3), torch.nan)).isnan()
    assert batch_nuclear_norm(torch.tensor([[torch.nan, 0.0], [1.0, 0.0]])).isnan()
    clf = DeepCORALClassifier(
        target_loss="bnm", optimizer="sgd", learning_rate=1e200, max_epochs=9, random_state=0
    )
    with pytest.raises(ValueError, match=r"became (nan|inf) in .*Try a smaller learning_rate"):
        clf.fit(*domains)
