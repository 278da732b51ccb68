"""Networks of several tasks: their weights, files, searches and checks."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sktransfer import FitCheckpoint, load, save
from sktransfer.multitask import MultiTaskClassifier, MultiTaskRegressor
from sktransfer.multitask._weighting import WeightsRecorder
from tests.test_common import batch_norm_body

FAST = {"max_epochs": 20, "learning_rate": 0.01}
VARIANTS = [
    MultiTaskClassifier(),
    MultiTaskClassifier(weighting="pcgrad", hidden_layer_sizes=(30,), **FAST),
    MultiTaskClassifier(batch_norm_body, weighting="gradnorm", **FAST),
    MultiTaskRegressor(weighting="uncertainty", **FAST),
    MultiTaskRegressor(batch_norm_body, loss="huber", average_weights=0.0, **FAST),
]


@pytest.mark.filterwarnings("ignore:.*was fitted without task:UserWarning")
@pytest.mark.filterwarnings("ignore:The columns (lie far from zero|vary by):UserWarning")
@parametrize_with_checks(VARIANTS)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def make_tasks(n_rows=120, n_tasks=3, noise=0.2, seed=0):
    """Return rows, values of one curved function with an offset by task, and the tasks."""
    rng = np.random.default_rng(seed)
    X, task = rng.normal(size=(n_rows, 4)), rng.integers(n_tasks, size=n_rows)
    task[:n_tasks] = np.arange(n_tasks)
    y = X[:, 0] * X[:, 1] + task + noise * rng.normal(size=n_rows)
    return X, y, np.array(["north", "south", "west"])[task % 3]


X, Y, TASK = make_tasks()
LABELS = np.where(Y > 1, "high", "low")
WIDE = np.full((120, 3), np.nan)
WIDE[np.arange(120), np.unique(TASK, return_inverse=True)[1]] = Y
SHORT = {"max_epochs": 3, "learning_rate": 0.01, "random_state": 0}
EACH = [
    MultiTaskRegressor(weighting=weighting, **SHORT)
    for weighting in ("uniform", "uncertainty", "pcgrad", "gradnorm")
] + [
    MultiTaskClassifier(weighting=weighting, **SHORT)
    for weighting in ("uniform", "uncertainty", "pcgrad", "gradnorm")
]
each = pytest.mark.parametrize("model", EACH, ids=lambda m: f"{type(m).__name__}-{m.weighting}")


def labels_of(model):
    return LABELS if "Classifier" in type(model).__name__ else Y


@each
def test_rows_of_tasks_and_columns_have_the_shapes_of_the_linear_ones(model):
    y = labels_of(model)
    fitted = clone(model).fit(X, y, task=TASK)
    assert fitted.tasks_.tolist() == ["north", "south", "west"]
    assert fitted.predict(X[:5], task=TASK[:5]).shape == (5,)
    assert fitted.weights_.shape == (3, 3)
    np.testing.assert_array_equal(fitted.weights_, np.array(fitted.history_[:, "weights"]))
    columns = pd.DataFrame({name: np.where(TASK == name, y, None) for name in fitted.tasks_})
    if y is Y:
        columns = columns.astype(float)
    wide = clone(model).fit(X, columns)
    assert wide.tasks_.tolist() == ["north", "south", "west"]
    assert wide.predict(X[:5]).shape == (5, 3)
    assert np.isfinite(wide.score(X, columns))
    if y is LABELS:
        assert fitted.predict_proba(X[:5], task=TASK[:5]).shape == (5, 2)
        assert [p.shape for p in wide.predict_proba(X[:5])] == [(5, 2)] * 3
        assert set(fitted.predict(X, task=TASK)) <= {"high", "low"}


@each
def test_saved_and_pickled_it_answers_with_the_same_bits(model, tmp_path):
    fitted = clone(model).fit(X, labels_of(model), task=TASK)
    save(fitted, tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(again.predict(X, task=TASK), fitted.predict(X, task=TASK))
        np.testing.assert_array_equal(again.weights_, fitted.weights_)
        assert again.tasks_.tolist() == fitted.tasks_.tolist()
        assert again.score(X, labels_of(model), task=TASK) == fitted.score(
            X, labels_of(model), task=TASK
        )


@each
def test_same_seed_same_bits_and_a_checkpoint_changes_none(model, tmp_path):
    y = labels_of(model)
    fitted = clone(model).fit(X, y, task=TASK)
    other = clone(model).set_params(checkpoint=FitCheckpoint(tmp_path / "state", every_epochs=1))
    kept = clone(other).fit(X, y, task=TASK)
    over = clone(other).fit(X, y, task=TASK)
    for again in (kept, over):
        np.testing.assert_array_equal(again.weights_, fitted.weights_)
        np.testing.assert_array_equal(again.predict(X, task=TASK), fitted.predict(X, task=TASK))


@each
def test_a_fit_that_was_killed_goes_on_with_the_same_bits(model, tmp_path, monkeypatch):
    y = labels_of(model)
    whole = clone(model).fit(X, y, task=TASK)
    other = clone(model).set_params(checkpoint=FitCheckpoint(tmp_path / "state", every_epochs=1))
    with monkeypatch.context() as killed:
        record = WeightsRecorder.on_epoch_end

        def fail(self, net, **kwargs):
            if len(net.history) == 3:
                raise RuntimeError("the machine went down")
            record(self, net, **kwargs)

        killed.setattr(WeightsRecorder, "on_epoch_end", fail)
        with pytest.raises(RuntimeError, match="went down"):
            clone(other).fit(X, y, task=TASK)
    resumed = clone(other).fit(X, y, task=TASK)
    np.testing.assert_array_equal(resumed.weights_, whole.weights_)
    np.testing.assert_array_equal(resumed.predict(X, task=TASK), whole.predict(X, task=TASK))


@pytest.mark.accuracy
def test_classes_may_differ_from_task_to_task():
    shape = np.where(X[:, 0] > 0, "round", "flat").astype(object)
    size = np.digitize(X[:, 1], [-0.5, 0.5]).astype(object)
    size[::3] = None
    clf = MultiTaskClassifier(max_epochs=30, learning_rate=0.01, random_state=0)
    clf.fit(X, np.column_stack([shape, size]))
    assert [classes.tolist() for classes in clf.classes_] == [["flat", "round"], [0, 1, 2]]
    assert [p.shape for p in clf.predict_proba(X)] == [(120, 2), (120, 3)]
    assert clf.score(X, np.column_stack([shape, size])) > 0.9
    task = np.where(np.arange(120) % 2, "shape", "size")
    y = np.where(task == "shape", shape, np.where(X[:, 1] > 0, "large", "small"))
    by_row = MultiTaskClassifier(max_epochs=30, learning_rate=0.01, random_state=0)
    by_row.fit(X, y, task=task)
    probabilities = by_row.predict_proba(X, task=task)
    assert by_row.classes_.tolist() == ["flat", "large", "round", "small"]
    assert probabilities[task == "shape"][:, [1, 3]].max() == 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert by_row.score(X, y, task=task) > 0.9


def test_heads_of_one_kind_are_drawn_to_their_mean():
    def spread(strength):
        reg = MultiTaskRegressor(strength=strength, **FAST, random_state=0)
        weight = reg.fit(X, Y, task=TASK).net_.module_.label_head.weight.detach()
        return float((weight - weight.mean(dim=0)).norm())

    free, drawn, tight = map(spread, (0.0, 1.0, 1000.0))
    assert tight < 0.2 * drawn < 0.2 * free
    by_column = [
        MultiTaskRegressor(strength=s, **SHORT).fit(X, WIDE).predict(X) for s in (0.0, 100.0)
    ]
    np.testing.assert_array_equal(*by_column)  # columns have units of their own


@pytest.mark.accuracy
def test_a_body_shared_with_many_helps_a_task_of_few_rows():
    gains = []
    for seed in range(3):
        X, y, task = make_tasks(600, seed=seed)
        few = np.flatnonzero(task == "west")[:12]
        train = np.concatenate([np.flatnonzero(task != "west"), few])
        test = np.setdiff1d(np.flatnonzero(task == "west"), few)
        settings = {"learning_rate": 0.01, "max_epochs": 30, "random_state": seed}
        together = MultiTaskRegressor(**settings).fit(X[train], y[train], task=task[train])
        alone = MultiTaskRegressor(**{**settings, "max_epochs": 300}).fit(X[few], y[few, None])
        gains.append(
            together.score(X[test], y[test], task=task[test]) - alone.score(X[test], y[test, None])
        )
    assert np.mean(gains) > 0.2


def test_heads_of_the_users_are_made_for_each_task():
    def head(n_features, n_outputs):
        return nn.Sequential(nn.Linear(n_features, 5), nn.ReLU(), nn.Linear(5, n_outputs))

    reg = MultiTaskRegressor(head=head, **FAST, random_state=0).fit(X, Y, task=TASK)
    assert len(reg.net_.module_.label_head.heads) == 3
    assert reg.score(X, Y, task=TASK) > 0
    clf = MultiTaskClassifier(head=head, weighting="pcgrad", **SHORT)
    assert clf.fit(X, LABELS, task=TASK).predict(X, task=TASK).shape == (120,)
    with pytest.raises(ValueError, match=r"head gave shape \(\d+, 3\)"):
        MultiTaskRegressor(head=nn.Linear(100, 3)).fit(X, Y, task=TASK)


@pytest.mark.accuracy
def test_uncertainty_finds_the_noise_of_each_task():
    rng = np.random.default_rng(0)
    rows, noise = rng.normal(size=(2000, 3)), np.array([0.1, 0.5, 2.0])
    y = rows @ np.array([[1.0, 1, 1], [1, -1, 0], [0, 1, 1]]) + noise * rng.normal(size=(2000, 3))
    reg = MultiTaskRegressor(
        weighting="uncertainty", hidden_layer_sizes=(20,), max_epochs=60, random_state=0
    )
    reg.fit(rows, y)
    variance = 0.5 / reg.weights_[-1]  # of standardised labels
    np.testing.assert_allclose(np.sqrt(variance) * reg.y_scale_, noise, rtol=0.15)


def test_rows_without_any_label_teach_nothing():
    y = WIDE.copy()
    y[5:20] = np.nan
    fitted = MultiTaskRegressor(**SHORT).fit(X, y)
    without = MultiTaskRegressor(**SHORT).fit(
        np.delete(X, slice(5, 20), 0), np.delete(y, slice(5, 20), 0)
    )
    np.testing.assert_array_equal(fitted.predict(X), without.predict(X))


@pytest.mark.parametrize("weighting", ["uniform", "pcgrad"])
def test_task_is_routed_through_pipelines_and_searches(weighting):
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), MultiTaskRegressor(weighting=weighting, **SHORT))
        grid = {"multitaskregressor__max_epochs": [1, 20]}
        search = GridSearchCV(pipe, grid, cv=3).fit(X, Y, task=TASK)
        assert search.best_params_ == {"multitaskregressor__max_epochs": 20}
        assert search.best_estimator_.predict(X, task=TASK).shape == (120,)
        assert search.score(X, Y, task=TASK) > 0


def test_images_pass_a_convolution():
    images = np.random.default_rng(0).normal(size=(40, 1, 6, 6)).astype(np.float32)
    y = np.column_stack([images.mean(axis=(1, 2, 3)) > 0, images[:, 0, 0, 0] > 0])
    body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
    for weighting in ("pcgrad", "gradnorm"):
        clf = MultiTaskClassifier(body, weighting=weighting, **SHORT).fit(images, y)
        assert clf.predict(images).shape == (40, 2)
        assert clf.transform(images).shape == (40, 48)


def test_says_what_cannot_be_done():
    with pytest.raises(ValueError, match=r"gradnorm.* no layer with weights"):
        MultiTaskRegressor(nn.Flatten(), weighting="gradnorm").fit(X, Y, task=TASK)
    with pytest.raises(ValueError, match=r"'weighting' parameter of MultiTaskRegressor"):
        MultiTaskRegressor(weighting="fair").fit(X, Y, task=TASK)
    fitted = MultiTaskRegressor(**SHORT).fit(X, Y, task=TASK)
    with pytest.raises(ValueError, match="needs the task of each row here"):
        fitted.predict(X)
    with pytest.raises(ValueError, match="leave y_target out"):
        fitted.adapt(X, Y)
    assert not hasattr(fitted, "source_only")
    before = fitted.predict(X, task=TASK)
    with pytest.raises(ValueError, match="infinity"):
        fitted.fit(X, np.full((120, 2), np.inf))
    np.testing.assert_array_equal(fitted.predict(X, task=TASK), before)


def test_warm_start_goes_on_and_weights_too():
    reg = MultiTaskRegressor(weighting="gradnorm", warm_start=True, **SHORT)
    reg.fit(X, Y, task=TASK)
    first = reg.weights_
    reg.fit(X, Y, task=TASK)
    assert reg.n_iter_ == 6
    np.testing.assert_array_equal(reg.weights_[:3], first)


@pytest.mark.parametrize("weighting", ["uniform", "uncertainty", "pcgrad", "gradnorm"])
def test_early_stopping_finds_the_weights_of_the_last_epoch(weighting):
    X = np.random.default_rng(0).normal(size=(30, 3))
    stopping = EarlyStopping(monitor="weights_sum", patience=2, load_best=False)
    watched = [("weights", SumOfWeights()), stopping]
    reg = MultiTaskRegressor(
        hidden_layer_sizes=(4,),
        max_epochs=9,
        weighting=weighting,
        average_weights=0.0,
        callbacks=watched,
        random_state=0,
    )
    reg.fit(X, X[:, :2])
    assert 2 < reg.n_iter_ < 9
    assert len(reg.weights_) == reg.n_iter_


class SumOfWeights(Callback):
    """Records what never gets better, from what a callback of the stage records."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("weights_sum", 10.0 + len(net.history) + sum(net.history[-1]["weights"]))
