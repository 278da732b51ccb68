"""The five steps: what is trained when, what stays as it was, where knowledge comes from."""

import copy
import hashlib
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from sktransfer import FineTuneClassifier
from sktransfer.finetuning import FrozenCache, HeldOut, LoRA, SourceTraining, Unfreezing
from tests.frozen.bodies import (
    Branching,
    Pairs,
    Recurrent,
    Residual,
    Shortcut,
    Unused,
    sequential,
)

FAST = {
    "head_epochs": 3,
    "finetune_epochs": 3,
    "source_training": SourceTraining(epochs=3),
    "random_state": 0,
}
SGD = torch.optim.SGD


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 4))
    return X, np.where(X[:, 0] + X[:, 1] > 0, "up", "down")


def pretrained(kind=sequential):
    torch.manual_seed(0)
    body = kind().double()
    for module in body.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.uniform_()
            module.running_var.uniform_(0.5, 2.0)
    return body


def digests(body, names=""):
    state = body.state_dict()
    return {
        name: hashlib.sha256(tensor.cpu().numpy().tobytes()).hexdigest()
        for name, tensor in state.items()
        if name.startswith(names)
    }


def body_of(clf):
    return clf.net_.module_.body


# What is frozen


@pytest.mark.parametrize("cache_frozen", [True, False])
@pytest.mark.parametrize("depth", [0, 1, 2, 3, "all", "4", "[67]"])
def test_frozen_weights_and_statistics_do_not_move_and_others_do(task, depth, cache_frozen):
    body = pretrained()
    clf = FineTuneClassifier(
        body, unfreeze_depth=depth, frozen_cache=FrozenCache(enabled=cache_frozen), **FAST
    )
    after, before = digests(body_of(clf.fit(*task))), digests(body)
    moved = {name.split(".")[0] for name in before if before[name] != after[name]}
    assert moved == set(clf.unfrozen_layers_)


@pytest.mark.parametrize("cache_frozen", [True, False])
def test_frozen_batch_norm_stays_in_unfrozen_layers_too(task, cache_frozen):
    body = pretrained()
    clf = FineTuneClassifier(
        body,
        unfreeze_depth="all",
        unfreezing=Unfreezing(freeze_batch_norm=True),
        frozen_cache=FrozenCache(enabled=cache_frozen),
        **FAST,
    ).fit(*task)
    assert digests(body, "4.") == digests(body_of(clf), "4.")
    assert clf.unfrozen_layers_ == ["0", "3", "7"]


def test_fit_leaves_the_network_in_evaluation_mode(task):
    clf = FineTuneClassifier(pretrained(), unfreeze_depth="all", **FAST).fit(*task)
    assert not any(module.training for module in clf.net_.module_.modules())


class Modes(nn.Dropout):
    """Notes its mode in each pass of more rows than a probe has."""

    modes = None

    def forward(self, X):
        if len(X) > 3:
            Modes.modes.append(self.training)
        return super().forward(X)


@pytest.mark.parametrize("cache_frozen", [True, False])
@pytest.mark.parametrize(("depth", "trains"), [(0, False), (1, False), (2, True)])
def test_dropout_acts_only_after_the_first_unfrozen_layer(task, depth, trains, cache_frozen):
    Modes.modes = []
    body = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 5), Modes(0.5), nn.Linear(5, 3)).double()
    params = {**FAST, "head_epochs": 0} if depth else FAST
    FineTuneClassifier(
        body, unfreeze_depth=depth, frozen_cache=FrozenCache(enabled=cache_frozen), **params
    ).fit(*task)
    assert set(Modes.modes) == {trains}


def test_nothing_of_the_users_is_changed(task):
    X, y = task
    body, head = pretrained(), nn.Linear(3, 2).double()
    states = copy.deepcopy([body.state_dict(), head.state_dict()])
    X_before = X.copy()
    clf = FineTuneClassifier(body, head=head, unfreeze_depth="all", **FAST).fit(X, y)
    clf.predict(X)
    for module, before in zip((body, head), states, strict=True):
        assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
        assert all(p.requires_grad for p in module.parameters())
        assert module.training
    np.testing.assert_array_equal(X, X_before)
    assert clf.backbone is body


