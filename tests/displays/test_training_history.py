"""Curves of a fit, against its history."""

import copy

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.preprocessing import StandardScaler
from skorch.history import History

from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    FineTuneClassifier,
    make_transfer_pipeline,
)
from sktransfer.callbacks import DomainScoring
from sktransfer.datasets import make_shifted_moons
from sktransfer.displays import TrainingHistoryDisplay
from sktransfer.finetuning import HeldOut, SourceTraining, Unfreezing

Xs, ys, Xt, yt = make_shifted_moons(60, random_state=0)
SCORING = DomainScoring(Xs, ys, Xt, yt)


def columns(history):
    """Return what is in a history, each column where it was recorded, by plain loops."""
    found = {}
    for epoch in history:
        for name, value in epoch.items():
            found.setdefault(name, ([], []))
            found[name][0].append(epoch["epoch"])
            found[name][1].append(value)
    return found


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def display_of(**more):
    epochs = np.arange(1, 6)
    arrays = {"losses": {"label_loss": 1 / epochs}, "shares": {"domain_accuracy": 1 / epochs}}
    return TrainingHistoryDisplay(**{"epochs": epochs, **arrays, **more})


@pytest.fixture(scope="module")
def dann():
    return DANNClassifier(
        max_epochs=6,
        lambda_=0.5,
        target_loss="entropy",
        target_loss_weight=0.1,
        callbacks=[SCORING],
        random_state=0,
    ).fit(Xs, ys, X_target=Xt)


@pytest.fixture(scope="module")
def finetuned():
    return FineTuneClassifier(
        source_training=SourceTraining(epochs=5),
        head_epochs=4,
        finetune_epochs=3,
        unfreezing=Unfreezing(l2_sp=0.1),
        early_stopping=HeldOut(),
        random_state=0,
    ).fit(Xs, ys, X_target=Xt[:40], y_target=yt[:40])


LOSSES = ["label_loss", "domain_loss", "gradient_penalty_loss", "target_loss", "train_loss"]
SHARES = ["domain_accuracy", "source_accuracy", "target_accuracy"]


def test_curves_of_dann_are_its_history(dann):
    display = TrainingHistoryDisplay.from_estimator(dann)
    assert list(display.losses) == LOSSES
    assert list(display.shares) == SHARES
    assert set(display.lines_) == {*LOSSES, *SHARES, "lambda"}
    recorded = columns(dann.history_)
    for name, line in display.lines_.items():
        assert list(line.get_xdata()) == recorded[name][0] == [1, 2, 3, 4, 5, 6]
        assert list(line.get_ydata()) == recorded[name][1]
        assert line.axes is display.axes_[0 if name in LOSSES else 1]


def test_legends_name_the_curves_and_chance(dann):
    upper, lower = TrainingHistoryDisplay.from_estimator(dann).axes_
    assert texts(upper) == [name.replace("_", " ") for name in LOSSES]
    assert texts(lower) == [
        "domain accuracy",
        "chance (domain)",
        "source accuracy",
        "target accuracy",
        "lambda",
    ]
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("loss", "share")
    assert lower.get_xlabel() == "epoch"


def test_chance_is_drawn_where_domains_are_told_apart(dann):
    display = TrainingHistoryDisplay.from_estimator(dann)
    assert set(display.chance_line_.get_ydata()) == {0.5}
    assert display_of(shares={"target_accuracy": np.full(5, 0.5)}).plot().chance_line_ is None


def test_source_and_target_have_colors_of_their_own(dann):
    lines = TrainingHistoryDisplay.from_estimator(dann).lines_
    of_shares = {lines[name].get_color() for name in SHARES}
    assert len(of_shares) == 3
    assert lines["label_loss"].get_color() == lines["source_accuracy"].get_color()


@pytest.mark.parametrize(
    ("estimator", "penalty"),
    [
        (DeepCORALClassifier(max_epochs=3, random_state=0), []),
        (
            make_transfer_pipeline(StandardScaler(), DANNClassifier(max_epochs=3, random_state=0)),
            ["gradient_penalty_loss", "target_loss"],
        ),
    ],
)
def test_other_methods_and_pipelines_are_drawn(estimator, penalty):
    display = TrainingHistoryDisplay.from_estimator(estimator.fit(Xs, ys, X_target=Xt))
    assert list(display.losses) == ["label_loss", "domain_loss", *penalty, "train_loss"]
    assert display.lines_["domain_loss"].get_xdata().tolist() == [1, 2, 3]


def test_losses_of_other_magnitude_have_a_logarithmic_scale():
    near, far = (
        display_of(losses={"label_loss": 1 / np.arange(1, 6), "domain_loss": np.full(5, loss)})
        for loss in (0.02, 0.005)
    )
    assert near.plot().axes_[0].get_yscale() == "linear"
    assert far.plot().axes_[0].get_yscale() == "log"
    lowest, highest = far.axes_[0].get_ylim()
    assert 0 < lowest < 0.005 < 1 < highest
    far.losses["domain_loss"][0] = 0.0
    assert far.plot().axes_[0].get_yscale() == "linear"


def test_stages_of_fine_tuning_have_borders_and_names(finetuned):
    display = TrainingHistoryDisplay.from_estimator(finetuned)
    assert display.stages == finetuned.history_[:, "stage"]
    names = list(dict.fromkeys(display.stages))
    assert names == ["source", "head", "finetune"]
    assert [text.get_text() for text in display.stage_texts_] == names
    firsts = [display.stages.index(name) for name in names[1:]]
    borders = [display.epochs[first] - 0.5 for first in firsts for _ in range(2)]
    assert [line.get_xdata()[0] for line in display.stage_lines_] == borders
    assert [line.axes for line in display.stage_lines_] == [*display.axes_] * 2


