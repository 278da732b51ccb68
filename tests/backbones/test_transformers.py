"""Models of the transformers library as bodies."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import DANNClassifier, FineTuneClassifier, load, save
from sktransfer.backbones import from_transformers
from sktransfer.backbones._transformers import mean_of_tokens

FAST = {"head_epochs": 1, "finetune_epochs": 1, "random_state": 0}


class Model(nn.Module):
    """Answers as models of transformers do."""

    main_input_name = "input_ids"

    def __init__(self, padding=0):
        super().__init__()
        self.config = SimpleNamespace(pad_token_id=padding)
        self.table = nn.Embedding(30, 6)
        self.layer = nn.Linear(6, 6)

    def forward(self, input_ids, attention_mask):
        states = self.layer(self.table(input_ids))
        return SimpleNamespace(last_hidden_state=states, pooler_output=states[:, 0].tanh())


class ImageModel(nn.Module):
    """Answers with maps."""

    main_input_name = "pixel_values"

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 6, 3)

    def forward(self, pixel_values):
        return {"last_hidden_state": self.layer(pixel_values)}


def codes_and_mask(n=6, length=5, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 30, size=(n, length))
    mask = (np.arange(length) < rng.integers(1, length + 1, size=(n, 1))).astype(int)
    return np.stack([codes * mask, mask], axis=1)


def test_the_mean_is_over_tokens_without_padding():
    states, mask = torch.rand(3, 4, 2), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    for row, tokens, kept in zip(mean_of_tokens(states, mask), states, mask, strict=True):
        total, n = torch.zeros(2), 0
        for state, one in zip(tokens, kept.tolist(), strict=True):
            total, n = total + one * state, n + one
        torch.testing.assert_close(row, total / max(1, n))


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("first", lambda s: s[:, 0]), ("pooler", lambda s: s[:, 0].tanh())],
)
def test_other_poolings_take_one_state(pooling, expected):
    model, X = Model(), torch.tensor(codes_and_mask())
    states = model(X[:, 0], X[:, 1]).last_hidden_state
    torch.testing.assert_close(from_transformers(model, pooling)(X), expected(states))


def test_codes_alone_are_masked_by_the_models_padding():
    X = torch.tensor(codes_and_mask())
    body = from_transformers(Model())
    torch.testing.assert_close(body(X[:, 0]), body(X))
    unpadded = from_transformers(Model(padding=None))
    torch.testing.assert_close(
        unpadded(X[:, 0]), unpadded(torch.stack([X[:, 0], torch.ones_like(X[:, 0])], 1))
    )


def test_images_are_pooled_over_their_maps():
    model, X = ImageModel(), torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(from_transformers(model)(X), model.layer(X).mean(dim=(2, 3)))


def test_a_body_is_fine_tuned_adapted_and_kept(tmp_path):
    X, y = codes_and_mask(20), np.arange(20) % 2
    clf = FineTuneClassifier(from_transformers(Model()), unfreeze_depth=1, **FAST).fit(X, y)
    assert clf.unfrozen_layers_ == ["model.layer"]
    save(clf, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors", backbone=from_transformers(Model()))
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    adapted = DANNClassifier(from_transformers(Model()), max_epochs=1, random_state=0)
    assert adapted.fit(X, y, X_target=codes_and_mask(20, seed=1)).transform(X).shape == (20, 6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: from_transformers("bert"), TypeError, "model must be .*AutoModel.from_pretrained"),
        (lambda: from_transformers(Model(), "max"), ValueError, "pooling must be one of"),
        (
            lambda: from_transformers(ImageModel(), "pooler")(torch.rand(2, 3, 8, 8)),
            ValueError,
            "learned no pooler_output",
        ),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


class WithHead(Model):
    """A model with a classifier of its own."""

    def forward(self, input_ids, attention_mask=None):
        return SimpleNamespace(logits=self.layer(self.table(input_ids)).mean(1))


class Bare(Model):
    """A model that is called with its codes."""

    def forward(self, X):
        return super().forward(X, None)


class Pair(nn.Linear):
    """Returns a tuple."""

    def forward(self, X):
        return super().forward(X), X


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            Bare(),
            r"models of transformers answer: sktransfer\.backbones\.from_transformers\(model\)",
        ),
        (WithHead(), "with a head of their own answer: load the model without, AutoModel"),
        (from_transformers(WithHead()), r"answers \['logits'\] without last_hidden_state"),
        (Pair(5, 3), "made of .*: tuple.* Wrap it in a module whose forward returns one"),
    ],
)
def test_a_model_that_answers_with_an_object_gets_the_way_out(body, message):
    X = codes_and_mask(20)[:, 0]
    with pytest.raises(ValueError, match=message):
        FineTuneClassifier(body, **FAST).fit(X, np.arange(20) % 2)


def test_a_model_of_the_library_is_fine_tuned_by_blocks():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16,
    )  # fmt: skip
    body = from_transformers(transformers.BertModel(config))
    X, y = codes_and_mask(12), np.arange(12) % 2
    clf = FineTuneClassifier(body, unfreeze_depth="last_1_block", **FAST)
    with pytest.warns(UserWarning, match=r"\['model.pooler.dense'\] have learned nothing"):
        clf.fit(X, y)
    assert {name.split("layer.")[-1][0] for name in clf.unfrozen_layers_[:-1]} == {"2"}
    assert clf.set_params(unfreeze_depth=1).fit(X, y).unfrozen_layers_[0].startswith("model.enc")