def test_a_body_that_works_in_place_does_not_change_the_users_rows(task):
    X, y = task
    body = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 3)).double()
    before = X.copy()
    for cache_frozen in (True, False):
        clf = FineTuneClassifier(body, frozen_cache=FrozenCache(enabled=cache_frozen), **FAST).fit(
            X, y
        )
        clf.predict(X)
        np.testing.assert_array_equal(X, before)


# The steps, by hand


def one_step(**params):
    return {
        "head_epochs": 0,
        "finetune_epochs": 1,
        "batch_size": 100,
        "optimizer": SGD,
        "random_state": 0,
        **params,
    }


def test_one_step_follows_the_update_rule(task):
    X, y = task
    body = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
    body, head = body.double(), nn.Linear(3, 2).double()
    rate, decay, alpha = 0.1, 0.5, 0.3
    clf = FineTuneClassifier(
        body,
        head=head,
        unfreeze_depth=2,
        finetune_learning_rate=rate,
        unfreezing=Unfreezing(layer_decay=decay, l2_sp=alpha),
        class_weight={"up": 3.0},
        **one_step(),
    ).fit(X, y)
    indices = torch.from_numpy((y == "up").astype(int))
    class_weight = torch.tensor([1.0, 3.0]).double()
    class_weight *= len(y) / class_weight[indices].sum()
    twin, twin_head = copy.deepcopy(body), copy.deepcopy(head)
    log_p = F.log_softmax(twin_head(twin(torch.from_numpy(X))), dim=1)
    rows = torch.arange(len(y))
    (-(class_weight[indices] * log_p[rows, indices]).sum() / len(y)).backward()
    rates = {"0": 0.0, "2": rate * decay**2, "4": rate * decay}
    for name, after in body_of(clf).named_parameters():
        before = twin.get_parameter(name)
        # the penalty's gradient is zero where the weights still are what they were
        expected = before - rates[name.split(".")[0]] * before.grad
        torch.testing.assert_close(after.detach(), expected.detach())
    for name, after in clf.net_.module_.label_head.named_parameters():
        before = twin_head.get_parameter(name)
        torch.testing.assert_close(after.detach(), (before - rate * before.grad).detach())
    assert clf.history_[0]["l2_sp_loss"] == 0
    assert clf.history_[0]["label_loss"] == pytest.approx(
        (-(class_weight[indices] * log_p[rows, indices]).sum() / len(y)).item()
    )


def test_head_is_trained_first_and_at_its_own_rate(task):
    body, head = pretrained(), nn.Linear(3, 2).double()
    clf = FineTuneClassifier(
        body, head=head, learning_rate=0.1, **one_step(head_epochs=1, finetune_epochs=0)
    ).fit(*task)
    twin, twin_head = copy.deepcopy(body).eval(), copy.deepcopy(head)
    y = torch.from_numpy((task[1] == "up").astype(int))
    F.cross_entropy(twin_head(twin(torch.from_numpy(task[0]))), y).backward()
    for name, after in clf.net_.module_.label_head.named_parameters():
        before = twin_head.get_parameter(name)
        torch.testing.assert_close(after.detach(), (before - 0.1 * before.grad).detach())
    assert digests(body) == digests(body_of(clf))


def test_history_tells_the_stages_and_their_rates(task):
    clf = FineTuneClassifier(
        pretrained(),
        learning_rate=0.01,
        finetune_learning_rate=0.002,
        head_epochs=2,
        finetune_epochs=3,
    ).fit(*task)
    assert clf.history_[:, "stage"] == ["head"] * 2 + ["finetune"] * 3
    assert clf.history_[:, "learning_rate"] == [0.01] * 2 + [0.002] * 3
    assert clf.n_iter_ == 5


