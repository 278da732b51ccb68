"""Two domains with features of their own."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import sktransfer
from sktransfer import HeterogeneousTransferClassifier, TargetDomain
from sktransfer.data._batch import Batch, View
from sktransfer.heterogeneous._soft_transfer import class_means, soft_transfer_loss

FAST = {"max_epochs": 20, "learning_rate": 0.01, "hidden_layer_sizes": (32,), "inner_folds": 0}


@pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning")
@pytest.mark.filterwarnings("ignore:The columns (lie far from zero|vary by):UserWarning")
@parametrize_with_checks([HeterogeneousTransferClassifier(**FAST)])
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def sensors(seed=0, n_source=120, n_target=90):
    """Return rows of two devices of 4 and 7 channels that see the same three materials."""
    rng = np.random.default_rng(seed)
    y, y_target = rng.integers(0, 3, n_source), rng.integers(0, 3, n_target)
    hidden = rng.normal(size=(3, 5))
    maps = rng.normal(size=(5, 4)), rng.normal(size=(5, 7))
    X, X_target = (
        (hidden[labels] + 0.4 * rng.normal(size=(len(labels), 5))) @ device
        for labels, device in zip((y, y_target), maps, strict=True)
    )
    few = np.full(n_target, None)
    for label in range(3):
        few[np.flatnonzero(y_target == label)[:3]] = label
    return X, y, X_target, y_target, few


@given(st.integers(0, 1000))
def test_the_loss_is_that_of_loops(seed):
    rng = np.random.default_rng(seed)
    S, T = rng.normal(size=(6, 3)), rng.normal(size=(5, 3))
    s = np.eye(4)[rng.integers(0, 3, 6)]  # the fourth class has no row
    t = rng.random((5, 4))
    expected = ((S.mean(axis=0) - T.mean(axis=0)) ** 2).sum()
    for k in range(4):
        if s[:, k].sum() == 0:
            continue
        of_source = sum(s[i, k] * S[i] for i in range(6)) / s[:, k].sum()
        of_target = sum(t[i, k] * T[i] for i in range(5)) / t[:, k].sum()
        expected += ((of_source - of_target) ** 2).sum()
    found = soft_transfer_loss(*map(torch.tensor, (S, s, T, t)))
    assert found.item() == pytest.approx(expected)


def test_equal_domains_have_no_loss_and_shares_no_gradient():
    features = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    shares = torch.rand(6, 2, dtype=torch.float64, requires_grad=True)
    assert soft_transfer_loss(features, shares, features, shares).item() == pytest.approx(0.0)
    loss = soft_transfer_loss(features, shares, 2 * features, shares)
    loss.backward()
    assert features.grad.abs().sum() > 0
    assert shares.grad is None
    assert torch.equal(class_means(features, torch.zeros(6, 2).double()), torch.zeros(2, 3))


def test_a_step_weighs_the_gap_by_lambda_and_unknown_rows_by_progress():
    X, y, X_target, y_target, _ = sensors()
    clf = HeterogeneousTransferClassifier(**{**FAST, "max_epochs": 1}, random_state=0)
    clf.fit(X, y, X_target=X_target, y_target=y_target)
    network, few = clf.net_.module_, torch.arange(6)
    target = View(torch.from_numpy(X_target), None, torch.arange(90))
    labelled = View(target.X[:6], torch.from_numpy(y_target[:6]), few)
    batch = Batch(
        View(torch.from_numpy(X), torch.from_numpy(y), torch.arange(120)), target, 0.25, labelled
    )
    network.forward_domains(batch)
    batch.lambda_ = 3.0
    loss = clf._domain_losses(network, batch)["domain_loss"]
    views = [batch.source, batch.target, batch.labelled]
    found = torch.autograd.grad(loss, [view.features for view in views])

    copies = [view.features.detach().requires_grad_() for view in views]
    shares = 0.25 * network.label_head(copies[1]).softmax(dim=1).detach()
    known = torch.eye(3, dtype=shares.dtype)
    expected = soft_transfer_loss(
        copies[0],
        known[batch.source.y],
        torch.cat(copies[1:]),
        torch.cat([shares, known[labelled.y]]),
    )
    torch.testing.assert_close(loss, expected)
    for mine, plain in zip(found, torch.autograd.grad(expected, copies), strict=True):
        torch.testing.assert_close(mine, 3.0 * plain)


def test_rows_of_either_domain_are_predicted():
    X, y, X_target, y_target, few = sensors()
    clf = HeterogeneousTransferClassifier(**FAST, random_state=0)
    clf.fit(X, y, X_target=X_target, y_target=few)
    assert clf.n_features_in_ == 7
    assert clf.source_shape_ == (4,)
    assert clf.score(X, y, domain="source") > 0.8
    assert clf.score(X_target, y_target) > 0.8
    np.testing.assert_allclose(clf.predict_proba(X, domain="source").sum(axis=1), 1.0)
    assert clf.transform(X_target).shape == (90, 32)
    with pytest.raises(ValueError, match="7 features"):
        clf.predict(X)
    with pytest.raises(ValueError, match=r"rows of shape \(7,\)"):
        clf.predict(X_target, domain="source")
    with pytest.raises(ValueError, match='must be "target" or "source"'):
        clf.predict(X_target, domain="both")


@pytest.mark.accuracy
def test_the_source_helps_in_the_mean_where_target_labels_are_few():
    gains = []
    for seed in range(5):
        X, y, X_target, y_target, few = sensors(seed)
        known = np.flatnonzero([label is not None for label in few])[:6]
        few = np.full(len(few), None)
        few[known] = y_target[known]
        alone = LogisticRegression().fit(X_target[known], y_target[known])
        clf = HeterogeneousTransferClassifier(**FAST, random_state=seed)
        clf.fit(X, y, X_target=X_target, y_target=few)
        gains.append(clf.score(X_target, y_target) - alone.score(X_target, y_target))
    assert np.mean(gains) > 0.0  # by 0.08, 0.08; single gains -0.06 to 0.29


def test_without_a_target_it_is_a_plain_classifier():
    X, y, X_target, _, few = sensors()
    twin = HeterogeneousTransferClassifier(**FAST, random_state=0).source_only()
    twin.fit(X, y, X_target=X_target, y_target=few)
    assert twin.source_shape_ is None
    assert twin.score(X, y) > 0.8
    assert twin.score(X, y, domain="source") == twin.score(X, y)


def test_labels_of_the_target_are_asked_for():
    X, y, X_target, _, few = sensors()
    clf = HeterogeneousTransferClassifier(**FAST, random_state=0)
    with pytest.raises(ValueError, match="no label of a target row"):
        clf.fit(X, y, X_target=X_target)
    with pytest.raises(ValueError, match="without X_target"):
        clf.fit(X, y, y_target=few)
    with pytest.raises(ValueError, match="bodies that end in as many"):
        HeterogeneousTransferClassifier(
            nn.Linear(4, 5).double(), target_feature_extractor=nn.Linear(7, 6).double()
        ).fit(X, y, X_target=X_target, y_target=few)


def test_sparse_rows_bodies_of_ones_own_and_classes_by_name():
    X, y, X_target, _, few = sensors()
    names = np.array(["a", "b", "c"])
    few = [None if label is None else names[label] for label in few]
    clf = HeterogeneousTransferClassifier(
        nn.Sequential(nn.Linear(4, 16), nn.ReLU()).double(),
        target_feature_extractor=nn.Sequential(
            nn.Linear(7, 16), nn.BatchNorm1d(16), nn.ReLU()
        ).double(),
        max_epochs=20,
        inner_folds=0,
        random_state=0,
    )
    clf.fit(sparse.csr_matrix(X), names[y], X_target=X_target, y_target=few)
    assert set(clf.predict(X_target)) <= set(names)


def test_clones_pickles_files_and_searches(tmp_path):
    X, y, X_target, _, few = sensors()
    clf = HeterogeneousTransferClassifier(**FAST, random_state=0)
    clf.fit(X, y, X_target=X_target, y_target=few)
    path = tmp_path / "sensors.safetensors"
    sktransfer.save(clf, path)
    again = clone(clf).fit(X, y, X_target=X_target, y_target=few)
    for other in (pickle.loads(pickle.dumps(clf)), again, sktransfer.load(path)):
        np.testing.assert_array_equal(other.predict_proba(X_target), clf.predict_proba(X_target))
        np.testing.assert_array_equal(
            other.predict_proba(X, domain="source"), clf.predict_proba(X, domain="source")
        )
    held_out = TargetDomain(X_target), TargetDomain(few)
    search = GridSearchCV(clf, {"lambda_": [0.0, 0.1]}, cv=2, scoring=lambda e, X, y: 0.0)
    search.fit(X, y, X_target=held_out[0], y_target=held_out[1])
    assert search.predict(X_target).shape == (90,)
