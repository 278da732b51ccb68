"""Bodies of usual shapes with generated weights: what they compute takes its real time."""

import itertools
from collections import Counter
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# A batch of so few rows is a look at the body, not a pass of the data through it.
PROBE_ROWS = 3


class RowCounter(nn.Module):
    """Hand rows on and count them, over all copies of the module.

    Without weights it is a step of its own to torch.fx, and it counts where it stands: a body
    that is cut behind it is not seen again.
    """

    counts: ClassVar[Counter] = Counter()

    def forward(self, X):
        """Return the rows as they came."""
        self.counts["probes" if len(X) <= PROBE_ROWS else "passes"] += len(X)
        return X


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Identity()
        if stride != 1 or n_in != n_out:
            convolution = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(n_out))

    def forward(self, X):
        """Return both paths' sum, rectified."""
        residual = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(X)))))
        return F.relu(residual + self.shortcut(X))


def make_resnet(depths=(2, 2, 2, 2), dense_sizes=()):
    """Return a ResNet (18 as it is) up to its 512 pooled features, and dense layers on them."""
    torch.manual_seed(0)
    blocks = []
    sizes = [64, *np.repeat([64, 128, 256, 512], depths).tolist()]
    for n_in, n_out in itertools.pairwise(sizes):
        blocks.append(ResidualBlock(n_in, n_out, stride=1 if n_in == n_out else 2))
    dense = []
    for n_in, n_out in itertools.pairwise([512, *dense_sizes]):
        dense += [nn.Linear(n_in, n_out), nn.ReLU()]
    stem = [nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(RowCounter(), *stem, nn.MaxPool2d(3, 2, 1), *blocks, *pooled, *dense)


def make_vgg16():
    """Return the 13 convolutions of VGG16, a quarter as wide."""
    torch.manual_seed(0)
    layers, n_in = [RowCounter()], 3
    for n_out, depth in ((16, 2), (32, 2), (64, 3), (128, 3), (128, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
            n_in = n_out
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
