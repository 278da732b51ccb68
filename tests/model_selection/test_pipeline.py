"""Target data through pipelines, searches and meta-estimators, with routing off and on."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from sktransfer import DANNClassifier, TargetDomain, make_transfer_pipeline


class SeeingDANN(DANNClassifier):
    """Keeps the target that it was fitted with."""

    def fit(self, X, y, X_target=None, y_target=None, sample_weight=None):
        self.seen_ = np.asarray(X), None if X_target is None else np.array(X_target)
        return super().fit(X, y, X_target, y_target, sample_weight)


DANN = SeeingDANN(max_epochs=2, random_state=0)


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def routing(request):
    with config_context(enable_metadata_routing=request.param):
        yield request.param


def test_a_search_slices_a_bare_target_but_not_a_target_domain(domains, routing):
    X, y, X_target = domains
    for target, expected in [(X_target, 45), (TargetDomain(X_target), 90)]:
        search = cross_validate(
            DANN, X, y, cv=2, params={"X_target": target}, return_estimator=True
        )
        assert [len(e.seen_[1]) for e in search["estimator"]] == [expected] * 2


def test_pipeline_transforms_source_and_target_alike(domains, routing):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(StandardScaler(), DANN).fit(X, y, X_target=X_target)
    scaler = StandardScaler().fit(X)
    seen = pipe[-1].seen_
    np.testing.assert_allclose(seen[0], scaler.transform(X))
    np.testing.assert_allclose(seen[1], scaler.transform(X_target))
    assert get_config()["enable_metadata_routing"] == routing
    by_hand = clone(DANN).fit(scaler.transform(X), y, scaler.transform(X_target))
    np.testing.assert_array_equal(
        pipe.predict_proba(X_target), by_hand.predict_proba(scaler.transform(X_target))
    )


def test_pipeline_goes_through_copies_and_other_entries(domains, routing):
    X, y, X_target = domains
    pipe = clone(make_transfer_pipeline(StandardScaler(), DANN))
    pipe.fit(X, y, X_target=TargetDomain(X_target))
    twin = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_array_equal(twin.predict(X), pipe.predict(X))
    features = clone(pipe).fit_transform(X, y, X_target=X_target)
    np.testing.assert_array_equal(features, pipe.transform(X))
    np.testing.assert_array_equal(clone(pipe).fit_predict(X, y, X_target), pipe.predict(X))


def test_pipeline_without_a_target_warns_as_the_classifier_does(domains, routing):
    X, y, _ = domains
    with pytest.warns(UserWarning, match="fitted without X_target"):
        make_transfer_pipeline(StandardScaler(), DANN).fit(X, y)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_over_lambda_in_a_pipeline(domains, routing, n_jobs):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(StandardScaler(), DANNClassifier(max_epochs=2, random_state=0))
    grid = {"dannclassifier__lambda_": [0.0, 1.0]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs, error_score="raise")
    search.fit(X, y, X_target=TargetDomain(X_target))
    assert len(search.cv_results_["mean_test_score"]) == 2
    expected = clone(search.best_estimator_).fit(X, y, X_target=X_target)
    np.testing.assert_array_equal(search.predict_proba(X_target), expected.predict_proba(X_target))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_over_lambda(domains, routing, n_jobs):
    X, y, X_target = domains
    clf = DANNClassifier(max_epochs=2, random_state=0)
    search = GridSearchCV(clf, {"lambda_": [0.0, 1.0]}, cv=2, n_jobs=n_jobs, error_score="raise")
    search.fit(X, y, X_target=TargetDomain(X_target))
    expected = clone(search.best_estimator_).fit(X, y, X_target)
    np.testing.assert_array_equal(search.predict_proba(X_target), expected.predict_proba(X_target))


def test_sparse_and_frame_targets_stay_what_they_are(domains, routing):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(MaxAbsScaler(), DANNClassifier(max_epochs=2, random_state=0))
    dense = clone(pipe).fit(X, y, X_target=X_target).predict_proba(X)
    csr = scipy.sparse.csr_matrix
    pipe.fit(csr(X), y, X_target=TargetDomain(csr(X_target)))
    np.testing.assert_allclose(pipe.predict_proba(csr(X)), dense)
    frames = [pd.DataFrame(Z, columns=list("abcd")) for Z in (X, X_target)]
    columns = make_column_transformer((StandardScaler(), ["a", "b"]))
    named = make_transfer_pipeline(columns, DANN)
    named.fit(frames[0], y, X_target=TargetDomain(frames[1]))
    assert named[-1].seen_[1].shape == (90, 2)


def test_plain_pipeline_hands_the_target_on_untransformed(domains):
    X, y, X_target = domains
    pipe = make_pipeline(StandardScaler(), DANN)
    pipe.fit(X, y, seeingdann__X_target=X_target)
    np.testing.assert_array_equal(pipe[-1].seen_[1], X_target)


class Recorder(TransformerMixin, BaseEstimator):
    """Notes what it was fitted on."""

    def fit(self, X, y=None):
        self.rows_ = len(X)
        return self

    def transform(self, X):
        return X


def test_transformers_learn_from_the_source_alone(domains, routing):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(Recorder(), DANN).fit(X[:50], y[:50], X_target=X_target)
    assert pipe[0].rows_ == 50


def test_features_feed_a_further_classifier(domains, routing):
    X, y, X_target = domains
    dann = DANNClassifier(max_epochs=2, random_state=0)
    if routing:
        pipe = make_pipeline(dann, LogisticRegression()).fit(X, y, X_target=X_target)
    else:
        pipe = make_pipeline(dann, LogisticRegression()).fit(
            X, y, dannclassifier__X_target=X_target
        )
    features = clone(dann).fit(X, y, X_target).transform(X)
    by_hand = LogisticRegression().fit(features, y)
    np.testing.assert_array_equal(pipe.predict_proba(X), by_hand.predict_proba(features))


def test_cross_validation_takes_the_target(domains, routing):
    X, y, X_target = domains
    params = {"X_target": TargetDomain(X_target)}
    clf = DANNClassifier(max_epochs=3, random_state=0)
    expected = np.empty_like(y)
    for train, test in StratifiedKFold(3).split(X, y):
        expected[test] = clone(clf).fit(X[train], y[train], X_target).predict(X[test])
    scores = cross_validate(clf, X, y, cv=3, params=params, error_score="raise")
    assert scores["test_score"].mean() == pytest.approx(np.mean(expected == y))
    np.testing.assert_array_equal(cross_val_predict(clf, X, y, cv=3, params=params), expected)
    _, _, curve = learning_curve(
        clf, X, y, cv=3, params=params, train_sizes=[0.5, 1.0], error_score="raise"
    )
    assert curve.shape == (2, 3)


def test_calibration_takes_the_target(domains, routing):
    X, y, X_target = domains
    calibrated = CalibratedClassifierCV(DANN, cv=3).fit(X, y, X_target=TargetDomain(X_target))
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    members = [member.estimator for member in calibrated.calibrated_classifiers_]
    assert [len(member.seen_[0]) for member in members] == [60] * 3
    for member in members:
        np.testing.assert_array_equal(member.seen_[1], X_target)


def test_calibration_of_a_frozen_classifier(domains, routing):
    X, y, X_target = domains
    clf = DANNClassifier(max_epochs=20, random_state=0).fit(X, y, X_target)
    before = clf.predict_proba(X)
    frozen = CalibratedClassifierCV(FrozenEstimator(clf)).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    # A sigmoid of the classifier's answers: other probabilities, in the same order.
    order = np.argsort(before[:, 1])
    assert (np.diff(frozen.predict_proba(X)[order, 1]) >= 0).all()


@pytest.mark.parametrize(
    "ensemble",
    [
        BaggingClassifier(DANN, n_estimators=2, random_state=0),
        VotingClassifier([("a", DANN), ("b", clone(DANN))], voting="soft"),
    ],
)
def test_ensembles_take_the_target_where_scikit_learn_routes_it(domains, routing, ensemble):
    X, y, X_target = domains
    if routing:
        ensemble = clone(ensemble).fit(X, y, X_target=TargetDomain(X_target))
        assert all(len(member.seen_[1]) == 90 for member in ensemble.estimators_)
        assert ensemble.predict(X_target).shape == (90,)
    else:
        with pytest.raises(ValueError, match="enable_metadata_routing=True"):
            clone(ensemble).fit(X, y, X_target=TargetDomain(X_target))
        with pytest.warns(UserWarning, match="fitted without X_target"):
            clone(ensemble).fit(X, y)


def test_output_containers_reach_the_features(domains, routing):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(StandardScaler(), DANNClassifier(max_epochs=2, random_state=0))
    pipe.set_output(transform="pandas").fit(X, y, X_target=X_target)
    assert pipe.transform(X).columns[0] == "dannclassifier0"


def test_importing_changes_no_setting():
    assert get_config()["enable_metadata_routing"] is False
