"""Joint distribution adaptation."""

import numpy as np
import pytest
import scipy.linalg
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from sktransfer.alignment import JDA, TCA
from sktransfer.alignment._jda import joint_differences
from tests.alignment.problems import shifted


def loops(X, y, X_target, mu, n_components, n_rounds):
    """Return the components after rounds of the authors' code, its matrices written out."""
    rows, n_s, n = np.r_[X, X_target], len(X), len(X) + len(X_target)
    H, pseudo = np.eye(n) - 1 / n, None
    for _ in range(n_rounds):
        e = np.r_[np.full(n_s, 1 / n_s), np.full(n - n_s, -1 / (n - n_s))]
        M = np.outer(e, e) * len(np.unique(y))
        for c in np.unique(y) if pseudo is not None else []:
            e = np.zeros(n)
            for i in range(n):
                if i < n_s and y[i] == c:
                    e[i] = 1 / (y == c).sum()
                elif i >= n_s and pseudo[i - n_s] == c:
                    e[i] = -1 / (pseudo == c).sum()
            M += np.outer(e, e)
        M /= np.linalg.norm(M)
        _, A = scipy.linalg.eigh(rows.T @ H @ rows, rows.T @ M @ rows + mu * np.eye(X.shape[1]))
        A = A[:, ::-1][:, :n_components]
        components = rows @ (A / np.linalg.norm(A, axis=0))
        pseudo = KNeighborsClassifier(1).fit(components[:n_s], y).predict(components[n_s:])
    return components


@pytest.mark.parametrize("n_rounds", [1, 2, 3])
def test_components_are_those_of_the_authors_but_for_one_scale(n_rounds):
    X, y, X_target = shifted()
    expected = loops(X, y, X_target, 0.1, 2, n_rounds)
    jda = JDA(2, regularization=0.1, max_iter=n_rounds)
    found = np.r_[jda.fit_transform(X, y, X_target), jda.transform(X_target)]
    assert jda.n_iter_ == n_rounds
    scale = np.linalg.norm(found) / np.linalg.norm(expected)
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs * scale, rtol=1e-6, atol=1e-8)


def test_known_labels_stand_for_pseudo_labels():
    X, y, X_target = shifted(n_features=6)
    y_target = np.random.default_rng(1).integers(0, 3, len(X_target))
    told = JDA(2, max_iter=2, regularization=1e-8).fit(X, y, X_target, y_target)
    gaps = [
        told.transform_source(X[y == c]).mean(axis=0)
        - told.transform(X_target[y_target == c]).mean(axis=0)
        for c in range(3)
    ]
    # Six features, four differences of means: two components can lose them all.
    assert np.abs(gaps).max() < 1e-5
    partly = y_target.astype(object)
    partly[5:] = None
    some = JDA(2, max_iter=3).fit(X, y, X_target, partly).transform(X_target)
    assert not np.allclose(some, JDA(2, max_iter=3).fit(X, y, X_target).transform(X_target))


def test_a_class_that_moved_its_own_way_is_followed():
    gains = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        y, y_target = rng.integers(0, 2, (2, 200))
        X = np.column_stack([4 * y, np.zeros(200), 2 * y]) + rng.normal(size=(200, 3))
        moved = np.column_stack([4 * y_target, 6 * y_target - 3, 2 * y_target])
        X_target = moved + rng.normal(size=(200, 3))
        scores = []
        for aligner in (TCA(1, kernel=None, regularization=1e-3), JDA(1, regularization=1e-3)):
            aligned = aligner.fit_transform(X, y, X_target)
            model = LogisticRegression().fit(aligned, y)
            scores.append(model.score(aligner.transform(X_target), y_target))
        gains.append(scores[1] - scores[0])
    assert np.mean(gains) > -0.02


def test_differences_have_norm_one_and_leave_out_classes_that_one_domain_lacks():
    weights, in_source = np.ones(6), np.array([True] * 4 + [False] * 2)
    y, pseudo = np.array([0, 0, 1, 2]), np.array([0, 0])
    found = joint_differences(weights, in_source, y, pseudo)
    assert found.shape == (6, 2)
    np.testing.assert_allclose(np.linalg.norm(found @ found.T), 1.0)


def test_where_there_is_nothing_to_compare_the_difference_is_none():
    found = joint_differences(np.ones(3), np.ones(3, dtype=bool), np.array([0, 0, 1]), None)
    np.testing.assert_array_equal(found, np.zeros((3, 1)))


def test_any_classifier_gives_the_labels_and_weights_reach_it():
    X, y, X_target = shifted()
    weights = np.linspace(0.1, 3, len(X))
    names = np.array(["a", "b", "c"])[y]
    model = LogisticRegression()
    jda = JDA(2, estimator=model).fit(X, names, X_target, sample_weight=weights)
    assert not hasattr(model, "coef_")
    aligned = jda.transform_source(X)
    expected = clone(model).fit(aligned, names, sample_weight=weights)
    np.testing.assert_allclose(jda.estimator_.coef_, expected.coef_, atol=0.02)
    assert set(jda.estimator_.classes_) == {"a", "b", "c"}


def test_normalised_rows_have_length_one():
    X, y, X_target = shifted()
    jda = JDA(2, normalize=True)
    aligned = jda.fit_transform(X, y, X_target)
    np.testing.assert_allclose(np.linalg.norm(aligned, axis=1), 1.0)
    np.testing.assert_allclose(np.linalg.norm(jda.transform(X_target), axis=1), 1.0)


def test_numbers_that_are_no_classes_are_refused():
    X, _, X_target = shifted()
    with pytest.raises(ValueError, match="Unknown label type"):
        JDA().fit(X, X[:, 0], X_target)


def test_rounds_end_where_the_pseudo_labels_stay_as_they_are():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    X = rng.normal(scale=0.1, size=(40, 2)) + 5 * y[:, np.newaxis]
    jda = JDA(2).fit(X, y, X_target=X + 0.1)  # none can be taken for another, from the first round
    assert jda.n_iter_ == 2
