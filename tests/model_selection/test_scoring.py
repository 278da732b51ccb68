"""Every scorer in every search of scikit-learn, on estimators and on pipelines."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_validate,
)
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNClassifier, FineTuneClassifier, TargetDomain, make_transfer_pipeline
from sktransfer.model_selection import (
    BNMScorer,
    ClassAMIScorer,
    DEVScorer,
    EntropyScorer,
    InfoMaxScorer,
    IWCVScorer,
    NeighborAgreementScorer,
    ReverseValidationScorer,
    SNDScorer,
    TargetAccuracyScorer,
)

SCORERS = [
    BNMScorer,
    ClassAMIScorer,
    DEVScorer,
    EntropyScorer,
    InfoMaxScorer,
    IWCVScorer,
    NeighborAgreementScorer,
    ReverseValidationScorer,
    SNDScorer,
]
FAST = {"max_epochs": 2, "random_state": 0}
every_scorer = pytest.mark.parametrize("make", [*SCORERS, lambda X: TargetAccuracyScorer(X, Y)])
Y = np.repeat(["down", "up"], 45)
GRID = {"lambda_": [0.0, 1.0]}
quiet = pytest.mark.filterwarnings("ignore:The domain classifier still tells")


def scores_by_hand(estimator, X, y, X_target, make):
    """Return what each fold of a search with cv=2 must have scored."""
    scores = []
    for train, test in StratifiedKFold(2).split(X, y):
        fitted = clone(estimator).fit(X[train], y[train], X_target=X_target)
        scores.append(make(X_target)(fitted, X[test], y[test]))
    return scores


@every_scorer
def test_grid_search_scores_by_it(domains, make):
    X, y, X_target = domains
    search = GridSearchCV(DANNClassifier(**FAST), GRID, scoring=make(X_target), cv=2)
    search.fit(X, y, X_target=TargetDomain(X_target))
    for i, params in enumerate(search.cv_results_["params"]):
        by_hand = scores_by_hand(DANNClassifier(**FAST, **params), X, y, X_target, make)
        found = [search.cv_results_[f"split{k}_test_score"][i] for k in range(2)]
        assert found == pytest.approx(by_hand)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])


@every_scorer
def test_pipelines_are_scored_on_their_own_rows(domains, make):
    X, y, X_target = domains
    pipe = make_transfer_pipeline(StandardScaler(), DANNClassifier(**FAST))
    grid = {f"dannclassifier__{name}": values for name, values in GRID.items()}
    search = GridSearchCV(pipe, grid, scoring=make(X_target), cv=2)
    search.fit(X, y, X_target=TargetDomain(X_target))
    pipe.set_params(**search.cv_results_["params"][1])
    by_hand = scores_by_hand(pipe, X, y, X_target, make)
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(np.mean(by_hand))


@pytest.mark.parametrize("routing", [False, True])
def test_all_at_once_in_two_processes_with_routing_off_and_on(domains, routing):
    X, y, X_target = domains
    scoring = {make.__name__: make(X_target) for make in SCORERS}
    with config_context(enable_metadata_routing=routing):
        target = {"X_target": TargetDomain(X_target)}
        results = cross_validate(
            DANNClassifier(**FAST), X, y, scoring=scoring, cv=2, n_jobs=2, params=target
        )
    for make in SCORERS:
        by_hand = scores_by_hand(DANNClassifier(**FAST), X, y, X_target, make)
        assert results[f"test_{make.__name__}"] == pytest.approx(by_hand)


def test_random_and_halving_searches_choose_by_it(domains):
    X, y, X_target = domains
    scorer, clf = InfoMaxScorer(X_target), DANNClassifier(**FAST)
    drawn = RandomizedSearchCV(clf, GRID, n_iter=1, scoring=scorer, cv=2, random_state=0)
    drawn.fit(X, y, X_target=TargetDomain(X_target))
    assert drawn.best_score_ == drawn.cv_results_["mean_test_score"].max()
    halving = HalvingGridSearchCV(clf, GRID, scoring=scorer, cv=2, random_state=0)
    halving.fit(X, y, X_target=TargetDomain(X_target))
    assert 0 <= halving.best_score_ <= np.log(2)


@every_scorer
def test_scorers_survive_pickling_and_are_shared_by_clones(domains, make):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    scorer = make(X_target)
    assert pickle.loads(pickle.dumps(scorer))(clf, X, y) == scorer(clf, X, y)
    search = clone(GridSearchCV(clf, GRID, scoring={"by": scorer}, refit="by"))
    assert search.scoring["by"] is scorer


@every_scorer
@pytest.mark.parametrize(
    "kind",
    [
        TargetDomain,
        torch.tensor,
        scipy.sparse.csr_matrix,
        lambda X: pd.DataFrame(X, columns=list("abcd")),
        lambda X: X.tolist(),
    ],
)
@quiet
def test_the_target_may_be_of_any_kind(domains, make, kind):
    X, y, X_target = domains
    named = pd.DataFrame(X, columns=list("abcd")) if kind(X_target).__class__ is pd.DataFrame else X
    clf = DANNClassifier(**FAST).fit(named, y, kind(X_target))
    assert make(kind(X_target))(clf, named, y) == pytest.approx(
        make(X_target)(DANNClassifier(**FAST).fit(X, y, X_target), X, y)
    )


@every_scorer
def test_scoring_changes_nothing_and_draws_nothing(domains, make):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    before = clf.predict_proba(X_target), X_target.copy(), X.copy()
    state, torch_state = np.random.get_state(), torch.get_rng_state()
    score = make(X_target)(clf, X, y)
    assert isinstance(score, float)
    assert score == make(X_target)(clf, X, y)
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])
    assert torch.equal(torch.get_rng_state(), torch_state)
    for now, then in zip((clf.predict_proba(X_target), X_target, X), before, strict=True):
        np.testing.assert_array_equal(now, then)


@every_scorer
def test_estimators_of_scikit_learn_and_fine_tuned_ones_are_scored_too(domains, make):
    X, y, X_target = domains
    scores = [
        make(X_target)(LogisticRegression().fit(X, y), X, y),
        make(X_target)(
            FineTuneClassifier(torch.nn.Linear(4, 3), head_epochs=2, finetune_epochs=1).fit(X, y),
            X,
            y,
        ),
    ]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("make", SCORERS)
@pytest.mark.parametrize("rows", [np.zeros(4), np.zeros((1, 4)), np.zeros((0, 4)), []])
def test_a_target_of_too_few_rows_is_refused_when_the_scorer_is_made(make, rows):
    with pytest.raises(ValueError, match=r"X_target has shape .* at least 2 rows of the target"):
        make(rows)


@pytest.mark.parametrize("scorer", [*SCORERS, TargetAccuracyScorer])
def test_a_class_in_place_of_a_scorer_is_told_what_it_lacks(domains, scorer):
    X, y, X_target = domains
    search = GridSearchCV(DANNClassifier(**FAST), GRID, scoring=scorer, error_score="raise")
    with pytest.raises(TypeError, match=rf"give scoring={scorer.__name__}\(X_target"):
        search.fit(X, y, X_target=TargetDomain(X_target))


def test_a_target_of_other_rows_is_refused_by_the_estimator(domains):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    with pytest.raises(ValueError, match="X has 3 features, but DANNClassifier is expecting 4"):
        InfoMaxScorer(X_target[:, :3])(clf)


def test_labels_must_be_as_many_as_rows():
    with pytest.raises(ValueError, match=r"y_target has shape \(2,\), but X_target 3 rows"):
        TargetAccuracyScorer(np.zeros((3, 1)), [0, 1])


def test_scorers_tell_what_they_hold():
    assert repr(InfoMaxScorer(np.zeros((3, 2)))) == "InfoMaxScorer(ndarray of shape (3, 2))"


@pytest.mark.parametrize("scorer", [NeighborAgreementScorer, DEVScorer, TargetAccuracyScorer])
def test_signature_of_a_scorer_is_what_it_takes(scorer):
    assert next(iter(inspect.signature(scorer).parameters)) == "X_target"
    assert "self" not in inspect.signature(scorer).parameters


def test_signature_of_a_made_scorer_is_that_of_its_call():
    scorer = NeighborAgreementScorer(np.zeros((3, 2)))
    assert list(inspect.signature(scorer).parameters) == ["estimator", "X", "y"]
