"""Transfer component analysis."""

import numpy as np
import pytest
import scipy.linalg
from sklearn.decomposition import KernelPCA

from sktransfer.alignment import TCA
from tests.alignment.problems import shifted


def loops(X, X_target, kernel, mu, n_components):
    """Return the components of the paper's formula, its matrices written out."""
    rows, n_s, n_t = np.r_[X, X_target], len(X), len(X_target)
    n = n_s + n_t
    K, L, H = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            K[i, j] = kernel(rows[i], rows[j])
            sides = (1 / n_s if i < n_s else -1 / n_t), (1 / n_s if j < n_s else -1 / n_t)
            L[i, j] = sides[0] * sides[1]
            H[i, j] = (i == j) - 1 / n
    values, W = scipy.linalg.eig(K @ H @ K, K @ L @ K + mu * np.eye(n))
    order = np.argsort(-values.real)[:n_components]
    return K @ (W[:, order].real / np.linalg.norm(W[:, order].real, axis=0))


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("mu", [0.01, 1.0])
def test_components_are_the_papers_but_for_one_scale(kernel, mu):
    X, _, X_target = shifted(25, 20)
    functions = {
        "rbf": lambda a, b: np.exp(-0.2 * ((a - b) ** 2).sum()),
        "linear": lambda a, b: a @ b,
    }
    expected = loops(X, X_target, functions[kernel], mu, 3)
    tca = TCA(3, kernel=kernel, gamma=0.2, regularization=mu)
    found = np.r_[tca.fit_transform(X, X_target=X_target), tca.transform(X_target)]
    np.testing.assert_allclose(found.var(axis=0).mean(), 1.0)
    scale = np.linalg.norm(found) / np.linalg.norm(expected)
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs * scale, rtol=1e-5, atol=1e-6)


def test_without_a_target_it_is_kernel_pca():
    X, _, _ = shifted()
    with pytest.warns(UserWarning, match="fitted without X_target"):
        found = TCA(2, kernel="linear").fit_transform(X - X.mean(axis=0))
    expected = KernelPCA(2, kernel="linear").fit_transform(X)
    for a, b in zip(found.T, expected.T, strict=True):
        assert abs(np.corrcoef(a, b)[0, 1]) == pytest.approx(1.0)


def test_landmarks_come_near_the_exact_components():
    X, _, X_target = shifted(150, 150)
    exact = TCA(2, n_landmarks=None).fit_transform(X, X_target=X_target)
    near = TCA(2, n_landmarks=60, random_state=0).fit_transform(X, X_target=X_target)
    for a, b in zip(exact.T, near.T, strict=True):
        assert abs(np.corrcoef(a, b)[0, 1]) > 0.99


def test_the_seed_decides_the_landmarks():
    X, _, X_target = shifted()
    fits = [TCA(2, n_landmarks=9, random_state=seed) for seed in (0, 0, 1)]
    first, again, other = (f.fit_transform(X, X_target=X_target) for f in fits)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_fewer_components_where_the_rows_vary_along_fewer():
    X, _, X_target = shifted()
    aligned = TCA(20, kernel=None).fit_transform(X, X_target=X_target)
    assert aligned.shape == (len(X), 4)
