"""The mean of the weights over the last steps, by hand and through an estimator."""

import copy
from typing import ClassVar

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sktransfer import DANNClassifier, DeepCORALClassifier
from sktransfer.callbacks import TargetValidation
from sktransfer.data._batch import Batch, View
from sktransfer.engine._average import MovingAverage, WeightAverage
from sktransfer.model_selection import InfoMaxScorer


def batch_at(progress):
    return Batch(View(None, None, torch.arange(2)), None, progress)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_it_is_the_plain_mean_over_the_last_share_of_steps(share):
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    average, kept = WeightAverage(network, share), []
    for step in range(20):
        with torch.no_grad():
            network.weight += torch.randn(2, 3, dtype=torch.float64)
        average.after_step(batch_at(step / 20))
        if step / 20 >= 1 - share:
            kept.append(network.weight.detach().clone())
    average.finish()
    assert len(kept) == 20 * share
    torch.testing.assert_close(network.weight.detach(), sum(kept) / len(kept))


def test_training_that_ends_before_the_last_share_keeps_its_weights():
    network = nn.Linear(3, 2)
    before = copy.deepcopy(network.state_dict())
    average = WeightAverage(network, 0.25)
    average.after_step(batch_at(0.5))
    average.finish()
    torch.testing.assert_close(network.state_dict(), before)


class KeepsWeights(Callback):
    """Keeps the body's weights after each step."""

    seen: ClassVar[list] = []

    def on_batch_end(self, net, training=False, **kwargs):
        KeepsWeights.seen.append(net.module_.body.weight.detach().clone())


@pytest.mark.parametrize("kind", [DANNClassifier, DeepCORALClassifier])
def test_an_estimator_ends_with_the_mean_of_its_last_steps(domains, kind):
    KeepsWeights.seen = []
    clf = kind(
        nn.Linear(4, 5).double(),
        average_weights=0.5,
        max_epochs=6,
        batch_size=30,
        callbacks=[KeepsWeights],
        random_state=0,
    ).fit(*domains)
    last = KeepsWeights.seen[len(KeepsWeights.seen) // 2 :]
    torch.testing.assert_close(clf.net_.module_.body.weight.detach(), sum(last) / len(last))


def test_zero_keeps_the_last_weights(domains):
    KeepsWeights.seen = []
    clf = DANNClassifier(
        nn.Linear(4, 5).double(),
        average_weights=0.0,
        max_epochs=2,
        callbacks=[KeepsWeights],
        random_state=0,
    ).fit(*domains)
    assert torch.equal(clf.net_.module_.body.weight.detach(), KeepsWeights.seen[-1])


def test_batch_statistics_are_those_of_the_averaged_weights(domains):
    X, y, _ = domains
    body = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5)).double()
    clf = DANNClassifier(body, lambda_=0.0, max_epochs=4, random_state=0).fit(X, y)
    with torch.no_grad():
        rows = clf.net_.module_.body[0](torch.from_numpy(X))
    norm = clf.net_.module_.body[1]
    torch.testing.assert_close(norm.running_mean, rows.mean(dim=0), rtol=0.05, atol=0.05)


def test_a_callback_that_restores_an_epoch_has_the_last_word(domains):
    X, y, X_target = domains
    params = {"batch_size": 90, "random_state": 0, "callbacks": None}
    scorer = InfoMaxScorer(X_target)
    clf = DANNClassifier(max_epochs=8, **params)
    clf.set_params(callbacks=[TargetValidation(scorer)]).fit(X, y, X_target)
    assert scorer(clf) == pytest.approx(max(clf.history_[:, "target_score"]), rel=1e-12)
    averaged = DANNClassifier(max_epochs=8, **params).fit(X, y, X_target)
    assert not np.array_equal(averaged.predict_proba(X), clf.predict_proba(X))


def test_a_teacher_follows_weights_and_statistics_by_plain_loops():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).train()
    teacher = MovingAverage(network, 0.9)
    expected = {name: value.clone() for name, value in network.state_dict().items()}
    for _ in range(3):
        with torch.no_grad():
            network[0].weight.add_(torch.randn(2, 3))
        network(torch.randn(5, 3))
        teacher.after_step(None)
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                expected[name] = 0.9 * expected[name] + 0.1 * value
            else:
                expected[name] = value.clone()
    for name, value in teacher.network.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    assert not teacher.network.training
    assert not any(p.requires_grad for p in teacher.network.parameters())
    assert all(p.requires_grad for p in network.parameters())


def test_a_teacher_follows_a_weight_that_layers_share_once():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[1].weight = network[0].weight
    before = network[0].weight.detach().clone()
    teacher = MovingAverage(network, 0.5)
    with torch.no_grad():
        network[0].weight.add_(1.0)
    teacher.after_step(None)
    torch.testing.assert_close(teacher.network[1].weight, before + 0.5)


def test_a_teacher_follows_a_network_whose_state_holds_more_than_tensors():
    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"made": "by hand"}

        def set_extra_state(self, state):
            pass

    network = Extra(2, 2)
    teacher = MovingAverage(network, 0.5)
    before = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.add_(1.0)
    teacher.after_step(None)
    torch.testing.assert_close(teacher.network.weight, before + 0.5)


def test_a_teacher_goes_on_from_its_state():
    network = nn.Linear(3, 2)
    teacher = MovingAverage(network, 0.5)
    with torch.no_grad():
        network.weight.add_(1.0)
    teacher.after_step(None)
    again = MovingAverage(network, 0.5)
    again.load_state_dict(teacher.state_dict())
    torch.testing.assert_close(again.network.weight, network.weight - 0.5)
