"""Target data through pipelines, searches and meta-estimators, with routing off and on."""

import contextlib
import copy
import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
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
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from sktransfer import (
    DANNClassifier,
    HeterogeneousTransferClassifier,
    LabelShiftClassifier,
    TargetDomain,
    make_transfer_pipeline,
)
from sktransfer.alignment import CORAL, DomainStandardScaler


class SeeingDANN(DANNClassifier):
    """Keeps the target that it was fitted with."""

    def fit(self, X, y, X_target=None, y_target=None, sample_weight=None):
        super().fit(X, y, X_target, y_target, sample_weight)
        self.seen_ = np.asarray(X), None if X_target is None else np.array(X_target)
        return self


DANN = SeeingDANN(max_epochs=2, random_state=0)


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def routing(request):
    with config_context(enable_metadata_routing=request.param):
        yield request.param


def test_a_search_slices_a_bare_target_but_not_a_target_domain(domains, routing):
    X, y, X_target = domains
    warned = pytest.warns(UserWarning, match="45 rows inside a search.*cut by the source's folds")
    for target, expected, said in [
        (X_target, 45, warned),
        (TargetDomain(X_target), 90, contextlib.nullcontext()),
    ]:
        with said:
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


def test_methods_are_there_where_the_last_step_has_what_they_end_in():
    transforms = make_transfer_pipeline(StandardScaler(), CORAL())
    predicts = make_transfer_pipeline(CORAL(), LogisticRegression())
    assert hasattr(transforms, "fit_transform")
    assert not hasattr(transforms, "fit_predict")
    assert hasattr(predicts, "fit_predict")
    assert not hasattr(predicts, "fit_transform")
    assert hasattr(make_transfer_pipeline(CORAL(), "passthrough"), "fit_transform")


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
    with pytest.warns(UserWarning, match="past \\['standardscaler'\\] .*make_transfer_pipeline"):
        pipe.fit(X, y, seeingdann__X_target=X_target)
    np.testing.assert_array_equal(pipe[-1].seen_[1], X_target)


def test_plain_pipeline_that_transforms_nothing_or_the_target_too_does_not_warn(domains):
    X, y, X_target = domains
    for step in ("passthrough", None):
        Pipeline([("step", step), ("dann", clone(DANN))]).fit(X, y, dann__X_target=X_target)
    steps = [("scale", StandardScaler()), ("dann", clone(DANN))]
    with config_context(enable_metadata_routing=True):
        pipe = Pipeline(steps, transform_input=["X_target"]).fit(X, y, X_target=X_target)
        scaled = pipe[0].transform(X_target)
        np.testing.assert_array_equal(pipe[-1].seen_[1], scaled)
        with pytest.warns(UserWarning, match="past \\['scale'\\]"):
            Pipeline(steps).fit(X, y, X_target=X_target)


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


class Scaling(TransformerMixin, BaseEstimator):
    """Centres each domain by itself, and notes what reached it."""

    __metadata_request__fit: ClassVar = {"X_target": True}

    def fit(self, X, y=None, X_target=None, sample_weight=None):
        self.seen_ = {"X_target": X_target, "sample_weight": sample_weight}
        self.means_ = X.mean(axis=0), (X if X_target is None else X_target).mean(axis=0)
        return self

    def fit_transform(self, X, y=None, X_target=None, sample_weight=None):
        return self.fit(X, y, X_target, sample_weight)[0](X)

    def __getitem__(self, domain):
        return lambda X: X - self.means_[domain]

    def transform(self, X):
        return self[1](X)


class Learner(ClassifierMixin, BaseEstimator):
    """Notes what it was trained on."""

    def fit(self, X, y, sample_weight=None):
        self.seen_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.where(X[:, 0] > 0, self.classes_[-1], self.classes_[0])


def test_an_aligner_gets_the_target_and_a_plain_last_step_the_aligned_source(domains, routing):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(StandardScaler(), Scaling(), Learner())
    pipe.fit(X, y, X_target=TargetDomain(X_target))
    scaler = StandardScaler().fit(X)
    np.testing.assert_allclose(pipe[1].seen_["X_target"], scaler.transform(X_target))
    np.testing.assert_allclose(pipe[-1].seen_[0], scaler.transform(X), atol=1e-12)
    np.testing.assert_allclose(pipe[:-1].transform(X_target).mean(axis=0), 0, atol=1e-12)
    assert get_config()["enable_metadata_routing"] == routing


