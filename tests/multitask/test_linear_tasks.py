"""Linear models of several tasks: their solutions, limits, files, searches and checks."""

import pickle

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer.multitask import (
    MeanRegularizedClassifier,
    MeanRegularizedRegressor,
    TaskRelationshipClassifier,
    TaskRelationshipRegressor,
)
from sktransfer.multitask._linear import factor
from sktransfer.multitask._task_relationship import covariance_of_tasks

VARIANTS = [
    MeanRegularizedRegressor(),
    MeanRegularizedClassifier(strength=0.1),
    TaskRelationshipRegressor(shrink_intercept=True, mean_strength=0.1),
    TaskRelationshipClassifier(strength=0.01, max_iter=5, shrink_intercept=False),
]


@pytest.mark.filterwarnings("ignore:.*was fitted without task:UserWarning")
@parametrize_with_checks(VARIANTS)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_factors_of_a_covariance_have_its_rank_in_any_unit(scale):
    for seed in range(5):
        A = np.random.default_rng(seed).normal(size=(6, 2))
        F = factor(scale * A @ A.T)
        assert F.shape == (6, 2)
        np.testing.assert_allclose(F @ F.T, scale * A @ A.T, atol=1e-12 * scale)
    assert factor(np.zeros((3, 3))).shape == (3, 0)


def make_tasks(seed=0, n_rows=40, n_tasks=3, n_features=2):
    rng = np.random.default_rng(seed)
    X, task = rng.normal(size=(n_rows, n_features)), rng.integers(0, n_tasks, n_rows)
    task[:n_tasks] = np.arange(n_tasks)
    W = rng.normal(size=(n_tasks, n_features)) + 1
    return X, (X * W[task]).sum(axis=1) + task + rng.normal(size=n_rows), task


def least(objective, size):
    return minimize(objective, np.zeros(size), method="BFGS", options={"gtol": 1e-7}).x


def test_mean_regularized_coefficients_are_those_of_least_loss():
    X, y, task = make_tasks()

    def objective(parameters):
        W, b, mean = parameters[:6].reshape(3, 2), parameters[6:9], parameters[9:]
        value = sum((y[i] - X[i] @ W[task[i]] - b[task[i]]) ** 2 for i in range(40)) / 40
        return value + 0.5 / 3 * ((W - mean) ** 2).sum() + 0.2 * (mean**2).sum()

    found = least(objective, 11)
    reg = MeanRegularizedRegressor(0.5, mean_strength=0.2).fit(X, y, task=task)
    np.testing.assert_allclose(reg.coef_, found[:6].reshape(3, 2), atol=1e-4)
    np.testing.assert_allclose(reg.intercept_, found[6:9], atol=1e-4)
    np.testing.assert_allclose(reg.mean_coef_[0], found[9:], atol=1e-4)


def test_mean_regularized_classifier_has_the_least_loss():
    X, y, task = make_tasks()
    y = np.digitize(y, [0, 2])

    def objective(parameters):
        W, mean = parameters[:27].reshape(3, 3, 3), parameters[27:].reshape(3, 3)
        value = 0.0
        for i in range(40):
            logits = W[task[i]] @ np.append(X[i], 1)
            value -= (logits[y[i]] - np.log(np.exp(logits).sum())) / 40
        return value + 0.05 / 3 * ((W - mean) ** 2).sum() + 0.02 * (mean**2).sum()

    clf = MeanRegularizedClassifier(0.05, mean_strength=0.02).fit(X, y, task=task)
    found = least(objective, 36)
    whole = np.concatenate([clf.coef_, clf.intercept_[:, :, None]], axis=2)
    np.testing.assert_allclose(whole, found[:27].reshape(3, 3, 3), atol=1e-3)
    np.testing.assert_allclose(clf.mean_coef_, found[27:].reshape(3, 3)[:, :2], atol=1e-3)


def test_limits_of_the_mean_are_one_model_and_each_alone():
    X, y, task = make_tasks()
    one = MeanRegularizedRegressor(np.inf, mean_strength=0.1).fit(X, y, task=task)
    assert np.ptp(one.coef_, axis=0).max() < 1e-9
    alone = MeanRegularizedRegressor(0.3, mean_strength=np.inf).fit(X, y, task=task)
    for code in range(3):
        here = task == code
        ridge = Ridge(alpha=0.3 / 3 * 40).fit(X[here], y[here])
        np.testing.assert_allclose(alone.coef_[code], ridge.coef_, rtol=1e-6)
        np.testing.assert_allclose(alone.intercept_[code], ridge.intercept_, rtol=1e-6)


