"""The summary: layers and numbers of parameters as they are, and nothing changed by asking."""

import copy
import pickle
import random
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from sktransfer import FineTuneClassifier
from sktransfer.backbones import VGG16
from sktransfer.finetuning import FrozenCache, LoRA, SourceTraining, Unfreezing
from tests.frozen.bodies import Draws, Recurrent, Residual, sequential

FAST = {
    "head_epochs": 1,
    "finetune_epochs": 1,
    "source_training": SourceTraining(epochs=1),
    "random_state": 0,
}

# Channels and side of the output, parameters: images of 150 by 150 in VGG16.
VGG16_LAYERS = {
    "block1_conv1": (64, 150, 1_792),
    "block1_conv2": (64, 150, 36_928),
    "block1_pool": (64, 75, 0),
    "block2_conv1": (128, 75, 73_856),
    "block2_conv2": (128, 75, 147_584),
    "block2_pool": (128, 37, 0),
    "block3_conv1": (256, 37, 295_168),
    "block3_conv2": (256, 37, 590_080),
    "block3_conv3": (256, 37, 590_080),
    "block3_pool": (256, 18, 0),
    "block4_conv1": (512, 18, 1_180_160),
    "block4_conv2": (512, 18, 2_359_808),
    "block4_conv3": (512, 18, 2_359_808),
    "block4_pool": (512, 9, 0),
    "block5_conv1": (512, 9, 2_359_808),
    "block5_conv2": (512, 9, 2_359_808),
    "block5_conv3": (512, 9, 2_359_808),
    "block5_pool": (512, 4, 0),
}
TOTAL = 14_714_688
BLOCK5 = 3 * 2_359_808


@pytest.fixture(scope="module")
def vgg16():
    return VGG16()


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 4))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


def stages(summary):
    return {stage.name: (stage.n_trainable, stage.n_frozen) for stage in summary.stages}


def learning(clf):
    parameters = list(clf.net_.module_.parameters())
    n_learning = sum(p.numel() for p in parameters if p.requires_grad)
    return n_learning, sum(p.numel() for p in parameters) - n_learning


# VGG16 before fit


def test_layers_of_vgg16_number_by_number(vgg16):
    summary = FineTuneClassifier(vgg16).summary()
    expected = [
        (name, "MaxPool2d" if name.endswith("pool") else "Conv2d", (channels, side, side), count)
        for name, (channels, side, count) in VGG16_LAYERS.items()
    ]
    assert [
        (layer.name, layer.type, layer.output_shape, layer.n_parameters) for layer in summary.layers
    ] == expected
    assert summary.n_parameters == TOTAL
    assert not summary.has_head


@pytest.mark.parametrize(
    ("depth", "n_learning"),
    [(0, 0), (1, 2_359_808), ("block5_conv1", BLOCK5), ("block5_*", BLOCK5), ("all", TOTAL)],
)
def test_stages_of_vgg16_number_by_number(vgg16, depth, n_learning):
    summary = FineTuneClassifier(vgg16, unfreeze_depth=depth).summary()
    expected = {"head": (0, TOTAL), "finetune": (n_learning, TOTAL - n_learning)}
    expected = expected if depth else {"head": (0, TOTAL)}
    assert stages(summary) == expected


def test_given_shape_goes_before_that_of_the_backbone(vgg16):
    for backbone in (vgg16, VGG16):
        summary = FineTuneClassifier(backbone).summary(input_shape=(3, 64, 96))
        assert summary.layers[-1].output_shape == (512, 2, 3)
        assert summary.n_parameters == TOTAL


# After fit


def test_fitted_vgg16_has_its_head_and_the_stages_that_were_trained():
    X = np.random.default_rng(0).random((6, 3, 32, 32), dtype=np.float32)
    clf = FineTuneClassifier(VGG16, unfreeze_depth="block5_conv1", **FAST).fit(X, [0, 1, 2] * 2)
    summary = clf.summary()
    assert [layer.name for layer in summary.layers] == [*VGG16_LAYERS, "head"]
    head = summary.layers[-1]
    assert (head.type, head.output_shape, head.n_parameters) == ("Linear", (3,), 513 * 3)
    assert summary.n_parameters == TOTAL + 513 * 3
    assert summary.has_head
    assert stages(summary) == {
        "head": (513 * 3, TOTAL),
        "finetune": (BLOCK5 + 513 * 3, TOTAL - BLOCK5),
    }
    assert stages(pickle.loads(pickle.dumps(clf)).summary()) == stages(summary)


