"""The strength of a penalty that is chosen on held-out rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sktransfer.multitask import TaskRelationshipClassifier, TaskRelationshipRegressor
from sktransfer.multitask._strengths import (
    STRENGTHS,
    best_strength,
    folds_of_tasks,
    mean_variance,
)
from sktransfer.multitask._task_relationship import N_FOLDS

seeds = st.integers(0, 10_000)


def make_tasks(seed=0, sizes=(20, 13, 1), n_features=2):
    rng = np.random.default_rng(seed)
    task = np.repeat(np.arange(len(sizes)), sizes)
    X, W = rng.normal(size=(len(task), n_features)), rng.normal(size=(len(sizes), n_features))
    return X, (X * W[task]).sum(axis=1) + 0.5 * rng.normal(size=len(task)), task


@given(seeds, st.sampled_from([0.0, 1e6]))
@settings(max_examples=20)
def test_the_mean_variance_is_that_of_loops(seed, offset):
    rng = np.random.default_rng(seed)
    X, weights = rng.normal(size=(7, 3)) + offset, rng.random(7)
    expected = 0.0
    for column in X.T:
        mean = sum(w * x for w, x in zip(weights, column, strict=True)) / sum(weights)
        expected += sum(w * (x - mean) ** 2 for w, x in zip(weights, column, strict=True))
    expected /= 3 * sum(weights)
    assert mean_variance(X, weights) == pytest.approx(expected, rel=1e-6)
    if not offset:
        assert mean_variance(sparse.csr_matrix(X), weights) == pytest.approx(expected)


def test_what_does_not_vary_is_measured_by_one():
    assert mean_variance(np.full((4, 2), 3.0), np.ones(4)) == 1


@given(seeds)
@settings(max_examples=30)
def test_folds_are_of_one_size_and_do_not_depend_on_the_order_of_rows(seed):
    X, _, task = make_tasks(seed)
    folds = folds_of_tasks(X, task, np.ones(len(X)), 3)
    for code, size in enumerate((20, 13, 1)):
        counts = np.bincount(folds[task == code], minlength=3)
        assert counts.sum() == size
        assert np.ptp(counts) <= 1
    assert np.ptp(np.bincount(folds)) <= 1
    order = np.random.default_rng(seed).permutation(len(X))
    shuffled = folds_of_tasks(X[order], task[order], np.ones(len(X)), 3)
    np.testing.assert_array_equal(shuffled, folds[order])
    of_sparse = folds_of_tasks(sparse.csr_matrix(X), task, np.ones(len(X)), 3)
    np.testing.assert_array_equal(of_sparse, folds)


@given(seeds)
@settings(max_examples=30)
def test_a_row_given_twice_changes_no_fold_and_nor_does_one_without_weight(seed):
    X, _, task = make_tasks(seed)
    folds = folds_of_tasks(X, task, np.ones(len(X)), 3)
    times = np.random.default_rng(seed).integers(1, 4, len(X))
    repeated = folds_of_tasks(X.repeat(times, axis=0), task.repeat(times), np.ones(times.sum()), 3)
    np.testing.assert_array_equal(repeated, folds.repeat(times))
    more = np.concatenate([X, X + 1]), np.concatenate([task, task])
    weights = np.repeat([1.0, 0.0], len(X))
    weightless = folds_of_tasks(*more, weights, 3)
    np.testing.assert_array_equal(weightless, [*folds, *[-1] * len(X)])


def test_the_search_takes_the_least_loss_and_ends_after_two_that_are_worse():
    losses, asked = {9: 5.0, 8: 3.0, 7: 4.0, 6: 2.0, 5: 2.5, 4: 2.5, 3: 0.0}, []

    def loss_of(strength):
        asked.append(strength)
        return losses[strength]

    assert best_strength(losses, loss_of) == 6
    assert asked == [9, 8, 7, 6, 5, 4]


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("model", [TaskRelationshipRegressor, TaskRelationshipClassifier])
def test_the_strength_is_that_of_the_least_loss_on_rows_held_out(model, by_column):
    X, y, task = make_tasks(sizes=(24, 18, 15))
    of_classes = model is TaskRelationshipClassifier
    y = np.where(y > 0, "up", "down") if of_classes else y
    weights = np.random.default_rng(0).integers(0, 4, len(X)) * 1.0
    strengths = STRENGTHS * mean_variance(X, weights)
    folds = folds_of_tasks(X, task, weights, N_FOLDS)
    losses = []
    for strength in strengths:
        loss = 0.0
        for fold in range(N_FOLDS):
            rest, out = (folds != fold) & (weights > 0), folds == fold
            fitted = model(strength).fit(X[rest], y[rest], task[rest], weights[rest])
            for row, label, code, weight in zip(
                X[out], y[out], task[out], weights[out], strict=True
            ):
                if of_classes:
                    answer = fitted.predict_proba(row[np.newaxis], task=[code])[0]
                    loss -= weight * np.log(answer[int(label == "up")])
                else:
                    loss += weight * (fitted.predict(row[np.newaxis], task=[code])[0] - label) ** 2
        losses.append(loss)
    if by_column:
        wide = np.full((len(X), 3), None, dtype=object)
        wide[np.arange(len(X)), task] = y
        found = model("auto").fit(X, wide, sample_weight=weights)
    else:
        found = model("auto").fit(X, y, task, weights)
    best = int(np.argmin(losses))
    assert 0 < best < len(strengths) - 1
    assert found.strength_ == pytest.approx(strengths[best])
    assert model(3.0).fit(X, y, task).strength_ == 3.0


def test_a_single_row_leaves_nothing_to_choose_by():
    reg = TaskRelationshipRegressor("auto").fit(np.ones((3, 2)), [1.0, 1.0, 1.0], task=[0, 0, 0])
    assert np.isinf(reg.strength_)
    np.testing.assert_allclose(reg.predict([[5.0, 5.0]], task=[0]), 1)
