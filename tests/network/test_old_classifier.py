"""A body that still ends in the classifier of its old task is noticed."""

import warnings

import numpy as np
import pytest
from torch import nn

from sktransfer import DANNClassifier, FineTuneClassifier

rng = np.random.default_rng(0)
X, y = rng.normal(size=(20, 4)).astype(np.float32), np.arange(20) % 2
FAST = {"head_epochs": 1, "finetune_epochs": 1, "random_state": 0}


class Residual(nn.Module):
    """Named as torchvision's networks name their parts."""

    def __init__(self, n_classes=1000):
        super().__init__()
        self.layer4 = nn.Linear(4, 16)
        self.fc = nn.Linear(16, n_classes)

    def forward(self, X):
        return self.fc(self.layer4(X).relu())


class OfALibrary(Residual):
    """As a network of torchvision that was fine-tuned before."""

    __module__ = "torchvision.models.resnet"


class Sequence(nn.Module):
    """Named as torchvision's VGG names its parts."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1000))

    def forward(self, X):
        return self.classifier(X)


@pytest.mark.parametrize(
    ("body", "layer"),
    [
        (Residual(), r"backbone\.fc"),
        (lambda shape: Residual(), r"backbone\.fc"),
        (Sequence(), r"backbone\.classifier\[2\]"),
        (OfALibrary(n_classes=10), r"backbone\.fc"),
    ],
)
def test_fit_warns_and_says_how_to_take_it_off(body, layer):
    with pytest.warns(UserWarning, match=rf"16 to 10.*off: {layer} = torch\.nn\.Identity"):
        FineTuneClassifier(body, **FAST).fit(X, y)


def test_the_name_is_that_of_the_parameter():
    with pytest.warns(UserWarning, match=r"feature_extractor\.fc = torch\.nn\.Identity"):
        DANNClassifier(Residual(), max_epochs=1, lambda_=0.0, random_state=0).fit(X, y)


def test_without_it_the_last_layer_is_that_of_the_features():
    body = Residual()
    body.fc = nn.Identity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FineTuneClassifier(body, **FAST).fit(X, y).unfrozen_layers_ == ["layer4"]


@pytest.mark.parametrize(
    "body", [Residual(n_classes=10), nn.Sequential(nn.Linear(4, 1000), nn.ReLU())]
)
def test_layers_of_features_are_let_be(body):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FineTuneClassifier(body, **FAST).fit(X, y)
