"""SHOT: two stages, and that the head stays in the second."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback
from torch import nn

from sktransfer import SHOTClassifier, load, save
from sktransfer.deep._source_free import centroid_labels, information_loss

FAST = {"max_epochs": 3, "target_epochs": 2, "random_state": 0}


def modules():
    torch.manual_seed(0)
    return nn.Linear(4, 6).double(), nn.Linear(6, 2).double()


def test_the_head_stays_and_the_body_moves_in_the_second_stage(domains):
    X, y, X_target = domains
    body, head = modules()
    clf = SHOTClassifier(body, label_classifier=head, average_weights=0.0, **FAST)
    plain = clf.source_only().fit(X, y).net_.module_
    adapted = clf.fit(X, y, X_target).net_.module_
    assert torch.equal(plain.label_head.weight, adapted.label_head.weight)
    assert torch.equal(plain.label_head.bias, adapted.label_head.bias)
    assert not torch.equal(plain.body.weight, adapted.body.weight)


def test_history_tells_the_stages_and_their_losses(domains):
    history = SHOTClassifier(**FAST).fit(*domains).history_
    assert history[:, "stage"] == ["source"] * 3 + ["target"] * 2
    assert "label_loss" in history[0]
    assert {"information_loss", "pseudo_label_loss"} <= history[-1].keys()
    without = SHOTClassifier(pseudo_label_weight=0.0, **FAST).fit(*domains).history_
    assert "pseudo_label_loss" not in without[-1]


def test_the_first_step_on_the_target_goes_down_its_losses_by_the_body(domains):
    X, y, X_target = domains
    body, head = modules()
    clf = SHOTClassifier(
        body,
        label_classifier=head,
        learning_rate=0.1,
        optimizer=torch.optim.SGD,
        average_weights=0.0,
        target_learning_rate=0.1,
        batch_size=90,
        max_epochs=2,
        target_epochs=1,
        random_state=0,
    )
    plain = clf.source_only().fit(X, y).net_.module_
    T = torch.from_numpy(X_target)
    features = plain.body(T)
    outputs = plain.label_head(features)
    labels = centroid_labels(features.detach(), outputs.detach().softmax(dim=1))
    by_labels = -outputs.log_softmax(dim=1)[torch.arange(len(T)), labels].mean()
    loss = information_loss(outputs) + 0.3 * by_labels
    (gradient,) = torch.autograd.grad(loss, plain.body.weight)
    adapted = clf.fit(X, y, X_target).net_.module_
    expected = plain.body.weight - 0.1 * gradient
    torch.testing.assert_close(adapted.body.weight, expected, rtol=1e-9, atol=1e-12)


def test_known_labels_of_the_target_stand_in_for_pseudo_labels():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 2)), rng.integers(0, 2, 90)
    X_target = rng.normal(size=(60, 2))
    y_target = pd.array([0] * 30 + [None] * 30, dtype="Int64")
    strong = {"pseudo_label_weight": 50.0, "diversity": False, "target_learning_rate": 0.03}
    clf = SHOTClassifier(max_epochs=5, target_epochs=30, random_state=0, **strong)
    clf.fit(X, y, X_target, y_target)
    assert (clf.predict(X_target[:30]) == 0).mean() > 0.9


def test_without_diversity_a_target_of_one_class_stays_of_one_class():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-2, 1, size=(100, 2)), rng.normal(2, 1, size=(100, 2))])
    y = np.repeat([0, 1], 100)
    X_target = rng.normal(2, 1, size=(100, 2)) + np.array([0.5, -0.5])
    shares = {}
    for diversity in (True, False):
        clf = SHOTClassifier(diversity=diversity, target_learning_rate=0.01, random_state=0)
        clf.set_params(max_epochs=30).fit(X, y, X_target)
        shares[diversity] = clf.predict(X_target).mean()
    assert shares[False] > 0.97
    assert shares[True] < shares[False]


def test_without_a_target_it_says_so():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    with pytest.warns(UserWarning, match="without X_target.*or call adapt"):
        SHOTClassifier(**FAST).fit(X, y)


def test_it_adapts_later_without_the_source_to_the_same_bits_after_load(domains, tmp_path):
    X, y, X_target = domains
    clf = SHOTClassifier(**FAST).source_only().fit(X, y)
    before = clf.predict_proba(X_target)
    save(clf, tmp_path / "source.safetensors")
    again = load(tmp_path / "source.safetensors")
    head = clf.net_.module_.label_head.weight.clone()
    adapted = clf.adapt(X_target)
    assert adapted is clf
    assert torch.equal(clf.net_.module_.label_head.weight, head)
    assert clf.n_iter_ == len(clf.history_) == 5
    assert not np.array_equal(clf.predict_proba(X_target), before)
    later = again.adapt(X_target).predict_proba(X_target)
    np.testing.assert_array_equal(later, clf.predict_proba(X_target))


def test_it_comes_back_from_a_file(domains, tmp_path):
    clf = SHOTClassifier(diversity=False, **FAST).fit(*domains)
    save(clf, tmp_path / "shot.safetensors")
    again = load(tmp_path / "shot.safetensors")
    np.testing.assert_array_equal(again.predict_proba(domains[2]), clf.predict_proba(domains[2]))
    assert again.diversity is False


@pytest.mark.filterwarnings("ignore:The columns vary by:UserWarning")
def test_diversity_asks_for_equal_shares_whatever_the_class_weights():
    # scikit-learn's check of class weights asks that a heavy class gets most rows. Where all
    # classes are to be predicted as often, that is not wanted, and long training shows it.
    X, y = make_blobs(centers=2, cluster_std=20, random_state=0)
    weighted = {"class_weight": {0: 1000, 1: 1e-4}, "random_state": 0, "max_epochs": 20}
    clf = SHOTClassifier(learning_rate=0.01, target_learning_rate=0.003, **weighted)
    clf.set_params(target_epochs=100)
    assert (clf.source_only().fit(X, y).predict(X) == 0).mean() > 0.95
    assert (clf.set_params(diversity=False).fit(X, y, X).predict(X) == 0).mean() > 0.95
    assert (clf.set_params(diversity=True).fit(X, y, X).predict(X) == 0).mean() < 0.8


def test_class_weights_weigh_pseudo_labels_to_mean_one(domains):
    X, y, X_target = domains
    kept = {}

    class Kept(Callback):
        def on_batch_end(self, net, batch, training, **kwargs):
            kept.setdefault("batches", []).append(batch.source)

    clf = SHOTClassifier(class_weight={"up": 3.0}, callbacks=[Kept()], batch_size=200, **FAST)
    clf.fit(X, y, X_target)
    for view in kept["batches"][-2:]:  # each the whole target
        heavy = view.y == clf.classes_.tolist().index("up")
        assert 0 < heavy.sum() < len(view)
        assert view.weight.mean().item() == pytest.approx(1)
        ratios = view.weight[heavy][:, None] / view.weight[~heavy]
        torch.testing.assert_close(ratios, torch.full_like(ratios, 3.0))


def test_a_body_that_learns_nothing_is_named(domains):
    clf = SHOTClassifier(modules()[0].requires_grad_(False), **FAST)
    with pytest.raises(
        ValueError, match=r"body of this SHOTClassifier are frozen: .*requires_grad"
    ):
        clf.fit(*domains)


def test_labels_that_are_left_out_are_told(domains):
    X, y, X_target = domains
    clf = SHOTClassifier(pseudo_label_weight=0.0, **FAST)
    with pytest.warns(UserWarning, match="y_target is not used: .* pseudo_label_weight=0"):
        clf.fit(X, y, X_target, y)
