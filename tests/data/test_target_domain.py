"""Target data passes whole through searches, as the array it is."""

import copy
import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_array
from torch.utils.data import Dataset

from sktransfer import TargetDomain


@pytest.mark.parametrize("rows", [0, slice(1, 2), [0, 1], np.array([True, False, True])])
def test_selection_of_rows_gives_the_whole(rows):
    target = TargetDomain(np.arange(6).reshape(3, 2))
    assert target[rows] is target


def test_scikit_learns_own_indexing_gives_the_whole():
    target = TargetDomain(np.arange(6).reshape(3, 2))
    assert _safe_indexing(target, np.array([0, 2])) is target


def test_it_is_an_array_to_whoever_asks():
    data = np.arange(6.0).reshape(3, 2)
    target = TargetDomain(data)
    assert (target.shape, target.ndim, target.dtype, len(target)) == ((3, 2), 2, data.dtype, 3)
    assert np.asarray(target) is data
    assert np.array(target) is not data
    assert np.asarray(target, dtype="f").dtype == np.float32
    np.testing.assert_array_equal(check_array(target), data)
    assert repr(target) == "TargetDomain(ndarray of shape (3, 2))"


def test_frames_lists_and_sparse_matrices_are_kept():
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    assert TargetDomain(frame).data is frame
    assert TargetDomain(frame).dtype == np.float64
    assert TargetDomain([[1, 2]]).shape == (1, 2)
    matrix = scipy.sparse.eye(3, format="csr")
    assert TargetDomain(matrix).shape == (3, 3)
    with pytest.raises(TypeError, match="make_transfer_pipeline"):
        np.asarray(TargetDomain(matrix))


def test_wrapping_twice_is_wrapping_once():
    data = np.eye(2)
    assert TargetDomain(TargetDomain(data)).data is data


def test_a_scalar_is_no_target():
    with pytest.raises(ValueError, match="wraps an array of rows; got 3"):
        TargetDomain(3)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_hold_the_same_rows(duplicate):
    target = TargetDomain(np.eye(2))
    np.testing.assert_array_equal(duplicate(target).data, target.data)


class EndlessDataset(Dataset):
    """Has four rows and does not object to being asked for more."""

    def __len__(self):
        return 4

    def __getitem__(self, row):
        return np.full(2, row)


@pytest.mark.parametrize(
    "data",
    [
        np.arange(8.0).reshape(4, 2),
        np.arange(8.0).reshape(4, 2).tolist(),
        pd.DataFrame(np.arange(8).reshape(4, 2), columns=["a", "b"]),
        scipy.sparse.eye(4, format="csr"),
        torch.ones(4, 2),
        EndlessDataset(),
    ],
    ids=lambda data: type(data).__name__,
)
def test_iteration_gives_each_row_and_ends(data):
    rows = list(itertools.islice(iter(TargetDomain(data)), 10))
    assert len(rows) == len(TargetDomain(data)) == 4
    assert all(np.shape(row)[-1] == (4 if scipy.sparse.issparse(data) else 2) for row in rows)
