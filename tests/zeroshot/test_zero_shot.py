"""Formulas by plain loops, and what holds of classes without rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_sylvester
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer.zeroshot import (
    DAPClassifier,
    ESZSLClassifier,
    LeaveClassesOut,
    SemanticAutoencoderClassifier,
    zero_shot_score,
)
from sktransfer.zeroshot._attributes import score_attributes
from sktransfer.zeroshot._autoencoder import solve_symmetric_sylvester
from sktransfer.zeroshot._descriptions import describe
from sktransfer.zeroshot._score import harmonic_mean
from sktransfer.zeroshot._search import Rows as SearchRows
from sktransfer.zeroshot._search import check_grid, choose_parameters, make_splitter

CLASSES = [DAPClassifier, ESZSLClassifier, SemanticAutoencoderClassifier]
DESCRIPTIONS = {f"c{k}": [k & 1, k >> 1 & 1, k >> 2 & 1, k % 3 == 0] for k in range(8)}
UNSEEN = ["c3", "c5"]


def make_rows(seed=0, n_rows=240, noise=0.3):
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.repeat([*DESCRIPTIONS], n_rows // 8))
    X = np.array([DESCRIPTIONS[one] for one in y]) @ generator.normal(size=(4, 6))
    return X + noise * generator.normal(size=X.shape), y


@pytest.fixture
def rows():
    X, y = make_rows()
    is_seen = ~np.isin(y, UNSEEN)
    return X[is_seen], y[is_seen], X[~is_seen], y[~is_seen]


def vectors_of(labels):
    return np.array([DESCRIPTIONS[one] for one in labels], dtype=float)


def test_attributes_are_scored_as_by_loops():
    generator = np.random.default_rng(0)
    probabilities, priors = generator.uniform(0.1, 0.9, (5, 3)), np.array([0.2, 0.5, 0.7])
    attributes = np.array([[0, 1, 1], [1, 0, 1.0]])
    scores = score_attributes(probabilities, priors, attributes)
    for i in range(5):
        for k in range(2):
            product = 1.0
            for m in range(3):
                p, prior = probabilities[i, m], priors[m]
                product *= p / prior if attributes[k, m] else (1 - p) / (1 - prior)
            assert scores[i, k] == pytest.approx(np.log(product))


def test_dap_learns_each_attribute_from_its_rows(rows):
    X, y, X_unseen, _ = rows
    clf = DAPClassifier(DESCRIPTIONS, estimator=GaussianNB()).fit(X, y)
    total = np.zeros((len(X_unseen), 2))
    for m in range(4):
        has = vectors_of(y)[:, m] > 0
        p = np.clip(GaussianNB().fit(X, has).predict_proba(X_unseen)[:, 1], 1e-6, 1 - 1e-6)
        prior = vectors_of(clf.seen_classes_)[:, m].mean()
        for k, one in enumerate(UNSEEN):
            a = DESCRIPTIONS[one][m]
            total[:, k] += np.log(p / prior) if a else np.log((1 - p) / (1 - prior))
    np.testing.assert_allclose(clf.decision_function(X_unseen), total[:, 1] - total[:, 0])
    expected = np.exp(total) / np.exp(total).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(X_unseen), expected, rtol=1e-6)


def test_dap_leaves_out_what_all_seen_classes_share(rows):
    X, y, X_unseen, _ = rows
    wider = {one: [*vector, 1, one in UNSEEN] for one, vector in DESCRIPTIONS.items()}
    clf, plain = DAPClassifier(wider).fit(X, y), DAPClassifier(DESCRIPTIONS).fit(X, y)
    assert clf.learned_attributes_.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(clf.predict(X_unseen), plain.predict(X_unseen))


def test_eszsl_is_the_closed_form(rows):
    X, y, X_unseen, _ = rows
    clf = ESZSLClassifier(DESCRIPTIONS, feature_penalty=0.3, class_penalty=0.2, search=None)
    clf.fit(X, y)
    n, K, S = len(X), 6, vectors_of(clf.seen_classes_)
    centred = X - X.mean(axis=0)
    Y = np.array([[1.0 if label == one else -1.0 for one in clf.seen_classes_] for label in y])
    # the paper's eq. 6 with its gamma = n g and lambda = K l
    left = np.linalg.inv(centred.T @ centred + 0.3 * n * np.eye(6))
    V = left @ centred.T @ Y @ S @ np.linalg.inv(S.T @ S + 0.2 * K * np.eye(4)) * K
    np.testing.assert_allclose(clf.coef_, V)
    scores = (X_unseen - X.mean(axis=0)) @ V @ vectors_of(UNSEEN).T
    np.testing.assert_allclose(clf.decision_function(X_unseen), scores[:, 1] - scores[:, 0])


def test_a_linear_kernel_gives_the_linear_classifier(rows):
    X, y, X_unseen, _ = rows
    linear = ESZSLClassifier(DESCRIPTIONS, search=None).fit(X, y)
    kernel = ESZSLClassifier(DESCRIPTIONS, kernel="poly", search=None)
    kernel._kernel = lambda rows: rows @ kernel.rows_.T
    kernel._learn(X, np.unique(y, return_inverse=True)[1], vectors_of(linear.seen_classes_))
    scores = kernel._scores(X_unseen, linear.candidate_descriptions_)
    np.testing.assert_allclose(scores[:, 1] - scores[:, 0], linear.decision_function(X_unseen))


def test_rbf_scores_are_those_of_the_centred_kernel(rows):
    X, y, X_unseen, _ = rows
    clf = ESZSLClassifier(DESCRIPTIONS, kernel="rbf", kernel_gamma=0.2, search=None).fit(X, y)
    K, k = rbf_kernel(X, gamma=0.2), rbf_kernel(X_unseen, X, gamma=0.2)
    centred = k - k.mean(axis=1, keepdims=True) - K.mean(axis=0) + K.mean()
    scores = centred @ clf.coef_ @ vectors_of(UNSEEN).T
    np.testing.assert_allclose(clf.decision_function(X_unseen), scores[:, 1] - scores[:, 0])


def test_sae_solves_its_equation_as_scipy_does(rows):
    X, y, X_unseen, _ = rows
    clf = SemanticAutoencoderClassifier(DESCRIPTIONS, encoder_weight=0.5, search=None).fit(X, y)
    centred, S = (X - X.mean(axis=0)).T, vectors_of(y).T
    W = solve_sylvester(S @ S.T, 0.5 * centred @ centred.T, 1.5 * S @ centred.T)
    np.testing.assert_allclose(clf.coef_, W, atol=1e-10)
    row, scores = W @ (X_unseen[0] - X.mean(axis=0)), []
    for vector in vectors_of(UNSEEN):
        scores.append(row @ vector / np.linalg.norm(row) / np.linalg.norm(vector))
    assert clf.decision_function(X_unseen[:1])[0] == pytest.approx(scores[1] - scores[0])


@pytest.mark.parametrize("direction", ["encoder", "decoder"])
def test_sae_compares_by_cosines_among_descriptions_or_rows(direction, rows):
    X, y, X_unseen, _ = rows
    clf = SemanticAutoencoderClassifier(
        DESCRIPTIONS, direction=direction, search=None, candidates="all"
    ).fit(X, y)
    scores = clf.decision_function(X_unseen[:5])
    for i, x in enumerate(X_unseen[:5] - X.mean(axis=0)):
        for k, one in enumerate(sorted(DESCRIPTIONS)):
            s = np.array(DESCRIPTIONS[one], dtype=float)
            a, b = (clf.coef_ @ x, s) if direction == "encoder" else (x, clf.coef_.T @ s)
            norm = sum(a**2) ** 0.5 * sum(b**2) ** 0.5
            cosine = sum(p * q for p, q in zip(a, b, strict=True)) / norm if norm else 0.0
            assert scores[i, k] == pytest.approx(cosine, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 5), st.integers(1, 6))
def test_the_sylvester_equation_holds_where_it_can(seed, k, d, n):
    generator = np.random.default_rng(seed)
    S, X = generator.normal(size=(k, n)), generator.normal(size=(d, n))
    A, B, C = S @ S.T, X @ X.T, 2 * S @ X.T  # singular where n is less than k or d
    W = solve_symmetric_sylvester(A, B, C)
    np.testing.assert_allclose(A @ W + W @ B, C, atol=1e-8 * max(1, abs(C).max()))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_the_solution_of_the_sylvester_equation_is_the_smallest(n, scale):
    generator = np.random.default_rng(n)
    S, X = generator.normal(size=(4, n)), generator.normal(size=(3, n))
    A, B, C = scale * S @ S.T, scale * X @ X.T, generator.normal(size=(4, 3))
    equations = np.kron(A, np.eye(3)) + np.kron(np.eye(4), B)
    expected = (np.linalg.pinv(equations, rcond=1e-10) @ C.ravel()).reshape(4, 3)
    found = solve_symmetric_sylvester(A, B, C)
    np.testing.assert_allclose(scale * found, scale * expected, atol=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(0.5, 0.5, 0.5), (0.25, 0.75, 0.375), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)]
)
def test_harmonic_mean_of_two_numbers(a, b, expected):
    assert harmonic_mean(a, b) == expected


@pytest.mark.parametrize(
    ("n_seen", "n_unseen", "n_left_out"),
    [(10, 3, 3), (10, 1, 2), (10, 0, 2), (10, 8, 5), (4, 9, 2), (3, 2, None), (2, 2, None)],
)
def test_as_many_classes_are_left_out_as_are_unseen_if_as_many_remain(n_seen, n_unseen, n_left_out):
    splitter = make_splitter(None, n_seen, n_unseen)
    if n_left_out is None:
        assert splitter is None
    else:
        assert (splitter.n_classes, splitter.n_splits) == (n_left_out, 10)
    assert make_splitter(5, n_seen, n_unseen) == 5


def test_of_parameters_that_do_equally_well_the_first_is_chosen_with_its_mean_accuracy(rows):
    X, y, *_ = rows
    known, codes = np.unique(y, return_inverse=True)
    some, splitter = SearchRows(X, codes, vectors_of(known)), LeaveClassesOut(2, n_splits=3)
    accuracies = []
    for train, test in splitter.split(X, codes):
        clf = ESZSLClassifier(DESCRIPTIONS, search=None)
        clf._learn(*some.take(train))
        held_out = some.take(test)
        found = clf._scores(held_out.X, held_out.vectors).argmax(axis=1)
        shares = [np.mean(found[held_out.codes == k] == k) for k in np.unique(held_out.codes)]
        accuracies.append(np.mean(shares))
    for order in (["unseen", "all"], ["all", "unseen"]):  # of which the accuracy knows nothing
        model = ESZSLClassifier(DESCRIPTIONS, search=None)
        chosen, accuracy = choose_parameters(model, some, {"candidates": order}, splitter)
        assert chosen == {"candidates": order[0]}
        assert accuracy == pytest.approx(np.mean(accuracies))


def test_a_single_attribute_and_a_grid_of_one_value_will_do():
    found = describe({1: [0.5], 2: [1.5]}, np.array([1.0]))
    assert found.vectors.tolist() == [[0.5], [1.5]]
    assert found.classes.dtype == np.float64  # as those of the rows
    check_grid({"alpha": [1.0]}, ("alpha",))
    with pytest.raises(ValueError, match="must be a list of values"):
        check_grid({"alpha": []}, ("alpha",))


def test_without_descriptions_the_classes_are_those_seen_one_hot():
    found = describe(None, np.array(["a", "b"]))
    assert found.classes.tolist() == ["a", "b"]
    assert found.is_seen.tolist() == [True, True]
    np.testing.assert_array_equal(found.vectors, np.eye(2))


@pytest.mark.parametrize("cls", CLASSES)
def test_unseen_classes_are_found(cls, rows):
    X, y, X_unseen, y_unseen = rows
    clf = cls(DESCRIPTIONS).fit(X, y)
    assert clf.classes_.tolist() == UNSEEN
    assert clf.score(X_unseen, y_unseen) > 0.8  # a coin has 0.5; the three 1.00 and more


@pytest.mark.parametrize("cls", CLASSES)
def test_frames_mappings_and_orders_of_rows_make_no_difference(cls, rows):
    X, y, X_unseen, _ = rows
    frame = pd.DataFrame(DESCRIPTIONS).T.iloc[::-1]
    order = np.random.default_rng(0).permutation(len(X))
    scores = cls(DESCRIPTIONS).fit(X, y).decision_function(X_unseen)
    again = cls(frame.astype(float)).fit(X[order], y[order]).decision_function(X_unseen)
    np.testing.assert_allclose(scores, again, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("cls", CLASSES)
def test_clones_pickles_pipelines_and_searches(cls, rows):
    X, y, X_unseen, _ = rows
    seen = {one: vector for one, vector in DESCRIPTIONS.items() if one not in UNSEEN}
    pipe = make_pipeline(StandardScaler(), cls(seen, search=None))
    name = f"{cls.__name__.lower()}__candidates"
    search = GridSearchCV(
        pipe,
        {name: ["unseen"]},
        cv=LeaveClassesOut(2, n_splits=2),
        error_score="raise",
        refit=False,
    ).fit(X, y)
    assert search.cv_results_["mean_test_score"][0] > 0.5
    fitted = clone(pipe).set_params(**{name.split("__")[0] + "__descriptions": DESCRIPTIONS})
    fitted.fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X_unseen), fitted.predict(X_unseen))


def test_the_inner_search_never_looks_at_unseen_descriptions(rows):
    X, y, _, _ = rows
    others = DESCRIPTIONS | {one: [9, -9, 9, 9] for one in UNSEEN[:1]}
    chosen = [ESZSLClassifier(one).fit(X, y) for one in (DESCRIPTIONS, others)]
    assert chosen[0].best_params_ == chosen[1].best_params_
    assert chosen[0].best_score_ == chosen[1].best_score_ > 0.8
    np.testing.assert_array_equal(chosen[0].coef_, chosen[1].coef_)


def test_estimators_of_attributes_are_searched(rows):
    X, y, _, _ = rows
    useless = DummyClassifier()
    clf = DAPClassifier(DESCRIPTIONS, search={"estimator": [useless, GaussianNB()]}).fit(X, y)
    assert clf.best_params_["estimator"].var_smoothing == 1e-9
    assert isinstance(clf.estimators_[0], GaussianNB)
    assert clf.estimator is None


@settings(max_examples=10, deadline=None)
@given(st.floats(0, 5), st.floats(0, 5))
def test_the_more_calibration_the_more_rows_are_unseen(one, other):
    X, y = make_rows()
    is_seen = ~np.isin(y, UNSEEN)
    shares = []
    for calibration in sorted((one, other)):
        clf = ESZSLClassifier(
            DESCRIPTIONS, candidates="all", calibration=calibration, search=None
        ).fit(X[is_seen], y[is_seen])
        shares.append(np.isin(clf.predict(X), UNSEEN).mean())
    assert shares[0] <= shares[1]


def test_chosen_calibration_gains_harmonic_mean():
    gains = []
    for seed in range(3):  # 0.16, 0.20 and 0.17
        X, y = make_rows(seed, noise=0.7)
        train = np.flatnonzero(~np.isin(y, UNSEEN))[::2]
        test = np.setdiff1d(np.arange(len(y)), train)
        clf = SemanticAutoencoderClassifier(DESCRIPTIONS, candidates="all", search=None)
        means = []
        for calibration in (0.0, "auto"):
            clf.set_params(calibration=calibration).fit(X[train], y[train])
            score = zero_shot_score(y[test], clf.predict(X[test]), clf.seen_classes_)
            means.append(score.harmonic_mean)
        gains.append(means[1] - means[0])
    assert clf.calibration_ > 0
    assert np.mean(gains) > 0.05


def test_the_score_is_a_mean_over_classes():
    truth, predicted = [1, 1, 1, 2, 3, 3], [1, 1, 2, 2, 3, 1]
    score = zero_shot_score(truth, predicted, [1, 2])
    assert score.seen == pytest.approx((2 / 3 + 1) / 2)
    assert score.unseen == 0.5
    assert score.harmonic_mean == pytest.approx(2 * score.seen * 0.5 / (score.seen + 0.5))
    assert zero_shot_score([1, 3], [1, 1], [1]).harmonic_mean == 0
    assert np.isnan(zero_shot_score([1], [1], [1]).unseen)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 99), st.integers(6, 9))
def test_left_out_classes_are_whole_and_take_turns(n_classes, n_splits, seed, n_labels):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(n_labels), 3))
    cv, times = LeaveClassesOut(n_classes, n_splits=n_splits, random_state=seed), np.zeros(n_labels)
    splits = [*cv.split(y, y)]
    assert len(splits) == n_splits == cv.get_n_splits()
    for train, test in splits:
        assert len({*y[test].tolist()}) == n_classes
        assert {*y[train].tolist()}.isdisjoint(y[test].tolist())
        assert len(train) + len(test) == len(y)
        times[np.unique(y[test])] += 1
    n_rounds = -(-n_splits // (n_labels // n_classes))
    assert times.max() <= n_rounds


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"descriptions": [[1, 0]]}, TypeError, "mapping of labels"),
        ({"descriptions": {"c0": [1, 0]}}, ValueError, r"lack the classes \['c1'"),
        ({"descriptions": {"c0": [1, 0], "c1": [1]}}, ValueError, "vectors of one length"),
        ({"descriptions": DESCRIPTIONS | {"c9": [np.nan] * 4}}, ValueError, "finite number"),
        ({"descriptions": DESCRIPTIONS | {9: [1] * 4}}, ValueError, "all by text or all by"),
        ({"descriptions": {}}, ValueError, "empty"),
        ({"descriptions": DESCRIPTIONS, "search": {"kernel": ["rbf"]}}, ValueError, "may hold"),
        (
            {"descriptions": DESCRIPTIONS, "search": {"class_penalty": 1}},
            ValueError,
            "must be a list",
        ),
    ],
)
def test_what_is_wrong_is_said(parameters, error, message, rows):
    X, y, _, _ = rows
    with pytest.raises(error, match=message):
        ESZSLClassifier(**parameters).fit(X, y)


def test_without_unseen_classes_the_way_out_is_named(rows):
    X, y, _, _ = rows
    seen = {one: vector for one, vector in DESCRIPTIONS.items() if one not in UNSEEN}
    with pytest.raises(ValueError, match="candidates='all'"):
        ESZSLClassifier(seen).fit(X, y)
    with pytest.raises(ValueError, match="give the labels"):
        next(LeaveClassesOut().split(X))
    with pytest.raises(ValueError, match="two must stay"):
        next(LeaveClassesOut(5).split(X, y))


@pytest.mark.parametrize("cls", CLASSES)
def test_candidates_with_one_description_are_told(cls, rows):
    alike = {**DESCRIPTIONS, "c5": DESCRIPTIONS["c3"]}
    with pytest.warns(UserWarning, match=r"\['c3', 'c5'\] not apart, as .* predicted as 'c3'"):
        clf = cls(alike, search=None).fit(*rows[:2])
    assert set(clf.predict(rows[2])) == {"c3"}


def test_candidates_are_alike_where_no_learned_attribute_differs(rows, recwarn):
    vectors = {name: [*vector, 0.0] for name, vector in DESCRIPTIONS.items()}
    vectors["c5"] = [*DESCRIPTIONS["c3"], 1.0]  # what no seen class has
    ESZSLClassifier(vectors, search=None).fit(*rows[:2])
    assert not len(recwarn)
    with pytest.warns(UserWarning, match="not apart, as DAPClassifier sees them"):
        DAPClassifier(vectors).fit(*rows[:2])
