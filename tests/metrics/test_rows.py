"""What all metrics take and refuse."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn import config_context

from sktransfer import TargetDomain
from sktransfer.metrics import (
    coral_distance,
    h_score,
    leep,
    logme,
    mmd,
    proxy_a_distance,
    sliced_wasserstein_distance,
)
from sktransfer.metrics._rows import row_blocks

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(size=(30, 3)), 2 * RNG.normal(size=(20, 3)) + 1
LABELS = np.array(["cat", "dog", "owl"])[np.arange(30) % 3]
PROBABILITIES = np.abs(SOURCE) / np.abs(SOURCE).sum(axis=1, keepdims=True)


def sliced(X_source, X_target):
    return sliced_wasserstein_distance(X_source, X_target, n_projections=7, random_state=0)


def proxy(X_source, X_target):
    return proxy_a_distance(X_source, X_target, random_state=0)


def laplacian_mmd(X_source, X_target):
    return mmd(X_source, X_target, kernel="laplacian")


def linear_mmd(X_source, X_target):
    return mmd(X_source, X_target, kernel="linear")


each_distance = pytest.mark.parametrize(
    "distance", [proxy, mmd, laplacian_mmd, linear_mmd, coral_distance, sliced]
)
each_score = pytest.mark.parametrize(
    ("score", "rows"), [(leep, PROBABILITIES), (logme, SOURCE), (h_score, SOURCE)]
)


@each_distance
@pytest.mark.parametrize(
    "kind", [pd.DataFrame, torch.from_numpy, np.asfortranarray, TargetDomain, np.ndarray.tolist]
)
def test_distance_takes_any_array_like(distance, kind):
    value = distance(kind(SOURCE), kind(TARGET))
    assert type(value) is float
    # The order of elements in memory decides that of the sums.
    assert value == pytest.approx(distance(SOURCE, TARGET), rel=1e-12)


@each_distance
def test_distance_of_sparse_rows_is_that_of_dense_rows(distance):
    sparse = scipy.sparse.csr_matrix(SOURCE * (SOURCE > 0)), scipy.sparse.csr_array(TARGET)
    dense = [Z.toarray() for Z in sparse]
    # Sparse features are scaled without centring, which an intercept makes up for.
    assert distance(*sparse) == pytest.approx(distance(*dense), rel=1e-9)
    assert distance(sparse[0], dense[1]) == pytest.approx(distance(*dense), rel=1e-9)


@each_distance
def test_distance_of_single_precision_is_summed_in_double(distance):
    single = [Z.astype(np.float32) for Z in (SOURCE, TARGET)]
    double = [Z.astype(np.float64) for Z in single]
    assert distance(*single) == pytest.approx(distance(*double), rel=1e-12)


@each_distance
def test_distance_is_the_same_in_small_blocks(distance):
    whole = distance(SOURCE, TARGET)
    with config_context(working_memory=1e-3):
        assert len(row_blocks(SOURCE)) > 3
        assert distance(SOURCE, TARGET) == pytest.approx(whole, rel=1e-12)
    with config_context(working_memory=0):
        assert len(row_blocks(SOURCE)) == 30


@each_distance
def test_distance_changes_neither_its_input_nor_the_global_generator(distance):
    copies, state = (SOURCE.copy(), TARGET.copy()), np.random.get_state()
    distance(*copies)
    np.testing.assert_array_equal(copies[0], SOURCE)
    np.testing.assert_array_equal(copies[1], TARGET)
    np.testing.assert_equal(np.random.get_state(), state)


@each_distance
@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (SOURCE, TARGET[:, :2], "X_source has 3 features, but X_target has 2"),
        (SOURCE[0], TARGET, r"X_source has shape \(3,\).*X_source.reshape\(-1, 1\)"),
        (SOURCE.reshape(6, 5, 3), TARGET, r"X_source has shape .*X_source.reshape\(6, -1\)"),
        (SOURCE, TARGET * [1, np.nan, 1], "X_target contains NaN"),
        (np.where(SOURCE > 2, np.inf, SOURCE), TARGET, "X_source contains infinity"),
        (SOURCE, TARGET[:0], r"0 sample\(s\)"),
    ],
)
def test_distance_refuses_rows_that_cannot_be_compared(distance, source, target, message):
    with pytest.raises(ValueError, match=message):
        distance(source, target)


@pytest.mark.parametrize("distance", [proxy, mmd, linear_mmd, coral_distance])
def test_distance_that_needs_two_rows_refuses_one(distance):
    with pytest.raises(ValueError, match=r"X_target has 1 row\(s\), but .* at least 2"):
        distance(SOURCE, TARGET[:1])


@each_score
def test_score_does_not_depend_on_what_labels_are_called(score, rows):
    value = score(rows, LABELS)
    assert type(value) is float
    for names in ([3, 1, -1], [0.0, 2.0, 5.0], ["b", "c", "a"]):
        renamed = np.array(names)[np.arange(30) % 3]
        assert score(rows, renamed) == pytest.approx(value, rel=1e-12)
        assert score(pd.DataFrame(rows), list(renamed)) == pytest.approx(value, rel=1e-12)


@each_score
def test_score_does_not_depend_on_the_order_of_rows(score, rows):
    order = RNG.permutation(30)
    assert score(rows[order], LABELS[order]) == pytest.approx(score(rows, LABELS), rel=1e-9)


@each_score
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (LABELS[:-1], "y has 29 labels for the 30 rows of"),
        (np.full(30, "cat"), "y holds the one class"),
        (np.where(LABELS == "cat", None, LABELS), "10 of the 30 labels in y are missing"),
        (np.where(LABELS == "cat", np.nan, 1.0), "10 of the 30 labels in y are missing"),
        (SOURCE[:, 0], "continuous"),
    ],
)
def test_score_refuses_labels_that_rank_nothing(score, rows, y, message):
    with pytest.raises(ValueError, match=message):
        score(rows, y)


@each_score
def test_score_refuses_rows_it_cannot_read(score, rows):
    name = "source_probabilities" if score is leep else "features"
    with pytest.raises(ValueError, match=f"{name} contains NaN"):
        score(np.where(rows == rows[0, 0], np.nan, rows), LABELS)
    with pytest.raises(ValueError, match=rf"{name} has shape \(30, 3, 1\)"):
        score(rows[:, :, None], LABELS)
    with pytest.raises(TypeError, match="dense data is required"):
        score(scipy.sparse.csr_matrix(rows), LABELS)
