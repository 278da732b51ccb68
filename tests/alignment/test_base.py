"""What holds for every aligner."""

import importlib.util
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import TargetDomain, make_transfer_pipeline
from sktransfer.alignment import (
    CORAL,
    JDA,
    TCA,
    DomainStandardScaler,
    FeatureAugmentation,
    OptimalTransport,
    SubspaceAlignment,
)
from sktransfer.alignment._base import (
    merge_rows,
    symmetric_power,
    weighted_mean_and_covariance,
)
from sktransfer.data._domain import Domain
from sktransfer.model_selection import NeighborAgreementScorer, ReverseValidationScorer
from tests.alignment.problems import shifted

ALIGNERS = [
    DomainStandardScaler(),
    CORAL(),
    SubspaceAlignment(2),
    TCA(2),
    TCA(2, kernel="linear"),
    TCA(2, n_landmarks=15, random_state=0),
    JDA(2),
    JDA(2, kernel="rbf"),
    OptimalTransport(),
    FeatureAugmentation(),
]
if importlib.util.find_spec("ot"):
    ALIGNERS += [OptimalTransport(m) for m in ("exact", "sinkhorn", "class_regularized")]

every_aligner = pytest.mark.parametrize("aligner", ALIGNERS, ids=str)
pytestmark = pytest.mark.filterwarnings("ignore:FeatureAugmentation has no labels:UserWarning")


