"""Displays of regressors: each draws them, or says what to give instead."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from sktransfer import DANNRegressor, DeepCORALRegressor, FineTuneRegressor
from sktransfer.callbacks import DomainScoring
from sktransfer.displays import (
    DomainEmbeddingDisplay,
    TrainingHistoryDisplay,
    TransferMatrixDisplay,
    UnfreezeDepthDisplay,
)
from sktransfer.displays._transfer_matrix import split_domains
from sktransfer.finetuning import HeldOut

rng = np.random.default_rng(0)
X, X_TARGET = rng.normal(size=(60, 3)), rng.normal(0.5, 1, size=(50, 3))
Y, Y_TARGET = X[:, 0] + 1, X_TARGET[:, 0] + 1
DOMAINS = {"a": (X, Y), "b": (X_TARGET, Y_TARGET), "c": (X[:40] + 3, -9 * Y[:40])}
FAST = {"max_epochs": 3, "random_state": 0}
FAST_STAGES = {"head_epochs": 3, "finetune_epochs": 3, "random_state": 0}


def test_history_draws_the_r2_of_both_domains_on_a_scale_that_holds_it():
    scoring = DomainScoring(X, Y, X_TARGET, Y_TARGET)
    reg = DANNRegressor(callbacks=[scoring], **FAST).fit(X, Y, X_target=X_TARGET)
    display = TrainingHistoryDisplay.from_estimator(reg)
    for name in ("source_r2", "target_r2"):
        line = display.lines_[name]
        np.testing.assert_array_equal(line.get_ydata(), reg.history_[:, name])
        low, high = line.axes.get_ylim()
        assert low <= min(line.get_ydata())
        assert max(line.get_ydata()) <= high
    colors = {name: display.lines_[name].get_color() for name in ("source_r2", "target_r2")}
    assert colors["source_r2"] == display.lines_["label_loss"].get_color()
    assert colors["target_r2"] != colors["source_r2"]


def test_history_draws_stages_and_held_out_rows():
    reg = FineTuneRegressor(early_stopping=HeldOut(fraction=0.2), **FAST_STAGES)
    reg.fit(X, Y, X_target=X_TARGET, y_target=Y_TARGET)
    display = TrainingHistoryDisplay.from_estimator(reg)
    assert [text.get_text() for text in display.stage_texts_] == ["source", "head", "finetune"]
    assert {"valid_loss", "valid_r2"} <= set(display.lines_)


@pytest.mark.parametrize("estimator", [LinearRegression(), DeepCORALRegressor(**FAST)])
def test_matrix_holds_r2_on_held_out_rows(estimator):
    display = TransferMatrixDisplay.from_estimator(estimator, DOMAINS, random_state=0)
    assert display.ax_.get_title() == "R$^2$ on the target"
    assert display.im_.get_clim() == (0, 1)
    if isinstance(estimator, LinearRegression):
        splits = split_domains(DOMAINS, 0.25, 0, by_class=False).values()
        for i, source in enumerate(splits):
            for j, target in enumerate(splits):
                fit = LinearRegression().fit(source.X_train, source.y_train)
                expected = r2_score(target.y_test, fit.predict(target.X_test))
                assert display.matrix[i, j] == pytest.approx(expected)


def test_matrix_says_what_cannot_be_split():
    domains = {"a": (X[:1], Y[:1]), "b": (X, Y)}
    message = r"domains\['a'\] cannot be split by test_size=0.25: .*Give more rows, or"
    with pytest.raises(ValueError, match=message):
        TransferMatrixDisplay.from_estimator(LinearRegression(), domains)


def test_depths_are_drawn_by_r2():
    reg = FineTuneRegressor(hidden_layer_sizes=(4, 4), head_epochs=1, finetune_epochs=1)
    search = GridSearchCV(reg.set_params(random_state=0), {"unfreeze_depth": [0, 2]}, cv=2)
    search.fit(X, Y, X_target=X_TARGET, y_target=Y_TARGET)
    display = UnfreezeDepthDisplay.from_search(search)
    assert display.score_name == "test r2"
    np.testing.assert_array_equal(display.mean_scores, search.cv_results_["mean_test_score"])


@pytest.mark.parametrize("labels", [np.repeat(Y, 3), np.arange(180)])
def test_embedding_names_what_to_give_for_measured_numbers(labels):
    reg = DANNRegressor(**FAST).fit(X, Y, X_target=X_TARGET)
    with pytest.raises(ValueError, match=r"look measured.*numpy\.digitize"):
        DomainEmbeddingDisplay.from_estimator(
            reg, np.repeat(X, 3, axis=0), X_TARGET, y_source=labels
        )
    groups = np.digitize(Y, np.quantile(Y, [1 / 3, 2 / 3]))
    display = DomainEmbeddingDisplay.from_estimator(reg, X, X_TARGET, y_source=groups)
    assert display.classes_.tolist() == [0, 1, 2]
    assert DomainEmbeddingDisplay.from_estimator(reg, X, X_TARGET).axes_.shape == (1, 1)