@pytest.mark.parametrize("kind", [sequential, Residual])
@pytest.mark.parametrize("freeze_batch_norm", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 2, 3, "all"])
def test_last_stage_counts_what_requires_gradients(task, kind, depth, freeze_batch_norm):
    clf = FineTuneClassifier(
        kind().double(),
        unfreeze_depth=depth,
        unfreezing=Unfreezing(freeze_batch_norm=freeze_batch_norm),
        **FAST,
    ).fit(*task)
    summary = clf.summary()
    last = "finetune" if depth else "head"
    assert stages(summary)[last] == learning(clf)
    assert sum(layer.n_parameters for layer in summary.layers) == summary.n_parameters
    before = clone(clf).summary(input_shape=(4,))
    n_head = sum(p.numel() for p in clf.net_.module_.label_head.parameters())
    n_learning, n_frozen = learning(clf)
    assert stages(before)[last] == (n_learning - n_head, n_frozen)


def test_frozen_batch_norm_is_not_among_what_learns():
    clf = FineTuneClassifier(sequential(), unfreeze_depth="3")
    weights = {"3": 72, "4": 16, "7": 27}
    assert stages(clf.summary((4,)))["finetune"][0] == sum(weights.values())
    clf.set_params(unfreezing=Unfreezing(freeze_batch_norm=True))
    assert stages(clf.summary((4,)))["finetune"][0] == weights["3"] + weights["7"]


def test_layers_follow_the_calls_and_hold_weights_of_the_parts_between(task):
    clf = FineTuneClassifier(Residual().double(), **FAST).fit(*task)
    layers = {layer.name: layer for layer in clf.summary().layers}
    assert list(layers) == [
        "backbone",  # holds `scale`
        "stem",
        *(f"blocks.{i}.{part}" for i in (0, 1) for part in ("first", "norm", "second")),
        "last",
        "head",
    ]
    assert layers["backbone"].n_parameters == 6
    assert layers["blocks.1.norm"].n_parameters == 12
    assert layers["last"].output_shape == (6,)


def test_first_tensor_of_a_nested_output_gives_the_shape():
    summary = FineTuneClassifier(Recurrent()).summary(input_shape=(7,))
    assert [(layer.name, layer.output_shape) for layer in summary.layers] == [
        ("lstm", (7, 5)),
        ("last", (3,)),
    ]


def test_shared_weight_counts_once():
    body = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    body[1].weight = body[0].weight
    summary = FineTuneClassifier(body, unfreeze_depth="all").summary(input_shape=(4,))
    assert [layer.n_parameters for layer in summary.layers] == [20, 4]
    assert summary.n_parameters == 24
    assert stages(summary)["finetune"] == (24, 0)


def test_tokens_and_built_networks_are_shown():
    body = nn.Sequential(nn.Embedding(50, 4), nn.Flatten())
    layers = FineTuneClassifier(body).summary(input_shape=(7,)).layers
    assert [(layer.output_shape, layer.n_parameters) for layer in layers] == [
        ((7, 4), 200),
        ((28,), 0),
    ]
    summary = FineTuneClassifier(hidden_layer_sizes=(5, 3)).summary(input_shape=(4,))
    assert summary.n_parameters == 5 * 5 + 6 * 3


def test_head_of_several_layers_is_shown_layer_by_layer(task):
    def head(n_features, n_classes):
        return nn.Sequential(nn.Linear(n_features, 5), nn.Tanh(), nn.Linear(5, n_classes))

    summary = FineTuneClassifier(sequential().double(), head=head, **FAST).fit(*task).summary()
    assert [layer.name for layer in summary.layers[-3:]] == ["head.0", "head.1", "head.2"]
    assert [layer.n_parameters for layer in summary.layers[-3:]] == [4 * 5, 0, 6 * 2]