def test_schedule_runs_from_its_beginning_to_its_end_in_each_stage(task):
    clf = FineTuneClassifier(
        pretrained(),
        learning_rate=1.0,
        finetune_learning_rate=0.5,
        learning_rate_schedule=lambda p: 1 - p,
        batch_size=40,
        head_epochs=2,
        unfreeze_depth=2,
        finetune_epochs=4,
        unfreezing=Unfreezing(gradual=True),
    ).fit(*task)
    rates = [1.0, 0.5, 0.5, 0.375, 0.25, 0.125]
    assert clf.history_[:, "learning_rate"] == pytest.approx(rates)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(4, [1, 2, 3, 4]), (8, [1, 1, 2, 2, 3, 3, 4, 4]), (2, [2, 4]), (1, [4])],
)
def test_gradual_unfreezing_adds_layers_from_the_last_one_on(task, epochs, expected):
    seen = []

    class CountLayers(Callback):
        def on_epoch_begin(self, net, **kwargs):
            (group,) = net.optimizer_.param_groups  # all at one rate
            seen.append(len(group["params"]) // 2 - 1)  # weights and biases; one is the head's

    clf = FineTuneClassifier(
        pretrained(),
        unfreeze_depth="all",
        unfreezing=Unfreezing(gradual=True),
        head_epochs=0,
        finetune_epochs=epochs,
        callbacks=[CountLayers()],
        random_state=0,
    ).fit(*task)
    assert seen == expected
    assert clf.n_iter_ == epochs


def test_strong_l2_sp_holds_the_body_where_it_was(task):
    body = pretrained()
    params = {**FAST, "unfreeze_depth": "all", "finetune_epochs": 50, "optimizer": SGD}
    ways = []
    for alpha in (0.0, 5.0):
        clf = FineTuneClassifier(
            body, unfreezing=Unfreezing(l2_sp=alpha), finetune_learning_rate=0.05, **params
        )
        clf.fit(*task)
        pairs = zip(body_of(clf).parameters(), body.parameters(), strict=True)
        ways.append(sum((a - b).square().sum().item() for a, b in pairs))
    assert ways[1] < 0.05 * ways[0]


def test_keras_recipe_can_be_written(task):
    clf = FineTuneClassifier(
        pretrained(), optimizer="rmsprop", learning_rate=2e-5, finetune_learning_rate=2e-6, **FAST
    ).fit(*task)
    assert isinstance(clf.net_.optimizer_, torch.optim.RMSprop)


# The cache


@pytest.mark.parametrize("kind", [sequential, Residual, Recurrent, Pairs, Branching, Shortcut])
@pytest.mark.parametrize("depth", [0, 1, 2, "all"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_weights_are_the_same_with_and_without_the_cache(task, tmp_path, kind, depth, dtype):
    body = pretrained(kind).to(dtype)
    fits = [
        FineTuneClassifier(
            body, unfreeze_depth=depth, unfreezing=Unfreezing(l2_sp=0.01), **FAST, **params
        ).fit(*task)
        for params in (
            {"frozen_cache": FrozenCache(enabled=False)},
            {},
            {"frozen_cache": FrozenCache(memory=tmp_path)},
            {"frozen_cache": FrozenCache(memory=tmp_path)},
        )
    ]
    expected = fits[0].net_.module_.state_dict()
    if kind is Residual and depth == 2:
        return  # its dropout, a function of a half-frozen block, is off only where it is cut
    for clf in fits[1:]:
        for name, tensor in clf.net_.module_.state_dict().items():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(
            clf.predict_proba(task[0]), fits[0].predict_proba(task[0]), atol=1e-6
        )
        np.testing.assert_allclose(clf.transform(task[0]), fits[0].transform(task[0]), atol=1e-6)


def test_batch_norm_learns_from_the_source_and_is_frozen_after(task):
    X, y = task
    body = pretrained()
    clf = FineTuneClassifier(
        body, unfreeze_depth="all", unfreezing=Unfreezing(freeze_batch_norm=True), **FAST
    )
    source = clone(clf).set_params(finetune_epochs=0).fit(X, y, X, y)
    tuned = clf.fit(X, y, X, y)
    assert digests(body, "4.") != digests(body_of(source), "4.")
    assert digests(body_of(source), "4.") == digests(body_of(tuned), "4.")


# Where knowledge comes from


@pytest.mark.accuracy
def test_source_and_target_may_have_other_classes(task):
    X, y = task
    rng = np.random.default_rng(1)
    X_target = rng.normal(size=(60, 4))
    y_target = np.digitize(X_target[:, 0], [-0.5, 0.5])
    clf = FineTuneClassifier(random_state=0, source_training=SourceTraining(epochs=30)).fit(
        X, y, X_target, y_target
    )
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.predict_proba(X_target).shape == (60, 3)
    stages = clf.history_[:, "stage"]
    assert stages == ["source"] * 30 + ["head"] * 100 + ["finetune"] * 50
    assert clf.score(X_target, y_target) > 0.7  # 0.97 to 1.00 with six seeds
    assert clf.n_pseudo_labels_ == 0
    with pytest.warns(UserWarning, match="nothing was transferred"):
        clf.fit(X, y)
    assert clf.unfrozen_layers_ == []


@pytest.mark.accuracy
def test_pretraining_on_the_source_helps_where_the_target_has_few_labels():
    gains = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, X_target = rng.normal(size=(2, 600, 4))
        y, y_target = (Z[:, 0] * Z[:, 1] > 0 for Z in (X, X_target))
        few, rest = slice(0, 20), slice(20, None)
        params = {"unfreeze_depth": 0, "learning_rate": 0.01, "random_state": seed}
        source = FineTuneClassifier(
            **params,
            source_training=SourceTraining(learning_rate=0.01, epochs=50),
        )
        source.fit(X, y, X_target[few], y_target[few])
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Linear(4, 100), nn.ReLU()).double()
        random = FineTuneClassifier(body, **params).fit(X_target[few], y_target[few])
        scores = [clf.score(X_target[rest], y_target[rest]) for clf in (source, random)]
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > 0.05  # single gains are 0.13 to 0.30, with six seeds


@pytest.mark.accuracy
def test_without_target_labels_sure_rows_are_used(task):
    X, y = task
    X_target = np.random.default_rng(1).normal(size=(200, 4)) * 3
    clf = FineTuneClassifier(
        random_state=0, source_training=SourceTraining(learning_rate=0.01)
    ).fit(X, y, X_target)
    assert 100 < clf.n_pseudo_labels_ <= 200
    assert clf.history_[-1, "stage"] == "finetune"
    assert clf.classes_.tolist() == ["down", "up"]
    truth = np.where(X_target[:, 0] + X_target[:, 1] > 0, "up", "down")
    assert clf.score(X_target, truth) > 0.8  # 0.87 to 0.89 with six seeds


def test_without_sure_rows_the_model_of_the_source_is_kept(task):
    X, y = task
    clf = FineTuneClassifier(
        random_state=0,
        source_training=SourceTraining(epochs=2, pseudo_label_threshold=1.0),
    )
    with pytest.warns(UserWarning, match="0 of the 40 rows of X_target have a class"):
        clf.fit(X, y, X + 1)
    with pytest.warns(UserWarning, match="nothing was transferred"):
        source = clone(clf).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), source.predict_proba(X))
    assert clf.n_pseudo_labels_ == 0


