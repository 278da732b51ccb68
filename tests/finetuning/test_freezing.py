"""The order of layers, the depth to unfreeze, and what stays frozen."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from sktransfer.finetuning._freezing import freeze, order_layers, unfrozen_layers
from sktransfer.network._probe import probe
from tests.frozen.bodies import Residual, sequential


def layers_of(body, n_in=4):
    return order_layers(body, probe(body, "body", torch.rand(2, n_in), "").called)


def unfrozen(depth, body=None, freeze_batch_norm=False):
    body = sequential() if body is None else body
    return unfrozen_layers(depth, layers_of(body), body, freeze_batch_norm=freeze_batch_norm)


class Backwards(nn.Module):
    """Uses its layers in another order than it defines them."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(5, 3)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.first = nn.Linear(4, 5)

    def forward(self, X):
        X = X.unsqueeze(1)
        return self.last(self.first(self.attention(X, X, X)[0][:, 0]))


def test_layers_come_in_the_order_in_which_the_body_uses_them():
    assert list(layers_of(Backwards()).weights) == ["attention", "first", "last"]


def test_a_layer_holds_the_weights_of_parts_that_are_never_called():
    body = Backwards()
    layers = layers_of(body)
    names = [n for n, p in body.named_parameters() if n.startswith("attention")]
    assert len(names) == 4
    assert len(list(layers.parameters(body, "attention"))) == 4


def test_weights_of_the_body_itself_come_first():
    body = Residual()
    layers = layers_of(body)
    assert list(layers.weights)[:2] == ["", "stem"]
    assert [p is body.scale for p in layers.parameters(body, "")] == [True]


def test_a_layer_that_is_used_twice_stands_where_it_is_used_first():
    layer = nn.Linear(4, 4)
    body = nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(4, 2))
    assert list(layers_of(body).weights) == ["0", "3"]


def test_a_parametrized_weight_is_part_of_its_layer():
    body = nn.Sequential(weight_norm(nn.Linear(4, 3)), nn.ReLU(), spectral_norm(nn.Linear(3, 2)))
    assert list(layers_of(body).weights) == ["0", "2"]
    assert len(list(layers_of(body).parameters(body, "0"))) == 3
    root = weight_norm(nn.Linear(4, 3))
    assert list(layers_of(root).weights) == [""]


def test_layers_that_share_a_weight_change_together():
    body = nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)))
    body[2].weight = body[0].weight
    layers = layers_of(body)
    assert layers.sharing_with(["2"], body) == ["0", "2"]
    assert layers.sharing_with(["3"], body) == ["3"]
    assert layers.sharing_with([], body) == []


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (0, []),
        (1, ["7"]),
        (2, ["4", "7"]),
        (4, ["0", "3", "4", "7"]),
        ("all", ["0", "3", "4", "7"]),
        ("3", ["3", "4", "7"]),
        ("5", ["7"]),
        ("[4-7]", ["4", "7"]),
    ],
)
def test_depth_is_a_number_of_layers_or_where_to_begin(depth, expected):
    assert unfrozen(depth) == expected


def test_frozen_batch_norm_is_not_counted():
    assert unfrozen(2, freeze_batch_norm=True) == ["3", "7"]
    assert unfrozen("all", freeze_batch_norm=True) == ["0", "3", "7"]


def test_a_name_may_be_that_of_a_part_with_layers_in_it():
    assert unfrozen("blocks.1", Residual()) == [
        *("blocks.1.first", "blocks.1.norm", "blocks.1.second"),
        "last",
    ]
    assert unfrozen("blocks.*", Residual())[0] == "blocks.0.first"


def test_unknown_name_is_an_error_that_lists_the_nearest():
    with pytest.raises(ValueError, match=r"unfreeze_depth='block\.1' fits no layer.*'blocks\.1'"):
        unfrozen("block.1", Residual())
    with pytest.raises(ValueError, match=r"fits no layer.*nearest are 'scale|'stem'"):
        unfrozen("zzz*", Residual())
    with pytest.raises(ValueError, match=r"'All' fits no layer.*nearest are 'all'"):
        unfrozen("All")


def test_depth_beyond_the_body_is_an_error_that_tells_its_layers():
    with pytest.raises(ValueError, match="unfreeze_depth=5, but the backbone has 4 layers"):
        unfrozen(5)


@pytest.mark.parametrize("depth", [0, 1, 2, 3, "all"])
def test_only_the_unfrozen_layers_learn(depth):
    body = sequential()
    layers, names = layers_of(body), unfrozen(depth, body)
    freeze(body, layers, names, freeze_batch_norm=False)
    learning = {n.split(".")[0] for n, p in body.named_parameters() if p.requires_grad}
    assert learning == set(names)


def test_what_comes_before_the_first_unfrozen_layer_stays_in_evaluation():
    body = sequential()
    layers = layers_of(body)
    assert freeze(body, layers, ["7"], freeze_batch_norm=False) == set("0123456")
    assert freeze(body, layers, ["4", "7"], freeze_batch_norm=False) == set("0123")
    assert freeze(body, layers, ["4", "7"], freeze_batch_norm=True) == set("01234")
    assert freeze(body, layers, [], freeze_batch_norm=False) == {"", *"01234567"}


def test_integer_weights_do_not_learn():
    body = nn.Sequential(nn.Linear(4, 3))
    body[0].register_parameter("count", nn.Parameter(torch.tensor([1]), requires_grad=False))
    freeze(body, layers_of(body), ["0"], freeze_batch_norm=False)
    assert not body[0].count.requires_grad