@pytest.mark.parametrize(("skipped", "left"), [("head", "finetune"), ("finetune", "head")])
def test_stages_without_epochs_are_left_out(task, skipped, left):
    clf = FineTuneClassifier(sequential().double(), **{**FAST, f"{skipped}_epochs": 0})
    assert list(stages(clf.summary((4,)))) == [left]
    assert list(stages(clf.fit(*task).summary())) == [left]


@pytest.mark.filterwarnings("ignore:.*nothing was transferred:UserWarning")
def test_model_of_the_source_alone_has_one_stage(task):
    summary = FineTuneClassifier(**FAST).fit(*task).summary()
    assert stages(summary) == {"source": (summary.n_parameters, 0)}


def test_adapters_are_counted_in_place_of_the_weights(task):
    pytest.importorskip("peft")
    body = sequential().double()
    clf = FineTuneClassifier(body, unfreeze_depth=1, adapter=LoRA(rank=2), **FAST)
    n_body, n_lora = sum(p.numel() for p in body.parameters()), 2 * 8 + 3 * 2
    before = clf.summary(input_shape=(4,))
    assert stages(before)["finetune"] == (n_lora, n_body)
    summary = clf.fit(*task).summary()
    assert stages(summary) == {
        "head": (4 * 2, n_body + n_lora),
        "finetune": (4 * 2 + n_lora, n_body),
    }
    assert stages(summary)["finetune"] == learning(clf)
    assert sum(layer.n_parameters for layer in summary.layers) == summary.n_parameters


# What it shows


def test_table_is_printed_and_is_the_text_of_the_summary(capsys):
    body = nn.Sequential(nn.Linear(30, 40), nn.ReLU())
    summary = FineTuneClassifier(body).summary(input_shape=(30,))
    assert capsys.readouterr().out == f"{summary}\n"
    assert str(summary).splitlines() == [
        "layer    type    output shape      parameters",
        "-------  ------  --------------  ------------",
        "0        Linear  (40,)                  1,240",
        "1        ReLU    (40,)                      0",
        "",
        "stage       trainable    frozen",
        "--------  -----------  --------",
        "head                0     1,240",
        "finetune        1,240         0",
        "",
        "1,240 parameters without the head, whose size depends on the labels",
    ]
    assert repr(summary) == (
        "<FineTuneSummary: 1,240 parameters without the head, 0 learn in 'head', 1,240 learn in "
        "'finetune'>"
    )


# What it leaves as it was


class Noisy(Draws):
    """Draws from all generators, and counts."""

    def __init__(self):
        super().__init__()
        self.n_calls = 0

    def forward(self, X):
        self.n_calls += 1
        return super().forward(X) + float(np.random.rand()) + torch.rand(1, dtype=X.dtype)


def state_of(module):
    modes = [(name, child.training) for name, child in module.named_modules()]
    hooks = [
        len(child._forward_hooks) + len(child._forward_pre_hooks) for child in module.modules()
    ]
    parameters = [
        (name, p.requires_grad, id(p), p.tolist()) for name, p in module.named_parameters()
    ]
    buffers = [(name, b.tolist()) for name, b in module.named_buffers()]
    return modes, hooks, parameters, buffers, getattr(module, "n_calls", None)


def generators():
    return random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().tolist()


@pytest.mark.parametrize("kind", [sequential, Noisy])
@pytest.mark.parametrize("mode", [False, True])
def test_asking_before_fit_changes_nothing(kind, mode):
    body = kind().train(mode)
    next(body.parameters()).requires_grad_(False)
    before, drawn = copy.deepcopy(state_of(body)), generators()
    FineTuneClassifier(body).summary(input_shape=(4,))
    assert state_of(body) == before
    FineTuneClassifier(lambda shape: nn.Linear(*shape, 3)).summary(input_shape=(4,))
    assert generators() == drawn


@pytest.mark.parametrize("kind", [sequential, Noisy])
def test_asking_after_fit_changes_nothing(task, kind):
    clf = FineTuneClassifier(
        kind().double(), frozen_cache=FrozenCache(enabled=False), warm_start=True, **FAST
    )
    unasked = copy.deepcopy(clf.fit(*task))
    module = clf.net_.module_.train()
    before, drawn = copy.deepcopy(state_of(module)), generators()
    calls = getattr(module.body, "n_calls", None)
    clf.summary()
    assert state_of(module) == before
    assert getattr(module.body, "n_calls", None) == calls
    assert generators() == drawn
    assert vars(clf).keys() == vars(unasked).keys()
    if kind is sequential:  # what else the other draws from is not of the fit
        module.eval()
        np.testing.assert_array_equal(
            clf.fit(*task).predict_proba(task[0]), unasked.fit(*task).predict_proba(task[0])
        )