@every_aligner
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_is_blind_to_the_order_of_rows(aligner, seed):
    X, y, X_target = shifted(seed=seed % 7)
    X[:3], y[:2] = X[3], y[3]  # one of three equal rows may have another label
    rng = np.random.default_rng(seed)
    order, order_target = rng.permutation(len(X)), rng.permutation(len(X_target))
    aligned = clone(aligner).fit_transform(X, y, X_target)
    shuffled = clone(aligner).fit(X, y, X_target)
    again = shuffled.fit_transform(X[order], y[order], X_target[order_target])
    np.testing.assert_allclose(again, aligned[order], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(
        shuffled.transform(X_target), clone(aligner).fit(X, y, X_target).transform(X_target)
    )


@every_aligner
def test_a_weight_counts_as_so_many_rows(aligner):
    X, y, X_target = shifted()
    weights = np.random.default_rng(0).integers(0, 3, len(X))
    weighted = clone(aligner).fit(X, y, X_target, sample_weight=weights)
    repeated = clone(aligner).fit(X.repeat(weights, axis=0), y.repeat(weights), X_target)
    kept = X[weights > 0]
    np.testing.assert_allclose(
        weighted.transform_source(kept), repeated.transform_source(kept), rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(weighted.transform(X_target), repeated.transform(X_target))


@every_aligner
def test_rows_of_fit_and_new_rows_pass_the_same_map(aligner):
    X, y, X_target = shifted()
    aligner = clone(aligner)
    aligned = aligner.fit_transform(X, y, X_target)
    np.testing.assert_allclose(aligner.transform_source(X[7:9]), aligned[7:9])
    rows = aligner.transform(X_target)
    np.testing.assert_allclose(aligner.transform(X_target[[4]]), rows[[4]])
    new = aligner.transform(X_target + 0.1)
    assert new.shape == rows.shape
    assert np.isfinite(new).all()


@every_aligner
def test_equal_domains_stay_equal(aligner):
    X, y, _ = shifted()
    if isinstance(aligner, FeatureAugmentation) or getattr(aligner, "method", "exact") not in {
        "exact",
        "linear",
    }:
        pytest.skip("augmented, or spread by entropy, they differ")
    aligner = clone(aligner)
    np.testing.assert_allclose(
        aligner.fit_transform(X, y, X_target=X), aligner.transform(X), atol=1e-8
    )


@every_aligner
@pytest.mark.parametrize(("n_source", "n_target"), [(1, 1), (2, 1), (1, 5), (3, 40)])
def test_tiny_domains(aligner, n_source, n_target):
    X, y, X_target = shifted(n_source, n_target)
    aligner = clone(aligner)
    assert np.isfinite(aligner.fit_transform(X, y, X_target)).all()
    assert np.isfinite(aligner.transform(X_target)).all()


@every_aligner
def test_constant_columns(aligner):
    X, y, X_target = shifted()
    X[:, 1], X_target[:, 1], X_target[:, 2] = 5.0, 7.0, -1.0
    aligner = clone(aligner)
    assert np.isfinite(aligner.fit_transform(X, y, X_target)).all()
    assert np.isfinite(aligner.transform(X_target)).all()


@every_aligner
def test_equal_rows_alone(aligner):
    aligner = clone(aligner)
    assert np.isfinite(aligner.fit_transform(np.ones((6, 3)), [0, 1] * 3, np.ones((4, 3)))).all()


@every_aligner
def test_frames_come_out_as_frames_with_names(aligner):
    X, y, X_target = shifted()
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(len(X)) + 5)
    target = pd.DataFrame(X_target, columns=list("abcd"))
    aligner = clone(aligner).set_output(transform="pandas")
    aligned = aligner.fit_transform(frame, y, target)
    assert list(aligned.columns) == list(aligner.get_feature_names_out())
    assert list(aligned.index) == list(frame.index)
    assert list(aligner.transform(target).columns) == list(aligned.columns)


@every_aligner
def test_without_a_target_it_warns_and_both_maps_are_one(aligner):
    X, y, _ = shifted()
    aligner = clone(aligner)
    with pytest.warns(UserWarning, match=f"{type(aligner).__name__} was fitted without X_target"):
        aligned = aligner.fit_transform(X, y)
    np.testing.assert_allclose(aligned, aligner.transform(X))


@every_aligner
def test_a_refused_fit_leaves_the_old_one(aligner):
    X, y, X_target = shifted()
    aligner = clone(aligner).fit(X, y, X_target)
    before = aligner.transform(X_target)
    with pytest.raises(ValueError, match="X_target has rows of shape"):
        aligner.fit(X, y, X_target[:, :2])
    with pytest.raises(ValueError, match=r"X_target.*NaN"):
        aligner.fit(X, y, np.full((2, 4), np.nan))
    np.testing.assert_array_equal(aligner.transform(X_target), before)


@every_aligner
def test_feeds_any_estimator_in_a_pipeline(aligner):
    X, y, X_target = shifted()
    pipe = make_transfer_pipeline(clone(aligner), LogisticRegression()).fit(X, y, X_target)
    by_hand = clone(aligner)
    model = LogisticRegression().fit(by_hand.fit_transform(X, y, X_target), y)
    np.testing.assert_allclose(
        pipe.predict_proba(X_target), model.predict_proba(by_hand.transform(X_target))
    )


@every_aligner
def test_the_twin_without_transfer_is_the_fit_without_a_target(aligner):
    X, y, X_target = shifted()
    pipe = make_transfer_pipeline(clone(aligner), LogisticRegression())
    twin = pipe.source_only()
    assert pipe[0] is not twin[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twin.fit(X, y, X_target)
    with pytest.warns(UserWarning, match="fitted without X_target: nothing is aligned"):
        pipe.fit(X, y)
    np.testing.assert_array_equal(twin.predict_proba(X_target), pipe.predict_proba(X_target))
    np.testing.assert_allclose(twin[0].transform(X), twin[0].transform_source(X), atol=1e-12)


@pytest.mark.parametrize("aligner", [CORAL(), OptimalTransport(), DomainStandardScaler()])
def test_the_twin_of_what_keeps_the_features_is_the_plain_pipeline(aligner):
    X, y, X_target = shifted()
    twin = make_transfer_pipeline(aligner, LogisticRegression()).source_only().fit(X, y)
    is_scaler = isinstance(aligner, DomainStandardScaler)
    plain = make_pipeline(*[StandardScaler()] * is_scaler, LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(twin.predict_proba(X_target), plain.predict_proba(X_target))


def test_what_reads_no_labels_takes_any_and_says_so_of_the_targets():
    X, y, X_target = shifted()
    of_two = np.column_stack([X[:, 0], y])
    pipe = make_transfer_pipeline(CORAL(), Ridge()).fit(X, of_two, X_target)
    assert pipe.predict(X_target).shape == (len(X_target), 2)
    with pytest.warns(UserWarning, match="CORAL uses no labels"):
        CORAL().fit(X, y, X_target, np.zeros(len(X_target)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y_target = [0] * 9 + [None] * (len(X_target) - 9)
        make_transfer_pipeline(CORAL(), LogisticRegression()).fit(X, y, X_target, y_target)


def test_a_search_scored_on_the_source_warns_where_the_maps_differ():
    X, y, X_target = shifted()
    target = {"X_target": TargetDomain(X_target)}
    pipe = make_transfer_pipeline(CORAL(), LogisticRegression())
    with pytest.warns(UserWarning, match="A search scores 20 rows of the source"):
        cross_val_score(pipe, X, y, cv=3, params=target)
    with pytest.warns(UserWarning, match="A search scores 20 rows of the source"):
        cross_val_predict(pipe, X, y, cv=3, params=target)
    with pytest.warns(UserWarning, match="calibrates by 20 rows of the source.*FrozenEstimator"):
        CalibratedClassifierCV(pipe, cv=3).fit(X, y, **target)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = FrozenEstimator(clone(pipe).fit(X, y, X_target=X_target))
        CalibratedClassifierCV(fitted, cv=3).fit(X_target, np.arange(len(X_target)) % 3)
        # The source is the target of what reverse validation fits.
        reverse = ReverseValidationScorer(X_target)
        cross_val_score(pipe, X, y, cv=3, params=target, scoring=reverse)
        scorer = NeighborAgreementScorer(X_target)
        search = GridSearchCV(
            pipe, {"coral__regularization": [0.1, 1.0]}, scoring=scorer, error_score="raise"
        )
        search.fit(X, y, **target).predict(X_target)
        one_map = make_transfer_pipeline(TCA(2), LogisticRegression())
        cross_val_score(one_map, X, y, params=target, error_score="raise")
    with pytest.warns(UserWarning, match="fitted without X_target"):
        cross_val_score(make_pipeline(CORAL(), LogisticRegression()), X, y)


def test_merged_rows_are_distinct_and_hold_all_weight():
    X = np.array([[1.0, 2.0], [-0.0, 1.0], [1.0, 2.0], [0.0, 1.0], [3.0, 3.0]])
    merged = merge_rows(Domain(X, None, np.array([1.0, 2.0, 3.0, 4.0, 0.0])))
    found = {tuple(row): w for row, w in zip(merged.X, merged.sample_weight, strict=True)}
    assert found == {(1.0, 2.0): 4.0, (0.0, 1.0): 6.0}
    labelled = merge_rows(Domain(X, np.array(["a", "a", "b", "a", "a"])), with_labels=True)
    assert len(labelled) == 4
    assert sorted(labelled.sample_weight) == [1, 1, 1, 2]


def test_rows_without_a_label_are_one_whatever_stands_in_its_place():
    y, has_label = np.array(["a", "b", "a", "a"]), np.array([True, False, False, True])
    merged = merge_rows(Domain(np.ones((4, 2)), y, None, has_label), with_labels=True)
    found = {
        (k, str(one) if k else None) for one, k in zip(merged.y, merged.has_label, strict=True)
    }
    assert found == {(True, "a"), (False, None)}
    assert merged.sample_weight.tolist() == [2.0, 2.0]


def test_rows_are_merged_where_the_first_column_is_the_same_in_all():
    merged = merge_rows(Domain(np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 2.0]])))
    found = {tuple(row): w for row, w in zip(merged.X, merged.sample_weight, strict=True)}
    assert found == {(1.0, 2.0): 2.0, (1.0, 3.0): 1.0}


@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_weighted_mean_and_covariance_by_loops(container):
    X = np.random.default_rng(0).normal(size=(7, 3))
    weights = np.arange(7.0)
    mean, covariance = np.zeros(3), np.zeros((3, 3))
    for row, weight in zip(X, weights, strict=True):
        mean += weight * row / weights.sum()
    for row, weight in zip(X, weights, strict=True):
        for i in range(3):
            for j in range(3):
                covariance[i, j] += weight * (row - mean)[i] * (row - mean)[j] / weights.sum()
    found = weighted_mean_and_covariance(container(X), weights)
    np.testing.assert_allclose(found[0], mean)
    np.testing.assert_allclose(found[1], covariance)


def test_powers_of_a_symmetric_matrix():
    A = np.random.default_rng(0).normal(size=(4, 3))
    C = A @ A.T  # of rank 3
    root = symmetric_power(C, 0.5)
    np.testing.assert_allclose(root @ root, C, atol=1e-12)
    inverse = symmetric_power(C, -1.0, 1e-10)
    np.testing.assert_allclose(inverse, np.linalg.pinv(C), atol=1e-8)


def test_of_negative_powers_what_is_below_the_floor_is_zero():
    power = symmetric_power(np.diag([4.0, 1e-6]), -0.5, 1e-5)
    np.testing.assert_allclose(power, np.diag([0.5, 0.0]))
    power = symmetric_power(np.diag([4.0, 1e-6]), -0.5)
    np.testing.assert_allclose(power, np.diag([0.5, 1e3]))
    assert not symmetric_power(np.diag([0.0, -1e-20]), -0.5, -1.0).any()
