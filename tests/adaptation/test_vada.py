"""VADA and DIRT-T: losses by hand, who learns of what, the teacher, the second stage."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sktransfer import DANNClassifier, VADAClassifier, load, save
from sktransfer.adaptation._target_losses import entropy
from sktransfer.adaptation._virtual_adversary import divergences, virtual_adversarial_logits
from sktransfer.data._batch import Batch, View
from tests.adaptation.problems import one_batch

FAST = {"max_epochs": 2, "random_state": 0}


def losses_of(clf, batch, lambda_=1.0):
    network = clf.net_.module_.train()
    network.forward_domains(batch)
    batch.lambda_ = lambda_
    torch.manual_seed(0)  # of the directions that the perturbations begin with
    return network, clf._domain_losses(network, batch)


def test_losses_are_the_mean_divergences_of_moved_rows(domains):
    clf, batch = VADAClassifier(perturbation_radius=0.3, **FAST).fit(*domains), one_batch(domains)
    network, losses = losses_of(clf, batch)
    torch.manual_seed(0)
    for name, view in (("source", batch.source), ("target", batch.target)):
        fixed, moved = virtual_adversarial_logits(network, view.X, network(view.X), 0.3)
        expected = 0.0
        for z, other in zip(fixed.tolist(), moved.tolist(), strict=True):
            p, q = (np.exp(v) / np.exp(v).sum() for v in (np.array(z), np.array(other)))
            expected += (p * np.log(p / q)).sum() / len(fixed)
        assert losses[f"{name}_vat_loss"].item() == pytest.approx(expected, rel=1e-6)
        assert expected > 0


def test_without_perturbations_it_is_dann_bit_for_bit(domains):
    weights = {"source_vat_weight": 0.0, "target_vat_weight": 0.0}
    of_dann = {"target_loss_weight": 0.1, "gradient_penalty": 5.0}
    vada = VADAClassifier(**weights, **of_dann, **FAST).fit(*domains)
    dann = DANNClassifier(**of_dann, **FAST).fit(*domains)
    X = domains[2]
    np.testing.assert_array_equal(vada.predict_proba(X), dann.predict_proba(X))


@pytest.mark.parametrize("lambda_", [0.25, 2.0])
def test_lambda_and_weights_weigh_the_gradients_of_the_perturbations(domains, lambda_):
    params = {"source_vat_weight": 0.5, "target_vat_weight": 3.0}
    clf, batch = VADAClassifier(**params, **FAST).fit(*domains), one_batch(domains)
    plain = clone(clf).set_params(source_vat_weight=1.0, target_vat_weight=1.0).fit(*domains)
    plain.net_.module_.load_state_dict(clf.net_.module_.state_dict())

    def gradient(estimator, name, by):
        network, losses = losses_of(estimator, batch, by)
        weights = network.body[0].weight, network.label_head.weight
        return torch.autograd.grad(losses[f"{name}_vat_loss"], weights), losses

    for name, weight in (("source", 0.5), ("target", 3.0)):
        once, plain_losses = gradient(plain, name, 1.0)
        weighed, losses = gradient(clf, name, lambda_)
        for g, h in zip(weighed, once, strict=True):
            torch.testing.assert_close(g, weight * lambda_ * h, rtol=1e-9, atol=1e-15)
        assert losses[f"{name}_vat_loss"] == plain_losses[f"{name}_vat_loss"]


def test_the_domain_classifier_learns_nothing_of_the_perturbations(domains):
    clf, batch = VADAClassifier(**FAST).fit(*domains), one_batch(domains)
    network, losses = losses_of(clf, batch)
    network.zero_grad()
    (losses["source_vat_loss"] + losses["target_vat_loss"]).backward()
    assert all(p.grad is None for p in network.domain_classifier.parameters())
    assert network.label_head.weight.grad.abs().sum() > 0


def test_the_second_stage_sees_the_target_alone(domains):
    X, y, X_target = domains
    clf = VADAClassifier(dirt_t_epochs=3, **FAST).fit(X, y, X_target)
    assert len(clf.history_) == 5
    assert [epoch.get("stage") for epoch in clf.history_] == [None] * 2 + ["dirt_t"] * 3
    last = clf.history_[-1]
    assert {"teacher_loss", "target_vat_loss", "target_loss"} <= set(last)
    assert not {"label_loss", "domain_loss", "source_vat_loss"} & set(last)


def test_losses_of_the_second_stage_equal_the_formula(domains):
    clf = VADAClassifier(
        teacher_weight=0.5, target_vat_weight=0.0, target_loss_weight=0.25, **FAST
    ).fit(*domains)
    X = torch.from_numpy(domains[2])
    network, teacher = clf.net_.module_, nn.Linear(4, 2).double()
    batch = Batch(View(X, None, torch.arange(90)), None, 0.0)
    losses = clf._refinement_losses(network, teacher, batch)
    p, t = (f(X).softmax(dim=1).tolist() for f in (network, teacher))
    gap = sum(t[i][k] * np.log(t[i][k] / p[i][k]) / 90 for i in range(90) for k in range(2))
    assert losses["teacher_loss"].item() == pytest.approx(gap, rel=1e-9)
    assert losses["target_loss"].item() == pytest.approx(entropy(network(X)).item())
    found = torch.autograd.grad(sum(losses.values()), network.label_head.weight)[0]
    logits = network(X)
    whole = 0.5 * divergences(teacher(X), logits).mean() + 0.25 * entropy(logits)
    (expected,) = torch.autograd.grad(whole, network.label_head.weight)
    torch.testing.assert_close(found, expected)


def test_no_gradient_reaches_the_teacher(domains):
    clf = VADAClassifier(**FAST).fit(*domains)
    teacher = nn.Linear(4, 2).double()
    X = torch.from_numpy(domains[2])
    batch = Batch(View(X, None, torch.arange(90)), None, 0.0)
    sum(clf._refinement_losses(clf.net_.module_, teacher, batch).values()).backward()
    assert all(p.grad is None for p in teacher.parameters())


def test_labels_of_the_target_count_in_both_stages(domains):
    X, y, X_target = domains
    some = np.where(np.arange(90) < 5, y.astype(object), None)
    clf = VADAClassifier(dirt_t_epochs=1, **FAST).fit(X, y, X_target, some)
    assert all("target_label_loss" in epoch for epoch in clf.history_)


def test_labels_in_the_second_stage_count_by_their_weight(domains):
    clf = VADAClassifier(target_weight=0.5, **FAST).fit(*domains)
    batch, few = one_batch(domains), torch.arange(5)
    labelled = View(batch.source.X[:5], batch.source.y[:5], few)
    seen = Batch(View(batch.target.X, None, torch.arange(90)), None, 0.0, labelled=labelled)
    losses = clf._refinement_losses(clf.net_.module_, nn.Linear(4, 2).double(), seen)
    log_p = clf.net_.module_(labelled.X).log_softmax(dim=1).tolist()
    expected = -sum(log_p[i][labelled.y[i]] for i in range(5)) / 5
    assert losses["target_label_loss"].item() == pytest.approx(0.5 * expected, rel=1e-9)


def test_a_teacher_that_weighs_all_keeps_the_network(domains):
    X, y, X_target = domains
    params = {"target_loss": None, "target_vat_weight": 0.0, "teacher_decay": 0.0}
    first = VADAClassifier(**params, **FAST).fit(X, y, X_target)
    both = VADAClassifier(dirt_t_epochs=2, **params, **FAST).fit(X, y, X_target)
    np.testing.assert_allclose(both.predict_proba(X), first.predict_proba(X), rtol=1e-6, atol=1e-9)


def batch_norm_body(input_shape):
    layers = nn.Linear(*input_shape, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3)
    return nn.Sequential(*layers, nn.Linear(8, 8)).double()


def test_batch_statistics_follow_the_rows_as_they_are(domains):
    clf = VADAClassifier(batch_norm_body, perturbation_radius=50.0, **FAST).fit(*domains)
    network, batch = clf.net_.module_.train(), one_batch(domains)
    network.forward_domains(batch)
    before = network.body[1].running_mean.clone()
    clf._domain_losses(network, batch)
    assert torch.equal(network.body[1].running_mean, before)
    assert network.body[3].training


@pytest.mark.parametrize("way", [{"lambda_": 0.0}, None], ids=["lambda 0", "no target"])
def test_without_adaptation_it_is_the_twin(domains, way):
    X, y, X_target = domains
    clf = VADAClassifier(max_epochs=3, dirt_t_epochs=2, random_state=0)
    twin = clf.source_only().fit(X, y).predict_proba(X_target)
    other = clone(clf).set_params(**way).fit(X, y, X_target) if way else None
    if other is None:
        with pytest.warns(UserWarning, match="without X_target"):
            other = clone(clf).fit(X, y)
    np.testing.assert_allclose(other.predict_proba(X_target), twin, rtol=1e-10)


def test_a_body_of_whole_numbers_is_refused():
    class Codes(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 4)

        def forward(self, codes):
            return self.table(codes).mean(dim=1)

    X = np.random.default_rng(0).integers(0, 9, (30, 5))
    with pytest.raises(ValueError, match=r"takes whole numbers.*DANNClassifier"):
        VADAClassifier(Codes(), **FAST).fit(X, X[:, 0] > 4, X)


def test_several_sources_are_moved_each_by_its_own_spread(domains):
    X, y, X_target = domains
    names = np.repeat(["near", "far"], 45)
    clf = VADAClassifier(**FAST).fit(X, y, X_target, domains=names)
    assert "source_vat_loss" in clf.history_[-1]
    batch = one_batch(domains)
    batch.source.n_domains = 2
    batch.source.X[45:] *= 5
    network, losses = losses_of(clf, batch)
    torch.manual_seed(0)
    means = []
    for X in batch.source.X.split(45):
        fixed, moved = virtual_adversarial_logits(network, X, network(X), clf.perturbation_radius)
        means.append(divergences(fixed, moved).mean().item())
    assert losses["source_vat_loss"].item() == pytest.approx(sum(means) / 2, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "value"),
    [("perturbation_radius", 0.0), ("teacher_decay", 1.0), ("dirt_t_epochs", -1)],
)
def test_bad_values_are_refused_by_name(domains, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        VADAClassifier(**{name: value}).fit(*domains)


def test_it_comes_back_from_a_file(domains, tmp_path):
    clf = VADAClassifier(dirt_t_epochs=1, teacher_decay=0.9, **FAST).fit(*domains)
    save(clf, tmp_path / "vada.safetensors")
    again = load(tmp_path / "vada.safetensors")
    np.testing.assert_array_equal(again.predict_proba(domains[2]), clf.predict_proba(domains[2]))
    assert again.teacher_decay == 0.9