class Keeps(nn.Module):
    """Keeps its last output, with all that led to it."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, X):
        self.output = self.linear(X)
        return self.output


def test_what_a_body_keeps_of_its_last_step_stays(task):
    clf = FineTuneClassifier(Keeps().double(), frozen_cache=FrozenCache(enabled=False), **FAST).fit(
        *task
    )
    kept = clf.net_.module_.body.output
    assert stages(clf.summary())["finetune"] == (15 + 8, 0)
    assert clf.net_.module_.body.output is kept
    assert kept.grad_fn is not None


def test_lazy_body_stays_lazy():
    body = nn.Sequential(nn.LazyLinear(4))
    assert FineTuneClassifier(body).summary(input_shape=(3,)).n_parameters == 16
    assert nn.parameter.is_lazy(body[0].weight)


# What cannot be summed up


@pytest.mark.parametrize("backbone", [None, VGG16, nn.Linear(4, 3)])
def test_before_fit_the_shape_must_come_from_somewhere(backbone):
    with pytest.raises(NotFittedError, match=r"Call fit first, or give the shape: summary\("):
        FineTuneClassifier(backbone).summary()


@pytest.mark.parametrize("shape", [30, (), (0, 3), (3.0,), "abc"])
def test_shape_that_is_none_is_an_error(shape):
    with pytest.raises(ValueError, match="must be the shape of one row, a tuple of positive"):
        FineTuneClassifier(nn.Linear(4, 3)).summary(input_shape=shape)


def test_strange_shape_of_a_backbone_is_named():
    body = nn.Linear(4, 3)
    body.input_shape = "four"
    with pytest.raises(ValueError, match=r"backbone\.input_shape='four' must be the shape"):
        FineTuneClassifier(body).summary()


def test_other_shape_than_the_fitted_one_is_an_error(task):
    clf = FineTuneClassifier(sequential().double(), **FAST).fit(*task)
    assert stages(clf.summary(input_shape=(4,))) == stages(clf.summary())
    with pytest.raises(ValueError, match=r"input_shape=\(5,\), but .* on rows of shape \(4,\)"):
        clf.summary(input_shape=(5,))


def test_shape_that_the_backbone_does_not_take_is_an_error(vgg16):
    with pytest.raises(ValueError, match="backbone failed on a batch of shape"):
        FineTuneClassifier(vgg16).summary(input_shape=(1, 32, 32))


@pytest.mark.parametrize("params", [{"unfreeze_depth": -1}, {"unfreeze_depth": "block6"}])
def test_settings_that_fit_would_refuse_are_errors(vgg16, params):
    with pytest.raises(ValueError, match="unfreeze_depth"):
        FineTuneClassifier(vgg16, **params).summary()


def test_a_notebook_shows_the_same_as_html(task, capsys):
    summary = FineTuneClassifier(sequential(), **FAST).fit(*task).summary()
    html = summary._repr_html_()
    assert html.count("<tr>") == 2 + len(summary.layers) + len(summary.stages)
    assert f"<p>{summary.n_parameters:,} parameters</p>" in html
    body = nn.Sequential()
    body.add_module("a<b", nn.Linear(4, 3))
    assert "a&lt;b" in FineTuneClassifier(body).summary((4,))._repr_html_()
    capsys.readouterr()


def test_a_notebook_shows_the_tables_once(monkeypatch, capsys):
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    summary = FineTuneClassifier(nn.Linear(3, 2)).summary(input_shape=(3,))
    assert capsys.readouterr().out == ""  # the value of the cell is what is shown
    assert "<table>" in summary._repr_html_()
    monkeypatch.delitem(sys.modules, "IPython")
    FineTuneClassifier(nn.Linear(3, 2)).summary(input_shape=(3,))
    assert capsys.readouterr().out == f"{summary}\n"