@pytest.mark.parametrize("unknown", [None, np.nan])
def test_of_a_target_with_missing_labels_the_labelled_rows_are_used(task, unknown):
    X, y = task
    X_target, known = X + 1, np.arange(40) % 3 == 0
    y_target = np.array(y, dtype=object)
    y_target[~known] = unknown
    clf = FineTuneClassifier(pretrained(), **FAST)
    partly = clone(clf).fit(X, y, X_target, y_target)
    alone = clone(clf).fit(X, y, X_target[known], y[known])
    np.testing.assert_array_equal(partly.predict_proba(X), alone.predict_proba(X))


def test_rows_of_one_sure_class_are_too_few(task):
    X, y = task
    clf = FineTuneClassifier(
        random_state=0, source_training=SourceTraining(pseudo_label_threshold=0.6)
    )
    with pytest.warns(UserWarning, match="of 1 classes; fine-tuning needs 4 rows"):
        clf.fit(X, y, np.full((20, 4), 3.0))


def test_without_backbone_and_target_nothing_is_transferred(task):
    with pytest.warns(UserWarning, match="without X_target and without a pretrained backbone"):
        FineTuneClassifier(**FAST).fit(*task)


def test_a_pretrained_backbone_is_fitted_without_a_warning(task):
    clf = FineTuneClassifier(pretrained(), **FAST).fit(*task)
    assert set(clf.history_[:, "stage"]) == {"head", "finetune"}


def test_unfrozen_layers_that_no_gradient_reaches_are_named(task):
    clf = FineTuneClassifier(pretrained(Unused), unfreeze_depth="pooler", **FAST)
    with pytest.warns(UserWarning, match=r"unfrozen layers \['pooler'\] have learned nothing"):
        clf.fit(*task)
    clf.set_params(unfreeze_depth=0).fit(*task)


# Data scientists' tools


