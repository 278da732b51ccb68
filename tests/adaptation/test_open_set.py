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
from sktransfer.adaptation._open_set import class_mixtures, mixture_loss
from sktransfer.adaptation._separation import (
    nearest,
    separation_loss,
    squared_distances,
    target_scores,
)
from sktransfer.adaptation._target_losses import class_confusion
from sktransfer.adaptation._two_groups import unknown_probabilities
from sktransfer.metrics import open_set_score

logits = arrays(np.float64, (6, 3), elements=st.floats(-10, 10)).map(torch.from_numpy)
FAST = {"max_epochs": 2, "random_state": 0}


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_separation_loss_equals_the_formula_by_plain_loops(unknown):
    Z, said = np.random.default_rng(0).normal(size=(6, 3)), [0.95, 0.5, 0.02, 1.0, 0.8, 0.0]
    losses = []
    for row, probability in zip(Z, said, strict=True):
        p = math.exp(row[unknown]) / sum(math.exp(z) for z in row)
        if probability >= 0.9:
            losses.append(-math.log(p))
        elif probability <= 0.1:
            losses.append(-math.log(1 - p))
    loss = separation_loss(torch.from_numpy(Z), unknown, torch.tensor(said))
    assert loss.item() == pytest.approx(sum(losses) / 4, rel=1e-12)


@given(logits, st.permutations(range(6)))
def test_separation_loss_does_not_ask_for_an_order_and_leaves_doubt_alone(Z, order):
    said = torch.tensor([1.0, 0.0, 0.5, 0.95, 0.3, 0.05])
    Z = Z.requires_grad_()
    loss = separation_loss(Z, 1, said)
    torch.testing.assert_close(
        loss, separation_loss(Z[order], 1, said[order]), rtol=1e-9, atol=1e-12
    )
    (gradient,) = torch.autograd.grad(loss, Z)
    assert not gradient[[2, 4]].any()
    # Going down it, rows become what they are said to be.
    assert (gradient[[0, 3], 1] <= 0).all()
    assert (gradient[[1, 5], 1] >= 0).all()


def test_rows_are_sure_from_nine_tenths_on():
    Z, p = torch.zeros(4, 3).double(), 1 / 3
    said = torch.tensor([0.9, 1 - 0.9, 0.8999, 0.1001], dtype=torch.float64)
    expected = -(math.log(p) + math.log(1 - p)) / 2  # of the first two
    assert separation_loss(Z, 1, said).item() == pytest.approx(expected, rel=1e-12)


def test_a_single_row_or_mixture_counts_as_one():
    Z = torch.zeros(1, 3).double()
    assert separation_loss(Z, 1, torch.ones(1)).item() == pytest.approx(math.log(3), rel=1e-12)
    assert mixture_loss(Z, 1).item() == pytest.approx(math.log(3), rel=1e-12)


def test_separation_loss_is_finite_for_sure_rows_and_0_for_none():
    Z = torch.tensor([[2000.0, 0.0, 0.0], [0.0, 2000.0, 0.0]], requires_grad=True)
    separation_loss(Z, 0, torch.tensor([0.0, 1.0])).backward()
    assert Z.grad.isfinite().all()
    for said in (0.5, torch.nan):
        assert separation_loss(Z, 0, torch.full((2,), said)).item() == 0


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
    told = {"unknown_share": 0.4}
    before = descend(domains, lambda_=0.0, **told)[2]  # in the first epoch it learns the source
    without = descend(domains, n_steps=2, lambda_=0.0, **told)[2]
    adapted = descend(domains, n_steps=2, lambda_=0.7, **told)[2]
    features = before.body(X_target)
    logits = before.label_head(features)
    of_source = before.body(torch.from_numpy(domains[0]))
    f, of_source = features.detach().numpy(), of_source.detach().numpy()
    distances, (_, neighbours) = squared_distances(f, of_source), nearest(f, f, 6)
    scores, classes = target_scores(logits.detach().numpy(), distances, neighbours, unknown)
    said = unknown_probabilities(scores, classes, 3, 0.4)
    assert said.sum() == 36
    apart = separation_loss(logits, unknown, torch.from_numpy(said))
    added = class_confusion(logits) + apart
    for name in ("body", "label_head"):
        weights = [getattr(net, name).weight for net in (before, without, adapted)]
        (gradient,) = torch.autograd.grad(added, weights[0], retain_graph=True)
        step = weights[1] - weights[2]
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
    assert twin.unknown_share_ is None


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


