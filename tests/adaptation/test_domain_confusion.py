"""Domain confusion: its formulas, its two moves by hand, soft labels, who learns of what."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from torch import nn
from torch.nn import functional as F

from sktransfer import DomainConfusionClassifier, load, save
from sktransfer.adaptation._dann import gradient_penalty
from sktransfer.adaptation._domain_confusion import (
    SoftLabels,
    confusion_loss,
    soft_label_loss,
    without_graph,
)
from tests.adaptation.problems import one_batch

RATE = 0.1
rows_of_logits = arrays(np.float64, (6, 3), elements=st.floats(-20, 20)).map(torch.from_numpy)


@pytest.mark.parametrize("n_sources", [1, 3])
def test_confusion_equals_the_formula_by_plain_loops(n_sources):
    logits = np.random.default_rng(0).normal(size=(5, 1 if n_sources == 1 else n_sources + 1))
    expected = 0.0
    for z in logits:
        if n_sources == 1:
            of_target = 1 / (1 + math.exp(-z[0]))
            q = [1 - of_target, of_target]
        else:
            q = [math.exp(v) / sum(math.exp(w) for w in z) for v in z]
        expected -= math.log(q[-1]) / 2 / 5
        for of_source in q[:-1]:
            expected -= math.log(of_source) / (2 * n_sources) / 5
    assert confusion_loss(torch.from_numpy(logits)).item() == pytest.approx(expected, rel=1e-12)


@given(rows_of_logits)
def test_confusion_is_least_where_the_domain_classifier_is_undecided(logits):
    two = logits[:, :1]
    assert confusion_loss(two) >= math.log(2) - 1e-12
    torch.testing.assert_close(confusion_loss(two), confusion_loss(-two), rtol=1e-12, atol=0)
    least = math.log(2) + math.log(2) / 2
    assert confusion_loss(logits) >= least - 1e-12
    undecided = torch.tensor([[0.25, 0.25, 0.5]]).double().log()
    assert confusion_loss(undecided).item() == pytest.approx(least)


@given(st.floats(-700, 700))
def test_confusion_is_steep_however_sure_the_domain_classifier_is(z):
    logit = torch.tensor([[z]], dtype=torch.float64, requires_grad=True)
    confusion_loss(logit).backward()
    assert logit.grad.item() == pytest.approx(1 / (1 + math.exp(-z)) - 0.5, abs=1e-12)


def test_soft_label_loss_equals_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), size=4)
    expected = 0.0
    for z, of_row in zip(logits, labels, strict=True):
        for k in range(3):
            p = math.exp(z[k] / 2.0) / sum(math.exp(v / 2.0) for v in z)
            expected -= of_row[k] * math.log(p) / 4
    loss = soft_label_loss(torch.from_numpy(logits), torch.from_numpy(labels), 2.0)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_soft_labels_are_means_over_source_rows_of_which_the_last_steps_count_most():
    rng = np.random.default_rng(0)
    steps = [(rng.normal(size=(6, 4)), rng.integers(0, 3, 6)) for _ in range(3)]
    soft_labels = SoftLabels(4, 2.0, torch.float64)
    sums, weights = np.zeros((4, 4)), np.zeros(4)
    for age, (logits, y) in zip((2, 1, 0), steps, strict=True):
        soft_labels.see(torch.from_numpy(logits), torch.from_numpy(y))
        for z, k in zip(logits, y, strict=True):
            p = np.exp(z / 2.0) / np.exp(z / 2.0).sum()
            sums[k] += 0.99**age * p
            weights[k] += 0.99**age
    found = soft_labels(torch.arange(4)).numpy()
    np.testing.assert_allclose(found[:3], sums[:3] / weights[:3, None], rtol=1e-12)
    np.testing.assert_array_equal(found[3], [0, 0, 0, 1])  # the source has no such class


@given(rows_of_logits, st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_soft_labels_are_probabilities(logits, y):
    soft_labels = SoftLabels(3, 1.0, torch.float64)
    soft_labels.see(logits, torch.tensor(y))
    table = soft_labels(torch.arange(3))
    assert (table >= 0).all()
    torch.testing.assert_close(table.sum(dim=1), torch.ones(3).double())


def small(**params):
    body = nn.Linear(4, 6).double()
    return DomainConfusionClassifier(
        body,
        label_classifier=nn.Linear,  # one's own, it learns at the learning rate itself
        domain_classifier=lambda n_features: nn.Linear(n_features, 1),
        lambda_schedule="constant",
        average_weights=0.0,
        optimizer=torch.optim.SGD,
        batch_size=90,
        max_epochs=1,
        random_state=0,
        **{"learning_rate": RATE, **params},
    )


def test_one_step_is_that_of_two_optimizers_by_hand(domains):
    X, y, X_target = domains
    y_target = np.full(90, None, dtype=object)
    y_target[:9] = y[:9]
    params = {"lambda_": 0.7, "gradient_penalty": 2.0, "soft_label_weight": 0.5}
    torch.manual_seed(0)
    clf = small(**params)
    start = copy.deepcopy(clf).set_params(learning_rate=1e-300)  # the heads as they were drawn
    network = copy.deepcopy(start.fit(X, y, X_target, y_target).net_.module_)
    trained = clf.fit(X, y, X_target, y_target).net_.module_
    body, label, domain = network.body, network.label_head, network.domain_classifier.head
    of_source, of_target = torch.from_numpy(X), torch.from_numpy(X_target)
    classes = torch.from_numpy((y == "up").astype(int))

    def step(loss, modules):
        parameters = [p for module in modules for p in module.parameters()]
        for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            p.data -= RATE * gradient

    with torch.no_grad():
        f_s, f_t = body(of_source), body(of_target)
    seen = torch.cat([f_s, f_t]).requires_grad_()
    tells = F.softplus(domain(f_s)).mean() + F.softplus(-domain(f_t)).mean()
    step(tells + 2.0 * gradient_penalty(domain(seen), seen), [domain])
    f_s, f_t = body(of_source), body(of_target)
    confusion = sum(
        (F.softplus(domain(f)) / 2 + F.softplus(-domain(f)) / 2).mean() for f in (f_s, f_t)
    )
    logits, known = label(f_s), label(f_t[:9])
    q = label(f_t).softmax(dim=1)
    entropy = -(q * q.log()).sum(dim=1).mean()
    softened = (logits.detach() / 2.0).softmax(dim=1)
    means = torch.stack([softened[classes == k].mean(dim=0) for k in (0, 1)])
    soft = -(means[classes[:9]] * (known / 2.0).log_softmax(dim=1)).sum(dim=1).mean()
    labels = F.cross_entropy(logits, classes) + 9 / 90 * F.cross_entropy(known, classes[:9])
    step(labels + 0.7 * (confusion + 0.03 * entropy) + 0.5 * soft, [body, label])
    for name, p in network.named_parameters():
        torch.testing.assert_close(trained.get_parameter(name), p, rtol=1e-9, atol=1e-12, msg=name)


def test_no_gradient_reaches_the_body_while_the_domain_classifier_moves(domains):
    clf = small().fit(*domains)
    network, batch = clf.net_.module_, one_batch(domains)
    network.zero_grad()
    sum(clf._tell_domains(network, batch).values()).backward()
    assert all(p.grad is None for p in network.body.parameters())
    assert all(p.grad is None for p in network.label_head.parameters())
    assert all(p.grad.abs().sum() > 0 for p in network.domain_classifier.parameters())
    assert batch.source.features.requires_grad  # what the other move goes on from
    assert not without_graph(batch).source.features.requires_grad


@pytest.mark.parametrize("lambda_", [0.25, 2.0])
def test_lambda_weighs_the_gradient_that_the_confusion_sends_to_the_body(domains, lambda_):
    clf = small().fit(*domains)
    network, batch = clf.net_.module_, one_batch(domains)

    def gradient(weight):
        network.forward_domains(batch)
        batch.lambda_ = weight
        loss = clf._domain_losses(network, batch)["domain_loss"]
        return torch.autograd.grad(loss, network.body.weight)[0], loss

    (once, loss), (weighed, same) = gradient(1.0), gradient(lambda_)
    torch.testing.assert_close(weighed, lambda_ * once, rtol=1e-9, atol=1e-15)
    assert loss == same
    assert once.abs().sum() > 0


def test_the_domain_classifier_is_left_undecided():
    rng = np.random.default_rng(0)
    X, shifted = rng.normal(size=(80, 4)), rng.normal(size=(80, 4))
    shifted[:, 2] += 3
    y = (X[:, 0] > 0).astype(int)
    fast = {"max_epochs": 30, "learning_rate": 0.01, "random_state": 0}
    confused = DomainConfusionClassifier(**fast).fit(X, y, shifted).history_[-1]
    told = DomainConfusionClassifier(lambda_=0.0, **fast).fit(X, y, shifted).history_[-1]
    assert confused["domain_accuracy"] < told["domain_accuracy"] - 0.1
    assert confused["domain_loss"] < told["domain_loss"]


@pytest.mark.parametrize("way", [{"lambda_": 0.0}, None], ids=["lambda 0", "no target"])
def test_without_adaptation_it_is_the_twin(domains, way):
    X, y, X_target = domains
    clf = DomainConfusionClassifier(max_epochs=3, random_state=0)
    twin = clf.source_only().fit(X, y).predict_proba(X_target)
    other = clone(clf).set_params(**way).fit(X, y, X_target) if way else None
    if other is None:
        with pytest.warns(UserWarning, match="without X_target"):
            other = clone(clf).fit(X, y)
    np.testing.assert_allclose(other.predict_proba(X_target), twin, rtol=1e-10)


def test_soft_labels_count_only_where_target_labels_are_known(domains):
    X, y, X_target = domains
    fast = {"max_epochs": 2, "random_state": 0}
    with_term, without = (
        DomainConfusionClassifier(soft_label_weight=weight, **fast) for weight in (1.0, 0.0)
    )
    plain = [clf.fit(X, y, X_target).predict_proba(X) for clf in (with_term, without)]
    np.testing.assert_array_equal(*plain)
    some = np.where(np.arange(90) < 5, y.astype(object), None)
    told = [clf.fit(X, y, X_target, some) for clf in (with_term, without)]
    assert "soft_label_loss" in told[0].history_[-1]
    assert "soft_label_loss" not in told[1].history_[-1]
    assert not np.array_equal(*(clf.predict_proba(X) for clf in told))


def test_several_sources_have_an_output_each(domains):
    X, y, X_target = domains
    names = np.repeat(["a", "b", "c"], 30)
    clf = DomainConfusionClassifier(max_epochs=2, random_state=0)
    clf.fit(X, y, X_target, domains=names)
    assert clf.net_.module_.domain_classifier.head[-1].out_features == 4


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.0), ("soft_label_weight", -1.0)])
def test_bad_values_are_refused_by_name(domains, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        DomainConfusionClassifier(**{name: value}).fit(*domains)


def test_a_domain_classifier_without_weights_is_refused_by_name(domains):
    X, y, X_target = domains
    clf = DomainConfusionClassifier(nn.Linear(4, 1).double(), domain_classifier=nn.Flatten())
    with pytest.raises(ValueError, match="domain_classifier=Flatten"):
        clf.fit(X, y, X_target=X_target)


def test_it_comes_back_from_a_file(domains, tmp_path):
    clf = DomainConfusionClassifier(temperature=3.0, max_epochs=2, random_state=0).fit(*domains)
    save(clf, tmp_path / "confusion.safetensors")
    again = load(tmp_path / "confusion.safetensors")
    np.testing.assert_array_equal(again.predict_proba(domains[2]), clf.predict_proba(domains[2]))
    assert again.temperature == 3.0


def test_a_domain_classifier_that_is_frozen_is_refused_by_name(domains):
    head = nn.Linear(100, 1).requires_grad_(False)
    clf = DomainConfusionClassifier(domain_classifier=head, max_epochs=1)
    with pytest.raises(ValueError, match=r"domain_classifier=.* has no weights that learn"):
        clf.fit(*domains)
