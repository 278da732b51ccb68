"""Maximum classifier discrepancy: its formula, its three moves by hand, who learns of what."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from torch import nn
from torch.nn import functional as F

from sktransfer import MCDClassifier, load, save
from sktransfer.adaptation._mcd import TwoHeads, discrepancy, drawn_anew
from tests.adaptation.problems import one_batch

logits = arrays(np.float64, (6, 3), elements=st.floats(-10, 10)).map(torch.from_numpy)


def test_discrepancy_equals_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    expected = 0.0
    for a, b in zip(first, second, strict=True):
        for k in range(3):
            p = np.exp(a[k]) / sum(np.exp(z) for z in a)
            q = np.exp(b[k]) / sum(np.exp(z) for z in b)
            expected += abs(p - q) / (5 * 3)
    loss = discrepancy(torch.from_numpy(first), torch.from_numpy(second))
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@given(logits, logits, st.floats(-5, 5))
def test_discrepancy_is_symmetric_bounded_and_blind_to_a_shift_of_logits(first, second, shift):
    loss = discrepancy(first, second)
    assert 0 <= loss <= 2 / 3 + 1e-12  # that of two heads sure of different classes
    torch.testing.assert_close(loss, discrepancy(second, first), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss, discrepancy(first + shift, second), rtol=1e-9, atol=1e-12)
    assert discrepancy(first, first + shift) < 1e-12


def test_two_heads_answer_by_the_mean_of_their_logits():
    heads = TwoHeads(nn.Linear(4, 3), nn.Linear(4, 3))
    features = torch.randn(5, 4)
    mean = torch.stack([heads.first(features), heads.second(features)]).mean(dim=0)
    torch.testing.assert_close(heads(features), mean)


def given_once():
    head = nn.Linear(4, 2).double()
    return lambda n_features, n_classes: head


@pytest.mark.parametrize("head", [None, nn.Linear, nn.Linear(100, 2), "one object"])
def test_the_two_heads_begin_apart_whatever_head_is_given(domains, head):
    body = nn.Linear(4, 4).double() if head == "one object" else None
    head = given_once() if head == "one object" else head
    clf = MCDClassifier(body, label_classifier=head, max_epochs=1, random_state=0)
    heads = clf.fit(*domains).net_.module_.label_head
    assert heads.first is not heads.second
    assert not torch.equal(heads.first.weight, heads.second.weight)


class Fixed(nn.Module):
    """Has weights, but no way to draw them."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 2))

    def forward(self, features):
        return features @ self.weight


def test_heads_that_cannot_differ_are_refused():
    with pytest.raises(ValueError, match=r"two heads with the same weights.*Give a callable"):
        drawn_anew(Fixed(), Fixed())


def small(**params):
    body = nn.Linear(4, 6).double()
    return MCDClassifier(
        body,
        label_classifier=nn.Linear,  # one's own, it learns at the learning rate itself
        lambda_schedule="constant",
        average_weights=0.0,
        optimizer=torch.optim.SGD,
        learning_rate=0.1,
        batch_size=90,
        max_epochs=1,
        random_state=0,
        **params,
    )


def test_one_step_is_that_of_two_optimizers_by_hand(domains):
    X, y, X_target = domains
    torch.manual_seed(0)
    clf = small(lambda_=0.7)
    start = copy.deepcopy(clf)
    start.set_params(learning_rate=1e-300)  # the heads as they were drawn
    players = copy.deepcopy(start.fit(X, y, X_target).net_.module_)
    X, X_target = torch.from_numpy(X), torch.from_numpy(X_target)
    y = torch.from_numpy((y == "up").astype(int))
    heads = players.label_head.first, players.label_head.second
    own = {
        "body": torch.optim.SGD(players.body.parameters(), lr=0.1),
        "heads": torch.optim.SGD(players.label_head.parameters(), lr=0.1),
    }

    def losses():
        on_source = sum(F.cross_entropy(head(players.body(X)), y) for head in heads)
        return on_source, 0.7 * discrepancy(*(head(players.body(X_target)) for head in heads))

    def move(loss, *names):
        players.zero_grad()
        loss.backward()
        for name in names:
            own[name].step()

    move(losses()[0], "body", "heads")
    on_source, gap = losses()
    move(on_source - gap, "heads")
    for _ in range(4):
        move(losses()[1], "body")
    trained = clf.fit(X.numpy(), np.where(y.numpy(), "up", "down"), X_target.numpy()).net_.module_
    for (name, p), (_, q) in zip(
        trained.named_parameters(), players.named_parameters(), strict=True
    ):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12, msg=name)


def test_no_gradient_reaches_the_body_while_the_heads_move(domains):
    clf = small().fit(*domains)
    network, batch = clf.net_.module_, one_batch(domains)
    network.zero_grad()
    sum(clf._disagree(network, batch).values()).backward()
    assert all(p.grad is None for p in network.body.parameters())
    assert all(p.grad.abs().sum() > 0 for p in network.label_head.parameters())


@pytest.mark.parametrize("lambda_", [0.25, 2.0])
def test_lambda_weighs_the_gradient_that_the_discrepancy_sends_to_the_body(domains, lambda_):
    clf = small().fit(*domains)
    network, batch = clf.net_.module_, one_batch(domains)

    def gradient(weight):
        batch.lambda_ = weight
        loss = clf._agree(network, batch)["domain_loss"]
        return torch.autograd.grad(loss, network.body.weight)[0], loss

    (once, loss), (weighed, same) = gradient(1.0), gradient(lambda_)
    torch.testing.assert_close(weighed, lambda_ * once, rtol=1e-9, atol=1e-15)
    assert loss == same


def test_the_heads_come_to_agree_on_the_target(domains):
    clf = MCDClassifier(max_epochs=30, learning_rate=0.01, random_state=0).fit(*domains)
    body = clf.net_.module_.body
    with torch.no_grad():
        features = body(torch.from_numpy(domains[2]))
        heads = clf.net_.module_.label_head
        assert discrepancy(heads.first(features), heads.second(features)) < 0.05


@pytest.mark.parametrize("way", [{"lambda_": 0.0}, None], ids=["lambda 0", "no target"])
def test_without_adaptation_it_is_the_twin(domains, way):
    X, y, X_target = domains
    clf = MCDClassifier(max_epochs=3, random_state=0)
    twin = clf.source_only().fit(X, y).predict_proba(X_target)
    other = clone(clf).set_params(**way).fit(X, y, X_target) if way else None
    if other is None:
        with pytest.warns(UserWarning, match="without X_target"):
            other = clone(clf).fit(X, y)
    np.testing.assert_allclose(other.predict_proba(X_target), twin, rtol=1e-10)


def test_it_comes_back_from_a_file(domains, tmp_path):
    clf = MCDClassifier(n_body_moves=2, max_epochs=2, random_state=0).fit(*domains)
    save(clf, tmp_path / "mcd.safetensors")
    again = load(tmp_path / "mcd.safetensors")
    np.testing.assert_array_equal(again.predict_proba(domains[2]), clf.predict_proba(domains[2]))
    assert again.n_body_moves == 2


@pytest.mark.parametrize("body", [nn.Linear(4, 6).double().requires_grad_(False), nn.Identity()])
def test_a_body_that_learns_nothing_is_told(domains, body):
    clf = MCDClassifier(body, max_epochs=2, random_state=0)
    with pytest.warns(UserWarning, match="No adaptation took place: .* has weights"):
        clf.fit(*domains)
    assert np.isfinite(clf.history_[:, "domain_loss"]).all()
