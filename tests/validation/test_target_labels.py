"""Labels of the target: which are missing, and what only looks so."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer import (
    BalancedWeightingRegressor,
    DANNClassifier,
    DANNRegressor,
    DeepCORALRegressor,
    FineTuneRegressor,
    HeterogeneousTransferClassifier,
    ImportanceWeightingRegressor,
    MeanRegularizedClassifier,
    MeanRegularizedRegressor,
    MultiTaskRegressor,
    PriorTransferClassifier,
    PriorTransferRegressor,
    TaskRelationshipRegressor,
    TrAdaBoostRegressor,
    TwoStageTrAdaBoostRegressor,
)
from sktransfer.validation._arrays import as_array
from sktransfer.validation._target_labels import find_missing

FAST = {"max_epochs": 1, "hidden_layer_sizes": (4,), "random_state": 0}
X, X_target = np.random.default_rng(0).normal(size=(2, 30, 3))
WORDS = np.where(X[:, 0] > 0, "cat", "dog")
SOME = [str(word) if row < 10 else np.nan for row, word in enumerate(WORDS[::-1])]

CLASSIFIERS = [
    DANNClassifier(**FAST),
    PriorTransferClassifier(random_state=0),
    HeterogeneousTransferClassifier(inner_folds=0, **FAST),
]
OF_ONE_NUMBER = [
    BalancedWeightingRegressor(),
    ImportanceWeightingRegressor(random_state=0),
    PriorTransferRegressor(),
    TrAdaBoostRegressor(n_estimators=2, random_state=0),
    TwoStageTrAdaBoostRegressor(n_estimators=2, random_state=0),
    DANNRegressor(**FAST),
    DeepCORALRegressor(**FAST),
]


@given(st.lists(st.sampled_from(["a", "b", np.nan, None, float("nan")]), min_size=1))
def test_what_is_missing_in_a_list_of_texts_is_missing_in_the_array(labels):
    missing = find_missing(as_array(labels, "y_target"))
    assert missing.tolist() == [not isinstance(label, str) for label in labels]


@pytest.mark.parametrize("clf", CLASSIFIERS, ids=lambda clf: type(clf).__name__)
def test_nan_in_a_list_of_texts_is_no_class(clf):
    from_list = clf.fit(X, WORDS, X_target=X_target, y_target=SOME).predict_proba(X_target)
    assert clf.classes_.tolist() == ["cat", "dog"]
    series = pd.Series(SOME, dtype=object)
    again = clf.fit(X, WORDS, X_target=X_target, y_target=series).predict_proba(X_target)
    np.testing.assert_array_equal(from_list, again)


@pytest.mark.parametrize("clf", CLASSIFIERS, ids=lambda clf: type(clf).__name__)
@pytest.mark.parametrize(
    ("y_target", "word"), [(np.array(SOME), "nan"), (pd.Series(SOME).fillna("").to_numpy(str), "")]
)
@pytest.mark.filterwarnings("ignore:The predicted shares")
def test_the_text_of_what_was_missing_is_told(clf, y_target, word):
    with pytest.warns(UserWarning, match=f"y_target holds the text {word!r} in 20 rows"):
        clf.fit(X, WORDS, X_target=X_target, y_target=y_target)


def test_a_class_of_the_source_may_have_any_name(recwarn):
    y = np.where(X[:, 0] > 0, "None", "some")
    PriorTransferClassifier(random_state=0).fit(X, y, X_target=X_target, y_target=y[::-1])
    assert not [warning for warning in recwarn if "holds the text" in str(warning.message)]


def test_columns_of_tasks_tell_the_text_of_what_was_missing():
    Y = np.column_stack([WORDS, np.array(SOME)])
    with pytest.warns(UserWarning, match="y holds the text 'nan' in 20 rows"):
        MeanRegularizedClassifier().fit(X, Y)


def test_minus_one_is_told_where_the_domains_have_other_features():
    y, y_target = (WORDS == "cat").astype(int), np.where(np.arange(30) < 10, WORDS == "cat", -1)
    clf = HeterogeneousTransferClassifier(inner_folds=0, **FAST)
    with pytest.warns(UserWarning, match="y_target holds -1 in 20 rows"):
        clf.fit(X, y, X_target=X_target, y_target=y_target)


def test_whole_numbers_beside_nan_stay_whole_where_the_domains_have_other_features():
    y, y_target = (WORDS == "cat").astype(int), np.full(30, np.nan)
    y_target[:10] = y[:10]
    clf = HeterogeneousTransferClassifier(inner_folds=0, **FAST)
    assert clf.fit(X, y, X_target=X_target, y_target=y_target).classes_.dtype.kind == "i"


@pytest.mark.parametrize("reg", OF_ONE_NUMBER, ids=lambda reg: type(reg).__name__)
def test_a_column_of_numbers_is_what_its_numbers_are(reg):
    y, y_target = X @ [1.0, 2.0, 3.0], X_target @ [1.0, 2.0, 3.0]
    plain = reg.fit(X, y, X_target=X_target, y_target=y_target).predict(X_target)
    column = reg.fit(X, y, X_target=X_target, y_target=y_target[:, np.newaxis])
    np.testing.assert_allclose(column.predict(X_target), plain)


@pytest.mark.parametrize("reg", OF_ONE_NUMBER, ids=lambda reg: type(reg).__name__)
def test_two_columns_beside_one_are_refused_by_name(reg):
    y, y_target = X[:, 0], X_target[:, :2]
    with pytest.raises(ValueError, match="y_target"):
        reg.fit(X, y, X_target=X_target, y_target=y_target)


@pytest.mark.parametrize(
    "reg",
    [
        *OF_ONE_NUMBER,
        FineTuneRegressor(random_state=0),
        MeanRegularizedRegressor(),
        TaskRelationshipRegressor(),
        MultiTaskRegressor(**FAST),
    ],
    ids=lambda reg: type(reg).__name__,
)
def test_texts_are_no_numbers_and_the_message_names_them(reg):
    with pytest.raises(ValueError, match=r"y holds texts, such as \['(cat|dog)'\], but .*learns"):
        reg.fit(X, WORDS)
