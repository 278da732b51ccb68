"""How bodies are made, and in which type rows reach them."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import DANNClassifier
from sktransfer.network._build import make_mlp, row_types


def test_mlp_has_relu_between_layers_and_after_the_last_if_asked():
    names = [type(m).__name__ for m in make_mlp([2, 3, 4], activate_last=True)]
    assert names == ["Linear", "ReLU", "Linear", "ReLU"]
    names = [type(m).__name__ for m in make_mlp([2, 3, 4], activate_last=False)]
    assert names == ["Linear", "ReLU", "Linear"]


def test_rows_come_as_floats_and_as_integers_where_a_table_may_look_them_up():
    plain, table = nn.Linear(10, 3), nn.Sequential(nn.EmbeddingBag(10, 3))
    assert row_types(plain, torch.int64, torch.float64) == [torch.float32]
    assert row_types(nn.Flatten(), torch.int64, torch.float64) == [torch.float64]
    assert row_types(table, torch.int32, torch.float64) == [torch.int64, torch.float32]
    assert row_types(table, torch.float64, torch.float64) == [torch.float32, torch.int64]


@pytest.mark.parametrize("lazy", [nn.LazyLinear(4), nn.Sequential(nn.LazyLinear(4), nn.ReLU())])
def test_lazy_modules_are_made_ready_in_a_copy(lazy):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    clf = DANNClassifier(lazy, max_epochs=1, random_state=0).fit(X, y, X + 1)
    assert clf.transform(X).shape == (20, 4)
    assert any(nn.parameter.is_lazy(p) for p in lazy.parameters())


def test_token_bodies_get_integers():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 50, size=(60, 7))
    y = (tokens[:, 0] > 25).astype(int)
    body = nn.Sequential(nn.Embedding(50, 4), nn.Flatten())
    clf = DANNClassifier(body, max_epochs=2, random_state=0).fit(tokens, y, tokens[::-1])
    assert clf.predict(tokens).shape == (60,)


def test_tokens_that_are_no_whole_numbers_are_refused():
    tokens = np.arange(40.0).reshape(20, 2)
    y = np.arange(20) % 2
    body = nn.Sequential(nn.Embedding(50, 4), nn.Flatten())
    clf = DANNClassifier(body, max_epochs=1, random_state=0).fit(tokens, y, tokens)
    np.testing.assert_array_equal(clf.predict(tokens), clf.predict(tokens.astype(int)))
    with pytest.raises(ValueError, match="whole"):
        clf.predict(tokens + 0.5)
