"""Bodies that a cut must get right."""

import random

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """A residual block with dropout written as a function and an activation in place."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.second = nn.Linear(width, width)

    def forward(self, X):
        Y = F.relu(self.norm(self.first(X)), inplace=True)
        Y = F.dropout(Y, 0.2, self.training)
        return F.relu(X + self.second(Y))


class Residual(nn.Module):
    """Two blocks, a weight of its own, a size that is asked for, two ways to the end."""

    def __init__(self, n_in=4, width=6):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.stem = nn.Linear(n_in, width)
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.last = nn.Linear(2 * width, width)

    def forward(self, X):
        X = self.stem(X) * self.scale
        Y = self.blocks(X)
        return self.last(torch.cat([X, Y], 1).view(X.size(0), -1))


class Recurrent(nn.Module):
    """A layer that returns nested tuples."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 5, batch_first=True)
        self.last = nn.Linear(5, 3)

    def forward(self, X):
        out, _ = self.lstm(X.unsqueeze(2))
        return self.last(out[:, -1])


class ToPair(nn.Module):
    """Returns a tuple."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 5)

    def forward(self, X):
        return self.linear(X), X > 0


class FromPair(nn.Module):
    """Takes a tuple."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, pair):
        Y, mask = pair
        return self.linear(Y) * mask.any(1, keepdim=True)


class Pairs(nn.Module):
    """A part that returns a tuple which the next part takes."""

    def __init__(self):
        super().__init__()
        self.first, self.second = ToPair(), FromPair()

    def forward(self, X):
        return self.second(self.first(X))


class Branching(nn.Module):
    """Goes one way or another by the values, which no trace can follow."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, X):
        Y = self.first(X)
        if Y.sum() > 0:
            Y = Y * 2
        return self.second(Y)


class TrainsOtherwise(nn.Module):
    """Takes another step in training."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, X):
        Y = self.first(X)
        if self.training:
            Y = Y + 0.1 * torch.randn_like(Y)
        return self.second(Y)


class Counts(TrainsOtherwise):
    """Counts its calls, which a trace would do once."""

    calls = 0

    def forward(self, X):
        self.calls = self.calls + 1
        return self.second(self.first(X))


class Draws(TrainsOtherwise):
    """Draws a number in each pass, which a trace would fix."""

    def forward(self, X):
        factor = 1.0 + 0.0 * random.random()
        return self.second(self.first(X) * factor)


class Overwrites(nn.Module):
    """Uses a value, then overwrites it, then uses it again."""

    def __init__(self):
        super().__init__()
        self.first, self.side, self.last = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, X):
        Y = self.first(X)
        side = self.side(Y)
        Z = F.relu_(Y)
        return side + self.last(Z)


class UsesOverwritten(Overwrites):
    """Uses a value after it was overwritten, by its old name."""

    def forward(self, X):
        Y = self.first(X)
        Z = F.relu_(Y)
        return self.side(Y) + self.last(Z)


class Forgets(Overwrites):
    """Overwrites a value by a step whose result nobody asks for."""

    def forward(self, X):
        Y = self.first(X)
        Y.mul_(2)
        return self.side(Y) + self.last(Y)


class Remembers(nn.Module):
    """Keeps a running mean of its own in training."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.register_buffer("mean", torch.zeros(5))

    def forward(self, X):
        Y = self.first(X)
        self.mean.mul_(0.9).add_(0.1 * Y.detach().mean(0))
        return self.second(Y)


class Shortcut(nn.Module):
    """Uses its input once more at the end, so that it crosses each cut."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 4)
        self.last = nn.Linear(8, 3)

    def forward(self, X):
        return self.last(torch.cat([X, self.second(torch.tanh(self.first(X)))], 1))


class Unused(nn.Module):
    """Calls a last layer without use of its output, as language models do their pooler."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.pooler = nn.Linear(3, 3)

    def forward(self, X):
        Y = self.second(self.first(X))
        self.pooler(Y)
        return Y


class Gate(nn.Module):
    """Cannot be traced, and is found so after some steps."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(4, 4)

    def forward(self, X):
        Y = self.first(X)[:, :4]
        return self.second(Y) if Y.sum() > 0 else Y


class GateFirst(nn.Module):
    """Has steps of the same name in a part that can be traced and in one that cannot."""

    def __init__(self):
        super().__init__()
        self.gate, self.first, self.second = Gate(), nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, X):
        return self.second(self.first(self.gate(X)[:, :4]))


def sequential():
    """Return layers of all kinds in a row, dropout and batch normalisation among them."""
    return nn.Sequential(
        nn.Linear(4, 8),
        nn.ReLU(inplace=True),
        nn.Dropout(0.3),
        nn.Linear(8, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(8, 3),
    )
