"""Passes without training: how many rows go at once."""

import numpy as np
from torch import nn

from sktransfer import MCCClassifier
from sktransfer.engine._engine import PREDICTION_ROWS


class Counting(nn.Module):
    """Notes how many rows come at once."""

    def __init__(self):
        super().__init__()
        self.layer, self.counts = nn.Linear(1, 2), []

    def forward(self, X):
        self.counts.append(len(X))
        return self.layer(X)


def test_narrow_rows_pass_in_parts_as_layers_may_be_wide():
    X = np.linspace(-1, 1, 40)[:, None]
    clf = MCCClassifier(Counting(), max_epochs=1, random_state=0).fit(X, X[:, 0] > 0, X)
    counts = clf.net_.module_.body.counts
    counts.clear()
    many = np.resize(X, (2 * PREDICTION_ROWS + 10, 1))
    answers = clf.predict(many)
    assert counts == [PREDICTION_ROWS, PREDICTION_ROWS, 10]
    np.testing.assert_array_equal(answers, np.resize(clf.predict(X), len(many)))