def test_a_loss_of_one_stage_is_drawn_where_it_was_recorded(finetuned):
    display = TrainingHistoryDisplay.from_estimator(finetuned)
    epochs, values = columns(finetuned.history_)["l2_sp_loss"]
    assert len(epochs) < len(display.epochs)
    assert list(display.lines_["l2_sp_loss"].get_xdata()) == epochs
    assert list(display.lines_["l2_sp_loss"].get_ydata()) == values
    assert "valid_accuracy" in display.shares


def test_names_of_short_stages_do_not_overlap():
    stages = ["source"] * 36 + ["head"] * 2 + ["finetune"] * 2
    epochs = np.arange(1, 41)
    display = display_of(
        epochs=epochs, losses={"label_loss": 1 / epochs}, shares={}, stages=stages
    ).plot()
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.stage_texts_]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_weak_lambda_shares_the_scale_and_strong_lambda_has_its_own():
    weak = display_of(lambda_=np.linspace(0, 1, 5)).plot()
    assert weak.lines_["lambda"].axes is weak.axes_[1]
    assert weak.right_axes_ == []
    strong = display_of(lambda_=np.linspace(0, 10, 5)).plot()
    (right,) = strong.right_axes_
    assert strong.lines_["lambda"].axes is right
    assert right.get_ylabel() == "lambda"
    assert right.get_ylim()[0] < 0 < 10 < right.get_ylim()[1]
    assert 10 in right.get_yticks()
    assert "lambda" in texts(strong.axes_[1])


def test_scores_that_are_no_shares_have_a_scale_of_their_own():
    scores = {"target_score": -np.linspace(0.3, 1.2, 5)}
    display = display_of(scores=scores, lambda_=np.full(5, 3.0)).plot()
    assert [right.get_ylabel() for right in display.right_axes_] == ["target score", "lambda"]
    line = display.lines_["target_score"]
    assert line.axes is display.right_axes_[0]
    assert list(line.get_ydata()) == list(scores["target_score"])
    assert texts(display.axes_[1])[-2:] == ["target score", "lambda"]
    assert all(y <= 0 for y in display.right_axes_[0].get_yticks())


def test_restored_epoch_is_marked_in_both_panels(dann):
    marked = copy.deepcopy(dann)
    marked.history_ = History(marked.history_)
    for epoch, score in zip(marked.history_, [-0.9, -0.5, -0.7, -0.4, -0.6, -0.5], strict=True):
        epoch |= {"target_score": score, "target_score_best": score in (-0.9, -0.5, -0.4)}
    marked.history_[-1]["target_score_best"] = False
    display = TrainingHistoryDisplay.from_estimator(marked)
    assert display.restored_epoch == 4
    assert [line.axes for line in display.restored_lines_] == [*display.axes_]
    assert {x for line in display.restored_lines_ for x in line.get_xdata()} == {4}
    assert texts(display.axes_[1])[-1] == "restored epoch 4"


def test_without_a_restored_epoch_none_is_marked(dann):
    display = TrainingHistoryDisplay.from_estimator(dann)
    assert display.restored_epoch is None
    assert display.restored_lines_ == []


def test_a_fit_without_accuracies_says_how_to_record_them():
    plain = DANNClassifier(lambda_=0, max_epochs=2, random_state=0).fit(Xs, ys)
    display = TrainingHistoryDisplay.from_estimator(plain)
    assert list(display.lines_) == ["label_loss"]
    (note,) = display.axes_[1].texts
    assert "callbacks.DomainScoring" in note.get_text()


def test_a_single_epoch_is_visible():
    plain = DANNClassifier(lambda_=0, max_epochs=1, random_state=0).fit(Xs, ys)
    line = TrainingHistoryDisplay.from_estimator(plain).lines_["label_loss"]
    assert line.get_marker() == "o"


def test_axes_given_are_used_and_line_arguments_passed_on(dann):
    figure, axes = plt.subplots(1, 2)
    display = TrainingHistoryDisplay.from_estimator(dann, ax=axes, line_kwargs={"linewidth": 3})
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes)
    assert {line.get_linewidth() for line in display.lines_.values()} == {3}


def test_one_axes_is_too_few(dann):
    with pytest.raises(ValueError, match="TrainingHistoryDisplay draws 2 here: losses, shares"):
        TrainingHistoryDisplay.from_estimator(dann, ax=plt.subplots()[1])


def test_second_plot_draws_the_same_in_a_new_figure(dann):
    display = TrainingHistoryDisplay.from_estimator(dann)
    first, lines = display.figure_, display.lines_
    assert display.plot() is display
    assert display.figure_ is not first
    for name, line in lines.items():
        np.testing.assert_array_equal(line.get_xydata(), display.lines_[name].get_xydata())


@pytest.mark.usefixtures("still_generators")
def test_history_is_left_as_it_was(dann):
    before = copy.deepcopy(list(dann.history_))
    TrainingHistoryDisplay.from_estimator(dann)
    assert list(dann.history_) == before


@pytest.mark.parametrize("recorded", ["dann", "finetuned"])
def test_legends_hide_no_curve(recorded, request):
    display = TrainingHistoryDisplay.from_estimator(request.getfixturevalue(recorded))
    display.figure_.canvas.draw()
    for line in display.lines_.values():
        ax = line.axes
        highest = ax.transData.transform((0, np.nanmax(line.get_ydata())))[1]
        assert highest < ax.get_legend().get_window_extent().y0
