"""Tent: what a batch is predicted with, what moves then and what does not."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from torch import nn

from sktransfer import DANNClassifier, DANNRegressor, FineTuneClassifier, TentAdapter
from sktransfer.adaptation._tent import affine_parameters


def body(input_shape):
    return nn.Sequential(nn.Linear(*input_shape, 6), nn.BatchNorm1d(6), nn.ReLU()).double()


def layer_norm_body(input_shape):
    return nn.Sequential(nn.Linear(*input_shape, 6), nn.LayerNorm(6), nn.ReLU()).double()


def dropout_body(input_shape):
    return nn.Sequential(body(input_shape), nn.Dropout(0.5)).double()


def fitted(domains, make=body):
    X, y, X_target = domains
    return DANNClassifier(make, max_epochs=3, random_state=0).fit(X, y, X_target)


def test_a_batch_is_predicted_by_its_own_statistics_and_then_learned_from(domains):
    clf = fitted(domains)
    batch = domains[2][:20] * 2 + 1
    linear, norm = (clf.net_.module_.body[i] for i in (0, 1))
    head = clf.net_.module_.label_head
    W, b, V, c = (p.detach().numpy() for p in (linear.weight, linear.bias, head.weight, head.bias))
    scale, shift = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    hidden = batch @ W.T + b
    normalised = np.empty_like(hidden)
    for j in range(6):  # by plain loops
        mean = sum(hidden[:, j]) / 20
        variance = sum((h - mean) ** 2 for h in hidden[:, j]) / 20
        normalised[:, j] = (hidden[:, j] - mean) / math.sqrt(variance + norm.eps)

    def mean_entropy(scale, shift):
        logits = np.maximum(normalised * scale + shift, 0) @ V.T + c
        total = 0.0
        for row in logits:
            exps = [math.exp(z) for z in row]
            total -= sum(e / sum(exps) * math.log(e / sum(exps)) for e in exps)
        return total / 20, logits

    _, logits = mean_entropy(scale, shift)
    tent = TentAdapter(clf, learning_rate=0.01)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tent.adapt_predict_proba(batch), expected, rtol=1e-9)
    moved = tent.network_.body[1]
    for name, before in (("weight", scale), ("bias", shift)):
        after = getattr(moved, name).detach().numpy()
        for j in range(6):
            slopes = []
            for step in (1e-6, -1e-6):
                there = {"weight": scale.copy(), "bias": shift.copy()}
                there[name][j] += step
                slopes.append(mean_entropy(there["weight"], there["bias"])[0])
            slope = (slopes[0] - slopes[1]) / 2e-6
            expected = before[j] - 0.01 * slope / (abs(slope) + 1e-8)  # Adam's first step
            assert after[j] == pytest.approx(expected, abs=1e-5)
    lower, _ = mean_entropy(moved.weight.detach().numpy(), moved.bias.detach().numpy())
    assert lower < mean_entropy(scale, shift)[0]


def test_only_scales_and_shifts_move_and_the_estimator_stays(domains):
    clf = fitted(domains)
    before, proba = copy.deepcopy(clf.net_.module_.state_dict()), clf.predict_proba(domains[2])
    tent = TentAdapter(clf)
    for start in range(0, 90, 30):
        tent.adapt_predict(domains[2][start : start + 30])
    assert tent.n_batches_ == 3
    after = tent.network_.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {"body.1.weight", "body.1.bias"}
    now = clf.net_.module_.state_dict()
    assert all(torch.equal(now[name], value) for name, value in before.items())
    np.testing.assert_array_equal(clf.predict_proba(domains[2]), proba)


def test_reset_forgets_the_stream(domains):
    tent = TentAdapter(fitted(domains), learning_rate=0.05)
    first = [tent.adapt_predict_proba(domains[2][:30]) for _ in range(3)]
    assert not np.array_equal(first[0], first[1])  # the step came after the first answer
    again = [tent.reset().adapt_predict_proba(domains[2][:30])]
    again += [tent.adapt_predict_proba(domains[2][:30]) for _ in range(2)]
    np.testing.assert_array_equal(first, again)


def test_a_pickled_adapter_goes_on_to_the_same_bits(domains):
    tent = TentAdapter(fitted(domains), learning_rate=0.05)
    tent.adapt_predict(domains[2][:30])
    twin = pickle.loads(pickle.dumps(tent))
    for _ in range(2):
        answers = [one.adapt_predict_proba(domains[2][30:60]) for one in (tent, twin)]
        np.testing.assert_array_equal(*answers)


def test_labels_are_those_of_the_probabilities(domains):
    clf = fitted(domains)
    proba = TentAdapter(clf).adapt_predict_proba(domains[2])
    labels = TentAdapter(clf).adapt_predict(domains[2])
    np.testing.assert_array_equal(labels, clf.classes_[proba.argmax(axis=1)])


def test_dropout_is_off(domains):
    clf = fitted(domains, dropout_body)
    answers = [TentAdapter(clf).adapt_predict_proba(domains[2]) for _ in range(2)]
    np.testing.assert_array_equal(*answers)


def test_without_batch_statistics_one_row_is_a_batch(domains):
    clf = fitted(domains, layer_norm_body)
    tent = TentAdapter(clf)
    row = domains[2][:1]
    first = tent.adapt_predict_proba(row)
    np.testing.assert_allclose(first, clf.predict_proba(row), rtol=1e-12)
    assert not np.array_equal(tent.adapt_predict_proba(row), first)


def test_frozen_layers_of_fine_tuning_adapt_too(domains):
    X, y, X_target = domains
    clf = FineTuneClassifier(body, unfreeze_depth=0, head_epochs=2, random_state=0).fit(X, y)
    tent = TentAdapter(clf)
    before = clf.net_.module_.body[1].weight.clone()
    tent.adapt_predict(X_target)
    assert not torch.equal(tent.network_.body[1].weight, before)


def test_affine_parameters_are_those_of_normalisation_alone():
    layers = nn.Linear(2, 4), nn.BatchNorm1d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4, bias=False)
    module = nn.Sequential(
        *layers, nn.InstanceNorm1d(4, affine=True), nn.BatchNorm1d(4, affine=False)
    )
    assert sum(p.numel() for p in affine_parameters(module)) == 4 * (2 + 2 + 1 + 2)


def test_what_tent_cannot_adapt_is_refused_by_name(domains):
    X, y, X_target = domains
    plain = DANNClassifier(max_epochs=1, random_state=0).fit(X, y, X_target)
    with pytest.raises(ValueError, match=r"no normalisation layer with weights.*adapt\(X_target\)"):
        TentAdapter(plain).adapt_predict(X_target)
    with pytest.raises(ValueError, match="one row, by which batch normalisation cannot"):
        TentAdapter(fitted(domains)).adapt_predict(X_target[:1])
    with pytest.raises(NotFittedError):
        TentAdapter(DANNClassifier()).adapt_predict(X_target)
    regressor = DANNRegressor(body, max_epochs=1, random_state=0).fit(X, X[:, 0], X_target)
    for other in (regressor, LogisticRegression().fit(X, y), "clf"):
        with pytest.raises(TypeError, match="estimator must be a deep classifier of sktransfer"):
            TentAdapter(other).adapt_predict(X_target)
    with pytest.raises(ValueError, match="'learning_rate' parameter of TentAdapter"):
        TentAdapter(plain, learning_rate=0).adapt_predict(X_target)
    with pytest.raises(ValueError, match="X has 3 features, but DANNClassifier is expecting 4"):
        TentAdapter(fitted(domains)).adapt_predict(X_target[:, :3])


def test_an_entropy_that_is_not_finite_stops_before_the_step(domains):
    tent = TentAdapter(fitted(domains))
    tent.adapt_predict(domains[2])
    with torch.no_grad():
        tent.network_.body[1].weight.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"entropy became nan in batch 1: call reset\(\)"):
        tent.adapt_predict(domains[2])
    assert np.isfinite(tent.reset().adapt_predict_proba(domains[2])).all()