def plane(seed, n_rows=450, classes=(0, 1, 2)):
    """Return rows of three classes in the plane, shifted, and their numbers: 2 is unknown."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-4, 0], [4, 0], [0, 7]])
    y = np.resize(classes, n_rows)
    return centres[y] + rng.normal(size=(n_rows, 2)), y


def fitted(seed, X_target, known=(0, 1), **params):
    X, y = plane(100 + seed, classes=known)
    return OpenSetClassifier(**{"max_epochs": 40, "random_state": seed, **params}).fit(
        X, y, X_target + 0.7
    )


@pytest.mark.accuracy
def test_the_share_of_unknown_rows_is_found():
    for seed, classes in enumerate([(0, 1, 2), (0, 0, 1, 1, 2), (0, 1, 2, 2)]):
        X_target, y = plane(seed, classes=classes)
        clf = fitted(seed, X_target)
        assert clf.unknown_share_ == pytest.approx(np.mean(y == 2), abs=0.1)
        assert np.mean((clf.predict(X_target + 0.7) == -1) == (y == 2)) > 0.9


@pytest.mark.accuracy
def test_where_all_rows_are_known_none_is_called_unknown():
    for seed in range(3):
        X_target, y = plane(seed, classes=(0, 1))
        clf = fitted(seed, X_target)
        assert clf.unknown_share_ == 0
        answers = clf.predict(X_target + 0.7)
        assert np.mean(answers == -1) < 0.01
        assert np.mean(answers == y) > 0.97


@pytest.mark.parametrize(("classes", "share"), [((0, 1), 0.0), ((2, 0, 1, 2), 0.5), ((2,), 1.0)])
def test_the_share_can_be_told(classes, share):
    X_target, y = plane(0, classes=classes)
    clf = fitted(0, X_target, unknown_share=share)
    assert clf.unknown_share_ == pytest.approx(share)
    assert np.mean((clf.predict(X_target + 0.7) == -1) == (y == 2)) > 0.9


@pytest.mark.accuracy
def test_one_known_class_will_do():
    X_target, y = plane(0, classes=(0, 2))
    clf = fitted(0, X_target, known=(0,))
    assert clf.classes_.tolist() == [-1, 0]
    answers = clf.predict(X_target + 0.7)
    assert np.mean((answers == 0) == (y == 0)) > 0.9


def test_a_target_of_few_rows_has_none_that_is_unknown_for_all_it_tells():
    X_target, _ = plane(0, n_rows=6)
    clf = fitted(0, X_target, max_epochs=4)
    assert clf.unknown_share_ == 0


def test_one_epoch_leaves_none_for_the_target_and_is_told_so(domains):
    clf = OpenSetClassifier(max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match=r"never set rows of X_target apart.* max_epochs=1 none"):
        clf.fit(*domains)
    assert clf.unknown_share_ is None
    assert set(clf.predict(domains[2])) <= {"down", "unknown", "up"}


def test_it_comes_back_from_a_file(domains, tmp_path):
    clf = OpenSetClassifier(unknown_share=0.25, **FAST).fit(*domains)
    save(clf, tmp_path / "open.safetensors")
    again = load(tmp_path / "open.safetensors")
    np.testing.assert_array_equal(again.predict_proba(domains[2]), clf.predict_proba(domains[2]))
    assert again.unknown_label_ == "unknown"
    assert again.unknown_share_ == clf.unknown_share_ == pytest.approx(0.25, abs=0.01)


def test_a_fit_that_is_over_is_read_with_what_it_found(tmp_path, recwarn):
    X_target, _ = plane(0)
    clf = [fitted(0, X_target, checkpoint=tmp_path / "fit", max_epochs=10) for _ in range(2)]
    assert clf[0].unknown_share_ == clf[1].unknown_share_ > 0
    assert not recwarn.list


def test_rows_of_no_weight_are_no_neighbours():
    X, y = plane(0, n_rows=200, classes=(0, 1))
    X_target, weights = plane(1)[0], np.arange(200) % 2
    clf = OpenSetClassifier(unknown_share=0.3, max_epochs=6, random_state=0)
    answers = [
        clf.fit(rows, y, X_target, sample_weight=weights).predict_proba(X_target)
        for rows in (X, np.where(weights[:, None], X, X[::-1, ::-1] + 1))
    ]
    np.testing.assert_array_equal(*answers)
