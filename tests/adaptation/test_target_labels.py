"""Some labels in the target: which rows a step sees, and what they add to the loss."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sktransfer import DANNClassifier, DeepCORALClassifier, MCDClassifier
from sktransfer.adaptation._base import weight_of_labelled

RATE = 0.1
ONE_STEP = {
    "label_classifier": nn.Linear,
    "lambda_": 0.0,
    "optimizer": partial(torch.optim.SGD),
    "learning_rate": RATE,
    "average_weights": 0.0,
    "batch_size": 1000,
    "max_epochs": 1,
    "random_state": 0,
}
FAST = {"max_epochs": 2, "random_state": 0}


def partly(y, n_labelled, missing=None):
    """Return labels of which the last ones are missing."""
    labels = np.array(y, dtype=object)
    labels[n_labelled:] = missing
    return labels


def tiny_body():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh()).double()


def head_of(X, y, *target, **params):
    clf = DeepCORALClassifier(tiny_body(), **{**ONE_STEP, **params})
    return clf.fit(X, y, *target).net_.module_.label_head


@given(st.floats(0, 1e3), st.integers(1, 10**6), st.integers(1, 10**6))
def test_labelled_rows_count_as_source_rows_and_never_more_than_all(weight, n_labelled, n_source):
    counted = weight_of_labelled(weight, n_labelled, n_source)
    assert counted == pytest.approx(weight * min(n_labelled, n_source) / n_source)
    assert counted <= weight


@pytest.mark.parametrize("class_weight", [None, {"up": 3.0, "down": 1.0}])
@pytest.mark.parametrize("target_weight", [0.0, 1.0, 2.5])
def test_one_step_adds_the_mean_loss_of_labelled_rows(domains, target_weight, class_weight):
    X, y, X_target = domains
    y_target = partly(np.where(X_target[:, 0] > 0.5, "up", "down"), 7)
    given = {"target_weight": target_weight, "class_weight": class_weight}
    start = head_of(X, y, X_target, y_target, learning_rate=1e-300, **given)
    after = head_of(X, y, X_target, y_target, **given)

    def mean_loss(rows, labels):
        classes, logits = torch.tensor(labels == "up").long(), start(tiny_body()(rows))
        weights = np.where(labels == "up", 3.0, 1.0) if class_weight else np.ones(len(labels))
        losses = F.cross_entropy(logits, classes, reduction="none")
        return (torch.from_numpy(weights / weights.mean()) * losses).mean()

    loss = mean_loss(torch.from_numpy(X), y) + target_weight * 7 / len(X) * mean_loss(
        torch.from_numpy(X_target[:7]), y_target[:7].astype(str)
    )
    (gradient,) = torch.autograd.grad(loss, start.weight)
    torch.testing.assert_close(after.weight, start.weight - RATE * gradient)


@pytest.mark.parametrize("cls", [DANNClassifier, DeepCORALClassifier, MCDClassifier])
def test_every_method_learns_from_labelled_rows(domains, cls):
    X, y, X_target = domains
    plain = cls(**FAST).fit(X, y, X_target)
    told = cls(**FAST).fit(X, y, X_target, partly(y, 5))
    assert "target_label_loss" in told.history_[-1]
    assert "target_label_loss" not in plain.history_[-1]
    assert not np.array_equal(plain.predict_proba(X), told.predict_proba(X))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_labels_of_which_none_is_known_change_nothing(domains, missing):
    X, y, X_target = domains
    plain = DANNClassifier(**FAST).fit(X, y, X_target)
    told = DANNClassifier(**FAST).fit(X, y, X_target, partly(y, 0, missing))
    np.testing.assert_array_equal(plain.predict_proba(X), told.predict_proba(X))


def test_weight_zero_changes_nothing(domains):
    X, y, X_target = domains
    plain = DANNClassifier(**FAST).fit(X, y, X_target)
    told = DANNClassifier(target_weight=0.0, **FAST).fit(X, y, X_target, y)
    np.testing.assert_array_equal(plain.predict_proba(X), told.predict_proba(X))


def test_all_ways_to_miss_a_label_are_the_same(domains):
    X, y, X_target = domains
    y = (y == "up").astype(int)
    some = np.where(np.arange(90) < 9, y, 0)
    mask = np.arange(90) >= 9
    given = [
        partly(y, 9),
        partly(y, 9, pd.NA),
        np.where(mask, np.nan, some),
        np.ma.array(some, mask=mask),
        pd.array(np.where(mask, None, some), dtype="Int64"),
    ]
    fits = [DANNClassifier(**FAST).fit(X, y, X_target, labels) for labels in given]
    for fit in fits:
        assert fit.classes_.tolist() == [0, 1]
        assert fit.classes_.dtype == y.dtype
        np.testing.assert_array_equal(fit.predict_proba(X), fits[0].predict_proba(X))


def test_few_labelled_rows_are_in_every_step_with_their_labels(domains):
    X, y, X_target = domains
    seen = []

    class Watching(DeepCORALClassifier):
        def _label_loss(self, network, view, outputs):
            seen.append(view)
            return super()._label_loss(network, view, outputs)

    y_target = partly(np.arange(90) % 2, 90).astype(object)
    y_target[np.arange(90) % 18 != 3] = None  # rows 3, 21, 39, 57, 75
    Watching(batch_size=30, **FAST).fit(X, (y == "up").astype(int), X_target, y_target)
    labelled = [view for view in seen if set(view.rows.tolist()) <= {3, 21, 39, 57, 75}]
    assert len(labelled) == 6 + 1  # steps, and the look at the end
    for view in labelled:
        assert sorted(view.rows.tolist()) == [3, 21, 39, 57, 75]
        torch.testing.assert_close(view.X.double(), torch.from_numpy(X_target[view.rows]))
        assert view.y.tolist() == (view.rows % 2).tolist()


def test_labelled_rows_are_normalised_as_the_target(domains):
    X, y, X_target = domains
    body = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    clf = DeepCORALClassifier(body, **{**ONE_STEP, "max_epochs": 1})
    clf = clf.fit(X, y, X_target + 50, partly(y, 2))
    norm = clf.net_.module_.body[0]
    expected = (X_target + 50).mean(0) * 90 / 106 + X.mean(0) * 16 / 106
    np.testing.assert_allclose(norm.running_mean.numpy(), expected)


def test_a_class_that_only_the_target_knows_is_learned(domains):
    X, y, X_target = domains
    y_target = partly(np.where(X_target[:, 2] > 0, "aside", "down"), 40)
    clf = DANNClassifier(max_epochs=30, learning_rate=0.01, random_state=0)
    clf = clf.fit(X, y, X_target, y_target)
    assert clf.classes_.tolist() == ["aside", "down", "up"]
    assert "aside" in clf.predict(X_target)


def test_words_and_numbers_do_not_mix(domains):
    X, y, X_target = domains
    with pytest.raises(ValueError, match=r"y holds labels such as .*down.*y_target such as .*0"):
        DANNClassifier(**FAST).fit(X, y, X_target, np.zeros(90, int))


def test_minus_one_is_a_label_and_said_to_be_no_class(domains):
    X, y, X_target = domains
    y = (y == "up").astype(int)
    with pytest.warns(UserWarning, match="-1 in 85 rows.* no class of y.* NaN or None"):
        clf = DANNClassifier(**FAST).fit(X, y, X_target, np.where(np.arange(90) < 5, y, -1))
    assert clf.classes_.tolist() == [-1, 0, 1]


def test_minus_one_that_is_a_class_of_the_source_is_quiet(domains):
    X, y, X_target = domains
    y = np.where(y == "up", 1, -1)
    assert DANNClassifier(**FAST).fit(X, y, X_target, y).classes_.tolist() == [-1, 1]
