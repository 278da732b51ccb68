"""A method of players in turn fits into one small file, and trains as its paper says."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from torch.nn import functional as F

from tests.adaptation.mcd_method import MCDClassifier, discrepancy


@parametrize_with_checks([MCDClassifier(max_epochs=30, learning_rate=0.01)])
@pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning")
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def test_the_method_is_one_small_file():
    assert len(Path(__file__).with_name("mcd_method.py").read_text().splitlines()) < 180


def test_one_step_is_that_of_two_optimizers_by_hand(domains):
    X, y, X_target = domains
    torch.manual_seed(0)
    body = nn.Linear(4, 6).double()
    clf = MCDClassifier(
        body,
        label_classifier=nn.Linear,  # one's own, it learns at the learning rate itself
        lambda_schedule="constant",
        average_weights=0.0,
        optimizer=torch.optim.SGD,
        learning_rate=0.1,
        batch_size=90,
        max_epochs=1,
        random_state=0,
    )
    start = copy.deepcopy(clf)
    start.set_params(learning_rate=1e-300)  # the heads as they were drawn
    network = start.fit(X, y, X_target).net_.module_
    players = copy.deepcopy(network)
    X, X_target = torch.from_numpy(X), torch.from_numpy(X_target)
    y = torch.from_numpy((y == "up").astype(int))
    own = {
        "body": torch.optim.SGD(players.body.parameters(), lr=0.1),
        "heads": torch.optim.SGD(
            [*players.label_head.parameters(), *players.second_head.parameters()], lr=0.1
        ),
    }

    def losses():
        heads = players.label_head, players.second_head
        on_source = sum(F.cross_entropy(head(players.body(X)), y) for head in heads)
        return on_source, discrepancy(*(head(players.body(X_target)) for head in heads))

    def move(loss, *names):
        players.zero_grad()
        loss.backward()
        for name in names:
            own[name].step()

    move(losses()[0], "body", "heads")
    on_source, gap = losses()
    move(on_source - gap, "heads")
    for _ in range(4):
        move(losses()[1], "body")
    trained = clf.fit(X.numpy(), np.where(y.numpy(), "up", "down"), X_target.numpy()).net_.module_
    for (name, p), (_, q) in zip(
        trained.named_parameters(), players.named_parameters(), strict=True
    ):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12, msg=name)
