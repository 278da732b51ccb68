"""What all estimators of importance weights share."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from sktransfer.instance import KLIEP, KMM, ULSIF, LogisticRatio

METHODS = [KMM, KLIEP, ULSIF, LogisticRatio]


@pytest.fixture
def gaussians():
    """Return a source N(0, 1), a target N(0.5, 0.8) and the true ratio at the source."""
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(1000, 1)), rng.normal(0.5, 0.8, size=(1000, 1))
    logs = -((X[:, 0] - 0.5) ** 2) / (2 * 0.64) + X[:, 0] ** 2 / 2 - np.log(0.8)
    return X, X_target, np.exp(logs)


@pytest.mark.parametrize(
    ("method", "correlation"), [(KMM, 0.8), (KLIEP, 0.97), (ULSIF, 0.97), (LogisticRatio, 0.6)]
)
def test_finds_the_ratio_of_two_gaussians(gaussians, method, correlation):
    X, X_target, ratio = gaussians
    weights = method(random_state=0).fit(X, X_target=X_target).weights_
    assert np.corrcoef(weights, ratio)[0, 1] > correlation
    assert np.mean(weights) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_weighted_mean_of_the_source_is_nearer_to_the_target(gaussians, method):
    X, X_target, _ = gaussians
    weights = method(random_state=0).fit(X, X_target=X_target).weights_
    moved = np.average(X[:, 0], weights=weights)
    assert abs(moved - X_target.mean()) < 0.2 * abs(X.mean() - X_target.mean())


@pytest.mark.parametrize("method", METHODS)
def test_order_of_rows_does_not_matter(method):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(150, 3)), rng.normal(0.5, 1, size=(130, 3))
    first, second = rng.permutation(150), rng.permutation(130)
    ratio = method(random_state=0).fit(X, X_target=X_target)
    shuffled = method(random_state=0).fit(X[first], X_target=X_target[second])
    np.testing.assert_allclose(shuffled.weights_, ratio.weights_[first], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(shuffled.predict(X), ratio.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_takes_sparse_rows_as_dense_ones(method):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(60, 4)), rng.normal(size=(50, 4))
    X[rng.random(X.shape) < 0.6] = 0
    X_target[rng.random(X_target.shape) < 0.4] = 0
    dense = method(random_state=0)
    if method is LogisticRatio:  # dense rows are centred, which no sparse matrix survives
        dense = method(LogisticRegression(), random_state=0)
    dense.fit(X, X_target=X_target)
    as_sparse = clone(dense).fit(sparse.csr_matrix(X), X_target=sparse.csr_matrix(X_target))
    np.testing.assert_allclose(as_sparse.weights_, dense.weights_, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n_source", "n_target"), [(2, 2), (5, 1), (2, 30), (30, 2)])
def test_serves_tiny_domains(method, n_source, n_target):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(n_source, 2)), rng.normal(size=(n_target, 2))
    ratio = method(random_state=0).fit(X, X_target=X_target)
    assert ratio.weights_.shape == (n_source,)
    assert np.isfinite(ratio.weights_).all()
    assert (ratio.weights_ >= 0).all()
    assert 1 - 1e-9 <= ratio.effective_size_ <= n_source + 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_constant_columns_change_nothing(method):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    ratio = method(random_state=0).fit(np.ones((40, 2)), X_target=np.ones((30, 2)))
    np.testing.assert_allclose(ratio.weights_, ratio.weights_[0])
    widened = [np.column_stack([rows, np.full(len(rows), 7.0)]) for rows in (X, X_target)]
    assert np.isfinite(method(random_state=0).fit(widened[0], X_target=widened[1]).weights_).all()


@pytest.mark.parametrize("method", [KMM, KLIEP, ULSIF])
def test_row_of_weight_two_is_two_rows(method):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(30, 1)), rng.normal(0.5, 1, size=(20, 1))
    times = rng.integers(1, 4, 30)
    fixed = {"gamma": 0.5} if method is KMM else {"bandwidth": 1.0}
    if method is ULSIF:
        fixed["penalty"] = 0.1
    weighted = method(**fixed, random_state=0).fit(X, X_target=X_target, sample_weight=times)
    repeated = method(**fixed, random_state=0).fit(X.repeat(times, axis=0), X_target=X_target)
    # Weights of KMM that do not tell on the mean are not determined; their smooth is.
    tolerance = 0.05 if method is KMM else 1e-4
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=tolerance)
    assert weighted.effective_size_ == pytest.approx(
        (times @ weighted.weights_) ** 2 / ((times * weighted.weights_) ** 2).sum()
    )


@pytest.mark.parametrize("method", METHODS)
def test_row_of_weight_zero_is_no_row(method):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(40, 2)), rng.normal(0.5, 1, size=(30, 2))
    times = rng.integers(0, 2, 40).astype(float)
    X[times == 0] += 100  # such rows would move the median, the scale and the folds
    weighted = method(random_state=0).fit(X, X_target=X_target, sample_weight=times)
    alone = method(random_state=0).fit(X[times > 0], X_target=X_target)
    np.testing.assert_array_equal(weighted.weights_[times > 0], alone.weights_)
    np.testing.assert_array_equal(weighted.weights_[times == 0], alone.predict(X[times == 0]))
    np.testing.assert_array_equal(weighted.predict(X), alone.predict(X))
    assert weighted.effective_size_ == pytest.approx(alone.effective_size_)


def test_says_so_where_what_is_like_the_target_weighs_nothing():
    X, X_target = np.repeat([[0.0], [1e6]], 10, axis=0), np.full((20, 1), 1e6)
    with pytest.warns(UserWarning, match="no row of the source that is like"):
        ratio = ULSIF(bandwidth=1.0, random_state=0).fit(
            X, X_target=X_target, sample_weight=X[:, 0] == 0
        )
    np.testing.assert_array_equal(ratio.weights_, 1)
    assert ratio.effective_size_ == pytest.approx(10)


@pytest.mark.parametrize("method", METHODS)
def test_without_a_target_all_weights_are_one(method):
    X = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.warns(UserWarning, match="fitted without X_target"):
        ratio = method().fit(X)
    np.testing.assert_array_equal(ratio.weights_, 1)
    np.testing.assert_array_equal(ratio.predict(X[:3]), 1)
    assert ratio.effective_size_ == 10


def test_says_so_where_domains_share_nothing():
    X, X_target = np.zeros((20, 1)) + np.arange(20)[:, None], np.full((20, 1), 1e6)
    with pytest.warns(UserWarning, match="no row of the source that is like"):
        ratio = ULSIF(bandwidth=1.0, random_state=0).fit(X, X_target=X_target)
    np.testing.assert_array_equal(ratio.weights_, 1)


@pytest.mark.parametrize("method", [KLIEP, ULSIF])
def test_domains_without_any_overlap_are_told_and_have_finite_ratios(method):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(30, 3)), rng.normal(size=(20, 3)) + 1e6
    with pytest.warns(UserWarning, match="no row of the source that is like"):
        ratio = method(bandwidth=1.0, random_state=0).fit(X, X_target=X_target)
    np.testing.assert_array_equal(ratio.weights_, 1)
    assert np.isfinite(ratio.predict(np.concatenate([X, X_target]))).all()


def test_a_refused_fit_leaves_the_old_one():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    ratio = ULSIF(random_state=0).fit(X, X_target=X_target)
    before = ratio.predict(X)
    with pytest.raises(ValueError, match="X_target has rows of shape"):
        ratio.fit(X, X_target=X_target[:, :1])
    np.testing.assert_array_equal(ratio.predict(X), before)
