"""Open-set adaptation: its formula, who learns what, and what is answered."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from sktransfer import HypothesisTransfer, OpenSetClassifier, load, save
from sktransfer.adaptation._open_set import class_mixtures, mixture_loss, unknown_loss
from sktransfer.adaptation._separation import known_certainties, lower_group
from sktransfer.adaptation._target_losses import class_confusion
from sktransfer.metrics import open_set_score

logits = arrays(np.float64, (6, 3), elements=st.floats(-10, 10)).map(torch.from_numpy)
FAST = {"max_epochs": 2, "random_state": 0}


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_unknown_loss_equals_the_formula_by_plain_loops(unknown):
    Z, t, expected = np.random.default_rng(0).normal(size=(5, 3)), 0.3, 0.0
    for row in Z:
        p = math.exp(row[unknown]) / sum(math.exp(z) for z in row)
        expected -= (t * math.log(p) + (1 - t) * math.log(1 - p)) / 5
    loss = unknown_loss(torch.from_numpy(Z), unknown, t)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    of_rows = [unknown_loss(torch.from_numpy(Z[i : i + 1]), unknown, i / 4) for i in range(5)]
    by_row = unknown_loss(torch.from_numpy(Z), unknown, torch.arange(5, dtype=torch.float64) / 4)
    torch.testing.assert_close(by_row, torch.stack(of_rows).mean())


@given(logits, st.permutations(range(6)), st.floats(0.05, 0.95))
def test_unknown_loss_is_least_at_the_border_whatever_the_order(Z, order, t):
    least = -(t * math.log(t) + (1 - t) * math.log(1 - t))
    loss = unknown_loss(Z, 1, t)
    assert loss >= least - 1e-9
    torch.testing.assert_close(loss, unknown_loss(Z[order], 1, t), rtol=1e-9, atol=1e-12)
    border = torch.log(torch.tensor([[(1 - t) / 2, t, (1 - t) / 2]], dtype=torch.float64))
    assert unknown_loss(border, 1, t).item() == pytest.approx(least)


def test_unknown_loss_is_finite_for_sure_rows():
    Z = torch.tensor([[2000.0, 0.0, 0.0], [0.0, 2000.0, 0.0]], requires_grad=True)
    unknown_loss(Z, 0).backward()
    assert Z.grad.isfinite().all()


def test_mixtures_equal_the_formula_by_plain_loops():
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(7, 3)), [0, 0, 1, 2, 2, 2, 1]
    expected = [(features[i] + features[i - 1]) / 2 for i in range(7) if y[i] != y[i - 1]]
    mixtures = class_mixtures(torch.from_numpy(features), torch.tensor(y))
    np.testing.assert_allclose(mixtures, expected, rtol=1e-12)

    Z, loss = rng.normal(size=(4, 3)), 0.0
    for row in Z:
        loss -= math.log(math.exp(row[1]) / sum(math.exp(z) for z in row)) / 4
    assert mixture_loss(torch.from_numpy(Z), 1).item() == pytest.approx(loss, rel=1e-12)


@given(arrays(np.float64, (6, 2), elements=st.floats(-10, 10)), st.integers(0, 5))
def test_mixtures_stand_between_different_classes_wherever_the_batch_begins(features, shift):
    features, y = torch.from_numpy(features), torch.tensor([0, 1, 1, 2, 0, 1])
    mixtures = class_mixtures(features, y)
    assert len(mixtures) == 5
    assert (mixtures >= features.min(dim=0).values - 1e-12).all()
    assert (mixtures <= features.max(dim=0).values + 1e-12).all()
    again = class_mixtures(features.roll(shift, 0), y.roll(shift))
    torch.testing.assert_close(again.sum(dim=0), mixtures.sum(dim=0), rtol=1e-9, atol=1e-9)


def test_one_class_has_no_mixtures_and_these_no_loss():
    features = torch.ones(3, 2, requires_grad=True)
    mixtures = class_mixtures(features, torch.zeros(3, dtype=torch.long))
    assert mixtures.shape == (0, 2)
    loss = mixture_loss(mixtures, 1)
    loss.backward()
    assert loss.item() == 0
    assert not features.grad.any()


def descend(domains, n_steps=1, **params):
    """Return body and head as they were, and the network after steps of gradient descent."""
    torch.manual_seed(0)
    body, head = nn.Linear(4, 6).double(), nn.Linear(6, 3).double()
    clf = OpenSetClassifier(
        body,
        label_classifier=head,
        lambda_schedule="constant",
        average_weights=0.0,
        optimizer=torch.optim.SGD,
        learning_rate=0.1,
        batch_size=90,
        max_epochs=n_steps,
        random_state=0,
        **params,
    )
    return body, head, clf.fit(*domains).net_.module_


def test_lambda_weighs_what_the_target_adds_once_its_rows_are_set_apart(domains):
    X_target, unknown = torch.from_numpy(domains[2]), 1  # of "down", "unknown", "up"
    before = descend(domains, lambda_=0.0)[2]  # in the first of two epochs it learns the source
    without = descend(domains, n_steps=2, lambda_=0.0)[2]
    adapted = descend(domains, n_steps=2, lambda_=0.7)[2]
    logits = before.label_head(before.body(X_target))
    groups = lower_group(known_certainties(logits.detach(), unknown)).double()
    assert 0 < groups.mean() < 1
    added = class_confusion(logits) + unknown_loss(logits, unknown, groups)
    for name in ("body", "label_head"):
        weights = [getattr(net, name).weight for net in (before, without, adapted)]
        (gradient,) = torch.autograd.grad(added, weights[0], retain_graph=True)
        step = weights[1] - weights[2]
        torch.testing.assert_close(step, 0.1 * 0.7 * gradient, rtol=1e-7, atol=1e-12)


def test_without_groups_lambda_weighs_the_class_confusion_alone(domains):
    X_target = torch.from_numpy(domains[2])
    body, head, without = descend(domains, lambda_=0.0, unknown_from="mixtures")
    _, _, adapted = descend(domains, lambda_=0.7, unknown_from="mixtures")
    confusion = class_confusion(head(body(X_target)))
    gradients = torch.autograd.grad(confusion, [body.weight, head.weight])
    for name, gradient in zip(("body", "label_head"), gradients, strict=True):
        step = getattr(without, name).weight - getattr(adapted, name).weight
        torch.testing.assert_close(step, 0.1 * 0.7 * gradient, rtol=1e-7, atol=1e-12)


def test_body_and_head_learn_of_mixtures_by_their_weight(domains):
    without = descend(domains, lambda_=0.0)[2]
    _, _, unmixed = descend(domains, lambda_=0.0, mixture_weight=0.0)
    _, _, mixed = descend(domains, lambda_=0.0, mixture_weight=4.0)
    for name in ("body", "label_head"):
        weights = [getattr(net, name).weight for net in (unmixed, without, mixed)]
        once, four_times = weights[0] - weights[1], weights[0] - weights[2]
        assert once.abs().sum() > 0  # both learn of the mixtures
        torch.testing.assert_close(four_times, 4 * once, rtol=1e-7, atol=1e-12)


def test_the_head_goes_to_the_border_and_the_body_away_from_it(domains):
    X_target = domains[2]
    body, head, without = descend(domains, lambda_=0.0, unknown_from="border")
    _, _, adapted = descend(domains, lambda_=0.7, unknown_from="border")
    loss = unknown_loss(head(body(torch.from_numpy(X_target))), 1)  # of "down", "unknown", "up"
    of_body, of_head = torch.autograd.grad(loss, [body.weight, head.weight])
    step = adapted.body.weight - without.body.weight
    torch.testing.assert_close(step, 0.1 * 0.7 * of_body, rtol=1e-9, atol=1e-12)
    # The head learns it at full rate whatever lambda is.
    torch.testing.assert_close(adapted.label_head.weight, without.label_head.weight)
    assert of_head.abs().sum() > 0


@pytest.mark.parametrize(
    ("y", "given", "classes"),
    [
        ([3, 7], None, [-1, 3, 7]),
        (["b", "a"], None, ["a", "b", "unknown"]),
        (["b", "a"], "Z", ["Z", "a", "b"]),
        ([-1, 1], 0, [-1, 0, 1]),
        ([False, True], None, [-1, 0, 1]),
    ],
)
def test_the_unknown_is_one_of_the_classes(domains, y, given, classes):
    X, _, X_target = domains
    clf = OpenSetClassifier(unknown_label=given, **FAST).fit(X, np.resize(y, len(X)), X_target)
    assert clf.classes_.tolist() == classes
    assert clf.unknown_label_ in classes
    assert clf.unknown_label_ not in y
    assert clf.predict_proba(X_target).shape == (len(X_target), 3)
    assert set(clf.predict(X_target)) <= set(classes)


@pytest.mark.parametrize(
    ("y", "given", "message"),
    [
        ([-1, 1], None, r"unknown_label=-1 is a class of y, \[-1, 1\]; give a label that is none"),
        ([0, 1], "other", "unknown_label='other' does not go with the labels .* give a number"),
        (["a", "b"], 3, "unknown_label=3 does not go with the labels .* give text"),
    ],
)
def test_labels_that_cannot_be_the_unknown_are_refused(domains, y, given, message):
    X, _, X_target = domains
    clf = OpenSetClassifier(unknown_label=given, **FAST)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, np.resize(y, len(X)), X_target)
    assert not hasattr(clf, "classes_")


def test_without_a_target_nothing_is_unknown(domains):
    X, y, X_target = domains
    twin = OpenSetClassifier(**FAST).source_only().fit(X, y, X_target)
    assert twin.classes_.tolist() == ["down", "up"]
    assert twin.unknown_label_ is None


@pytest.mark.accuracy
def test_classes_that_the_source_lacks_are_called_unknown():
    scores = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        centres = np.array([[-4, 0], [4, 0], [0, 7]])
        y = np.arange(450) % 3
        X, X_target = (centres[y] + rng.normal(size=(450, 2)) for _ in range(2))
        clf = OpenSetClassifier(max_epochs=60, random_state=seed)
        clf.fit(X[y < 2], y[y < 2], X_target + 0.7)
        answers = clf.predict(X_target + 0.7)
        scores.append(open_set_score(np.where(y < 2, y, -1), answers, unknown_label=-1))
    assert np.mean(scores) > 0.9  # three draws gave 0.99 to 1.00


def test_later_adaptation_with_diversity_leaves_the_unknown_to_itself():
    rng = np.random.default_rng(0)
    centres = np.array([[-4, 0], [4, 0], [0, 7]])
    y = np.arange(300) % 3
    X, X_target = (centres[y] + rng.normal(size=(300, 2)) for _ in range(2))
    clf = OpenSetClassifier(max_epochs=30, random_state=0)
    clf.fit(X[y < 2], y[y < 2], X_target + 0.7)
    known = X_target[y < 2] + 0.7  # there is nothing unknown among them
    before = np.mean(clf.predict(known) == -1)
    clf.adapt(known, method=HypothesisTransfer(epochs=20, learning_rate=0.01))
    answers = clf.predict(known)
    assert np.mean(answers == -1) <= max(before, 0.1)
    assert np.mean(answers == y[y < 2]) > 0.8


def test_it_comes_back_from_a_file(domains, tmp_path):
    clf = OpenSetClassifier(unknown_share=0.4, **FAST).fit(*domains)
    save(clf, tmp_path / "open.safetensors")
    again = load(tmp_path / "open.safetensors")
    np.testing.assert_array_equal(again.predict_proba(domains[2]), clf.predict_proba(domains[2]))
    assert again.unknown_label_ == "unknown"