def test_each_aligner_gets_the_target_as_the_one_before_left_it(domains):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(Scaling(), Scaling(), Learner()).fit(X, y, X_target)
    np.testing.assert_allclose(pipe[1].seen_["X_target"], X_target - X_target.mean(axis=0))


def test_target_rows_with_a_label_train_a_last_step_that_knows_no_target(domains, routing):
    X, y, X_target = domains
    y_target = np.full(len(X_target), None)
    y_target[[3, 5]] = "up", "down"
    pipe = make_transfer_pipeline(Scaling(), Learner())
    pipe.fit(X, y, X_target, y_target, np.full(len(X), 2.0))
    rows, labels, weights = pipe[-1].seen_
    np.testing.assert_array_equal(rows[len(X) :], (X_target - X_target.mean(axis=0))[[3, 5]])
    np.testing.assert_array_equal(labels, [*y, "up", "down"])
    np.testing.assert_array_equal(weights, [*[2.0] * len(X), 1, 1])
    sparse = make_transfer_pipeline(MaxAbsScaler(), Learner())
    csr = scipy.sparse.csr_matrix
    with pytest.warns(UserWarning, match="by the rows that y_target labels"):
        sparse.fit(csr(X), y, csr(X_target), y_target)
    assert sparse[-1].seen_[0].shape == (len(X) + 2, X.shape[1])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_stay_frames_where_labelled_rows_join(domains, frame):
    X, y, X_target = (part.copy() for part in domains)
    X_target[:, 0] = X_target[:, 0].round()
    source = frame({"a": X[:, 0], "b": X[:, 1]})
    target = frame({"a": X_target[:, 0].astype(int), "b": X_target[:, 1]})  # types of its own
    few = np.full(len(X_target), None)
    few[:2] = np.unique(y)[:2]
    pipe = make_transfer_pipeline("passthrough", LogisticRegression())
    with pytest.warns(UserWarning, match="No step of the pipeline takes X_target"):
        pipe.fit(source, y, X_target=target, y_target=few)
    assert pipe[-1].feature_names_in_.tolist() == ["a", "b"]
    both = np.concatenate([X[:, :2], X_target[:2, :2]]), np.concatenate([y, np.unique(y)[:2]])
    np.testing.assert_array_equal(pipe[-1].coef_, LogisticRegression().fit(*both).coef_)


def test_labels_without_rows_or_of_another_length_are_refused(domains):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(Scaling(), Learner())
    with pytest.raises(ValueError, match="without X_target"):
        pipe.fit(X, y, y_target=y)
    with pytest.raises(ValueError, match="3 labels for the 90 rows"):
        pipe.fit(X, y, X_target, [0, 1, 0])


def test_positional_labels_and_weights_reach_the_steps_that_take_them(domains, routing):
    X, y, X_target = domains
    weights = np.linspace(1, 2, len(X))
    clf = SeeingDANN(max_epochs=2, random_state=0)
    pipe = make_transfer_pipeline(Scaling(), clf).fit(X, y, X_target, None, weights)
    np.testing.assert_array_equal(pipe[0].seen_["sample_weight"], weights)
    X_centred, target_centred = X - X.mean(axis=0), X_target - X_target.mean(axis=0)
    by_hand = clone(clf).fit(X_centred, y, target_centred, sample_weight=weights)
    np.testing.assert_array_equal(
        pipe[-1].predict_proba(target_centred), by_hand.predict_proba(target_centred)
    )
    with pytest.raises(TypeError, match="sample_weight"):
        make_transfer_pipeline(Scaling2(), KNeighborsClassifier()).fit(
            X, y, X_target, sample_weight=weights
        )


class Scaling2(Scaling):
    """Takes no weights."""

    def fit(self, X, y=None, X_target=None):
        return super().fit(X, y, X_target)

    def fit_transform(self, X, y=None, X_target=None):
        return self.fit(X, y, X_target)[0](X)


def test_a_pipeline_of_aligners_gives_the_source_aligned(domains, routing):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(Scaling(), Scaling())
    aligned = pipe.fit_transform(X, y, X_target=X_target)
    np.testing.assert_allclose(aligned, X - X.mean(axis=0))
    nested = make_transfer_pipeline(pipe, Learner()).fit(X, y, X_target)
    np.testing.assert_allclose(nested[-1].seen_[0], X - X.mean(axis=0))
    predicted = make_transfer_pipeline(Scaling(), Learner()).fit_predict(X, y, X_target)
    np.testing.assert_array_equal(predicted, np.where(X[:, 0] > X[:, 0].mean(), "up", "down"))