def test_early_stopping_returns_to_the_best_epoch(task):
    seen = []
    clf = FineTuneClassifier(
        pretrained(),
        augment=lambda rows: seen.append(rows) or rows,
        unfreeze_depth="all",
        early_stopping=HeldOut(fraction=0.3, patience=4),
        learning_rate=0.05,
        finetune_learning_rate=0.05,
        finetune_epochs=200,
        random_state=0,
    ).fit(*task)
    losses = [e["valid_loss"] for e in clf.history_ if e["stage"] == "finetune"]
    assert len(losses) < 200
    best = int(np.argmin(losses))
    # an improvement by less than 1e-4 of the loss counts as none
    assert len(losses) - 1 - best <= 4
    rows = rows_never_seen(seen, task[0])
    assert len(rows) == 12
    y = (task[1] == "up").astype(int)
    logs = -np.log(clf.predict_proba(task[0])[np.arange(40), y])
    assert logs[rows].mean() == pytest.approx(losses[best], rel=1e-3)
    assert [name for name, _ in clf.net_.callbacks_] == ["epoch_timer"]


def rows_never_seen(batches, X):
    """Return the numbers of the rows of `X` that are in no batch."""
    seen = {row.tobytes() for row in torch.cat(batches).numpy()}
    return [i for i, row in enumerate(X) if row.tobytes() not in seen]


def test_held_out_rows_count_by_their_sample_weights(task):
    X, y = task
    weights = np.random.default_rng(0).integers(1, 6, 40)  # counts: each row trains or is held out
    seen = []
    clf = FineTuneClassifier(
        pretrained(),
        early_stopping=HeldOut(fraction=0.5),
        augment=lambda rows: seen.append(rows) or rows,
        head_epochs=1,
        finetune_epochs=0,
        random_state=0,
    ).fit(X, y, sample_weight=weights)
    probabilities = clf.predict_proba(X)
    loss = right = plain_loss = plain_right = 0.0
    rows = rows_never_seen(seen, X)
    for i in rows:
        label = int(y[i] == "up")
        loss -= weights[i] * np.log(probabilities[i, label])
        right += weights[i] * (probabilities[i, label] > 0.5)
        plain_loss -= np.log(probabilities[i, label])
        plain_right += probabilities[i, label] > 0.5
    recorded = clf.history_[-1]
    assert recorded["valid_loss"] == pytest.approx(loss / weights[rows].sum(), rel=1e-9)
    assert recorded["valid_accuracy"] == pytest.approx(right / weights[rows].sum())
    assert recorded["valid_loss"] != pytest.approx(plain_loss / len(rows), rel=1e-3)
    assert recorded["valid_accuracy"] != pytest.approx(plain_right / len(rows), rel=1e-3)


def test_augmentation_changes_training_batches_and_nothing_else(task):
    seen = []

    def augment(X):
        seen.append(X.shape)
        return X + 0.1 * torch.randn_like(X)

    clf = FineTuneClassifier(pretrained(), augment=augment, batch_size=16, **FAST)
    a, b = clone(clf).fit(*task), clone(clf).fit(*task)
    assert set(seen) <= {(13, 4), (14, 4)}
    assert len(seen) == 2 * 6 * 3
    np.testing.assert_array_equal(a.predict_proba(task[0]), b.predict_proba(task[0]))
    plain = clone(clf).set_params(augment=None).fit(*task)
    assert not np.array_equal(a.predict_proba(task[0]), plain.predict_proba(task[0]))
    assert len(seen) == 2 * 6 * 3


@pytest.mark.parametrize("augment", [lambda X: X[:1], lambda X: X.numpy(), lambda X: None])
def test_augmentation_must_return_the_batchs_rows(task, augment):
    with pytest.raises(ValueError, match=r"augment made .* it must return a tensor with a row"):
        FineTuneClassifier(pretrained(), augment=augment, **FAST).fit(*task)


def test_class_weight_shifts_the_decision(task):
    shares = [
        (clf.fit(*task).predict(task[0]) == "up").mean()
        for clf in (
            FineTuneClassifier(
                pretrained(), class_weight={"up": w}, learning_rate=0.02, random_state=0
            )
            for w in (0.01, 1.0, 100.0)
        )
    ]
    assert shares[0] < shares[1] < shares[2]


