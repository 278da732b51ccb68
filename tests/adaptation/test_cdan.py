"""Conditional domain-adversarial training: products, weights, and who learns of what."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from sktransfer import CDANClassifier, load, save
from sktransfer.adaptation._cdan import (
    Products,
    RandomProducts,
    certainty_weights,
    make_products,
    products,
    weighted_adversarial_loss,
)
from sktransfer.adaptation._dann import domain_adversarial_loss
from tests.adaptation.problems import ONE_STEP

logits = arrays(np.float64, (6, 3), elements=st.floats(-20, 20)).map(torch.from_numpy)


def test_products_are_those_of_plain_loops():
    rng = np.random.default_rng(0)
    f, p = rng.normal(size=(4, 3)), rng.random((4, 2))
    expected = [[f[i, a] * p[i, k] for a in range(3) for k in range(2)] for i in range(4)]
    np.testing.assert_allclose(products(*map(torch.from_numpy, (f, p))).numpy(), expected)


def test_weighted_loss_and_weights_equal_the_formulas_by_plain_loops():
    rng = np.random.default_rng(0)
    z, outputs = rng.normal(size=(5, 1)), rng.normal(size=(5, 3))
    weights = []
    for row in outputs:
        p = [math.exp(v) / sum(math.exp(u) for u in row) for v in row]
        weights.append(1 + math.exp(sum(q * math.log(q) for q in p)))
    weights = [5 * w / sum(weights) for w in weights]
    expected = sum(w * math.log(1 + math.exp(v)) for w, v in zip(weights, z[:, 0], strict=True)) / 5
    expected += sum(math.log(1 + math.exp(-v)) for v in z[:, 0]) / 5
    w = certainty_weights(torch.from_numpy(outputs))
    np.testing.assert_allclose(w.numpy(), weights, rtol=1e-12)
    z = torch.from_numpy(z)
    loss = weighted_adversarial_loss(z, z, w, torch.ones(5, dtype=torch.float64))
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@given(logits)
def test_weights_have_mean_one_and_none_is_twice_another(rows):
    w = certainty_weights(rows)
    assert w.mean().item() == pytest.approx(1)
    assert w.max() <= 2 * w.min() + 1e-9


@given(logits, logits)
def test_without_weights_the_loss_is_that_of_dann(source, target):
    ones = torch.ones(6, dtype=torch.float64)
    loss = weighted_adversarial_loss(source[:, :1], target[:, :1], ones, ones)
    torch.testing.assert_close(loss, domain_adversarial_loss(source[:, :1], target[:, :1]))


def test_random_products_have_the_inner_products_of_all_in_the_mean():
    torch.manual_seed(0)
    f, p = torch.randn(2, 30).double(), torch.rand(2, 4).double()
    mapped = RandomProducts(30, 4, 200_000, torch.float64)(f, p)
    exact = products(f, p)
    torch.testing.assert_close(mapped @ mapped.T, exact @ exact.T, rtol=0.1, atol=0.5)


def test_many_products_are_drawn_to_random_ones():
    assert isinstance(make_products(1024, 4, torch.float32), Products)
    many = make_products(1025, 4, torch.float32)
    assert many(torch.ones(2, 1025), torch.ones(2, 4)).shape == (2, 1024)


def modules():
    torch.manual_seed(0)
    return nn.Linear(4, 3).double(), nn.Linear(3, 2).double(), nn.Linear(6, 1).double()


def step(domains, lambda_, **params):
    body, head, domain = modules()
    clf = CDANClassifier(
        body,
        label_classifier=head,
        domain_classifier=domain,
        lambda_=lambda_,
        **ONE_STEP,
        **params,
    )
    return clf.fit(*domains).net_.module_


@pytest.mark.parametrize("conditioning", [True, False])
def test_the_body_unlearns_what_the_domain_classifier_learns_and_the_head_hears_nothing(
    domains, conditioning
):
    X, _, X_target = domains
    params = {"gradient_penalty": 0.0, "entropy_conditioning": conditioning}
    adapted, without = step(domains, 3.0, **params), step(domains, 0.0, **params)
    body, head, domain = modules()
    sides, weights = [], []
    for Z in (X, X_target):
        f = body(torch.from_numpy(Z))
        said = head(f).detach()
        sides.append(domain(products(f, said.softmax(dim=1))))
        weights.append(certainty_weights(said) if conditioning else torch.ones_like(said[:, 0]))
    loss = weighted_adversarial_loss(*sides, *weights)
    of_body, of_domain = torch.autograd.grad(loss, [body.weight, domain.weight])
    moved = adapted.body.weight - without.body.weight
    torch.testing.assert_close(moved, 0.1 * 3.0 * of_body, rtol=1e-8, atol=1e-12)
    assert torch.equal(adapted.label_head.weight, without.label_head.weight)
    learned = adapted.domain_classifier.head.weight - domain.weight
    torch.testing.assert_close(learned, -0.1 * of_domain, rtol=1e-8, atol=1e-12)


def test_the_penalty_teaches_the_domain_classifier_alone(domains):
    without, penalised = (step(domains, 1.0, gradient_penalty=weight) for weight in (0.0, 3.0))
    assert torch.equal(without.body.weight, penalised.body.weight)
    assert torch.equal(without.label_head.weight, penalised.label_head.weight)
    heads = [net.domain_classifier.head.weight for net in (without, penalised)]
    assert not torch.equal(*heads)


def test_random_products_are_saved(domains, tmp_path):
    X, y, X_target = domains
    clf = CDANClassifier(hidden_layer_sizes=(2100,), max_epochs=1, random_state=0)
    clf.fit(X, y, X_target)
    drawn = clf.net_.module_.products.of_features
    assert drawn.shape == (2100, 1024)
    save(clf, tmp_path / "model.safetensors")
    assert torch.equal(
        load(tmp_path / "model.safetensors").net_.module_.products.of_features, drawn
    )
