"""What tests of several methods share: one step that can be computed by hand, and one batch."""

import torch

from sktransfer.data._batch import Batch, View

# Down the plain gradient of all rows of the fixture `domains` at once.
ONE_STEP = {
    "lambda_schedule": "constant",
    "optimizer": torch.optim.SGD,
    "learning_rate": 0.1,
    "average_weights": 0.0,
    "batch_size": 90,
    "max_epochs": 1,
    "random_state": 0,
}


def one_batch(domains):
    """Return all rows of the domains as a batch, at a lambda of 1."""
    X, y, X_target = domains
    rows = torch.arange(len(X))
    source = View(torch.from_numpy(X), torch.from_numpy((y == "up").astype(int)), rows)
    batch = Batch(source, View(torch.from_numpy(X_target), None, rows), progress=1.0)
    batch.lambda_ = 1.0
    return batch