def test_pipeline_search_and_pickle(task):
    X, y = task
    pipe = make_pipeline(StandardScaler(), FineTuneClassifier(pretrained(), **FAST))
    search = GridSearchCV(
        pipe, {"finetuneclassifier__unfreeze_depth": [0, 2, "all"]}, cv=3, n_jobs=2
    ).fit(X, y)
    assert set(search.cv_results_["param_finetuneclassifier__unfreeze_depth"]) == {0, 2, "all"}
    twin = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(twin.predict_proba(X), search.predict_proba(X))


@pytest.mark.accuracy
def test_default_estimator_works_in_a_pipeline(task):
    with pytest.warns(UserWarning, match="nothing was transferred"):
        pipe = make_pipeline(StandardScaler(), FineTuneClassifier(random_state=0)).fit(*task)
    assert pipe.score(*task) > 0.9  # 0.975 with each of six seeds


def test_transform_gives_the_features_of_the_body(task):
    clf = FineTuneClassifier(pretrained(), **FAST).fit(*task)
    with torch.no_grad():
        expected = body_of(clf).eval()(torch.from_numpy(task[0])).numpy()
    np.testing.assert_allclose(clf.transform(task[0]), expected)
    assert clf.get_feature_names_out().tolist() == [f"finetuneclassifier{i}" for i in range(3)]


def test_trained_parts_are_the_start_of_another_fit(task):
    source = FineTuneClassifier(pretrained(), unfreeze_depth="all", random_state=0).fit(*task)
    assert source.backbone_ is body_of(source)
    few = {"head_epochs": 1, "finetune_epochs": 0, "random_state": 0}
    kept = FineTuneClassifier(source.backbone_, head=source.head_, **few).fit(*task)
    new = FineTuneClassifier(source.backbone_, **few).fit(*task)
    assert kept.history_[0, "label_loss"] < new.history_[0, "label_loss"]
    assert not hasattr(clone(source), "backbone_")


def test_warm_start_trains_on(task):
    clf = FineTuneClassifier(pretrained(), warm_start=True, **FAST).fit(*task)
    before = body_of(clf).state_dict()["7.weight"].clone()
    loss = clf.history_[-1, "label_loss"]
    clf.set_params(unfreeze_depth=2, finetune_epochs=30, finetune_learning_rate=0.01).fit(*task)
    assert clf.n_iter_ == 6 + 33
    assert clf.history_[-1, "label_loss"] < loss
    assert not torch.equal(before, body_of(clf).state_dict()["7.weight"])


def test_sample_weights_draw_the_labelled_rows(task):
    X, y = task
    weights = np.r_[np.ones(20), np.zeros(20)]
    clf = FineTuneClassifier(pretrained(), **FAST).fit(X, y, sample_weight=weights)
    X = X.copy()
    X[20:] = 1e3
    other = FineTuneClassifier(pretrained(), **FAST).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(clf.predict_proba(X), other.predict_proba(X))


