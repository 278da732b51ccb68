"""The network: passes per domain, batch statistics, the work of a pass."""

import numpy as np
import torch
from torch import nn

from sktransfer import DANNClassifier
from sktransfer.data._batch import Batch, View
from sktransfer.network._network import TransferNetwork
from sktransfer.network._probe import probe


def view_of(X):
    return View(X, torch.zeros(len(X), dtype=torch.long), torch.arange(len(X)))


def batch_of(source, target):
    return Batch(view_of(source), view_of(target), progress=0.0)


class CountingBody(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.passes = []

    def forward(self, X):
        self.passes.append(len(X))
        return self.layers(X)


def network(*layers, **heads):
    body = CountingBody(*layers)
    net = TransferNetwork(body, nn.Linear(4, 2), heads, probe(body, "body", torch.rand(2, 3), ""))
    body.passes.clear()
    return net.train()


def test_body_without_batch_statistics_sees_both_domains_in_one_pass():
    net, batch = network(nn.Linear(3, 4)), batch_of(torch.rand(5, 3), torch.rand(7, 3))
    net.forward_domains(batch)
    assert net.body.passes == [12]
    torch.testing.assert_close(batch.source.features, net.features(batch.source.X))
    torch.testing.assert_close(batch.target.features, net.features(batch.target.X))
    torch.testing.assert_close(batch.source_outputs, net(batch.source.X))


def test_body_with_batch_statistics_normalises_each_domain_by_itself():
    net = network(nn.BatchNorm1d(3), nn.Linear(3, 4))
    source, target = torch.rand(5, 3), torch.rand(7, 3) * 9 + 100
    batch = batch_of(source, target)
    net.forward_domains(batch)
    assert net.body.passes == [5, 7]
    norm, linear = net.body.layers
    expected = linear((target - target.mean(0)) / (target.var(0, unbiased=False) + norm.eps).sqrt())
    torch.testing.assert_close(batch.target.features, expected, rtol=1e-4, atol=1e-5)


def test_running_statistics_follow_the_target_during_training():
    net = network(nn.BatchNorm1d(3), nn.Linear(3, 4))
    target = torch.rand(7, 3) + 100
    net.forward_domains(batch_of(torch.rand(5, 3), target))
    torch.testing.assert_close(net.body.layers[0].running_mean, 0.1 * target.mean(0))


def test_head_with_batch_statistics_sees_each_domain_by_itself():
    net = network(nn.Linear(3, 4), head=CountingBody(nn.BatchNorm1d(4)))
    batch = batch_of(torch.rand(5, 3), torch.rand(7, 3))
    net.forward_domains(batch)
    source, target = net.forward_head("head", batch)
    assert net.head.passes == [5, 7]
    assert (len(source), len(target)) == (5, 7)


def test_statistics_for_prediction_are_the_targets_drawn_to_the_source_by_16_rows():
    net = network(nn.BatchNorm1d(3), nn.Linear(3, 4))
    momentum = net.body.layers[0].momentum
    source, target = torch.rand(50, 3), torch.rand(8, 3) + 2
    net.estimate_statistics([source[:25], source[25:]], [target], n_target=8)
    norm, share = net.body.layers[0], 8 / (16 + 8)
    mean = (1 - share) * source.mean(0) + share * target.mean(0)
    variance = (source[:25].var(0) + source[25:].var(0)) / 2
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(
        norm.running_var, (1 - share) * variance + share * target.var(0), rtol=1e-5, atol=1e-6
    )
    assert norm.momentum == momentum
    assert not net.training


def test_prediction_uses_the_targets_statistics():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 3)), rng.integers(0, 2, 2000)
    X_target = rng.normal(size=(2000, 3)) * 3 + 7
    body = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4)).double()
    clf = DANNClassifier(body, max_epochs=1, random_state=0).fit(X, y, X_target)
    norm = clf.net_.module_.body[0]
    np.testing.assert_allclose(norm.running_mean.numpy(), X_target.mean(0), rtol=0.01)
    np.testing.assert_allclose(norm.running_var.numpy(), X_target.var(0), rtol=0.05)


def test_work_of_linear_and_convolution_layers_is_counted():
    layers = nn.Sequential(nn.Conv2d(3, 8, 5), nn.Flatten(), nn.Linear(8 * 4 * 4, 10))
    convolution, linear = 2 * 3 * 8 * 25 * 16, 2 * 8 * 16 * 10
    probed = probe(layers, "body", torch.rand(2, 3, 8, 8), "")
    assert probed.work == {"0": convolution, "2": linear}
    network = TransferNetwork(layers, nn.Linear(10, 2, bias=False), {}, probed)
    assert network.row_flops() == convolution + linear + 2 * 20
    assert network.row_flops(["2"]) == linear + 2 * 20
