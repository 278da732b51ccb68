"""Estimators on a weighed source."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from sktransfer import TargetDomain, make_transfer_pipeline
from sktransfer.instance import (
    ULSIF,
    ImportanceWeightingClassifier,
    ImportanceWeightingRegressor,
)
from sktransfer.instance._importance_weighting import scale_weights


def bent_line(seed=0):
    """Return a curve that a line must fit somewhere: in the source, or where the target is."""
    rng = np.random.default_rng(seed)
    X, X_target = rng.normal(0.5, 0.5, (300, 1)), rng.normal(0, 0.3, (300, 1))
    curve = lambda rows: rows[:, 0] ** 3 - rows[:, 0]  # noqa: E731
    return X, curve(X) + rng.normal(0, 0.3, 300), X_target, curve(X_target)


@pytest.mark.parametrize("weighting", ["ulsif", "kliep", "kmm", "logistic"])
def test_line_fits_where_the_target_is(weighting):
    gains = []
    for seed in range(3):
        X, y, X_target, y_target = bent_line(seed)
        plain = LinearRegression().fit(X, y)
        weighted = ImportanceWeightingRegressor(LinearRegression(), weighting, random_state=0).fit(
            X, y, X_target=X_target
        )
        errors = [np.mean((m.predict(X_target) - y_target) ** 2) for m in (plain, weighted)]
        gains.append(errors[1] / errors[0])
    assert np.mean(gains) < 0.6


def test_weights_are_the_scaled_product():
    ratio, given = np.array([0.0, 1.0, 3.0]), np.array([1.0, 2.0, 0.5])
    weights = scale_weights(ratio, given)
    expected = [1e-8 * 1.0, 1.0 * 2.0, 3.0 * 0.5]
    np.testing.assert_allclose(weights, np.array(expected) * 3.5 / sum(expected))
    assert scale_weights(ratio, None).sum() == pytest.approx(3)


def test_estimator_is_that_of_the_weights():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(60, 2)), rng.normal(0.5, 1, size=(50, 2))
    y, given = X[:, 0] > 0, rng.random(60)
    clf = ImportanceWeightingClassifier(random_state=0)
    clf.fit(X, y, X_target=X_target, sample_weight=given)
    ratio = ULSIF(random_state=0).fit(X, X_target=X_target, sample_weight=given).weights_
    np.testing.assert_allclose(clf.weights_, scale_weights(ratio, given))
    plain = LogisticRegression(max_iter=1000).fit(X, y, sample_weight=clf.weights_)
    np.testing.assert_allclose(clf.predict_proba(X_target), plain.predict_proba(X_target))
    np.testing.assert_allclose(clf.decision_function(X), plain.decision_function(X))


def test_labelled_rows_of_the_target_join_with_weight_one():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(60, 2)), rng.normal(0.5, 1, size=(50, 2))
    y = X[:, 0]
    y_target = np.full(50, np.nan)
    y_target[:5] = 3.0
    reg = ImportanceWeightingRegressor(random_state=0).fit(X, y, X_target, y_target)
    weights = np.concatenate([reg.weights_, np.ones(5)])
    rows, values = np.concatenate([X, X_target[:5]]), np.concatenate([y, y_target[:5]])
    plain = Ridge().fit(rows, values, sample_weight=weights)
    np.testing.assert_allclose(reg.predict(X), plain.predict(X))


def test_warns_where_few_rows_decide():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(400, 1)), rng.normal(3.2, 0.1, size=(400, 1))
    clf = ImportanceWeightingClassifier(weighting="kmm", random_state=0)
    with pytest.warns(UserWarning, match="are worth .* few rows decide"):
        clf.fit(X, X[:, 0] > 0, X_target=X_target)
    assert clf.effective_size_ < 20


@pytest.mark.parametrize("weighting", ["ulsif", "logistic"])
def test_warns_where_the_domains_lie_apart(weighting, recwarn):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 2)), rng.integers(0, 2, 100)
    clf = ImportanceWeightingClassifier(weighting=weighting, random_state=0)
    clf.fit(X, y, X_target=rng.normal([0.5, 0], 1, size=(50, 2)))
    assert not len(recwarn)
    with pytest.warns(UserWarning, match=r"have mean 0\.0\d*, where a ratio of densities has 1"):
        clf.fit(X, y, X_target=rng.normal([50, 0], 1, size=(50, 2)))


def test_pipelines_hand_weights_to_their_last_step():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(60, 2)), rng.normal(0.5, 1, size=(50, 2))
    y = X[:, 0] + X[:, 1] ** 2 > 0.5
    inner = make_pipeline(StandardScaler(), make_pipeline(SVC(gamma=1.0)))
    clf = ImportanceWeightingClassifier(inner, random_state=0).fit(X, y, X_target=X_target)
    scaled = StandardScaler().fit_transform(X)
    plain = SVC(gamma=1.0).fit(scaled, y, sample_weight=clf.weights_)
    np.testing.assert_allclose(clf.decision_function(X), plain.decision_function(scaled))


def test_estimators_without_weights_are_refused():
    X = np.random.default_rng(0).normal(size=(30, 2))
    clf = ImportanceWeightingClassifier(KNeighborsClassifier())
    with pytest.raises(TypeError, match="KNeighborsClassifier, whose fit takes no sample_weight"):
        clf.fit(X, X[:, 0] > 0, X_target=X + 0.1)


def test_methods_are_those_of_the_estimator():
    assert not hasattr(ImportanceWeightingClassifier(LinearSVC()), "predict_proba")
    assert hasattr(ImportanceWeightingClassifier(LinearSVC()), "decision_function")
    assert hasattr(ImportanceWeightingClassifier(), "predict_proba")


def test_searches_and_pipelines_take_it():
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(60, 3)), rng.normal(0.3, 1, size=(60, 3))
    y = X[:, 0] > 0
    pipe = make_transfer_pipeline(
        StandardScaler(), ImportanceWeightingClassifier(LogisticRegression(), ULSIF(random_state=0))
    )
    name = "importanceweightingclassifier"
    grid = {f"{name}__estimator__C": [0.1, 1], f"{name}__weighting__alpha": [0, 0.5]}
    search = GridSearchCV(pipe, grid, cv=3).fit(X, y, X_target=TargetDomain(X_target))
    assert search.best_estimator_[-1].weighting_.n_target_ == 60
    assert search.best_score_ > 0.8


def test_sparse_rows_stay_sparse():
    rng = np.random.default_rng(0)
    X = sparse.random(80, 20, 0.2, format="csr", random_state=0)
    X_target = sparse.random(70, 20, 0.2, format="csr", random_state=1)
    y = rng.integers(0, 2, 80)
    y_target = np.array([0, 1, *[np.nan] * 68])
    clf = ImportanceWeightingClassifier(random_state=0).fit(X, y, X_target, y_target)
    dense = ImportanceWeightingClassifier(random_state=0).fit(
        X.toarray(), y, X_target.toarray(), y_target
    )
    np.testing.assert_allclose(clf.predict_proba(X), dense.predict_proba(X), atol=1e-4)
