"""Several sources: balanced batches, a domain head with an output for each, the mean of CORAL."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from torch import nn

from sktransfer import DANNClassifier, DeepCORALClassifier, MCDClassifier, load, save
from sktransfer.adaptation._coral import coral_loss
from sktransfer.adaptation._dann import (
    domain_accuracy,
    domain_adversarial_loss,
    gradient_penalty,
    several_domains_loss,
    target_log_odds,
)
from sktransfer.alignment import CORAL
from sktransfer.instance import TrAdaBoostClassifier

FAST = {"max_epochs": 2, "random_state": 0}
NAMES = np.repeat(["b", "a", "c"], [50, 30, 10])


def test_domain_loss_of_several_equals_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    source, target, domains = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), [0, 0, 1, 1]

    def minus_log_softmax(z, k):
        return -z[k] + math.log(sum(math.exp(value) for value in z))

    expected = sum(minus_log_softmax(z, k) / 4 for z, k in zip(source, domains, strict=True))
    expected += sum(minus_log_softmax(z, 2) / 5 for z in target)
    loss = several_domains_loss(
        torch.from_numpy(source), torch.from_numpy(target), torch.tensor(domains)
    )
    assert loss.item() == pytest.approx(expected, rel=1e-12)


columns = st.lists(st.floats(-20, 20), min_size=1, max_size=6)


@given(columns, columns)
def test_with_one_source_it_is_the_loss_of_one_logit(of_source, of_target):
    source, target = (torch.tensor(z).double()[:, None] for z in (of_source, of_target))
    two = [torch.cat([torch.zeros_like(z), z], dim=1) for z in (source, target)]
    zeros = torch.zeros(len(source), dtype=torch.long)
    torch.testing.assert_close(
        several_domains_loss(*two, zeros), domain_adversarial_loss(source, target)
    )
    odds = [target_log_odds(z) for z in two]
    torch.testing.assert_close(odds, [source, target])


@given(st.floats(-5, 5))
def test_penalty_of_several_is_the_mean_over_sources(shift):
    torch.manual_seed(0)
    head, features = nn.Linear(3, 3).double(), torch.randn(6, 3).double().requires_grad_()
    logits = head(features) + shift
    of_each = [gradient_penalty(logits[:, 2:] - logits[:, [k]], features) for k in (0, 1)]
    torch.testing.assert_close(gradient_penalty(logits, features), sum(of_each) / 2)


def test_target_against_sources_is_told_by_half_the_probability():
    logits = torch.tensor([[1.0, 1.0, 1.6], [1.0, 1.0, 1.8]])  # ln 2 above one is even
    assert (target_log_odds(logits)[:, 0] > 0).tolist() == [False, True]
    assert domain_accuracy(target_log_odds(logits[:1]), target_log_odds(logits[1:])) == 1


def watched_batches(cls, domains, names, **params):
    batches = []

    class Watching(cls):
        def _domain_losses(self, network, batch):
            batches.append(batch)
            return super()._domain_losses(network, batch)

    X, y, X_target = domains
    clf = Watching(**{**FAST, **params}).fit(X, y, X_target, domains=names)
    return clf, batches


@pytest.mark.parametrize("cls", [DANNClassifier, DeepCORALClassifier, MCDClassifier])
def test_batches_hold_as_many_rows_of_each_source(domains, cls):
    clf, batches = watched_batches(cls, domains, NAMES, batch_size=30)
    assert clf.domains_.tolist() == ["a", "b", "c"]
    for batch in batches:
        of_rows = NAMES[batch.source.rows]
        counts = np.unique(of_rows, return_counts=True)[1]
        assert counts.tolist() == [len(batch.source) // 3] * 3
        assert len(batch.source) <= 30
        assert clf.domains_[batch.source.numbers()].tolist() == of_rows.tolist()
    # The longest source passes once in each of two epochs.
    steps = {id(batch): batch.source.rows.numpy() for batch in batches[:-1]}
    rows = np.concatenate(list(steps.values()))
    assert np.bincount(rows, minlength=90)[:50].tolist() == [2] * 50


@settings(max_examples=10)
@given(st.permutations(range(3)))
def test_names_do_not_matter_but_for_their_order(order):
    rng = np.random.default_rng(0)
    X, y, X_target = rng.normal(size=(90, 4)), rng.integers(0, 2, 90), rng.normal(size=(60, 4))
    clf = DeepCORALClassifier(batch_size=1000, max_epochs=1, average_weights=0.0, random_state=0)
    one = clone(clf).fit(X, y, X_target, domains=np.repeat([0, 1, 2], 30))
    other = clone(clf).fit(X, y, X_target, domains=np.repeat(order, 30))
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-6)


def test_one_name_is_one_source_bit_for_bit(domains):
    X, y, X_target = domains
    plain = DANNClassifier(**FAST).fit(X, y, X_target)
    named = DANNClassifier(**FAST).fit(X, y, X_target, domains=["only"] * 90)
    np.testing.assert_array_equal(plain.predict_proba(X), named.predict_proba(X))
    assert not hasattr(named, "domains_")


def test_coral_is_the_mean_over_sources(domains):
    clf, batches = watched_batches(DeepCORALClassifier, domains, NAMES)
    batch = batches[0]
    parts = [batch.source.features[NAMES[batch.source.rows] == name] for name in "abc"]
    expected = sum(coral_loss(part, batch.target.features) for part in parts) / 3
    loss = DeepCORALClassifier._domain_losses(clf, None, batch)["domain_loss"]
    torch.testing.assert_close(loss, expected)


def test_domain_classifier_has_an_output_for_each_source_and_the_target(domains):
    X, y, X_target = domains
    clf = DANNClassifier(domain_classifier=nn.Linear, **FAST)
    clf = clf.fit(X, y, X_target, domains=NAMES)
    head = clf.net_.module_.domain_classifier.head
    assert head.weight.shape == (4, 100)
    with pytest.raises(ValueError, match=r"domain_classifier gave shape .*\(n, 4\)"):
        clone(clf).set_params(domain_classifier=nn.Linear(100, 1)).fit(
            X, y, X_target, domains=NAMES
        )


class Passes(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
        self.passed = []

    def forward(self, X):
        if self.training:
            self.passed.append(X.detach().clone())
        return self.layers(X)


def test_with_batch_statistics_each_source_is_a_pass_of_its_own(domains):
    X, y, X_target = domains
    X = X + np.repeat([100.0, 0.0, -100.0], [50, 30, 10])[:, None]
    clf = DANNClassifier(Passes(), max_epochs=1, random_state=0, average_weights=0.0)
    with pytest.warns(UserWarning, match="The predicted shares"):  # an epoch of it learns little
        clf.fit(X, y, X_target, domains=NAMES)
    body = clf.net_.module_.body
    means = [float(rows.mean().round(decimals=-2)) for rows in body.passed[:4]]
    assert means == [0.0, 100.0, -100.0, 0.0]  # a, b, c, target
    share = 90 / 106
    of_target = X_target.mean(0)
    assert np.abs(body.layers[0].running_mean.numpy() - share * of_target).max() < 1
    assert body.layers[0].running_var.max() < 2  # not that between sources


def test_weights_of_rows_hold_within_each_source(domains):
    weights = np.ones(90)
    weights[:49] = 0.0  # of b there is one row left
    X, y, X_target = domains
    seen = []

    class Watching(DeepCORALClassifier):
        def _domain_losses(self, network, batch):
            seen.extend(batch.source.rows.tolist())
            return super()._domain_losses(network, batch)

    Watching(**FAST).fit(X, y, X_target, sample_weight=weights, domains=NAMES)
    counts = np.bincount(seen, minlength=90)
    assert counts[:49].sum() == 0
    assert counts[49] == counts[50:80].sum() == counts[80:].sum()


def test_adapt_goes_on_from_several_sources(domains):
    X, y, X_target = domains
    clf = DANNClassifier(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)).double(), **FAST)
    clf = clf.fit(X, y, X_target, domains=NAMES)
    assert clf.adapt(X_target + 1).domains_.tolist() == ["a", "b", "c"]


def test_warm_start_goes_on_with_the_same_sources_alone(domains):
    X, y, X_target = domains
    clf = DANNClassifier(warm_start=True, **FAST).fit(X, y, X_target, domains=NAMES)
    assert len(clf.fit(X, y, X_target, domains=NAMES).history_) == 4
    with pytest.raises(ValueError, match=r"the sources \['a', 'b', 'c'\]; got domains of None"):
        clf.fit(X, y, X_target)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (NAMES[:5], ValueError, "domains has 5 labels for the 90 rows of X"),
        ([None, *NAMES[1:]], ValueError, "domains has missing names.*belong in X_target"),
        ([1, *NAMES[1:]], TypeError, "domains mixes text and numbers, such as .*1"),
        (NAMES[:, None].repeat(2, axis=1), ValueError, "domains"),
        ("machine", TypeError, "domains is 'machine', a text"),
    ],
)
def test_names_that_name_no_source_for_each_row_are_refused(domains, names, error, message):
    X, y, X_target = domains
    with pytest.raises(error, match=message):
        DANNClassifier(**FAST).fit(X, y, X_target, domains=names)


def test_a_source_without_weight_is_refused(domains):
    X, y, X_target = domains
    weights = (NAMES != "c").astype(float)
    with pytest.raises(ValueError, match=r"sample_weight is 0 for all rows of the sources \['c'\]"):
        DANNClassifier(**FAST).fit(X, y, X_target, sample_weight=weights, domains=NAMES)


@pytest.mark.parametrize("estimator", [CORAL(), TrAdaBoostClassifier(n_estimators=2)])
def test_estimators_that_take_sources_for_one_say_so(domains, estimator):
    X, y, X_target = domains
    labels = {} if isinstance(estimator, CORAL) else {"y_target": y}
    name = type(estimator).__name__
    with pytest.warns(UserWarning, match=f"{name} takes all sources for one: `domains` is not"):
        estimator.fit(X, y, X_target, domains=NAMES, **labels)


def test_it_comes_back_from_a_file(domains, tmp_path):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target, domains=NAMES)
    save(clf, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.domains_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