def test_relations_and_coefficients_have_the_least_loss_of_all():
    X, y, task = make_tasks(n_rows=60)

    def objective(parameters):
        W, b = parameters[:6].reshape(2, 3), parameters[6:]
        value = sum((y[i] - X[i] @ W[:, task[i]] - b[task[i]]) ** 2 for i in range(60)) / 60
        # of the best covariance of trace 1, tr(W Omega^-1 W') is the squared trace norm
        trace_norm = np.sqrt(np.maximum(np.linalg.eigvalsh(W @ W.T), 1e-12)).sum()
        return value + 0.1 / 3 * (W**2).sum() + 0.1 / 9 * trace_norm**2

    reg = TaskRelationshipRegressor(0.1, ridge_strength=0.1, max_iter=500, tol=1e-8)
    reg.fit(X, y, task=task)
    found = least(objective, 9)
    np.testing.assert_allclose(reg.coef_.T, found[:6].reshape(2, 3), atol=0.01)
    best = objective(np.concatenate([reg.coef_.T.ravel(), reg.intercept_]))
    assert best <= objective(found) + 1e-4


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_covariance_is_the_root_of_trace_one_and_best(seed):
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(5, 3))
    covariance = covariance_of_tasks(W)
    np.testing.assert_allclose(
        covariance @ covariance * np.trace(W.T @ W) / np.trace(covariance @ covariance), W.T @ W
    )
    assert np.trace(covariance) == pytest.approx(1)
    other = rng.normal(size=(3, 4))
    other = other @ other.T / (other**2).sum()
    penalties = [np.trace(W @ np.linalg.inv(C) @ W.T) for C in (covariance, other)]
    assert penalties[0] <= penalties[1]


def test_opposed_tasks_help_each_other_and_strangers_do_not():
    rng = np.random.default_rng(0)
    errors, strangeness = [], []
    for _ in range(10):
        w, v = rng.normal(size=(2, 20))
        W = np.array([w, -w, w, -w, v])
        X, task = rng.normal(size=(75, 20)), np.repeat(np.arange(5), 15)
        y = (X * W[task]).sum(axis=1) + 0.5 * rng.normal(size=75)
        related = TaskRelationshipRegressor(1.0).fit(X, y, task=task)
        alone = MeanRegularizedRegressor(0.1, mean_strength=np.inf).fit(X, y, task=task)
        errors.append([np.mean((m.coef_[:4] - W[:4]) ** 2) for m in (related, alone)])
        scale = np.sqrt(np.diag(related.task_covariance_))
        relation = related.task_covariance_ / np.outer(scale, scale)
        assert relation[0, 1] < -0.6
        assert relation[0, 2] > 0.6
        strangeness.append(abs(relation[0, 4]))
    related, alone = np.mean(errors, axis=0)
    assert related < 0.6 * alone
    assert np.mean(strangeness) < 0.5


def test_columns_and_rows_are_two_ways_to_say_the_same():
    X, y, task = make_tasks()
    wide = np.full((40, 3), np.nan)
    wide[np.arange(40), task] = y
    for model in VARIANTS:
        labels, columns = y, wide
        if "Classifier" in type(model).__name__:
            labels = np.where(y > 1, "high", "low")
            columns = np.full((40, 3), None, dtype=object)
            columns[np.arange(40), task] = labels
        rows = clone(model).fit(X, labels, task=task)
        by_column = clone(model).fit(X, columns)
        np.testing.assert_allclose(by_column.coef_, rows.coef_, atol=1e-6)
        predicted = by_column.predict(X)[np.arange(40), task]
        same = rows.predict(X, task=task)
        if labels.dtype.kind == "U":
            assert (predicted == same).all()
        else:
            np.testing.assert_allclose(predicted, same, atol=1e-6)


def test_many_features_are_solved_without_moments_alike(monkeypatch):
    X, y, task = make_tasks(n_features=5)
    plain = [clone(m).fit(X, y, task=task).coef_ for m in (VARIANTS[0], VARIANTS[2])]
    monkeypatch.setattr("sktransfer.multitask._linear.MOST_GRAM_VALUES", 0)
    monkeypatch.setattr("sktransfer.multitask._linear.MOST_FEATURES", 0)
    again = [clone(m).fit(X, y, task=task).coef_ for m in (VARIANTS[0], VARIANTS[2])]
    np.testing.assert_allclose(again, plain, rtol=1e-5)


@pytest.mark.parametrize("shrink_intercept", [True, False])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_classifiers_of_many_features_are_solved_without_moments_alike(
    monkeypatch, shrink_intercept, form
):
    X, y, task = make_tasks(n_features=5)
    clf = MeanRegularizedClassifier(shrink_intercept=shrink_intercept)
    plain = clf.fit(form(X), y > 1, task=task).coef_
    monkeypatch.setattr("sktransfer.multitask._linear.MOST_FEATURES", 0)
    np.testing.assert_allclose(clf.fit(form(X), y > 1, task=task).coef_, plain, atol=1e-6)


