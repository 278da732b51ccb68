"""What estimators share that wrap others."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from sktransfer._wrapping import fit_weighted, stack_rows, takes_sample_weight
from sktransfer.datasets import make_shifted_moons
from sktransfer.instance import (
    ImportanceWeightingClassifier,
    ImportanceWeightingRegressor,
    LabelShiftClassifier,
    TrAdaBoostClassifier,
    TrAdaBoostRegressor,
    TwoStageTrAdaBoostRegressor,
)
from sktransfer.parameters import (
    BalancedWeightingClassifier,
    BalancedWeightingRegressor,
    PriorTransferClassifier,
)


def test_pipelines_take_weights_where_their_last_step_does():
    assert takes_sample_weight(make_pipeline(StandardScaler(), LogisticRegression()))
    assert not takes_sample_weight(make_pipeline(StandardScaler(), KNeighborsClassifier()))


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), make_pipeline(LogisticRegression())),
        BaggingClassifier(LogisticRegression(), n_estimators=2, random_state=0),
    ],
)
def test_weights_arrive_whether_routing_is_on_or_not(estimator, routing):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.integers(0, 2, 40)
    weights = np.where(y == 1, 9.0, 1.0)
    with config_context(enable_metadata_routing=routing):
        fitted = fit_weighted(estimator, X, y, weights)
    assert fitted.predict(X).mean() > 0.9


def test_rows_are_stacked_as_they_are():
    dense, rows = np.ones((2, 3)), sparse.csr_matrix(np.eye(3))
    np.testing.assert_array_equal(stack_rows(dense, 2 * dense), [[1] * 3] * 2 + [[2] * 3] * 2)
    assert stack_rows(rows, rows).format == "csr"


def test_sparse_rows_are_taken_where_the_estimator_takes_them():
    assert get_tags(ImportanceWeightingClassifier(LogisticRegression())).input_tags.sparse
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    tags = get_tags(ImportanceWeightingClassifier(inner))
    assert tags.input_tags.sparse == get_tags(inner).input_tags.sparse


@pytest.mark.parametrize("kind", [BalancedWeightingClassifier, PriorTransferClassifier])
def test_labels_of_the_target_keep_their_length(kind):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(40, 2)), rng.normal(size=(20, 2))
    names = np.array(["a", "a much longer name"])
    y, y_target = names[(X[:, 0] > 0).astype(int)], names[(X_target[:, 0] > 0).astype(int)]
    y_target[0] = "a"
    clf = kind().fit(X, y, X_target=X_target, y_target=y_target)
    np.testing.assert_array_equal(clf.classes_, names)


@pytest.mark.parametrize(
    "learner",
    [
        LabelShiftClassifier(n_bootstraps=0, random_state=0),
        BalancedWeightingClassifier(),
        TrAdaBoostClassifier(n_estimators=3, random_state=0),
    ],
)
def test_missing_values_are_handed_to_an_estimator_that_takes_them(learner):
    X, y, X_target, y_target = make_shifted_moons(60, random_state=0)
    X[::5, 0] = X_target[::7, 1] = np.nan
    labels = {} if isinstance(learner, LabelShiftClassifier) else {"y_target": y_target}
    filled = make_pipeline(SimpleImputer(), LogisticRegression())
    trees = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2)
    for inner in (trees, filled):
        fitted = clone(learner).set_params(estimator=inner).fit(X, y, X_target=X_target, **labels)
        order = np.random.default_rng(0).permutation(60)
        again = clone(fitted).fit(X[order], y[order], X_target=X_target, **labels)
        assert fitted.score(X_target, y_target) > 0.5
        np.testing.assert_allclose(
            again.predict_proba(X_target), fitted.predict_proba(X_target), atol=1e-6
        )
    with pytest.raises(ValueError, match=r"Input X contains NaN, in 12 of the 60 rows, columns"):
        clone(learner).fit(X, y, X_target=X_target, **labels)
    with pytest.raises(ValueError, match="contains NaN"):  # density ratios compute with rows
        ImportanceWeightingClassifier(trees).fit(X, y, X_target=X_target)


REGRESSORS = [
    BalancedWeightingRegressor,
    ImportanceWeightingRegressor,
    TrAdaBoostRegressor,
    TwoStageTrAdaBoostRegressor,
]
CLASSIFIERS = [
    BalancedWeightingClassifier,
    ImportanceWeightingClassifier,
    LabelShiftClassifier,
    TrAdaBoostClassifier,
]


@pytest.mark.parametrize(
    ("wrapper", "other", "kind"),
    [
        *((wrapper, LogisticRegression(), "classifier") for wrapper in REGRESSORS),
        *((wrapper, GridSearchCV(Ridge(), {}), "regressor") for wrapper in CLASSIFIERS),
        *(
            (wrapper, make_pipeline(StandardScaler(), Ridge()), "regressor")
            for wrapper in CLASSIFIERS
        ),
    ],
)
def test_an_estimator_of_the_other_kind_is_refused(wrapper, other, kind):
    X, X_target = np.random.default_rng(0).normal(size=(2, 20, 2))
    y = np.arange(20) % 2
    with pytest.raises(TypeError, match=f"a {kind}, but {wrapper.__name__} fits a "):
        wrapper(other).fit(X, y, X_target=X_target, y_target=y)
