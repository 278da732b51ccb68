"""What is learned: encoded, compared, and undone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktransfer._task import Classification, Regression

values = arrays(np.float64, (7,), elements=st.floats(-1e6, 1e6))
tables = arrays(np.float64, (7, 2), elements=st.floats(-1e6, 1e6))


@given(y=st.one_of(values, tables))
def test_a_regression_undoes_what_it_encodes(y):
    task = Regression.of_values(y, None, "squared_error")
    answers = task.answers(task.encode(y))
    assert answers.shape == y.shape
    np.testing.assert_allclose(answers, y, rtol=1e-9, atol=1e-9 * (1 + np.abs(y).max()))


@given(y=tables, weight=arrays(np.int64, (7,), elements=st.integers(0, 3)))
def test_a_row_that_weighs_twice_counts_as_two_rows(y, weight):
    weight[0] += 1
    weighted = Regression.of_values(y, weight, "huber")
    repeated = Regression.of_values(y.repeat(weight, axis=0), None, "huber")
    bound = 1e-9 * (1 + np.abs(y).max())
    np.testing.assert_allclose(weighted.mean, repeated.mean, atol=bound)
    np.testing.assert_allclose(weighted.answers(np.zeros((1, 2))), [weighted.mean])


def test_encoded_numbers_have_mean_zero_and_variance_one():
    y = np.random.default_rng(0).normal(5, [2, 30], size=(50, 2))
    encoded = Regression.of_values(y, None, "huber").encode(y)
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(encoded.var(axis=0), 1)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_numbers_that_do_not_differ_are_only_shifted(constant):
    y = np.full(30, constant)
    task = Regression.of_values(y, None, "squared_error")
    assert task.scale == 1
    np.testing.assert_allclose(task.answers(np.zeros((3, 1))), constant)


def squared(r):
    return r**2


def huber(r):
    return r**2 / 2 if abs(r) <= 1 else abs(r) - 0.5


@pytest.mark.parametrize("loss", [squared, huber])
def test_losses_are_means_over_outputs(loss):
    name = {"squared": "squared_error"}.get(loss.__name__, loss.__name__)
    task = Regression(np.zeros(3), np.ones(3), name)
    rng = np.random.default_rng(0)
    outputs, y = rng.normal(size=(2, 6, 3)) * 2
    expected = [
        sum(loss(o - t) for o, t in zip(row, truth, strict=True)) / 3
        for row, truth in zip(outputs, y, strict=True)
    ]
    losses = task.losses(torch.from_numpy(outputs), torch.from_numpy(y))
    np.testing.assert_allclose(losses, expected)
    mean = task.loss(torch.from_numpy(outputs), torch.from_numpy(y))
    assert mean.item() == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("shape", [(8,), (8, 1), (8, 3)])
def test_what_a_file_without_python_shows_are_the_answers(shape):
    y = np.random.default_rng(0).normal(3, 2, size=shape)
    task = Regression.of_values(y, None, "huber")
    outputs = np.random.default_rng(1).normal(size=(8, task.n_outputs))
    np.testing.assert_allclose(task.shown(torch.from_numpy(outputs)), task.answers(outputs))


def test_other_numbers_of_outputs_and_losses_are_other_tasks():
    one, row = np.zeros(()), np.zeros(1)
    task = Regression(one, one + 1, "huber")
    assert task.equals(Regression(one + 5, one + 2, "huber"))
    assert not task.equals(Regression(row, row + 1, "huber"))
    assert not task.equals(Regression(one, one + 1, "squared_error"))
    assert not task.equals(Classification(np.array([0, 1])))
    assert not Classification(np.array([0, 1])).equals(task)


def test_labels_of_another_width_are_refused():
    task = Regression(np.zeros(2), np.ones(2), "huber")
    with pytest.raises(ValueError, match=r"shape \(5,\) do not fit a regression of 2 outputs"):
        task.encode(np.zeros(5))


@pytest.mark.parametrize(
    ("mean", "scale"),
    [
        (0.0, 1.0),
        (np.zeros(2), np.ones(3)),
        (np.zeros(()), np.zeros(())),
        (np.full(2, np.nan), np.ones(2)),
        (np.zeros((1, 1)), np.ones((1, 1))),
        (np.zeros(0), np.ones(0)),
        (np.array("a"), np.array("b")),
    ],
)
def test_what_no_fit_can_have_learned_is_refused(mean, scale):
    with pytest.raises(ValueError, match="y_"):
        Regression(mean, scale, "huber").check()


def test_what_fit_has_learned_is_not_refused():
    for y in (np.arange(3.0), np.eye(3)):
        Regression.of_values(y, None, "huber").check()
    Classification.of_labels(np.array(["a", "b"]), "y").check()
