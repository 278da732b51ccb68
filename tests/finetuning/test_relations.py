"""Relations among rows by plain loops, what leaves them as they are, and bodies held to them."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sktransfer import (
    FineTuneClassifier,
    FineTuneRegressor,
    FitCheckpoint,
    FrozenCache,
    LoRA,
    Unfreezing,
)
from sktransfer.engine._run import Run
from sktransfer.finetuning._base import BaseFineTuning
from sktransfer.finetuning._relations import relational_loss

seeds = st.integers(0, 2**32 - 1)


def features(seed, n=5, d=3):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def huber(gap):
    return gap**2 / 2 if abs(gap) <= 1 else abs(gap) - 1 / 2


def loss_by_loops(now, then):
    n = len(now)

    def distance(rows, i, j):
        return math.sqrt(sum((a - b) ** 2 for a, b in zip(rows[i], rows[j], strict=True)))

    def relative(rows, i, j):
        lengths = [distance(rows, a, b) for a in range(n) for b in range(n) if a != b]
        positive = [length for length in lengths if length > 0]
        return distance(rows, i, j) / (sum(positive) / len(positive)) if positive else 0.0

    def cosine(rows, i, j, k):
        lengths = distance(rows, i, j), distance(rows, k, j)
        if 0 in lengths:
            return 0.0
        sides = zip(rows[i], rows[j], rows[k], strict=True)
        return sum((a - b) * (c - b) for a, b, c in sides) / math.prod(lengths)

    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    triples = [(i, j, k) for i, j in pairs for k in range(n) if k not in (i, j)]
    gaps = [relative(now, i, j) - relative(then, i, j) for i, j in pairs]
    turns = [cosine(now, i, j, k) - cosine(then, i, j, k) for i, j, k in triples]
    of_angles = sum(map(huber, turns)) / len(turns) if turns else 0.0
    return sum(map(huber, gaps)) / len(gaps) + 2 * of_angles


@given(seeds, st.integers(2, 6))
@settings(max_examples=20, deadline=None)
def test_loss_by_plain_loops(seed, n):
    now, then = features(seed, n), 5 * features(seed + 1, n, 4)
    expected = loss_by_loops(now.tolist(), then.tolist())
    assert relational_loss(now, then).item() == pytest.approx(expected)


def test_rows_that_coincide_count_as_in_the_loops():
    now, then = features(0), features(1)
    now[1] = now[0]
    then[3] = then[2]
    expected = loss_by_loops(now.tolist(), then.tolist())
    assert relational_loss(now, then).item() == pytest.approx(expected)


def test_wide_rows_in_single_precision_far_from_zero_keep_their_digits():
    now, then = (1e3 + features(seed, 8, 200).float() for seed in range(2))
    now[1] = now[0]
    now[2] = now[0] + 1e-2 * features(2, 1, 200)[0].float()
    expected = loss_by_loops(now.tolist(), then.tolist())
    assert relational_loss(now, then).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("apart", [1.0, 1e-3])
def test_gradients_are_those_of_differences_of_rows(apart):
    now, then = features(0, 6, 4), features(1, 6, 4)
    now[1] = now[0] + apart * now[2]
    now.requires_grad_()

    def by_differences(rows):
        gaps = rows[:, None] - rows[None]
        lengths = torch.where(torch.eye(6) > 0, 1.0, gaps.square().sum(dim=2)).sqrt()
        sides = gaps / lengths[:, :, None]
        others = 1 - torch.eye(6).double()
        lengths = lengths * others
        return lengths * 30 / lengths.sum(), sides @ sides.transpose(1, 2) * others

    loss = 0.0
    for weight, n, a, b in zip(
        (1, 2), (30, 120), by_differences(now), by_differences(then), strict=True
    ):
        loss = loss + weight * nn.functional.huber_loss(a, b, reduction="sum") / n
    found, expected = (torch.autograd.grad(of, now)[0] for of in (relational_loss(now, then), loss))
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@given(seeds, st.floats(0.1, 10))
@settings(max_examples=20, deadline=None)
def test_turning_moving_and_scaling_costs_nothing(seed, scale):
    then = features(seed)
    rotation = torch.linalg.qr(features(seed + 1, 3)).Q
    assert relational_loss(scale * then @ rotation + 3, then).item() == pytest.approx(0, abs=1e-12)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_order_of_rows_does_not_matter(seed):
    now, then, order = features(seed), features(seed + 1), torch.randperm(5)
    plain = relational_loss(now, then)
    torch.testing.assert_close(relational_loss(now[order], then[order]), plain)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_have_no_relations(n):
    assert relational_loss(features(0, n), features(1, n)).item() == 0


def test_gradient_flows_to_the_learning_side_alone():
    now, then = features(0).requires_grad_(), features(1).requires_grad_()
    relational_loss(now, then).backward()
    assert then.grad is None
    eps, numeric = 1e-6, torch.zeros(5, 3).double()
    for i in range(5):
        for k in range(3):
            step = torch.zeros(5, 3).double()
            step[i, k] = eps
            numeric[i, k] = relational_loss(now + step, then) - relational_loss(now - step, then)
    torch.testing.assert_close(now.grad, numeric / (2 * eps), atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("n_equal", [2, 5])
def test_rows_that_coincide_send_back_finite_gradients(n_equal):
    now, then = features(0), features(1)
    now[:n_equal] = now[0].clone()
    now.requires_grad_()
    relational_loss(now, then).backward()
    assert torch.isfinite(now.grad).all()


def test_a_step_down_the_gradient_brings_relations_nearer():
    now, then = features(0).requires_grad_(), features(1)
    loss = relational_loss(now, then)
    loss.backward()
    assert relational_loss(now.detach() - 0.1 * now.grad, then) < loss


# In fine-tuning

STAGES = {
    "unfreeze_depth": "all",
    "head_epochs": 2,
    "finetune_epochs": 4,
    "finetune_learning_rate": 0.02,
    "random_state": 0,
}


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    y = np.arange(48) % 2
    return rng.normal(size=(48, 4)) + y[:, None], y


@pytest.fixture
def body():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh()).double()


def held(weight, **other):
    return Unfreezing(relational_weight=weight, **other)


def gap(before, after, X):
    with torch.no_grad():
        rows = torch.from_numpy(X)
        return relational_loss(after.cpu()(rows), before(rows)).item()


@pytest.mark.parametrize("make", [FineTuneClassifier, FineTuneRegressor])
def test_a_great_weight_holds_the_relations_of_the_pretrained_body(make, task, body):
    X, y = task
    fits = [make(body, unfreezing=held(weight), **STAGES).fit(X, y) for weight in (0.0, 100.0)]
    assert gap(body, fits[1].backbone_, X) < 0.2 * gap(body, fits[0].backbone_, X)


def test_only_what_learns_in_the_body_is_held(task, body):
    clf = FineTuneClassifier(body, unfreezing=held(1.0), **STAGES).fit(*task)
    of_stage = {e["stage"]: e.get("relational_loss") for e in clf.history_}
    assert of_stage["head"] is None
    assert of_stage["finetune"] > 0


def test_the_recorded_loss_is_that_of_the_batch_against_the_body_before(task, body):
    X, y = task
    stages = {**STAGES, "finetune_epochs": 2, "batch_size": 48}
    clf = FineTuneClassifier(body, unfreezing=held(3.0), **stages)
    seen = []
    losses = BaseFineTuning._part_losses

    def watched(self, part, rows, learning, before, batch):
        found = losses(self, part, rows, learning, before, batch)
        if "relational_loss" in found:
            features = batch.source.features
            expected = body(torch.from_numpy(X)[batch.source.rows])
            seen.append((found["relational_loss"], 3 * relational_loss(features, expected)))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseFineTuning, "_part_losses", watched)
        clf.fit(X, y)
    assert len(seen) == 2
    assert seen[0][0].item() == pytest.approx(0, abs=1e-12)  # the body is as it was
    for found, expected in seen:
        torch.testing.assert_close(found, expected)


def test_a_weight_of_zero_asks_the_body_nothing_and_changes_no_bit(task, body, monkeypatch):
    monkeypatch.setattr("sktransfer.finetuning._base.features_before", None)
    plain = FineTuneClassifier(body, **STAGES).fit(*task)
    zero = FineTuneClassifier(body, unfreezing=held(0.0), **STAGES).fit(*task)
    np.testing.assert_array_equal(plain.predict_proba(task[0]), zero.predict_proba(task[0]))


@pytest.mark.parametrize("depth", [1, "all"])
@pytest.mark.parametrize("head_epochs", [0, 2])
def test_weights_are_the_same_with_and_without_the_cache(task, body, tmp_path, depth, head_epochs):
    stages = {**STAGES, "unfreeze_depth": depth, "head_epochs": head_epochs}
    fits = [
        FineTuneClassifier(body, unfreezing=held(1.0), frozen_cache=cache, **stages).fit(*task)
        for cache in (FrozenCache(enabled=False), None, FrozenCache(memory=tmp_path))
    ]
    for other in fits[1:]:
        np.testing.assert_allclose(
            other.predict_proba(task[0]), fits[0].predict_proba(task[0]), rtol=1e-9
        )


def test_layers_that_are_unfrozen_one_by_one_are_held_to_the_first_body(task, body):
    unfreezing = held(100.0, gradual=True)
    clf = FineTuneClassifier(body, unfreezing=unfreezing, **STAGES).fit(*task)
    plain = FineTuneClassifier(body, unfreezing=Unfreezing(gradual=True), **STAGES).fit(*task)
    assert gap(body, clf.backbone_, task[0]) < 0.2 * gap(body, plain.backbone_, task[0])


def test_low_rank_additions_are_held_too(task, body):
    pytest.importorskip("peft")
    fits = [
        FineTuneClassifier(body, unfreezing=held(w), adapter=LoRA(rank=2), **STAGES).fit(*task)
        for w in (0.0, 100.0)
    ]
    assert gap(body, fits[1].backbone_, task[0]) < 0.2 * gap(body, fits[0].backbone_, task[0])


def test_a_source_trained_body_is_held_to_what_it_was_before_the_target(task):
    X, y = task
    clf = FineTuneClassifier(unfreezing=held(1.0), **STAGES)
    clf.fit(X, y, X_target=X[:20] + 1, y_target=y[:20])
    first = next(e for e in clf.history_ if e["stage"] == "finetune")
    assert 0 <= first["relational_loss"] < 0.1  # the body has just begun to leave


def test_rows_without_labels_are_held_once_they_have_pseudo_labels(task):
    X, y = task
    clf = FineTuneClassifier(unfreezing=held(1.0), **STAGES).fit(X, y, X_target=3 * X)
    assert clf.n_pseudo_labels_ > 0
    assert clf.history_[-1]["relational_loss"] >= 0
    some = np.where(np.arange(48) < 20, y, np.nan)
    clf.fit(X, y, X_target=X, y_target=some)
    assert clf.history_[-1]["relational_loss"] >= 0


def test_augmented_rows_are_held_to_the_relations_that_they_had(task, body):
    def noisy(X):
        return X + 0.1 * torch.randn_like(X)

    clf = FineTuneClassifier(body, unfreezing=held(1.0), augment=noisy, **STAGES).fit(*task)
    first = next(e for e in clf.history_ if e["stage"] == "finetune")
    assert first["relational_loss"] > 1e-5  # the noise alone changes relations


def test_a_fit_that_was_ended_in_the_middle_goes_on_to_the_same_bits(
    task, body, tmp_path, monkeypatch
):
    estimator = FineTuneClassifier(body, unfreezing=held(1.0), **STAGES)
    expected = copy.deepcopy(estimator).fit(*task).predict_proba(task[0])
    train, seen = Run._train_epoch, []

    def train_epoch(self, done, share):
        seen.append(None)
        if len(seen) == 5:
            raise KeyboardInterrupt
        train(self, done, share)

    monkeypatch.setattr(Run, "_train_epoch", train_epoch)
    checkpoint = FitCheckpoint(tmp_path / "fit", every_epochs=1, every_seconds=None)
    estimator.set_params(checkpoint=checkpoint)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(*task)
    np.testing.assert_array_equal(estimator.fit(*task).predict_proba(task[0]), expected)
    assert len(seen) == 5 + 2  # two epochs of six were left


def test_a_negative_weight_is_refused_by_name(task, body):
    with pytest.raises(ValueError, match="relational_weight"):
        FineTuneClassifier(body, unfreezing=held(-1.0)).fit(*task)
