"""Logistic regression with a prior."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from sktransfer import TargetDomain, make_transfer_pipeline
from sktransfer._row_order import make_folds
from sktransfer.parameters import PriorTransferClassifier
from sktransfer.parameters._logistic import (
    log_losses,
    logistic_deviations,
    spread_prior,
    to_row_space,
)


def make_data(seed=0, n_classes=2, n_target=30):
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n_classes, 3)) * 1.5
    draw = lambda rows, by: (rows @ by.T + rng.gumbel(size=(len(rows), n_classes))).argmax(1)  # noqa: E731
    X, X_target = rng.normal(size=(200, 3)), rng.normal(size=(n_target, 3))
    y_target = draw(X_target, directions + rng.normal(size=(n_classes, 3)) * 0.5)
    return X, draw(X, directions), X_target, y_target


def objective_by_loops(clf, source, X, y, strength, shrink_intercept):
    total = 0.0
    for row, label in zip(X, y, strict=True):
        logits = clf.coef_ @ row + clf.intercept_
        if len(logits) == 1:
            logits = np.array([0.0, logits[0]])
        total -= (logits[label] - np.log(np.exp(logits).sum())) / len(y)
    total += strength / 2 * ((clf.coef_ - source.coef_) ** 2).sum()
    if shrink_intercept:
        total += strength / 2 * ((clf.intercept_ - source.intercept_) ** 2).sum()
    return total


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("shrink_intercept", [False, True])
def test_no_step_lowers_the_objective(n_classes, shrink_intercept):
    X, y, X_target, y_target = make_data(n_classes=n_classes)
    clf = PriorTransferClassifier(strength=0.1, shrink_intercept=shrink_intercept)
    clf.fit(X, y, X_target, y_target)
    arguments = clf.source_, X_target, y_target, 0.1, shrink_intercept
    least = objective_by_loops(clf, *arguments)
    rng = np.random.default_rng(0)
    for _ in range(20):
        steps = rng.normal(size=clf.coef_.shape), rng.normal(size=clf.intercept_.shape)
        for size in (1e-3, -1e-3):
            clf.coef_ += size * steps[0]
            clf.intercept_ += size * steps[1]
            assert objective_by_loops(clf, *arguments) > least - 1e-9
            clf.coef_ -= size * steps[0]
            clf.intercept_ -= size * steps[1]


@pytest.mark.parametrize("n_target", [2, 30, 100, 101])
def test_strength_is_that_of_the_least_loss_of_rows_held_out(n_target):
    X, y, X_target, y_target = make_data(n_target=n_target)
    clf = PriorTransferClassifier(random_state=0).fit(X, y, X_target, y_target)
    size = np.mean([row @ row for row in X_target])
    strengths = [*(np.logspace(-4, 2, 7) * size), np.inf]
    folds, losses = np.arange(n_target)[:, np.newaxis], []
    if n_target > 100:
        folds = make_folds(X_target, y_target, 10, np.random.RandomState(0))
    for strength in strengths:
        loss = 0.0
        for fold in folds:
            rest = np.setdiff1d(np.arange(n_target), fold)
            model = PriorTransferClassifier(strength=strength)
            model.fit(X, y, X_target[rest], y_target[rest])
            for row, label in zip(X_target[fold], y_target[fold], strict=True):
                loss -= np.log(model.predict_proba(row[np.newaxis])[0, label])
        losses.append(loss)
    assert clf.strength_ == pytest.approx(strengths[np.argmin(losses)])


def test_few_rows_leave_nothing_to_chance():
    X, y, X_target, y_target = make_data(n_target=100)
    first, second = (PriorTransferClassifier().fit(X, y, X_target, y_target) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    shuffled = np.random.default_rng(0).permutation(100)
    third = PriorTransferClassifier().fit(X, y, X_target[shuffled], y_target[shuffled])
    assert third.strength_ == pytest.approx(first.strength_)


def test_rows_that_weigh_nothing_are_not_held_out():
    X, y, X_target, y_target = make_data()
    clf = PriorTransferClassifier(LogisticRegression().fit(X, y))
    some = np.arange(30) % 3 > 0
    weighed = clf.fit(X_target, y_target, sample_weight=some).predict_proba(X)
    assert np.isfinite(clf.strength_)
    alone = clf.fit(X_target[some], y_target[some]).predict_proba(X)
    np.testing.assert_array_equal(weighed, alone)
    single = clf.fit(X_target, y_target, sample_weight=np.arange(30) == 0)
    assert np.isinf(single.strength_)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("strength", [0.01, 1.0, np.inf])
@pytest.mark.parametrize("shrink_intercept", [False, True])
def test_a_start_elsewhere_leads_to_the_same(n_classes, strength, shrink_intercept):
    X, codes, _, _ = make_data(n_classes=n_classes)
    rng, n_outputs = np.random.default_rng(1), 1 if n_classes == 2 else 3
    prior, start = ((rng.normal(size=(n_outputs, 3)), rng.normal(size=n_outputs)) for _ in "ab")
    arguments = X, codes, np.full(200, 1 / 200), prior, strength, shrink_intercept
    fits = logistic_deviations(*arguments), logistic_deviations(*arguments, start)
    logits = [X @ coef.T + intercept for coef, intercept in fits]
    if n_classes == 3:  # what is added to all changes no probability
        logits = [each - each.mean(axis=1, keepdims=True) for each in logits]
    np.testing.assert_allclose(*logits, atol=1e-5)


@given(st.integers(0, 1000), st.sampled_from([np.asarray, sparse.csr_matrix]))
@settings(max_examples=15)
def test_in_the_span_of_the_rows_all_is_learned_alike(seed, form):
    rng = np.random.default_rng(seed)
    X, codes, coef = rng.normal(size=(6, 9)), rng.integers(0, 3, 6), rng.normal(size=(3, 9))
    X[5] = X[4] - X[3]
    rows, short = to_row_space(form(X), coef)
    assert rows.shape == (6, 6)
    np.testing.assert_allclose(rows @ short.T, X @ coef.T, atol=1e-10)
    some, shares = np.arange(5), np.full(5, 0.2)
    arguments = codes[some], shares
    wide = logistic_deviations(X[some], *arguments, (coef, np.zeros(3)), 0.1, True)
    narrow = logistic_deviations(rows[some], *arguments, (short, np.zeros(3)), 0.1, True)
    np.testing.assert_allclose(rows @ narrow[0].T + narrow[1], X @ wide[0].T + wide[1], atol=1e-5)
    left = to_row_space(X.T, short)
    assert left[0].shape == (9, 6)
    assert left[1] is short


@pytest.mark.parametrize("n_classes", [2, 3])
def test_limits_are_the_target_alone_and_the_source(n_classes):
    X, y, X_target, y_target = make_data(n_classes=n_classes, n_target=200)
    none = PriorTransferClassifier(strength=0.0).fit(X, y, X_target, y_target)
    alone = LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000).fit(X_target, y_target)
    np.testing.assert_allclose(none.predict_proba(X), alone.predict_proba(X), atol=1e-5)
    source = LogisticRegression(max_iter=1000).fit(X, y)
    for strength in (1e12, np.inf):
        full = PriorTransferClassifier(strength=strength).fit(X, y, X_target, y_target)
        np.testing.assert_allclose(full.coef_, source.coef_, atol=1e-8)
        np.testing.assert_allclose(full.predict_proba(X), source.predict_proba(X), atol=1e-8)


def test_an_unshrunk_intercept_gives_the_target_its_shares():
    X, y, X_target, y_target = make_data(n_target=100)
    clf = PriorTransferClassifier(strength=np.inf, shrink_intercept=False)
    clf.fit(X, y, X_target, y_target)
    np.testing.assert_allclose(clf.coef_, clf.source_.coef_)
    assert clf.predict_proba(X_target)[:, 1].mean() == pytest.approx(y_target.mean(), abs=1e-5)


@given(st.integers(0, 1000))
@settings(max_examples=15)
def test_more_classes_change_no_probability_of_the_known(seed):
    rng = np.random.default_rng(seed)
    coef, intercept, X = rng.normal(size=(1, 3)), rng.normal(size=1), rng.normal(size=(5, 3))
    wide, offsets = spread_prior(coef, intercept, np.array([1, 5]), np.array([1, 3, 5]))
    logits = X @ wide.T + offsets
    difference = logits[:, 2] - logits[:, 0]
    np.testing.assert_allclose(difference, X @ coef[0] + intercept[0])
    np.testing.assert_array_equal(logits[:, 1], 0)


def test_losses_are_those_of_plain_loops():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(6, 2)), np.array([0, 1, 2, 0, 1, 2])
    coef, intercept = rng.normal(size=(3, 2)), rng.normal(size=3)
    for row, code, loss in zip(X, codes, log_losses(X, codes, coef, intercept), strict=True):
        powers = np.exp(coef @ row + intercept)
        assert loss == pytest.approx(-np.log(powers[code] / powers.sum()))


def test_few_rows_gain_by_the_prior():
    gains = []
    for seed in range(10):
        X, y, X_target, y_target = make_data(seed, n_classes=3, n_target=1012)
        few, rest = slice(0, 12), slice(12, None)
        y_few = y_target[few]
        if len(np.unique(y_few)) < 3:
            continue
        clf = PriorTransferClassifier(random_state=0).fit(X, y, X_target[few], y_few)
        alone = LogisticRegression().fit(X_target[few], y_few)
        gains.append(
            clf.score(X_target[rest], y_target[rest]) - alone.score(X_target[rest], y_target[rest])
        )
    assert np.mean(gains) > 0.02


def test_one_row_or_one_class_of_the_target_serve():
    X, y, X_target, y_target = make_data()
    single = PriorTransferClassifier().fit(X, y, X_target[:1], y_target[:1])
    assert np.isinf(single.strength_)
    of_one = PriorTransferClassifier(random_state=0).fit(
        X, y, X_target, np.where(y_target == 1, 1.0, np.nan)
    )
    assert np.isfinite(of_one.predict_proba(X)).all()


def test_classes_of_the_target_alone_are_known():
    X, y, X_target, y_target = make_data()
    names = np.where(X_target[:, 0] > 1, "new", np.array(["no", "yes"])[y_target])
    clf = PriorTransferClassifier(random_state=0).fit(
        X, np.array(["no", "yes"])[y], X_target, names
    )
    np.testing.assert_array_equal(clf.classes_, ["new", "no", "yes"])
    assert clf.coef_.shape == (3, 3)
    assert clf.score(X_target, names) > 0.7


def test_sparse_rows_and_their_order_do_not_matter():
    X, y, X_target, y_target = make_data()
    order = np.random.default_rng(0).permutation(30)
    clf = PriorTransferClassifier(random_state=0).fit(X, y, X_target, y_target)
    of_sparse = PriorTransferClassifier(random_state=0).fit(
        sparse.csr_matrix(X), y, sparse.csr_matrix(X_target[order]), y_target[order]
    )
    assert of_sparse.strength_ == pytest.approx(clf.strength_)
    np.testing.assert_allclose(of_sparse.predict_proba(X), clf.predict_proba(X), atol=1e-4)


def test_a_fitted_source_takes_rows_of_the_target():
    X, y, X_target, y_target = make_data()
    source = LogisticRegression(max_iter=1000).fit(X, y)
    whole = PriorTransferClassifier(strength=1.0).fit(X, y, X_target, y_target)
    given = PriorTransferClassifier(source, strength=1.0).fit(X_target, y_target)
    np.testing.assert_allclose(given.predict_proba(X), whole.predict_proba(X))
    search = GridSearchCV(
        PriorTransferClassifier(FrozenEstimator(source)), {"strength": [0.1, np.inf]}, cv=3
    ).fit(X_target, y_target)
    np.testing.assert_allclose(search.best_estimator_.source_.coef_, source.coef_)
    with pytest.raises(TypeError, match="Ridge, which has no classes_"):
        PriorTransferClassifier(Ridge().fit(X, y)).fit(X_target, y_target)


def test_pipelines_and_searches_take_it():
    X, y, X_target, y_target = make_data()
    pipe = make_transfer_pipeline(StandardScaler(), PriorTransferClassifier(LogisticRegression()))
    grid = {
        "priortransferclassifier__strength": [0.1, np.inf],
        "priortransferclassifier__source__C": [0.1, 1],
    }
    search = GridSearchCV(pipe, grid, cv=3)
    search.fit(X, y, X_target=TargetDomain(X_target), y_target=TargetDomain(y_target))
    assert search.best_score_ > 0.6