CLASSIFIERS = [MeanRegularizedClassifier, TaskRelationshipClassifier]


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_features_far_from_zero_change_no_probability(classifier):
    X, y, task = make_tasks(n_features=5)
    y = np.digitize(y, [-0.5, 0.5])
    clf = classifier(0.1, shrink_intercept=False)
    expected = clf.fit(X, y, task=task).predict_proba(X, task=task)
    for offset in (5.0, 100.0):
        moved = clf.fit(X + offset, y, task=task).predict_proba(X + offset, task=task)
        np.testing.assert_allclose(moved, expected, atol=1e-6)


@pytest.mark.parametrize("shrink_intercept", [True, False])
def test_classifiers_of_unequal_scales_are_where_the_loss_is_flat(shrink_intercept):
    X, y, task = make_tasks(n_features=5)
    X, y = X * np.logspace(-1, 1, 5) + 3, np.digitize(y, [-0.5, 0.5])
    clf = MeanRegularizedClassifier(0.5, mean_strength=0.2, shrink_intercept=shrink_intercept)
    clf.fit(X, y, task=task)
    for code, name in enumerate(clf.tasks_):
        slopes, of_levels = np.zeros((3, 5)), np.zeros(3)
        for row, label, of in zip(X, y, task, strict=True):
            if of == name:
                p = clf.predict_proba(row[np.newaxis], task=[of])[0]
                error = p - (np.arange(3) == label)
                slopes += np.outer(error, row) / len(y)
                of_levels += error / len(y)
        n_tasks = len(clf.tasks_)
        slopes += 2 * 0.5 / n_tasks * (clf.coef_[code] - clf.mean_coef_)
        np.testing.assert_allclose(slopes, 0, atol=1e-7)
        if not shrink_intercept:
            np.testing.assert_allclose(of_levels, 0, atol=1e-7)


def test_a_task_whose_rows_weigh_nothing_takes_the_mean():
    X, y, task = make_tasks()
    y = y > 1
    absent = task == task[0]
    for shrink_intercept in (True, False):
        clf = MeanRegularizedClassifier(shrink_intercept=shrink_intercept)
        clf.fit(X, y, task=task, sample_weight=np.where(absent, 0.0, 1.0))
        code = clf.tasks_.tolist().index(task[0])
        np.testing.assert_allclose(clf.coef_[code], clf.mean_coef_, atol=1e-6)


@pytest.mark.parametrize("model", VARIANTS, ids=lambda m: type(m).__name__)
def test_sparse_rows_pickles_and_weights_change_nothing(model):
    X, y, task = make_tasks()
    if "Classifier" in type(model).__name__:
        y = y > 1
    times = np.random.default_rng(0).integers(1, 4, 40)
    plain = clone(model).fit(X, y, task=task, sample_weight=times)
    expected = plain.coef_
    repeated = clone(model).fit(
        *(part.repeat(times, axis=0) for part in (X, y)), task.repeat(times)
    )
    np.testing.assert_allclose(repeated.coef_, expected, atol=1e-4)
    of_sparse = clone(model).fit(sparse.csr_matrix(X), y, task=task, sample_weight=times)
    np.testing.assert_allclose(of_sparse.coef_, expected, atol=1e-6)
    again = pickle.loads(pickle.dumps(plain))
    np.testing.assert_array_equal(again.predict(X, task=task), plain.predict(X, task=task))
    order = np.random.default_rng(1).permutation(40)
    shuffled = clone(model).fit(X[order], y[order], task=task[order], sample_weight=times[order])
    np.testing.assert_allclose(shuffled.coef_, expected, atol=1e-5)


@pytest.mark.parametrize("model", VARIANTS, ids=lambda m: type(m).__name__)
def test_skops_files_predict_alike(model, tmp_path):
    skops = pytest.importorskip("skops.io")
    X, y, task = make_tasks()
    y = y > 1 if "Classifier" in type(model).__name__ else y
    fitted = clone(model).fit(X, y, task=task)
    skops.dump(fitted, tmp_path / "model.skops")
    unknown = skops.get_untrusted_types(file=tmp_path / "model.skops")
    assert all(name.startswith("sktransfer.multitask.") for name in unknown)
    again = skops.load(tmp_path / "model.skops", trusted=unknown)
    np.testing.assert_array_equal(again.predict(X, task=task), fitted.predict(X, task=task))


def test_a_search_finds_the_strength_through_a_pipeline():
    X, y, task = make_tasks(n_rows=90)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), MeanRegularizedRegressor())
        grid = {"meanregularizedregressor__strength": [0.01, 1e6]}
        search = GridSearchCV(pipe, grid, cv=3).fit(X, y, task=task)
    assert search.best_params_ == {"meanregularizedregressor__strength": 0.01}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"strength": 0}, "strength"), ({"mean_strength": True}, "no number")],
)
def test_refuses_strengths_that_are_none(parameters, message):
    with pytest.raises(ValueError, match=message):
        MeanRegularizedRegressor(**parameters).fit(*make_tasks()[:2])
