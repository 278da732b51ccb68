"""Labels that spread from one domain to another."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import CrossDomainLabelPropagation, TargetDomain, make_transfer_pipeline
from sktransfer.datasets import make_shifted_moons
from sktransfer.model_selection import NeighborAgreementScorer, adaptation_report
from sktransfer.relations._label_propagation import class_shares, mass_factors

from .test_graph import affinity_by_loops, ends_by_walking, nearest_by_loops

VARIANTS = [
    CrossDomainLabelPropagation(),
    CrossDomainLabelPropagation(
        3,
        n_source_neighbors=4,
        alpha=0.5,
        metric="euclidean",
        class_mass_normalization=False,
    ),
    CrossDomainLabelPropagation(metric="euclidean", standardize=True, alpha=0.99),
    CrossDomainLabelPropagation(alpha=0.0, standardize=True),
]

seeds = st.integers(0, 2**32 - 1)
NO_MASS = {"class_mass_normalization": False}


class Adapted(CrossDomainLabelPropagation):
    """Takes the source for a target too where none is given, so that checks see it spread."""

    def fit(self, X, y, X_target=None, y_target=None, sample_weight=None):
        """Fit with the rows of `X` as the target."""
        if X_target is None:
            X_target = X if hasattr(X, "shape") else np.asarray(X)
        return super().fit(X, y, X_target, y_target, sample_weight)


@pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning")
@parametrize_with_checks(VARIANTS)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning")
@parametrize_with_checks(
    [
        Adapted(metric="euclidean"),
        Adapted(class_mass_normalization=True, metric="euclidean", standardize=True),
    ]
)
def test_passes_the_checks_while_labels_spread(estimator, check):
    # Weights are the source's: its rows in the role of the target have none.
    if "sample_weight_equivalence" not in str(check):
        check(estimator)


def blobs(seed, n=20, n_target=25):
    rng = np.random.default_rng(seed)
    y, y_target = np.arange(n) % 3, np.arange(n_target) % 3
    centres = 3 * np.eye(3, 2)
    return (
        rng.normal(size=(n, 2)) + centres[y],
        y,
        rng.normal(size=(n_target, 2)) + centres[y_target] + 1,
        y_target,
    )


def told_by_loops(near, mass, labels):
    told = np.zeros((len(near), 3))
    for i, pairs in enumerate(near):
        votes = [(mass[j] * np.exp(-(d**2) / pairs[-1][0] ** 2), labels[j]) for d, j in pairs]
        for vote, label in votes:
            told[i, label] += vote / sum(vote for vote, _ in votes)
    return told


def levels_by_loops(near, mass, mass_told):
    tells = np.zeros(len(mass))
    for i, pairs in enumerate(near):
        votes = [(mass[j] * np.exp(-(d**2) / pairs[-1][0] ** 2), j) for d, j in pairs]
        for vote, j in votes:
            tells[j] += mass_told[i] * vote / sum(vote for vote, _ in votes) / mass[j]
    mean = sum(m * c for m, c in zip(mass, tells, strict=True)) / sum(mass)
    return np.array([1 / (1 + c / mean) for c in tells])


def test_distributions_by_plain_loops():
    Xs, ys, Xt, yt = blobs(0)
    known = np.full(25, np.nan)
    known[:4] = yt[:4]
    weights = np.linspace(0.5, 2, 20)
    clf = CrossDomainLabelPropagation(
        4, n_source_neighbors=3, metric="euclidean", standardize=True, **NO_MASS
    )
    clf.fit(Xs, ys, X_target=Xt, y_target=known, sample_weight=weights)
    mean = np.average(Xs, axis=0, weights=weights)
    Zs = (Xs - mean) / np.sqrt(np.average((Xs - mean) ** 2, axis=0, weights=weights))
    Zt = (Xt - Xt.mean(axis=0)) / Xt.std(axis=0)
    near = nearest_by_loops(Zt, Zs, 3)
    told = told_by_loops(near, weights * levels_by_loops(near, weights, np.ones(25)), ys)
    W = affinity_by_loops(Zt, np.ones(25), 4)
    expected = ends_by_walking(W, told, np.eye(3)[yt], np.arange(25) < 4, 0.8)
    np.testing.assert_allclose(clf.label_distributions_, expected, atol=1e-8)
    np.testing.assert_array_equal(clf.transduction_, expected.argmax(axis=1))


def test_a_new_row_takes_one_step_of_the_walk():
    Xs, ys, Xt, _ = blobs(0)
    clf = CrossDomainLabelPropagation(4, n_source_neighbors=3, metric="euclidean", **NO_MASS)
    clf.fit(Xs, ys, X_target=Xt)
    new = np.array([[1.0, 2.0]])
    tells = levels_by_loops(nearest_by_loops(Xt, Xs, 3), np.ones(20), np.ones(25))
    expected = 0.2 * told_by_loops(nearest_by_loops(new, Xs, 3), tells, ys)[0]
    (pairs,) = nearest_by_loops(new, Xt, 4)
    votes = [np.exp(-(d**2) / pairs[-1][0] ** 2) for d, _ in pairs]
    for vote, (_, j) in zip(votes, pairs, strict=True):
        expected += 0.8 * vote / sum(votes) * clf.label_distributions_[j]
    np.testing.assert_allclose(clf.predict_proba(new), [expected], atol=1e-12)


def test_a_row_that_is_near_to_all_tells_each_of_them_less():
    # Each row of the target has the first of the source as one of its two neighbours.
    Xs, Xt = np.array([[0.0], [2.0], [-2.1]]), np.array([[1.1], [-1.3]])
    clf = CrossDomainLabelPropagation(
        n_source_neighbors=2, alpha=0.0, metric="euclidean", **NO_MASS
    )
    clf.fit(Xs, [0, 1, 1], X_target=Xt)
    votes = np.exp(-np.square([1.1 / 1.1, 0.9 / 1.1]))
    assert clf.label_distributions_[0, 1] > votes[1] / votes.sum()


def test_labelled_rows_of_the_target_keep_their_labels_and_tell_their_neighbours():
    Xs, ys, Xt, yt = make_shifted_moons(200, rotation=90, random_state=0)
    some = np.full(len(yt), np.nan)
    some[:10] = yt[:10]
    clf = CrossDomainLabelPropagation(metric="euclidean")
    blind = clone(clf).fit(Xs, ys, X_target=Xt)
    told = clone(clf).fit(Xs, ys, X_target=Xt, y_target=some)
    np.testing.assert_array_equal(told.transduction_[:10], yt[:10])
    assert np.mean(told.transduction_ == yt) > np.mean(blind.transduction_ == yt)


def test_a_class_that_only_the_target_knows_spreads_too():
    Xs, ys, Xt, yt = blobs(0, 60, 60)
    known = np.where(yt == 2, yt, np.nan).astype(float)
    clf = CrossDomainLabelPropagation(metric="euclidean")
    clf.fit(Xs[ys < 2], ys[ys < 2], X_target=Xt, y_target=known)
    assert clf.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(clf.transduction_[yt == 2], 2)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_order_of_rows_does_not_matter(seed):
    Xs, ys, Xt, _ = blobs(seed)
    Xt = np.round(Xt)  # rows that are equal, and ties of distances
    rng = np.random.default_rng(seed)
    of_source, of_target = rng.permutation(20), rng.permutation(25)
    clf = CrossDomainLabelPropagation(4, metric="euclidean", standardize=True)
    plain = clone(clf).fit(Xs, ys, X_target=Xt)
    shuffled = clone(clf).fit(Xs[of_source], ys[of_source], X_target=Xt[of_target])
    np.testing.assert_allclose(
        shuffled.label_distributions_, plain.label_distributions_[of_target], atol=1e-8
    )


@given(seeds, st.floats(0.01, 100))
@settings(max_examples=10, deadline=None)
def test_units_of_a_domain_do_not_matter(seed, unit):
    Xs, ys, Xt, _ = blobs(seed)
    clf = CrossDomainLabelPropagation(metric="euclidean", standardize=True)
    plain = clone(clf).fit(Xs, ys, X_target=Xt)
    scaled = clone(clf).fit(Xs, ys, X_target=unit * Xt + 5)
    np.testing.assert_allclose(scaled.label_distributions_, plain.label_distributions_, atol=1e-6)


@given(seeds, st.floats(0.01, 100))
@settings(max_examples=10, deadline=None)
def test_lengths_of_rows_do_not_matter_to_the_cosine(seed, unit):
    Xs, ys, Xt, _ = blobs(seed)
    lengths = np.random.default_rng(seed).uniform(0.5, 2, size=(25, 1))
    plain = CrossDomainLabelPropagation().fit(Xs, ys, X_target=Xt)
    scaled = CrossDomainLabelPropagation().fit(unit * Xs, ys, X_target=lengths * Xt)
    np.testing.assert_allclose(scaled.label_distributions_, plain.label_distributions_, atol=1e-6)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_in_equal_domains_with_one_neighbour_labels_come_back(seed):
    Xs, ys, _, _ = blobs(seed)
    clf = CrossDomainLabelPropagation(
        n_source_neighbors=1, alpha=0.0, metric="euclidean", **NO_MASS
    )
    clf.fit(Xs, ys, X_target=Xs)
    np.testing.assert_array_equal(clf.transduction_, ys)
    np.testing.assert_array_equal(clf.predict(Xs), ys)


def test_equal_rows_of_the_target_count_as_often_as_they_come():
    Xs, ys, Xt, _ = blobs(0)
    twice = np.concatenate([Xt, Xt])
    clf = CrossDomainLabelPropagation()
    once = clone(clf).fit(Xs, ys, X_target=Xt).label_distributions_
    both = clone(clf).fit(Xs, ys, X_target=twice).label_distributions_
    np.testing.assert_allclose(both, np.concatenate([once, once]), atol=1e-8)


def test_equal_rows_of_two_labels_are_half_of_each():
    shares = class_shares(
        np.array([0, 1, 1]), np.array([1.0, 1.0, 2.0]), np.array([0, 0, 1]), (3, 2)
    )
    np.testing.assert_array_equal(shares, [[0.5, 0.5], [0.0, 1.0], [0.0, 0.0]])


def test_class_mass_normalization_gives_classes_the_shares_of_the_source():
    Xs, ys, Xt, _ = blobs(0, 30, 40)
    plain = CrossDomainLabelPropagation(**NO_MASS).fit(Xs, ys, X_target=Xt)
    clf = CrossDomainLabelPropagation().fit(Xs, ys, X_target=Xt)
    expected = [(1 / 3) / np.mean(plain.label_distributions_[:, k]) for k in range(3)]
    np.testing.assert_allclose(clf.class_factors_, expected)
    scaled = plain.label_distributions_ * clf.class_factors_
    np.testing.assert_allclose(scaled.mean(axis=0), 1 / 3)
    np.testing.assert_allclose(
        clf.label_distributions_, scaled / scaled.sum(axis=1, keepdims=True), atol=1e-12
    )


def test_a_class_that_no_walk_ends_at_or_that_the_source_lacks_has_the_factor_one():
    ends, mass = np.array([[0.5, 0.0, 0.5]]), np.ones(1)
    factors = mass_factors(ends, mass, np.array([0.75, 0.25, 0.0]))
    np.testing.assert_array_equal(factors, [1.5, 1.0, 1.0])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_sparse_rows_give_what_dense_ones_give(metric):
    rng = np.random.default_rng(0)
    Xs, Xt = (rng.random((40, 30)) * (rng.random((40, 30)) < 0.2) for _ in range(2))
    ys = rng.integers(0, 2, 40)
    clf = CrossDomainLabelPropagation(metric=metric)
    dense = clone(clf).fit(Xs, ys, X_target=Xt)
    of_csr = clone(clf).fit(sparse.csr_array(Xs), ys, X_target=sparse.csr_array(Xt))
    np.testing.assert_allclose(of_csr.label_distributions_, dense.label_distributions_, atol=1e-7)
    np.testing.assert_allclose(
        of_csr.predict_proba(sparse.csr_array(Xs)), dense.predict_proba(Xs), atol=1e-7
    )


def test_scaling_sparse_rows_leaves_them_sparse():
    X = sparse.random(50, 20, density=0.2, random_state=0, format="csr")
    clf = CrossDomainLabelPropagation(metric="euclidean", standardize=True)
    clf.fit(X, np.arange(50) % 2, X_target=2 * X)
    assert sparse.issparse(clf._target_rows)
    np.testing.assert_allclose(clf._target_rows.toarray(), clf._source_rows.toarray(), atol=1e-12)


def test_without_a_target_it_is_a_vote_of_neighbours_and_says_so():
    Xs, ys, Xt, _ = blobs(0)
    with pytest.warns(UserWarning, match="fitted without X_target: nothing spreads"):
        clf = CrossDomainLabelPropagation().fit(Xs, ys)
    assert not hasattr(clf, "transduction_")
    twin = clf.source_only().fit(Xs, ys, X_target=Xt)
    np.testing.assert_array_equal(twin.predict_proba(Xt), clf.predict_proba(Xt))


def test_a_search_holds_the_target_and_a_pipeline_scales_it():
    Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    pipe = make_transfer_pipeline(StandardScaler(), CrossDomainLabelPropagation())
    search = GridSearchCV(
        pipe,
        {"crossdomainlabelpropagation__alpha": [0.0, 0.9]},
        scoring=NeighborAgreementScorer(Xt),
        cv=2,
    )
    search.fit(Xs, ys, X_target=TargetDomain(Xt))
    assert search.best_estimator_[-1].n_target_rows_ == len(Xt)
    scaler = StandardScaler().fit(Xs)
    alpha = search.best_params_["crossdomainlabelpropagation__alpha"]
    alone = CrossDomainLabelPropagation(alpha=alpha)
    alone.fit(scaler.transform(Xs), ys, X_target=scaler.transform(Xt))
    np.testing.assert_array_equal(search.predict(Xt), alone.predict(scaler.transform(Xt)))


def test_the_report_compares_it_with_its_twin():
    Xs, ys, Xt, _ = make_shifted_moons(200, rotation=30, random_state=0)
    clf = CrossDomainLabelPropagation().fit(Xs, ys, X_target=Xt)
    report = adaptation_report(clf, Xs, ys, Xt)
    twin = clf.source_only().fit(Xs, ys)
    assert report.changed == np.mean(clf.predict(Xt) != twin.predict(Xt))


def test_a_pickled_one_predicts_the_same():
    Xs, ys, Xt, _ = blobs(0)
    clf = CrossDomainLabelPropagation().fit(Xs, ys, X_target=Xt)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(Xt), clf.predict_proba(Xt))


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"n_source_neighbors": True}, "n_source_neighbors"),
        ({"alpha": 1.0}, "alpha"),
        ({"metric": "manhattan"}, "metric"),
        ({"standardize": "domain"}, "standardize"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(parameters, named):
    Xs, ys, Xt, _ = blobs(0)
    with pytest.raises(ValueError, match=named):
        CrossDomainLabelPropagation(**parameters).fit(Xs, ys, X_target=Xt)


@pytest.mark.slow
def test_ten_thousand_rows_of_each_domain_need_no_square_of_them():
    import tracemalloc

    rng = np.random.default_rng(0)
    ys, yt = rng.integers(0, 10, 10_000), rng.integers(0, 10, 10_000)
    centres = rng.normal(size=(10, 30))
    Xs = centres[ys] + rng.normal(size=(10_000, 30))
    Xt = centres[yt] + rng.normal(size=(10_000, 30)) + 0.5
    tracemalloc.start()
    clf = CrossDomainLabelPropagation().fit(Xs, ys, X_target=Xt)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000**2 * 8 / 8  # bytes; an eighth of one square
    assert np.mean(clf.transduction_ == yt) > 0.9
