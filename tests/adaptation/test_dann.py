"""Domain-adversarial training: its mathematics and what it does to features."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from torch import nn
from torch.nn import functional as F

from sktransfer import DANNClassifier
from sktransfer.adaptation._dann import (
    domain_accuracy,
    domain_adversarial_loss,
    gradient_penalty,
)
from sktransfer.datasets import make_shifted_moons
from tests.adaptation.problems import ONE_STEP

LEARNING_RATE = 0.1
plain_sgd = partial(torch.optim.SGD)


def tiny_body():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh()).double()


def tiny_domain_classifier(n_features):
    return nn.Sequential(nn.Linear(n_features, 5), nn.ReLU(), nn.Linear(5, 1))


def one_step(X, y, X_target, **params):
    """Return a DANN after one full-batch SGD step."""
    clf = DANNClassifier(
        tiny_body(),
        label_classifier=nn.Linear,  # one's own modules learn at the learning rate itself
        domain_classifier=tiny_domain_classifier,
        lambda_schedule="constant",
        optimizer=plain_sgd,
        learning_rate=LEARNING_RATE,
        target_loss=None,
        gradient_penalty=0.0,
        average_weights=0.0,
        batch_size=1000,
        max_epochs=1,
        random_state=0,
        **params,
    )
    return clf.fit(X, y, X_target)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(11, 3)), rng.integers(0, 3, 11), rng.normal(size=(11, 3)) + 0.5


def test_domain_loss_equals_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(7, 1)), rng.normal(size=(4, 1))

    def sigma(z):
        return 1 / (1 + math.exp(-z))

    expected = 0.0
    for z in source[:, 0]:
        expected += -math.log(1 - sigma(z)) / 7
    for z in target[:, 0]:
        expected += -math.log(sigma(z)) / 4
    loss = domain_adversarial_loss(torch.from_numpy(source), torch.from_numpy(target))
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_domain_accuracy_is_the_mean_of_both_domains():
    source, target = torch.tensor([[-1.0], [-2.0], [3.0], [-1.0]]), torch.tensor([[1.0], [-1.0]])
    assert domain_accuracy(source, target).item() == pytest.approx((3 / 4 + 1 / 2) / 2)
    undecided = torch.zeros(3, 1)
    assert domain_accuracy(undecided, undecided) == 0.5  # all are taken for the source's


logits = st.lists(st.floats(-30, 30), min_size=1, max_size=8)


@given(logits, logits)
def test_domain_loss_is_the_same_with_domains_and_signs_swapped(source, target):
    s, t = torch.tensor(source).double(), torch.tensor(target).double()
    torch.testing.assert_close(
        domain_adversarial_loss(s, t), domain_adversarial_loss(-t, -s), rtol=1e-12, atol=0
    )


@given(logits)
def test_domain_loss_of_an_undecided_classifier_is_two_ln_two(rows):
    undecided = torch.zeros(len(rows), 1)
    loss = domain_adversarial_loss(undecided, undecided)
    assert loss.item() == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("lambda_", [0.0, 0.3, 1.0, 2.5])
def test_one_sgd_step_equals_the_update_rule_by_hand(rows, lambda_):
    X, y, X_target = rows
    start = initial_network(X, y, X_target, lambda_)
    after = one_step(X, y, X_target, lambda_=lambda_).net_.module_
    body, label, domain = start.body, start.label_head, start.domain_classifier.head
    of_source, of_target = body(torch.from_numpy(X)), body(torch.from_numpy(X_target))
    L_y = F.cross_entropy(label(of_source), torch.from_numpy(y))
    L_d = F.softplus(domain(of_source)).mean() + F.softplus(-domain(of_target)).mean()

    def step(module, gradient):
        return {name: p - LEARNING_RATE * gradient(p) for name, p in module.named_parameters()}

    d = partial(torch.autograd.grad, retain_graph=True)
    expected = {
        "body": step(body, lambda p: d(L_y, p)[0] - lambda_ * d(L_d, p)[0]),
        "label_head": step(label, lambda p: d(L_y, p)[0]),
        "domain_classifier.head": step(domain, lambda p: d(L_d, p)[0]),
    }
    for name, parameters in expected.items():
        for key, value in parameters.items():
            actual = after.get_parameter(f"{name}.{key}")
            torch.testing.assert_close(actual, value, rtol=1e-10, atol=1e-12)


def initial_network(X, y, X_target, lambda_):
    """Return the network before its first step, by a step of next to no length."""
    clf = one_step(X, y, X_target, lambda_=lambda_)
    clf = clone(clf).set_params(learning_rate=1e-300)
    return clf.fit(X, y, X_target).net_.module_


@settings(max_examples=15)
@given(st.permutations(range(11)), st.permutations(range(11)))
def test_order_of_rows_does_not_change_a_full_batch_step(source_order, target_order):
    rng = np.random.default_rng(0)
    X, y, X_target = rng.normal(size=(11, 3)), rng.integers(0, 3, 11), rng.normal(size=(11, 3))
    plain = one_step(X, y, X_target)
    shuffled = one_step(X[source_order], y[source_order], X_target[target_order])
    for a, b in zip(
        plain.net_.module_.parameters(), shuffled.net_.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_target", [200, 130, 5])
def test_lambda_zero_gives_the_parameters_of_a_source_only_fit(n_target):
    rng = np.random.default_rng(0)
    X, y, X_target = rng.normal(size=(200, 4)), rng.integers(0, 2, 200), rng.normal(size=(200, 4))
    clf = DANNClassifier(lambda_=0.0, max_epochs=5, random_state=0)
    adapted = clone(clf).fit(X, y, X_target[:n_target]).net_.module_
    source_only = clone(clf).fit(X, y).net_.module_
    for name in ("body", "label_head"):
        for a, b in zip(
            getattr(adapted, name).parameters(),
            getattr(source_only, name).parameters(),
            strict=True,
        ):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_lambda_follows_the_ramp_of_the_paper():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(128, 2)), rng.integers(0, 2, 128)
    clf = DANNClassifier(lambda_=3.0, max_epochs=4, random_state=0, batch_size=64)
    recorded = clf.fit(X, y, X + 0.1).history_[:, "lambda"]
    last_steps = [(2 * epoch + 1) / 8 for epoch in range(4)]  # two steps an epoch, of eight
    expected = [3.0 * (2 / (1 + math.exp(-10 * p)) - 1) for p in last_steps]
    assert recorded == pytest.approx(expected)


def test_learning_rate_follows_the_schedule_of_the_paper():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(128, 2)), rng.integers(0, 2, 128)
    clf = DANNClassifier(
        learning_rate=0.01, learning_rate_schedule="dann", max_epochs=4, random_state=0
    )
    recorded = clf.fit(X, y, X + 0.1).history_[:, "learning_rate"]
    assert recorded == pytest.approx(
        [0.01 / (1 + 10 * (2 * epoch + 1) / 8) ** 0.75 for epoch in range(4)]
    )


def test_callable_schedules_are_called_with_the_progress():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 2)), rng.integers(0, 2, 64)
    clf = DANNClassifier(
        lambda_=2.0,
        lambda_schedule=lambda p: 1 - p,
        learning_rate=0.5,
        learning_rate_schedule=lambda p: 1 / (1 + p),
        max_epochs=2,
        random_state=0,
    ).fit(X, y, X + 0.1)
    assert clf.history_[:, "lambda"] == [2.0, 1.0]
    assert clf.history_[:, "learning_rate"] == pytest.approx([0.5, 0.5 / 1.5])


@pytest.mark.accuracy
def test_adaptation_helps_on_the_shifted_moons():
    gains = []
    for seed in range(3):
        Xs, ys, Xt, yt = make_shifted_moons(300, random_state=seed)
        clf = DANNClassifier(learning_rate=0.01, max_epochs=100, random_state=seed)
        source_only = clone(clf).set_params(lambda_=0.0).fit(Xs, ys, Xt)
        gains.append(clf.fit(Xs, ys, Xt).score(Xt, yt) - source_only.score(Xt, yt))
    # Single gains are 0.06 to 0.20 (six seeds, two instruction sets).
    assert np.mean(gains) > 0.02


def mlp_domain_classifier():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def test_gradient_penalty_equals_the_formula_by_plain_loops():
    head, rng = mlp_domain_classifier(), np.random.default_rng(0)
    rows = rng.normal(size=(7, 3)) * [1.0, 5.0, 0.1]
    slopes = 0.0
    for row in rows:
        point = torch.tensor(row, requires_grad=True)
        head(point).backward()
        slopes += sum(float(slope) ** 2 for slope in point.grad) / len(rows)
    variance = 0.0
    for column in rows.T:
        mean = sum(column) / len(column)
        variance += sum((value - mean) ** 2 for value in column) / len(column) / 3
    features = torch.from_numpy(rows).requires_grad_()
    penalty = gradient_penalty(head(features), features)
    assert penalty.item() == pytest.approx(slopes * variance, rel=1e-10)


@given(st.floats(1e-3, 1e3))
def test_gradient_penalty_does_not_depend_on_the_scale_of_the_features(scale):
    head, scaled = mlp_domain_classifier(), mlp_domain_classifier()
    with torch.no_grad():
        scaled[0].weight /= scale  # the same decisions on scaled features
    rows = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    penalties = []
    for classifier, factor in ((head, 1.0), (scaled, scale)):
        features = (factor * rows).requires_grad_()
        penalties.append(gradient_penalty(classifier(features), features).item())
    assert penalties[0] == pytest.approx(penalties[1], rel=1e-8)


def test_gradient_penalty_of_a_constant_classifier_is_zero():
    features = torch.randn(5, 3, requires_grad=True)
    assert gradient_penalty((0 * features).sum(dim=1, keepdim=True), features) == 0


def test_a_classifier_that_does_not_look_at_the_features_has_no_penalty():
    features, level = torch.randn(5, 3, requires_grad=True), torch.ones(1, 1, requires_grad=True)
    assert gradient_penalty(level.expand(5, 1), features) == 0


def test_the_penalty_of_a_linear_classifier_leaves_the_features_alone():
    features = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    head = nn.Linear(3, 1).double()
    penalty = gradient_penalty(head(features), features)
    variance = features.detach().numpy().var(axis=0).mean()
    assert penalty.item() == pytest.approx(head.weight.square().sum().item() * variance)
    (gradient,) = torch.autograd.grad(penalty, features, materialize_grads=True)
    assert not gradient.any()


def test_the_penalty_teaches_the_domain_classifier_alone(domains):
    X, y, X_target = domains

    def step(weight):
        torch.manual_seed(0)
        clf = DANNClassifier(
            nn.Linear(4, 3).double(),
            domain_classifier=mlp_domain_classifier(),
            gradient_penalty=weight,
            **ONE_STEP,
        )
        return clf.fit(X, y, X_target).net_.module_

    without, with_penalty = step(0.0), step(3.0)
    assert torch.equal(without.body.weight, with_penalty.body.weight)
    assert torch.equal(without.label_head.weight, with_penalty.label_head.weight)
    torch.manual_seed(0)
    body, head = nn.Linear(4, 3).double(), mlp_domain_classifier()
    features = body(torch.from_numpy(np.concatenate([X, X_target]))).detach().requires_grad_()
    slopes = torch.autograd.grad(gradient_penalty(head(features), features), head[0].weight)[0]
    weights = [net.domain_classifier.head[0].weight for net in (with_penalty, without)]
    difference = weights[0] - weights[1]
    torch.testing.assert_close(difference, -0.1 * 3.0 * slopes, rtol=1e-8, atol=1e-12)


def test_the_target_loss_is_weighed_by_lambda(rows):
    clfs = [
        DANNClassifier(
            lambda_=lambda_, target_loss=loss, max_epochs=3, average_weights=0.0, random_state=0
        ).fit(*rows)
        for lambda_, loss in ((0.0, None), (0.0, "entropy"), (1.0, None), (1.0, "entropy"))
    ]
    weights = [clf.net_.module_.label_head.weight for clf in clfs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[2], weights[3])


@pytest.mark.accuracy
def test_entropy_keeps_target_rows_in_their_classes():
    """A target that has few rows of most classes, and no other shift but a small one."""
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        centres = 3 * np.eye(6)
        y, y_target = rng.integers(0, 6, 240), rng.choice(6, 120, p=[0.7, *[0.06] * 5])
        X = rng.normal(size=(240, 6)) + centres[y]
        X_target = rng.normal(size=(120, 6)) + centres[y_target] + 0.3
        accuracies = [
            DANNClassifier(
                target_loss=loss, target_loss_weight=0.1, max_epochs=60, random_state=seed
            )
            .fit(X, y, X_target)
            .score(X_target, y_target)
            for loss in (None, "entropy")
        ]
        gains.append(accuracies[1] - accuracies[0])
    assert np.mean(gains) > 0.02
