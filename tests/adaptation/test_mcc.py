"""Minimum class confusion as a method; its formula is tested with the losses on the target."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import MCCClassifier
from sktransfer.adaptation._target_losses import class_confusion
from sktransfer.datasets import make_shifted_moons
from tests.adaptation.problems import ONE_STEP


def test_lambda_weighs_the_gradient_to_body_and_label_head(domains):
    X, y, X_target = domains

    def modules():
        torch.manual_seed(0)
        return nn.Linear(4, 3).double(), nn.Linear(3, 2).double()

    def step(lambda_):
        body, head = modules()
        clf = MCCClassifier(
            body,
            label_classifier=head,
            temperature=1.5,
            lambda_=lambda_,
            **ONE_STEP,
        )
        return clf.fit(X, y, X_target)

    adapted, without = step(3.0), step(0.0)
    body, head = modules()
    loss = class_confusion(head(body(torch.from_numpy(X_target))), 1.5)
    assert adapted.history_[0, "domain_loss"] == pytest.approx(loss.item())
    gradients = torch.autograd.grad(loss, [body.weight, head.weight])
    for name, gradient in zip(("body", "label_head"), gradients, strict=True):
        weights = (getattr(clf.net_.module_, name).weight for clf in (adapted, without))
        difference = next(weights) - next(weights)
        torch.testing.assert_close(difference, -0.1 * 3.0 * gradient, rtol=1e-8, atol=1e-12)


def test_the_target_is_less_confused_than_without():
    Xs, ys, Xt, _ = make_shifted_moons(300, random_state=0)
    clf = MCCClassifier(lambda_=1.0, max_epochs=40, random_state=0)
    plain = clf.source_only().fit(Xs, ys)
    losses = [
        class_confusion(torch.log(torch.from_numpy(fit.predict_proba(Xt)))).item()
        for fit in (clf.fit(Xs, ys, Xt), plain)
    ]
    assert losses[0] < 0.7 * losses[1]
    assert np.mean(clf.predict(Xt) == 1) > 0.2  # it has not put all into one class
