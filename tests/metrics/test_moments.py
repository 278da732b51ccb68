"""Means and covariances block by block are those of the whole."""

import numpy as np
import pytest
import sklearn
from scipy.sparse import csr_array

from sktransfer.metrics._moments import covariance, mean_row, total_variance
from sktransfer.metrics._rows import row_blocks

ROWS = np.random.default_rng(0).integers(-3, 4, size=(50, 4)).astype(float)


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
@pytest.mark.parametrize("memory", [1024, 1e-3])
def test_moments_of_blocks_are_those_of_all_rows(kind, memory):
    X = kind(ROWS)
    with sklearn.config_context(working_memory=memory):
        assert (len(row_blocks(X)) > 1) == (memory < 1)
        np.testing.assert_allclose(mean_row(X), ROWS.mean(axis=0), atol=1e-14)
        np.testing.assert_allclose(covariance(X), np.cov(ROWS.T), atol=1e-12)
        assert total_variance(X) == pytest.approx(np.trace(np.cov(ROWS.T)))
    np.testing.assert_array_equal(X.toarray() if kind is csr_array else X, ROWS)  # unchanged