def test_a_target_that_no_step_takes_is_said(domains):
    X, y, X_target = domains
    with pytest.warns(UserWarning, match="No step of the pipeline takes X_target"):
        make_transfer_pipeline("passthrough", Learner()).fit(X, y, X_target)


def test_the_cache_tells_targets_and_weights_apart(domains, tmp_path):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(Scaling(), Learner(), memory=str(tmp_path))
    plain = make_transfer_pipeline(Scaling(), Learner())
    weights = np.linspace(1, 2, len(X))
    for target, weight in [(X_target, None), (X_target + 1, None), (X_target, weights)] * 2:
        pipe.fit(X, y, target, sample_weight=weight)
        plain.fit(X, y, target, sample_weight=weight)
        np.testing.assert_array_equal(pipe[0].means_[1], target.mean(axis=0))
        np.testing.assert_array_equal(pipe.predict(X_target), plain.predict(X_target))
        assert (pipe[0].seen_["sample_weight"] is None) == (weight is None)


def test_steps_are_named_as_they_are_fitted(domains, capsys):
    X, y, X_target = domains
    make_transfer_pipeline(Scaling(), Learner(), verbose=True).fit(X, y, X_target)
    assert "(step 1 of 2) Processing scaling" in capsys.readouterr().out


def test_the_users_steps_keep_what_they_request(domains):
    X, y, X_target = domains
    learner = Learner()
    pipe = make_transfer_pipeline(Scaling(), learner)
    pipe.fit(X, y, X_target, sample_weight=np.ones(len(X)))
    assert learner.get_metadata_routing().fit.requests["sample_weight"] is None
    with config_context(enable_metadata_routing=True):
        learner.set_fit_request(sample_weight=False)
    pipe.fit(X, y, X_target, sample_weight=np.ones(len(X)))
    assert learner.seen_[2] is None


def test_labels_and_weights_pass_a_search_to_a_last_step_that_knows_no_target(domains, routing):
    X, y, X_target = domains
    y_target = np.full(len(X_target), None)
    y_target[7] = "up"
    # Routed weights would reach `score` as well, which is asked of `Learner` alone.
    weights = {} if routing else {"sample_weight": np.ones(len(X))}
    search = cross_validate(
        make_transfer_pipeline(Scaling(), Learner()),
        X,
        y,
        cv=2,
        params={
            "X_target": TargetDomain(X_target),
            "y_target": TargetDomain(y_target),
            **weights,
        },
        return_estimator=True,
        error_score="raise",
    )
    for pipe in search["estimator"]:
        assert {len(part) for part in pipe[-1].seen_ if part is not None} == {46}


def test_names_of_sources_go_to_the_step_that_uses_them_cut_by_the_folds(domains, routing):
    X, y, X_target = domains
    names = np.repeat(["a", "b", "c"], 30)
    pipe = make_transfer_pipeline(StandardScaler(), DANNClassifier(max_epochs=1, random_state=0))
    search = GridSearchCV(pipe, {"dannclassifier__max_epochs": [1, 2]}, cv=2)
    search.fit(X, y, X_target=TargetDomain(X_target), domains=names)
    assert search.best_estimator_[-1].domains_.tolist() == ["a", "b", "c"]


def test_names_of_sources_that_no_step_uses_are_refused(domains):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(DomainStandardScaler(), LogisticRegression())
    with pytest.raises(TypeError, match="domains"):
        pipe.fit(X, y, X_target=X_target, domains=np.repeat(["a", "b"], 45))


def test_a_pipeline_adapts_its_last_step_to_transformed_rows(domains):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(StandardScaler(), LabelShiftClassifier(n_bootstraps=0))
    pipe.fit(X, y, X_target=X_target)
    by_hand = copy.deepcopy(pipe[-1]).adapt(pipe[0].transform(X_target[:30]))
    assert pipe.adapt(X_target[:30]) is pipe
    np.testing.assert_array_equal(pipe[-1].target_priors_, by_hand.target_priors_)
    assert not hasattr(make_transfer_pipeline(CORAL(), LogisticRegression()), "adapt")


def test_a_target_of_other_columns_is_told_that_each_domain_goes_by_itself(domains):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(StandardScaler(), HeterogeneousTransferClassifier(max_epochs=1))
    with pytest.raises(ValueError, match=r"shape \(2,\), but .* \(4,\).*StandardScaler.*by itself"):
        pipe.fit(X, y, X_target=X_target[:, :2], y_target=y[: len(X_target)])
