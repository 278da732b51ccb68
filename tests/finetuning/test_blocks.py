"""Depth by blocks, and by layers that count."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import FineTuneClassifier
from sktransfer.finetuning._blocks import blocks_of, idle_modules
from tests.frozen.bodies import Block, Residual


class Transformer(nn.Module):
    """A transformer with an encoder as torch has it, and a layer that only looks on."""

    def __init__(self, n_layers=3):
        super().__init__()
        self.embed = nn.Linear(1, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(8)
        self.pooler = nn.Linear(8, 8)

    def forward(self, X):
        tokens = self.norm(self.encoder(self.embed(X[..., None])))
        self.pooler(tokens)
        return tokens.mean(1)


class Nested(nn.Module):
    """Blocks that hold repeated parts themselves."""

    def __init__(self):
        super().__init__()
        parts = [nn.Sequential(Block(4), Block(4)), nn.ReLU(), nn.Sequential(Block(4))]
        self.stages = nn.Sequential(*parts)

    def forward(self, X):
        return self.stages(X)


@pytest.mark.parametrize(
    ("body", "blocks"),
    [
        (Transformer(), [f"encoder.layers.{i}" for i in range(3)]),
        (nn.Sequential(nn.Flatten(), Transformer(2)), ["1.encoder.layers.0", "1.encoder.layers.1"]),
        (Residual(), ["blocks.0", "blocks.1"]),
        (Nested(), ["stages.0.0", "stages.0.1", "stages.2.0"]),
        (nn.Sequential(Nested(), Nested()), ["0", "1"]),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), []),
        (Transformer(1), []),
    ],
)
def test_blocks_are_repeated_parts_that_stand_in_no_other_block(body, blocks):
    assert blocks_of(body) == blocks


def test_modules_that_the_output_does_without_are_named():
    assert idle_modules(Transformer(), torch.rand(2, 4)) == {"pooler"}
    assert idle_modules(Residual(), torch.rand(2, 4)) == frozenset()


def test_of_a_body_without_gradients_nothing_is_known():
    class Detached(nn.Linear):
        def forward(self, X):
            return super().forward(X).detach()

    assert idle_modules(Detached(4, 3), torch.rand(2, 4)) == frozenset()


def test_generators_and_the_body_are_as_before():
    body = nn.Sequential(nn.Linear(4, 3)).requires_grad_(False)
    state = torch.get_rng_state()
    idle_modules(body, torch.rand(2, 4, generator=torch.Generator().manual_seed(0)))
    assert not body[0].weight.requires_grad
    assert body[0].weight.grad is None
    assert torch.equal(state, torch.get_rng_state())


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 2


def unfrozen(depth, task):
    clf = FineTuneClassifier(
        Transformer(), unfreeze_depth=depth, head_epochs=1, finetune_epochs=1, random_state=0
    )
    return clf.fit(*task).unfrozen_layers_


def test_a_number_counts_layers_that_features_depend_on(task):
    assert unfrozen(1, task) == ["norm"]
    assert "pooler" not in unfrozen(3, task)


@pytest.mark.filterwarnings(r"ignore:The unfrozen layers \['pooler'\] have learned nothing")
def test_the_last_blocks_and_what_comes_after_them_learn(task):
    layers = unfrozen("last_2_blocks", task)
    owners = {name.rsplit(".", name.count(".") - 2)[0] for name in layers}
    assert owners == {"encoder.layers.1", "encoder.layers.2", "norm", "pooler"}
    assert {*unfrozen("last_1_block", task)} < {*layers}


def test_more_blocks_than_there_are_is_an_error(task):
    with pytest.raises(ValueError, match=r"'last_4_blocks', but the backbone has 3 blocks"):
        unfrozen("last_4_blocks", task)
