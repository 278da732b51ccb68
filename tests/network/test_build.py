"""How bodies and heads are made, in which type rows reach them, and how fast they learn."""

import contextlib

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.nn.functional import cross_entropy

from sktransfer import DANNClassifier
from sktransfer.network._build import make_mlp, make_module, rates_by_width, row_types


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


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("where", ["given", "held", "made"])
def test_scripted_modules_are_refused_by_name(where):
    scripted = torch.jit.script(nn.Linear(3, 4))
    made = {"given": scripted, "held": nn.Sequential(scripted), "made": lambda *_: scripted}
    with pytest.raises(TypeError, match=r"feature_extractor is or holds a TorchScript module"):
        make_module(made[where], "feature_extractor", ((3,),), nn.Identity)


@pytest.mark.parametrize("tracks", [True, False])
def test_predictions_by_the_rows_beside_are_told(domains, tracks):
    X, y, X_target = domains
    norm = nn.BatchNorm1d(4, track_running_stats=tracks)
    clf = DANNClassifier(nn.Sequential(nn.Linear(4, 4), norm).double(), max_epochs=1)
    told = pytest.warns(UserWarning, match="feature_extractor normalises by the batch in predict")
    with contextlib.nullcontext() if tracks else told:
        clf.fit(X, y, X_target)
    apart = np.vstack([clf.predict_proba(X[:2]), clf.predict_proba(X[2:5])])
    assert np.allclose(apart, clf.predict_proba(X[:5]), atol=1e-12) == tracks


class Remembers(nn.Linear):
    """Keeps what it made, as for a look at attention."""

    def forward(self, X):
        self.made = super().forward(X)
        return self.made


def test_a_module_that_cannot_be_copied_is_named_and_may_be_made_by_a_callable():
    def make(shape=(3,)):
        module = Remembers(*shape, 4)
        module(torch.ones(2, *shape))
        return module

    with pytest.raises(ValueError, match=r"body cannot be copied.*called as body\(\(3,\)\)"):
        make_module(make(), "body", ((3,),), nn.Identity)
    assert isinstance(make_module(make, "body", ((3,),), nn.Identity), Remembers)


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


def default_parts():
    """Return a network of a default body for 25 inputs, the user's head and a default one."""
    body = make_module(None, "body", (), lambda: make_mlp([25, 400, 4], activate_last=True))
    own = make_module(nn.Linear(4, 2), "own", (), nn.Linear)
    head = make_module(None, "head", (4, 1), nn.Linear)
    return nn.ModuleDict({"body": body, "own": own, "head": head})


def test_default_layers_learn_at_a_rate_by_their_inputs_and_the_users_at_the_rate_itself():
    network = default_parts()
    names = {id(p): name for name, p in network.named_parameters()}
    groups = rates_by_width(network, 0.03)
    found = {names[id(p)]: group for group in groups for p in group["params"]}
    expected = {"body.0": 2.0, "body.2": 0.5, "own": 1.0, "head": 5.0}  # sqrt(100 / inputs)
    assert sum(len(group["params"]) for group in groups) == len(names) == 2 * len(expected)
    for name, scale in expected.items():
        for kind in ("weight", "bias"):
            group = found[f"{name}.{kind}"]
            assert group["scale"] == pytest.approx(scale)
            assert group["lr"] == pytest.approx(0.03 * scale)


def test_kernels_count_all_inputs_of_a_unit_and_a_users_module_has_one_group():
    kernel = make_module(None, "body", (), lambda: nn.Conv2d(4, 7, 5))
    (group,) = rates_by_width(kernel, 1.0)
    assert group["scale"] == pytest.approx((100 / (4 * 5 * 5)) ** 0.5)
    (group,) = rates_by_width(nn.Sequential(nn.Linear(3, 9), nn.BatchNorm1d(9)), 0.2)
    assert (group["scale"], group["lr"], len(group["params"])) == (1.0, 0.2, 4)


def test_one_sgd_step_of_a_default_head_is_scaled_and_that_of_an_own_body_is_not():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 3)), rng.integers(0, 2, 12)
    params = {"optimizer": torch.optim.SGD, "max_epochs": 1, "average_weights": 0.0}
    clf = DANNClassifier(nn.Linear(3, 4).double(), lambda_=0.0, random_state=0, **params)
    start = clone(clf).set_params(learning_rate=1e-300).fit(X, y).net_.module_
    after = clf.set_params(learning_rate=0.1).fit(X, y).net_.module_
    start.zero_grad()
    logits = start.label_head(start.body(torch.from_numpy(X)))
    cross_entropy(logits, torch.from_numpy(y)).backward()
    for name, rate in {"body": 0.1, "label_head": 0.1 * (100 / 4) ** 0.5}.items():
        for kind in ("weight", "bias"):
            before = start.get_parameter(f"{name}.{kind}")
            expected = before.detach() - rate * before.grad
            actual = after.get_parameter(f"{name}.{kind}")
            torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def test_history_shows_the_rate_that_was_given():
    X, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 2
    clf = DANNClassifier(lambda_=0.0, learning_rate=0.004, max_epochs=2, random_state=0).fit(X, y)
    assert clf.history_[:, "learning_rate"] == pytest.approx([0.004] * 2)
    rates = {group["lr"] for group in clf.net_.optimizer_.param_groups}
    assert {0.004 * 5, 0.004} <= {round(rate, 12) for rate in rates}
