"""The same DANN training by four hands; each function trains once and returns nothing."""

import math
from functools import partial

import numpy as np
import torch
from _problems import BATCH_SIZE, LEARNING_RATE
from skorch import NeuralNet
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from sktransfer import DANNClassifier
from sktransfer.layers import GradientReversal


def fit_sktransfer(problem):
    """Fit this package's estimator."""
    DANNClassifier(
        problem.make_body(),
        label_classifier=problem.make_label_classifier(),
        domain_classifier=problem.make_domain_classifier(),
        gradient_penalty=0.0,  # this and what follows the others do not do
        target_loss=None,
        class_weighting=None,
        average_weights=0.0,
        optimizer="adam",
        max_epochs=problem.epochs,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        device="cpu",
        random_state=0,
    ).fit(problem.X_source, problem.y_source, problem.X_target)


class Network(nn.Module):
    """Body, label head and domain head, both domains in one pass."""

    def __init__(self, problem):
        super().__init__()
        self.body = problem.make_body()
        self.label_classifier = problem.make_label_classifier()
        self.reversal = GradientReversal()
        self.domain_classifier = problem.make_domain_classifier()

    def forward(self, source, target):
        features = self.body(torch.cat([source, target]))
        domains = self.domain_classifier(self.reversal(features)).squeeze(1)
        return self.label_classifier(features[: len(source)]), domains


def loss_of(network, source, y, target, progress):
    """Return the DANN loss of a batch."""
    network.reversal.lambda_ = 2 / (1 + math.exp(-10 * progress)) - 1
    labels, domains = network(source, target)
    is_target = torch.zeros(len(domains))
    is_target[len(source) :] = 1
    domain_loss = F.binary_cross_entropy_with_logits(domains, is_target)
    return F.cross_entropy(labels, y) + 2 * domain_loss


def fit_by_hand(problem, fused):
    """Train by the loop that one writes by hand: tensors in memory, one pass a step.

    Parameters
    ----------
    problem : Problem
        What to train on.
    fused : bool
        Whether Adam updates all weights in one kernel, as sktransfer's does; torch's
        default is not to.
    """
    torch.manual_seed(0)
    network = Network(problem).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=fused)
    X, y, Z = map(torch.from_numpy, (problem.X_source, problem.y_source, problem.X_target))
    step = 0
    for _ in range(problem.epochs):
        orders = torch.randperm(len(X)).split(BATCH_SIZE), torch.randperm(len(Z)).split(BATCH_SIZE)
        for source, target in zip(*orders, strict=True):
            loss = loss_of(network, X[source], y[source], Z[target], step / problem.n_steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1


class Pairs(Dataset):
    """Rows of both domains, paired by position, for a DataLoader."""

    def __init__(self, X, y, Z):
        self.X, self.y, self.Z = X, y, Z

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return {"source": self.X[i], "target": self.Z[i]}, self.y[i]


class StockNet(NeuralNet):
    """skorch as it comes, its loss exchanged; DataLoader, callbacks and history are its own."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        labels, domains = y_pred
        is_target = torch.zeros(len(domains))
        is_target[len(labels) :] = 1
        domain_loss = F.binary_cross_entropy_with_logits(domains, is_target)
        return F.cross_entropy(labels, y_true) + 2 * domain_loss


def fit_stock_skorch(problem):
    """Train with stock skorch over a DataLoader."""
    torch.manual_seed(0)
    net = StockNet(
        partial(Network, problem),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        max_epochs=problem.epochs,
        batch_size=BATCH_SIZE,
        iterator_train=DataLoader,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    net.fit(Pairs(problem.X_source, problem.y_source, problem.X_target))


def fit_skada(problem):
    """Train with skada's deep DANN."""
    from skada.deep import DANN

    torch.manual_seed(0)
    network = nn.Sequential()
    network.add_module("body", problem.make_body())
    network.add_module("head", problem.make_label_classifier())
    net = DANN(
        network,
        layer_name="body",
        num_features=problem.n_features,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        max_epochs=problem.epochs,
        batch_size=BATCH_SIZE,
        train_split=None,
        verbose=0,
    )
    n = len(problem.X_source)
    X = np.concatenate([problem.X_source, problem.X_target])
    y = np.concatenate([problem.y_source, np.full(n, -1)])
    net.fit(X, y, sample_domain=np.r_[np.ones(n, dtype=int), np.full(n, -2)])
    n_batches = net.history[-1, "train_batch_count"]
    assert n_batches * problem.epochs == problem.n_steps, n_batches


CONTENDERS = {
    "sktransfer": fit_sktransfer,
    "loop by hand": partial(fit_by_hand, fused=False),
    "loop by hand, fused Adam": partial(fit_by_hand, fused=True),
    "stock skorch, DataLoader": fit_stock_skorch,
    "skada deep DANN": fit_skada,
}
