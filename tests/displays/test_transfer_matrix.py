"""Accuracy from every domain to every domain."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    FineTuneClassifier,
    make_transfer_pipeline,
)
from sktransfer.datasets import make_shifted_moons
from sktransfer.displays import TransferMatrixDisplay
from sktransfer.displays._transfer_matrix import readable_on, split_domains, takes_target
from sktransfer.finetuning import SourceTraining

DOMAINS = {
    f"{angle} degrees": make_shifted_moons(40, rotation=angle, random_state=angle)[2:]
    for angle in (0, 40, 80)
}
LOGISTIC = LogisticRegression()
CALLS = []


class Adapting(ClassifierMixin, BaseEstimator):
    """Notes what it was fitted on."""

    __metadata_request__fit: ClassVar = {"X_target": True}

    def __init__(self, lambda_=1.0):
        self.lambda_ = lambda_

    def fit(self, X, y, X_target=None):
        self.classes_ = np.unique(y)
        CALLS.append((np.asarray(X), X_target, self.lambda_))
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def source_only(self):
        return Adapting(lambda_=0)


def small_body(input_shape):
    return nn.Sequential(nn.Linear(*input_shape, 8), nn.ReLU())


def draw(estimator, domains=DOMAINS, **more):
    return TransferMatrixDisplay.from_estimator(estimator, domains, **{"random_state": 0, **more})


def rows(X):
    return {tuple(row) for row in np.asarray(X)}


def test_accuracies_of_a_plain_classifier_are_counted_on_held_out_rows():
    display = draw(LOGISTIC)
    splits = split_domains(DOMAINS, 0.25, 0)
    for i, source in enumerate(splits.values()):
        clf = clone(LOGISTIC).fit(source.X_train, source.y_train)
        for j, target in enumerate(splits.values()):
            right = sum(
                int(clf.predict(row[np.newaxis])[0] == label)
                for row, label in zip(target.X_test, target.y_test, strict=True)
            )
            assert display.matrix[i, j] == right / len(target.y_test)
    assert display.domain_names == list(DOMAINS)


def test_domains_are_split_with_each_class_on_both_sides():
    for (X, _), split in zip(
        DOMAINS.values(), split_domains(DOMAINS, 0.25, 3).values(), strict=True
    ):
        assert (len(split.X_train), len(split.X_test)) == (30, 10)
        assert rows(split.X_train) | rows(split.X_test) == rows(X)
        assert rows(split.X_train).isdisjoint(rows(split.X_test))
        assert np.bincount(split.y_test).tolist() == [5, 5]


def test_domains_of_the_same_objects_are_split_alike():
    X, y = DOMAINS["0 degrees"]
    plain, shifted = split_domains({"plain": (X, y), "shifted": (X + 100, y)}, 0.25, 0).values()
    np.testing.assert_array_equal(shifted.X_test, plain.X_test + 100)


def test_an_adapting_classifier_gets_training_rows_of_the_target_and_no_labels():
    CALLS.clear()
    draw(Adapting())
    splits = list(split_domains(DOMAINS, 0.25, 0).values())
    assert len(CALLS) == 9
    for call, (source, target) in zip(CALLS, [(s, t) for s in splits for t in splits], strict=True):
        X, X_target, lambda_ = call
        assert rows(X) == rows(source.X_train)
        if source is target:
            assert X_target is None
            assert lambda_ == 0
        else:
            assert rows(X_target) == rows(target.X_train)
            assert lambda_ == 1


def test_pipelines_of_transfer_send_the_target_through_their_steps():
    CALLS.clear()
    draw(make_transfer_pipeline(StandardScaler(), Adapting()))
    source, target = list(split_domains(DOMAINS, 0.25, 0).values())[:2]
    expected = StandardScaler().fit(source.X_train).transform(target.X_train)
    np.testing.assert_allclose(np.asarray(CALLS[1][1]), expected)
    assert [call[2] for call in CALLS] == [0, 1, 1, 1, 0, 1, 1, 1, 0]


@pytest.mark.usefixtures("still_generators")
@pytest.mark.filterwarnings("ignore:The domain classifier still tells")
@pytest.mark.parametrize(
    "estimator",
    [
        DANNClassifier(max_epochs=2, target_loss="entropy", target_loss_weight=0.1, random_state=0),
        DeepCORALClassifier(max_epochs=2, random_state=0),
        FineTuneClassifier(
            small_body,
            source_training=SourceTraining(
                epochs=30, learning_rate=0.05, pseudo_label_threshold=0.0
            ),
            head_epochs=2,
            finetune_epochs=2,
            random_state=0,
        ),
        make_transfer_pipeline(StandardScaler(), DANNClassifier(max_epochs=2, random_state=0)),
        make_transfer_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GridSearchCV(LogisticRegression(), {"C": [1, 10]}, cv=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_of_all_kinds_are_drawn_without_a_warning_and_left_alone(estimator):
    before = {name: repr(value) for name, value in estimator.get_params().items()}
    display = draw(estimator, dict(list(DOMAINS.items())[:2]))
    assert display.matrix.shape == (2, 2)
    assert ((display.matrix >= 0) & (display.matrix <= 1)).all()
    assert {name: repr(value) for name, value in estimator.get_params().items()} == before
    assert not hasattr(estimator, "classes_")


def test_diagonal_is_that_of_a_fit_on_the_source_alone():
    clf = DANNClassifier(max_epochs=5, random_state=0)
    display = draw(clf, dict(list(DOMAINS.items())[:2]))
    for i, (_, split) in zip(range(2), split_domains(DOMAINS, 0.25, 0).items(), strict=False):
        plain = clone(clf).set_params(lambda_=0.0).fit(split.X_train, split.y_train)
        assert display.matrix[i, i] == plain.score(split.X_test, split.y_test)


def test_numbers_stand_in_their_cells():
    matrix = np.array([[0.0, 0.333], [0.666, 1.0]])
    display = TransferMatrixDisplay(matrix=matrix, domain_names=["a", "b"]).plot()
    np.testing.assert_array_equal(display.im_.get_array(), matrix)
    for (row, column), text in np.ndenumerate(display.text_):
        assert text.get_text() == f"{matrix[row, column]:.2f}"
        assert text.get_position() == (column, row)
    assert display.text_[0, 0].get_color() == "black"
    assert display.text_[1, 1].get_color() == "white"


def test_sources_are_rows_and_targets_columns():
    ax = draw(LOGISTIC).ax_
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("source", "target")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(DOMAINS)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list(DOMAINS)
    top, bottom = ax.get_yaxis_transform().transform([[0, 0], [0, 2]])[:, 1]
    assert top > bottom  # the first source stands above


@pytest.mark.parametrize("cmap", ["Blues", "viridis", "gray", "RdYlGn"])
def test_numbers_are_readable_on_every_color(cmap):
    def luminance(color):
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for value in np.linspace(0, 1, 41):
        color = plt.get_cmap(cmap)(value)
        dark, light = sorted([luminance(color), luminance(readable_on(color))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_same_random_state_gives_the_same_matrix():
    first = draw(LOGISTIC)
    with parallel_config("threading"):
        again = draw(LOGISTIC, n_jobs=2)
    np.testing.assert_array_equal(first.matrix, again.matrix)
    first, other = (split_domains(DOMAINS, 0.25, seed)["0 degrees"].X_test for seed in (0, 1))
    assert rows(first) != rows(other)


@pytest.mark.parametrize("kind", [pd.DataFrame, sparse.csr_matrix, list])
def test_rows_of_any_kind_are_taken(kind):
    domains = {name: (kind(X), list(y)) for name, (X, y) in DOMAINS.items()}
    np.testing.assert_array_equal(draw(LOGISTIC, domains).matrix, draw(LOGISTIC).matrix)


def test_images_and_labels_of_any_kind_are_taken():
    rng = np.random.default_rng(0)
    names = np.array(["cat", "dog"] * 10)
    domains = {camera: (rng.normal(size=(20, 1, 4, 4)), names) for camera in (1, 2)}
    body = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    clf = DeepCORALClassifier(body, max_epochs=1, random_state=0)
    assert draw(clf, domains).domain_names == ["1", "2"]


def test_axes_given_are_used_and_arguments_passed_on():
    figure, ax = plt.subplots()
    display = draw(
        LOGISTIC, ax=ax, im_kwargs={"cmap": "viridis", "vmin": 0.5}, text_kwargs={"fontsize": 20}
    )
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.im_.get_cmap().name == "viridis"
    assert display.im_.get_clim() == (0.5, 1.0)
    assert {text.get_fontsize() for text in display.text_.ravel()} == {20}


def test_second_plot_draws_the_same_in_a_new_figure():
    display = draw(LOGISTIC)
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    np.testing.assert_array_equal(display.im_.get_array(), display.matrix)


def test_who_takes_a_target_is_told_apart():
    assert takes_target(DANNClassifier())
    assert takes_target(FineTuneClassifier())
    assert takes_target(make_transfer_pipeline(StandardScaler(), DANNClassifier()))
    assert not takes_target(make_transfer_pipeline(StandardScaler(), LOGISTIC))
    assert not takes_target(LOGISTIC)
    assert not takes_target(make_pipeline(StandardScaler(), "passthrough"))


def test_those_that_would_lead_the_target_astray_are_told():
    with pytest.raises(
        ValueError, match=r"Pipeline around DANNClassifier.*Give make_transfer_pipeline"
    ):
        draw(make_pipeline(StandardScaler(), DANNClassifier()))
    with pytest.raises(
        ValueError, match=r"GridSearchCV around DANN.*Give the DANNClassifier itself"
    ):
        draw(GridSearchCV(DANNClassifier(), {"lambda_": [0.1]}))


@pytest.mark.parametrize(
    ("domains", "error", "message"),
    [
        ([1, 2], TypeError, r"must be a dict of name: \(X, y\); got a list"),
        ({"a": DOMAINS["0 degrees"]}, ValueError, "domains holds 1; .* at least 2"),
        ({"a": np.eye(3), "b": np.eye(3)}, TypeError, r"\['a'\] must be a pair \(X, y\); got a nd"),
        (
            {"a": DOMAINS["0 degrees"], "b": (np.eye(3), [0, 1])},
            ValueError,
            r"domains\['b'\] has 3 rows but 2 labels; give one label",
        ),
        (
            {"a": (np.eye(3), [0, 1, 1]), "b": DOMAINS["0 degrees"]},
            ValueError,
            r"domains\['a'\] cannot be split by test_size=0.25 .* Give more rows",
        ),
    ],
)
def test_bad_domains_are_told(domains, error, message):
    with pytest.raises(error, match=message):
        draw(LOGISTIC, domains)


def test_bad_estimator_and_axes_are_told_before_any_fit():
    with pytest.raises(TypeError, match="must be a classifier or a regressor; got StandardScaler"):
        draw(StandardScaler())
    CALLS.clear()
    with pytest.raises(ValueError, match="draws 1 here: matrix"):
        draw(Adapting(), ax=plt.subplots(2)[1])
    assert CALLS == []
