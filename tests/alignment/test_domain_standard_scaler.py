"""Each domain standardised by its own statistics."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.alignment import DomainStandardScaler
from tests.alignment.problems import shifted


def test_formula_by_loops():
    X, _, X_target = shifted()
    weights = np.arange(1.0, len(X) + 1)
    scaler = DomainStandardScaler()
    aligned = scaler.fit_transform(X, X_target=X_target, sample_weight=weights)
    for j in range(X.shape[1]):
        mean = sum(w * x for w, x in zip(weights, X[:, j], strict=True)) / weights.sum()
        squares = sum(w * (x - mean) ** 2 for w, x in zip(weights, X[:, j], strict=True))
        expected = (X[:, j] - mean) / (squares / weights.sum()) ** 0.5
        np.testing.assert_allclose(aligned[:, j], expected)
    np.testing.assert_allclose(
        scaler.transform(X_target), (X_target - X_target.mean(axis=0)) / X_target.std(axis=0)
    )


@given(gain=st.floats(0.1, 10), offset=st.floats(-10, 10))
def test_an_offset_and_a_gain_are_undone(gain, offset):
    X, _, _ = shifted()
    scaler = DomainStandardScaler()
    aligned = scaler.fit_transform(X, X_target=gain * X + offset)
    np.testing.assert_allclose(scaler.transform(gain * X + offset), aligned, atol=1e-9)


def test_sparse_rows_stay_sparse_without_the_mean():
    X, _, X_target = shifted()
    csr = scipy.sparse.csr_array
    scaler = DomainStandardScaler(with_mean=False)
    dense = scaler.fit_transform(X, X_target=X_target)
    sparse = scaler.fit_transform(csr(X), X_target=csr(X_target))
    assert scipy.sparse.issparse(sparse)
    np.testing.assert_allclose(sparse.toarray(), dense)
    with pytest.raises(TypeError, match="Sparse data"):
        DomainStandardScaler().fit(csr(X), X_target=csr(X_target))


def test_the_mean_alone():
    X, _, X_target = shifted()
    aligned = DomainStandardScaler(with_std=False).fit_transform(X, X_target=X_target)
    np.testing.assert_allclose(aligned, X - X.mean(axis=0))
