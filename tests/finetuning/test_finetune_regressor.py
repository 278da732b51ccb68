"""Fine-tuning of numbers: the steps of the classifier, with labels in units of their own."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from torch import nn

import sktransfer
from sktransfer import FineTuneRegressor
from sktransfer.finetuning import FrozenCache, HeldOut, SourceTraining
from tests.finetuning.test_finetune import digests, pretrained

FAST = {
    "source_training": SourceTraining(epochs=10, learning_rate=0.01),
    "head_epochs": 10,
    "finetune_epochs": 3,
    "learning_rate": 0.01,
    "random_state": 0,
}


@pytest.fixture
def domains():
    """Rows of two domains; in the target the numbers turn on the same sum, in other units."""
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(120, 4)), rng.normal(0.5, 1, size=(60, 4))
    return X, 100 + 5 * X.sum(axis=1), X_target, -3 * X_target.sum(axis=1)


def test_one_step_follows_the_update_rule(domains):
    X, y = domains[0][:8], domains[1][:8]
    reg = FineTuneRegressor(
        pretrained(), head_epochs=1, finetune_epochs=0, optimizer="sgd", random_state=0
    )
    trained = reg.fit(X, y)
    start = trained.set_params(learning_rate=1e-12)
    before = FineTuneRegressor(**start.get_params()).fit(X, y).head_
    features = torch.from_numpy(trained.transform(X))
    outputs = before(features).detach()[:, 0].numpy()
    slope = 2 / 8 * (outputs - (y - y.mean()) / y.std())
    kept = 1 - 3e-3 * 50 / np.sqrt(8)  # of every weight, by the weight decay
    np.testing.assert_allclose(
        trained.head_.bias.item(), kept * (before.bias.item() - 3e-3 * slope.sum()), rtol=1e-6
    )


class NoOptimizer(torch.optim.SGD):
    """Leaves all weights to what follows the steps."""

    def step(self, closure=None):
        return None


def test_weight_decay_draws_the_body_back_on_the_source_and_the_head_in_every_stage(domains):
    X, y, X_target, y_target = domains
    bodies, heads = {}, {}
    for decay in (0.0, 20.0):
        reg = FineTuneRegressor(
            optimizer=NoOptimizer,
            batch_size=60,
            weight_decay=decay,
            **{**FAST, "source_training": SourceTraining(epochs=10, learning_rate=0.005)},
        ).fit(X, y, X_target, y_target)
        bodies[decay] = reg.backbone_[0].weight
        heads[decay] = reg.head_.weight
    body = (1 - 0.005 * 20 / np.sqrt(120)) ** 20  # 2 steps of 60 rows in 10 epochs
    head = (1 - 0.01 * 20 / np.sqrt(60)) ** 10 * (1 - 3e-4 * 20 / np.sqrt(60)) ** 3
    torch.testing.assert_close(bodies[20.0], body * bodies[0.0])
    torch.testing.assert_close(heads[20.0], head * heads[0.0])


def test_a_body_of_the_users_is_not_drawn_back(domains):
    X, y, *_ = domains
    given = pretrained()
    settings = {**FAST, "finetune_epochs": 0, "optimizer": NoOptimizer}
    reg = FineTuneRegressor(given, weight_decay=20.0, **settings)
    reg = reg.fit(X, y, X, y)  # trained on the source first
    for trained, own in zip(reg.backbone_.parameters(), given.parameters(), strict=True):
        torch.testing.assert_close(trained, own, rtol=0, atol=0)


def test_huber_is_less_moved_by_an_outlier(domains):
    X, y, *_ = domains
    spoiled = y.copy()
    spoiled[0] += 1000
    errors = []
    for loss in ("squared_error", "huber"):
        reg = FineTuneRegressor(pretrained(), loss=loss, **{**FAST, "head_epochs": 50})
        errors.append(np.median(np.abs(reg.fit(X, spoiled).predict(X[1:]) - y[1:])))
    assert errors[1] < errors[0]


def test_what_is_frozen_does_not_move(domains):
    X, y, *_ = domains
    body = pretrained()
    before = digests(body)
    reg = FineTuneRegressor(body, unfreeze_depth=1, **FAST).fit(X, y)
    after = digests(reg.backbone_)
    moved = {name.split(".")[0] for name in before if before[name] != after[name]}
    assert moved == set(reg.unfrozen_layers_)
    assert digests(body) == before


@pytest.mark.parametrize("n_outputs", [None, 1, 2])
def test_source_and_target_may_have_other_numbers(domains, n_outputs):
    X, y, X_target, y_target = domains
    y_target = y_target if n_outputs is None else np.column_stack([y_target] * n_outputs)
    reg = FineTuneRegressor(**FAST).fit(X, np.column_stack([y, -y, y]), X_target, y_target)
    assert reg.predict(X_target).shape == y_target.shape
    np.testing.assert_allclose(reg.y_mean_, y_target.mean(axis=0))
    np.testing.assert_allclose(reg.y_scale_, y_target.std(axis=0))
    assert [*dict.fromkeys(reg.history_[:, "stage"])] == ["source", "head", "finetune"]


def test_of_a_target_with_missing_numbers_the_labelled_rows_are_used(domains):
    X, y, X_target, y_target = domains
    some = np.where(np.arange(60) < 20, y_target, np.nan)
    reg = FineTuneRegressor(**FAST).fit(X, y, X_target, some)
    known = FineTuneRegressor(**FAST).fit(X, y, X_target[:20], y_target[:20])
    np.testing.assert_array_equal(reg.predict(X_target), known.predict(X_target))


@pytest.mark.accuracy
def test_pretraining_on_the_source_helps_where_the_target_has_few_labels():
    """Two of twenty features count, which a dozen rows do not tell."""
    settings = {**FAST, "source_training": SourceTraining(epochs=40, learning_rate=0.01)}
    scores = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, X_target = rng.normal(size=(400, 20)), rng.normal(0.3, 1, size=(212, 20))
        y, y_target = (np.maximum(rows[:, 0] + rows[:, 1], 0) for rows in (X, X_target))
        y_target = 5 - 2 * y_target
        few, rest = (X_target[:12], y_target[:12]), (X_target[12:], y_target[12:])
        reg = FineTuneRegressor(**{**settings, "random_state": seed})
        tuned = reg.fit(X, y, *few).score(*rest)
        body = nn.Sequential(nn.Linear(20, 100), nn.ReLU()).double()
        scores.append((tuned, FineTuneRegressor(body, **FAST).fit(*few).score(*rest)))
    tuned, alone = np.mean(scores, axis=0)
    assert tuned > alone + 0.25  # by 0.50; single gains 0.37 to 0.61


@pytest.mark.parametrize("backbone", [None, nn.Sequential(nn.Linear(4, 5)).double()])
def test_a_target_without_labels_is_left_aside_with_a_warning(domains, backbone):
    X, y, X_target, _ = domains
    reg = FineTuneRegressor(backbone, **FAST)
    with pytest.warns(UserWarning, match=r"learns nothing .* Give y_target") as noted:
        fitted = reg.fit(X, y, X_target).predict(X_target)
    assert len(noted) == 1
    twin = reg.source_only().fit(X, y)
    np.testing.assert_array_equal(twin.predict(X_target), fitted)


def test_without_backbone_and_target_nothing_is_transferred(domains):
    X, y, *_ = domains
    with pytest.warns(UserWarning, match="FineTuneRegressor was fitted without X_target"):
        FineTuneRegressor(**FAST).fit(X, y)
    FineTuneRegressor(**FAST).source_only().fit(X, y)


def test_early_stopping_holds_out_two_rows_at_least(domains):
    X, y, *_ = domains
    stop = HeldOut(fraction=0.01, patience=2)
    reg = FineTuneRegressor(pretrained(), early_stopping=stop, **FAST).fit(X, y)
    assert np.isfinite(reg.history_[:, "valid_r2"]).all()
    with pytest.raises(ValueError, match=r"of the 2 labelled rows, at least 2, and cannot"):
        reg.fit(X[:2], y[:2])


def test_the_frozen_cache_makes_no_difference(domains, tmp_path):
    X, y, *_ = domains
    caches = FrozenCache(enabled=False), FrozenCache(memory=str(tmp_path)), None
    predictions = [
        FineTuneRegressor(pretrained(), frozen_cache=cache, **FAST).fit(X, y).predict(X)
        for cache in caches
    ]
    for other in predictions[1:]:
        np.testing.assert_allclose(other, predictions[0], rtol=1e-12)


def test_a_saved_regressor_comes_back(domains, tmp_path):
    X, y, X_target, y_target = domains
    reg = FineTuneRegressor(**FAST).fit(X, y, X_target, np.column_stack([y_target, y_target]))
    sktransfer.save(reg, tmp_path / "model.safetensors")
    for other in (
        sktransfer.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(reg)),
    ):
        np.testing.assert_array_equal(other.predict(X_target), reg.predict(X_target))
        assert other.unfrozen_layers_ == reg.unfrozen_layers_


def test_onnx_predicts_in_the_units_of_y(domains, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    X, y, X_target, y_target = domains
    reg = FineTuneRegressor(**FAST).fit(X, y, X_target, y_target)
    sktransfer.export_onnx(reg, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (predicted,) = session.run(None, {"X": X_target.astype(np.float32)})
    np.testing.assert_allclose(predicted, reg.predict(X_target), rtol=1e-4, atol=1e-4)


def test_a_search_finds_a_depth(domains):
    X, y, *_ = domains
    search = GridSearchCV(FineTuneRegressor(pretrained(), **FAST), {"unfreeze_depth": [0, 1]}, cv=2)
    search.fit(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()


def test_adapt_learns_from_further_labels(domains):
    X, y, X_target, y_target = domains
    reg = FineTuneRegressor(**FAST).fit(X, y, X_target[:20], y_target[:20])
    before = r2_score(y_target[20:40], reg.predict(X_target[20:40]))
    reg.set_params(finetune_epochs=30, finetune_learning_rate=3e-3)
    reg.adapt(X_target[20:40], y_target[20:40])
    assert reg.score(X_target[20:40], y_target[20:40]) > before


def test_summary_knows_the_head_after_fit(domains, capsys):
    X, y, *_ = domains
    reg = FineTuneRegressor(pretrained(), **FAST).fit(X, np.column_stack([y, y]))
    assert reg.summary().layers[-1].output_shape == (2,)
    assert "head" in capsys.readouterr().out


def test_classifiers_meet_measured_labels_with_its_name(domains):
    X, y, *_ = domains
    with pytest.raises(ValueError, match="use FineTuneRegressor"):
        sktransfer.FineTuneClassifier().fit(X, y)
