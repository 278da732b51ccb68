"""Frames that share some columns."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import sktransfer
from sktransfer import HeterogeneousTransferClassifier
from sktransfer.heterogeneous._shared_columns import (
    SharedColumnsLayer,
    find_positions,
    find_shared,
    make_shared_bodies,
)

FAST = {
    "hidden_layer_sizes": (32,),
    "inner_folds": 0,
    "learning_rate": 0.01,
    "max_epochs": 20,
    "random_state": 0,
}


def frames(source="abcd", target="cxdy", seed=0):
    """Return frames of two devices, of which a channel with one name measures the same."""
    rng = np.random.default_rng(seed)
    names = sorted({*source, *target})
    y, y_target = rng.integers(0, 3, 120), rng.integers(0, 3, 90)
    centres = pd.DataFrame(2 * rng.normal(size=(3, len(names))), columns=names)
    X, X_target = (
        centres.loc[labels, list(columns)].reset_index(drop=True)
        + rng.normal(size=(len(labels), len(columns)))
        for labels, columns in ((y, source), (y_target, target))
    )
    few = np.full(90, None)
    for label in range(3):
        few[np.flatnonzero(y_target == label)[:2]] = label
    return X, y, X_target, y_target, few


def test_columns_are_matched_by_name_in_the_order_of_the_source():
    source, target = np.array(list("abcd")), np.array(list("dxb"))
    np.testing.assert_array_equal(find_shared(True, source, target), ["b", "d"])
    np.testing.assert_array_equal(find_shared(["d", "b"], source, target), ["b", "d"])
    np.testing.assert_array_equal(find_shared(["d"], source, target), ["d"])
    assert find_shared(False, source, target) is None
    assert find_shared([], None, None) is None
    assert find_positions(target, np.array(["b", "d"])) == ([2, 0], [1])
    assert find_positions(np.array(list("bd")), np.array(["b", "d"])) == ([0, 1], [])


@pytest.mark.parametrize(
    ("shared", "names", "message"),
    [
        (True, (None, ["a"]), "but X has no column names"),
        (["a"], (["a"], None), "but X_target has no column names"),
        (True, (None, None), "X and X_target has no column names"),
        (True, (["a"], ["b"]), "have no name in common"),
        (["a", "c"], (["a", "c"], ["a", "b"]), r"\['c'\], which are no columns of X_target"),
        (["b"], (["a"], ["a", "b"]), r"\['b'\], which are no columns of X:"),
    ],
)
def test_columns_that_are_not_there_are_named(shared, names, message):
    names = (None if one is None else np.array(one) for one in names)
    with pytest.raises(ValueError, match=message):
        find_shared(shared, *names)


@given(st.integers(0, 1000))
def test_the_layer_is_one_linear_map_of_all_columns(seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(6)
    shared, own = order[:2].tolist(), sorted(order[2:].tolist())
    common = nn.Linear(2, 3, bias=False).double()
    layer = SharedColumnsLayer(common, shared, own).double()
    X = torch.from_numpy(rng.normal(size=(5, 6)))
    with torch.inference_mode():
        found = layer(X).numpy()
    bias, of_shared, of_own = (w.tolist() for w in (layer.bias, common.weight, layer.own.weight))
    for i in range(5):
        for k in range(3):
            expected = bias[k]
            expected += sum(of_shared[k][j] * X[i, c].item() for j, c in enumerate(shared))
            expected += sum(of_own[k][j] * X[i, c].item() for j, c in enumerate(own))
            assert found[i, k] == pytest.approx(expected)


def test_bodies_have_the_weights_of_shared_columns_in_common_alone():
    places = [([0, 1], [2]), ([1, 3], [0, 2])]
    source, target = make_shared_bodies(places, [5, 4], torch.float64)
    assert source[0].common is target[0].common
    own = [{id(p) for p in body.parameters()} for body in (source, target)]
    assert len(own[0] & own[1]) == 1
    row = torch.zeros(1, 4).double()
    row[0, 3] = 1.0
    target(row).sum().backward()
    assert source[0].common.weight.grad[:, 1].abs().sum() > 0
    assert torch.equal(source[0].common.weight.grad[:, 0], torch.zeros(5).double())


def test_what_the_source_tells_of_shared_columns_serves_the_target_from_the_start():
    X, y, X_target, y_target, few = frames("abcd", "abcx")
    untied, tied = (
        HeterogeneousTransferClassifier(shared=shared, **FAST, target_weight=0.0, lambda_=0.0)
        for shared in (False, True)
    )
    scores = [
        clf.fit(X, y, X_target=X_target, y_target=few).score(X_target, y_target)
        for clf in (untied, tied)
    ]
    assert scores[1] > scores[0] + 0.2  # no label and no row of the target counts here
    np.testing.assert_array_equal(tied.shared_, ["a", "b", "c"])
    np.testing.assert_array_equal(tied.source_feature_names_in_, list("abcd"))
    np.testing.assert_array_equal(tied.feature_names_in_, list("abcx"))


@pytest.mark.parametrize("columns", [("abc", "abcd"), ("abcd", "bc")])
def test_a_domain_may_have_no_columns_of_its_own(columns, tmp_path):
    X, y, X_target, y_target, few = frames(*columns)
    clf = HeterogeneousTransferClassifier(shared=True, **FAST)
    clf.fit(X, y, X_target=X_target, y_target=few)
    assert clf.score(X_target, y_target) > 0.7
    sktransfer.save(clf, tmp_path / "a.safetensors")
    for other in (sktransfer.load(tmp_path / "a.safetensors"), pickle.loads(pickle.dumps(clf))):
        for domain, rows in (("target", X_target), ("source", X)):
            np.testing.assert_array_equal(
                other.predict_proba(rows, domain=domain), clf.predict_proba(rows, domain=domain)
            )
        network = other.net_.module_
        assert torch.equal(network.body[0].common.weight, network.source_body[0].common.weight)


def test_weights_stay_in_common_in_a_warm_start():
    X, y, X_target, _, few = frames()
    clf = HeterogeneousTransferClassifier(shared=True, warm_start=True, **FAST)
    for _ in range(2):
        clf.fit(X, y, X_target=X_target, y_target=few)
    network = clf.net_.module_
    assert network.body[0].common is network.source_body[0].common


def test_bodies_of_ones_own_and_arrays_are_refused():
    X, y, X_target, _, few = frames()
    with pytest.raises(ValueError, match="shared= is of the bodies that are built by default"):
        HeterogeneousTransferClassifier(nn.Linear(4, 32), shared=True, **FAST).fit(
            X, y, X_target=X_target, y_target=few
        )
    with pytest.raises(ValueError, match="has no column names"):
        HeterogeneousTransferClassifier(shared=["a"], **FAST).fit(
            X.to_numpy(), y, X_target=X_target.to_numpy(), y_target=few
        )