class Interruption(nn.Module):
    """Raises as Ctrl-C does in a training pass."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def forward(self, X):
        if self.training and torch.is_grad_enabled():
            self.after -= 1
            if self.after == 0:
                raise KeyboardInterrupt
        return X


class NoteStages(Callback):
    seen: ClassVar = []

    def on_batch_end(self, net, batch, **kwargs):
        self.seen.append(batch.metrics["stage"])


@pytest.mark.parametrize(("after", "stage"), [(2, "source"), (8, "head"), (14, "finetune")])
def test_an_interruption_ends_all_stages_and_leaves_what_was_fitted(task, after, stage):
    X, y = task
    sure = SourceTraining(epochs=3, pseudo_label_threshold=0.0, learning_rate=0.1)
    clf = FineTuneClassifier(pretrained(), **{**FAST, "batch_size": 20, "source_training": sure})
    expected = clf.fit(X, y, X).predict_proba(X)
    head = nn.Sequential(Interruption(after), nn.Linear(3, 2)).double()
    seen = NoteStages.seen
    seen.clear()
    clf.set_params(head=head, callbacks=[NoteStages()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y, X)
    assert len(seen) == after - 1
    assert seen[-1] == stage
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), expected)


@pytest.mark.accuracy
def test_tokens_reach_a_body_with_a_table_as_integers(tmp_path):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 50, size=(80, 7))
    y = (tokens[:, 0] > 25).astype(int)
    body = nn.Sequential(nn.Embedding(50, 8), nn.Flatten(), nn.Linear(56, 20))
    for params in ({}, {"frozen_cache": FrozenCache(memory=tmp_path)}):
        clf = FineTuneClassifier(
            body, learning_rate=0.01, random_state=0, finetune_learning_rate=0.01, **params
        ).fit(tokens, y)
        assert clf.score(tokens, y) > 0.9  # 1.0 with each of six seeds


def test_images_stay_integers_until_they_reach_the_body():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, size=(30, 1, 8, 8)).astype(np.uint8)
    body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3))
    y = np.arange(30) % 3
    clf = FineTuneClassifier(body, **FAST).fit(images, y)
    same = FineTuneClassifier(body, **FAST).fit(images.astype("f"), y)
    np.testing.assert_array_equal(clf.predict_proba(images), same.predict_proba(images.astype("f")))
    assert clf.transform(images).shape == (30, 2 * 4 * 4)


# Bad input


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"unfreeze_depth": 5}, "unfreeze_depth=5, but the backbone has 4 layers"),
        ({"unfreeze_depth": "conv1"}, "unfreeze_depth='conv1' fits no layer"),
        ({"unfreeze_depth": -1}, "'unfreeze_depth' parameter"),
        ({"head_epochs": 0, "finetune_epochs": 0}, "leave the new head as it was drawn"),
        ({"unfreezing": Unfreezing(layer_decay=0.0)}, "'layer_decay' parameter"),
        ({"adapter": "prefix"}, "'adapter' parameter"),
        ({"adapter": LoRA(), "unfreezing": Unfreezing(l2_sp=0.1)}, "set l2_sp=0 or adapter=None"),
        ({"backbone": nn.Linear(7, 3).double()}, r"backbone failed on a batch of shape \(2, 4\)"),
        ({"backbone": nn.Flatten(0)}, r"backbone made of .* It must give a float tensor of shape"),
        (
            {"backbone": nn.Identity(), "unfreeze_depth": 1},
            "the backbone has no layer that holds weights",
        ),
        (
            {"backbone": nn.Identity(), "head": nn.Identity(), "unfreeze_depth": 0},
            "head gave shape",
        ),
        ({"head": nn.Linear(3, 5).double()}, "head gave shape"),
        ({"frozen_cache": FrozenCache(memory=3)}, "'memory' parameter"),
        ({"class_weight": {"left": 2}}, "class_weight names"),
        ({"optimizer": "lion"}, "'optimizer' parameter"),
    ],
)
def test_bad_parameters_are_named(task, params, message):
    clf = FineTuneClassifier(**{"backbone": pretrained(), **FAST, **params})
    with pytest.raises((ValueError, TypeError), match=message):
        clf.fit(*task)


def test_head_and_depth_must_leave_something_to_train(task):
    body = nn.Sequential(nn.Linear(4, 2)).double()
    clf = FineTuneClassifier(body, head=nn.Identity(), unfreeze_depth=0, **FAST)
    with pytest.raises(ValueError, match="'head' has nothing to train: the head has no weights"):
        clf.fit(*task)


@pytest.mark.parametrize(
    ("y_target", "message"),
    [
        ([1, 2, 3], "y_target has 3 labels for the 40 rows"),
        ([None] * 10 + ["a"] * 30, "y_target holds one class"),
        (np.ones(40), "y_target holds one class"),
    ],
)
def test_bad_target_labels_are_named(task, y_target, message):
    X, y = task
    with pytest.raises(ValueError, match=message):
        FineTuneClassifier(**FAST).fit(X, y, X_target=X, y_target=y_target)


def test_too_few_rows_to_hold_out_are_named(task):
    clf = FineTuneClassifier(pretrained(), early_stopping=HeldOut(), **FAST)
    with pytest.raises(ValueError, match=r"a fraction of 0\.1 of the 3 labelled rows"):
        clf.fit(task[0][:3], [0, 0, 1])


def test_wrong_channels_are_named():
    images = np.zeros((10, 1, 8, 8), dtype=np.uint8)
    body = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match=r"backbone failed on a batch of shape \(2, 1, 8, 8\)"):
        FineTuneClassifier(body, **FAST).fit(images, np.arange(10) % 2)
