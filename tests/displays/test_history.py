"""The columns of a history."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNClassifier
from sktransfer.displays._history import find_history, read_history


class Recorder(BaseEstimator):
    """Has recorded what it was given."""

    def __init__(self, history=None):
        self.history = history

    def fit(self, X, y=None):
        self.history_ = self.history
        return self


def test_columns_are_sorted_by_name_and_values():
    history = [
        {
            "epoch": epoch,
            "batches": [],
            "dur": 0.1,
            "learning_rate": 0.5,
            "label_loss": 0.5 / epoch,
            "domain_loss": 1.0,
            "train_loss": 1.0 + 0.5 / epoch,
            "train_loss_best": True,
            "valid_batch_count": 3,
            "event_lr": 0.1,
            "domain_accuracy": np.float32(0.75),
            "f1": 1.0,
            "target_score": -0.25 * epoch,
            "target_score_best": epoch == 2,
            "lambda": 2.0,
        }
        for epoch in (1, 2, 3)
    ]
    found = read_history(history)
    assert found["epochs"].tolist() == [1, 2, 3]
    assert list(found["losses"]) == ["label_loss", "domain_loss", "train_loss"]
    assert found["losses"]["label_loss"].tolist() == [0.5, 0.25, 0.5 / 3]
    assert {name: v.tolist() for name, v in found["shares"].items()} == {
        "domain_accuracy": [0.75] * 3,
        "f1": [1.0] * 3,
    }
    assert {name: v.tolist() for name, v in found["scores"].items()} == {
        "target_score": [-0.25, -0.5, -0.75]
    }
    assert found["lambda_"].tolist() == [2.0] * 3
    assert found["restored_epoch"] == 2
    assert found["stages"] is None


def test_last_best_epoch_is_the_one_restored():
    best = [True, False, True, False]
    history = [{"epoch": i + 1, "target_score_best": b} for i, b in enumerate(best)]
    assert read_history(history)["restored_epoch"] == 3
    assert read_history(history[1:2])["restored_epoch"] is None


def test_sum_is_left_out_where_there_is_one_loss():
    history = [{"epoch": 1, "label_loss": 0.5, "train_loss": 0.5}]
    assert list(read_history(history)["losses"]) == ["label_loss"]
    assert list(read_history([{"epoch": 1, "train_loss": 0.5}])["losses"]) == ["train_loss"]


def test_epochs_that_did_not_record_a_column_hold_nan():
    history = [
        {"epoch": 1, "stage": "head", "label_loss": 1.0},
        {"epoch": 2, "stage": "finetune", "label_loss": 0.5, "l2_sp_loss": 0.1, "note": None},
    ]
    found = read_history(history)
    np.testing.assert_array_equal(found["losses"]["l2_sp_loss"], [np.nan, 0.1])
    assert found["stages"] == ["head", "finetune"]
    assert "note" not in found["shares"] | found["scores"]


def test_share_with_a_gap_is_a_share():
    history = [{"epoch": 1}, {"epoch": 2, "valid_accuracy": 0.5}]
    assert list(read_history(history)["shares"]) == ["valid_accuracy"]


def test_history_is_found_through_pipelines_and_searches():
    history, X = [{"epoch": 1}], np.zeros((4, 2))
    bare = Recorder(history).fit(X)
    assert find_history(bare) is history
    assert find_history(make_pipeline(StandardScaler(), bare).fit(X)) is history
    search = GridSearchCV(
        make_pipeline(StandardScaler(), bare),
        {"recorder__history": [history]},
        scoring=lambda *_: 0,
        cv=2,
    )
    assert find_history(search.fit(X)) == history


def test_estimators_without_history_are_told():
    X, y = np.eye(4), [0, 1, 0, 1]
    with pytest.raises(TypeError, match=r"LogisticRegression without history_\. Give a fitted"):
        find_history(LogisticRegression().fit(X, y))
    with pytest.raises(TypeError, match="Pipeline without history_"):
        find_history(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y))
    search = GridSearchCV(DANNClassifier(lambda_=0, max_epochs=1), {"lambda_": [0]}, cv=2)
    with pytest.raises(TypeError, match=r"GridSearchCV without history_.*refit=True"):
        find_history(search.set_params(refit=False).fit(X, y))
    with pytest.raises(ValueError, match="history_ of Recorder is empty"):
        find_history(Recorder([]).fit(X))


def test_estimators_that_are_not_fitted_are_told():
    pipeline = make_pipeline(StandardScaler(), DANNClassifier())
    for estimator in (DANNClassifier(), pipeline, GridSearchCV(pipeline, {})):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            find_history(estimator)
