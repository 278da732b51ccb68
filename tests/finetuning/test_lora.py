"""Low-rank adapters: what they add, what they leave, what they fit."""

import pickle
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from sktransfer import FineTuneClassifier
from sktransfer.finetuning import FrozenCache, LoRA, SourceTraining
from tests.frozen.bodies import sequential

FAST = {"head_epochs": 2, "finetune_epochs": 5, "random_state": 0}
ADAPTED = {**FAST, "adapter": LoRA()}


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 4))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


def test_missing_library_is_named_with_the_extra(task, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r"pip install 'sktransfer\[lora\]'"):
        FineTuneClassifier(sequential().double(), **ADAPTED).fit(*task)


def test_parametrized_layers_stay_as_they_are(task):
    body = nn.Sequential(weight_norm(nn.Linear(4, 4)), nn.Tanh(), nn.Linear(4, 4)).double()
    clf = FineTuneClassifier(body, unfreeze_depth="all", **ADAPTED).fit(*task)
    assert clf.unfrozen_layers_ == ["2"]
    torch.testing.assert_close(clf.backbone_[0].weight, body[0].weight)


def test_layers_that_no_adapter_fits_are_an_error(task):
    body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)).double()
    with pytest.raises(
        ValueError, match=r"adapter=LoRA\(\) fits linear, convolution and embedding"
    ):
        FineTuneClassifier(body, unfreeze_depth=1, **ADAPTED).fit(*task)


class TestWithPeft:
    @pytest.fixture(autouse=True)
    def _needs_peft(self):
        pytest.importorskip("peft")

    def test_weights_stay_and_low_rank_additions_learn(self, task):
        body = sequential().double()
        clf = FineTuneClassifier(body, unfreeze_depth=3, adapter=LoRA(rank=2), **FAST).fit(*task)
        assert clf.unfrozen_layers_ == ["3", "7"]
        tuned = clf.net_.module_.body
        state = {
            name.replace("base_layer.", ""): tensor
            for name, tensor in tuned.state_dict().items()
            if "lora_" not in name
        }
        assert all(torch.equal(state[name], t) for name, t in body.state_dict().items())
        learning = {n for n, p in tuned.named_parameters() if p.requires_grad}
        assert learning == {f"{i}.lora_{m}.default.weight" for i in ("3", "7") for m in ("A", "B")}
        layer = tuned[3]
        assert layer.lora_A["default"].weight.shape == (2, 8)
        assert layer.lora_B["default"].weight.abs().sum() > 0

    def test_layer_computes_with_w_plus_b_a(self, task):
        clf = FineTuneClassifier(sequential().double(), adapter=LoRA(rank=3), **FAST).fit(*task)
        layer = clf.net_.module_.body[7]
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        rows = torch.rand(5, 8).double()
        expected = rows @ (layer.base_layer.weight + b @ a).T + layer.base_layer.bias
        torch.testing.assert_close(layer(rows), expected)

    @pytest.mark.parametrize("depth", [1, 2, "all"])
    def test_cache_changes_nothing(self, task, tmp_path, depth):
        body = sequential().double()
        probabilities = [
            FineTuneClassifier(body, unfreeze_depth=depth, **ADAPTED, **params)
            .fit(*task)
            .predict_proba(task[0])
            for params in (
                {"frozen_cache": FrozenCache(enabled=False)},
                {},
                {"frozen_cache": FrozenCache(memory=tmp_path)},
            )
        ]
        for found in probabilities[1:]:
            np.testing.assert_allclose(found, probabilities[0], atol=1e-9)

    def test_pickle_and_warm_start(self, task):
        body = nn.Linear(4, 3).double()
        clf = FineTuneClassifier(body, warm_start=True, **ADAPTED).fit(*task)
        twin = pickle.loads(pickle.dumps(clf))
        np.testing.assert_array_equal(twin.predict_proba(task[0]), clf.predict_proba(task[0]))
        twin.fit(*task)
        assert twin.n_iter_ == 14

    def test_warm_start_may_unfreeze_more(self, task):
        clf = FineTuneClassifier(sequential().double(), warm_start=True, **ADAPTED).fit(*task)
        before = clf.net_.module_.body[7].lora_B["default"].weight.clone()
        clf.set_params(unfreeze_depth="all").fit(*task)
        assert clf.unfrozen_layers_ == ["0", "3", "7"]
        tuned = clf.net_.module_.body
        assert not torch.equal(before, tuned[7].lora_B["default"].weight)
        assert tuned[0].lora_B["default"].weight.abs().sum() > 0

    def test_same_seed_same_bits(self, task):
        body = sequential().double()
        fits = [FineTuneClassifier(body, **ADAPTED).fit(*task) for _ in range(2)]
        a, b = (clf.predict_proba(task[0]) for clf in fits)
        np.testing.assert_array_equal(a, b)

    def test_pretraining_on_a_source_trains_the_weights_themselves(self, task):
        X, y = task
        body = sequential().double()
        clf = FineTuneClassifier(body, source_training=SourceTraining(epochs=2), **ADAPTED).fit(
            X, y, X, y + 1
        )
        before, after = body[0].weight, clf.net_.module_.body[0].weight
        assert not torch.equal(before, after)
        assert clf.classes_.tolist() == [1, 2]
