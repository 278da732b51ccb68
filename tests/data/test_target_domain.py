"""Target data passes whole through searches, as the array it is."""

import copy
import itertools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict, permutation_test_score
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_array
from torch.utils.data import Dataset

from sktransfer import BalancedWeightingRegressor, ImportanceWeightingClassifier, TargetDomain
from sktransfer.datasets import make_shifted_moons


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


def test_rows_and_labels_are_wrapped_one_by_one():
    wanted = r"got 2\. .*X_target=TargetDomain\(X_target\), y_target=TargetDomain\(y_target\)"
    with pytest.raises(TypeError, match=wanted):
        TargetDomain(np.eye(2), [0, 1])


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


@pytest.mark.parametrize("kind", ["calibrated", "predicted", "permuted"])
def test_a_target_that_anything_cut_by_folds_is_told_of(kind):
    X, y, X_target, _ = make_shifted_moons(40, random_state=0)
    clf = ImportanceWeightingClassifier()
    fits = {
        "calibrated": lambda rows: CalibratedClassifierCV(clf, cv=2).fit(X, y, X_target=rows),
        "predicted": lambda rows: cross_val_predict(clf, X, y, cv=2, params={"X_target": rows}),
        "permuted": lambda rows: permutation_test_score(
            clf, X, y, cv=2, n_permutations=1, params={"X_target": rows}
        ),
    }
    with pytest.warns(UserWarning, match="20 rows inside a search.*TargetDomain"):
        fits[kind](X_target)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits[kind](TargetDomain(X_target))


def test_labels_that_were_not_transformed_as_those_of_the_source_are_told_of():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(40, 2)), rng.normal(size=(20, 2))
    y, y_target = np.exp(X[:, 0]), np.exp(X_target[:, 0])
    logs = {"func": np.log, "inverse_func": np.exp}
    outside = TransformedTargetRegressor(BalancedWeightingRegressor(), **logs)
    with pytest.warns(UserWarning, match=r"y_target came as it is.*transformed y alone.*func"):
        outside.fit(X, y, X_target=X_target, y_target=y_target)
    reg = BalancedWeightingRegressor(Ridge(1e-6))
    reg.fit(X, np.log(y), X_target=X_target, y_target=np.log(y_target))
    np.testing.assert_allclose(np.exp(reg.predict(X_target)), y_target, rtol=1e-3)
