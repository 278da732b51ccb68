"""Fits and predictions in threads, and what a fit leaves of the process."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from sktransfer import DANNClassifier
from sktransfer.engine._runtime import (
    _SharedFlags,
    limited_threads,
    reproducible_kernels,
)

BODIES = {
    "no draws": None,
    "dropout": nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Dropout()).double(),
    "batch norm": nn.Sequential(nn.Linear(4, 20), nn.BatchNorm1d(20), nn.ReLU()).double(),
}


def fit(domains, seed, body=None):
    return DANNClassifier(body, max_epochs=5, batch_size=16, random_state=seed).fit(*domains)


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_fits_side_by_side_give_the_bits_of_fits_one_after_the_other(domains, body):
    expected = [fit(domains, seed, body).predict_proba(domains[0]) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        fitted = list(pool.map(lambda seed: fit(domains, seed, body), range(4)))
    for clf, probabilities in zip(fitted, expected, strict=True):
        np.testing.assert_array_equal(clf.predict_proba(domains[0]), probabilities)


def test_a_fit_without_draws_does_not_wait_for_another_that_has_the_generators(domains):
    reached, go_on = threading.Event(), threading.Event()

    class Slow(nn.Module):
        def forward(self, X):
            if self.training and not reached.is_set():
                reached.set()
                assert go_on.wait(60)
            return X + 0 * torch.rand(1, dtype=X.dtype)

    body, others, steps = nn.Sequential(nn.Linear(4, 5).double(), Slow()), [], []
    slow = threading.Thread(target=lambda: others.append(fit(domains, 0, body)))

    class StartsTheOther(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            steps.append(len(net.history))
            if len(steps) == 1:  # the step in which draws are looked for is over
                slow.start()
                assert reached.wait(60)
            if len(steps) == 2:  # reached while the other holds the generators
                go_on.set()

    clf = DANNClassifier(max_epochs=2, batch_size=16, callbacks=[StartsTheOther()], random_state=0)
    clf.fit(*domains)
    slow.join(60)
    assert len(others) == 1


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_predictions_in_threads_are_those_of_one(domains, body):
    clf = fit(domains, 0, body)
    expected = clf.predict_proba(domains[0])
    modes = [module.training for module in clf.net_.module_.modules()]
    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(lambda _: clf.predict_proba(domains[0]), range(24)):
            np.testing.assert_array_equal(found, expected)
    assert [module.training for module in clf.net_.module_.modules()] == modes


class DrawsAlways(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 8).double()

    def forward(self, X):
        return F.dropout(torch.relu(self.layer(X)), 0.5, training=True)


def test_a_prediction_that_draws_leaves_the_generator_and_repeats_itself(domains):
    clf = fit(domains, 0, DrawsAlways())
    before = torch.get_rng_state()
    first = clf.predict_proba(domains[0])
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(clf.predict_proba(domains[0]), first)


def test_threads_started_in_a_fit_keep_their_number_of_torch_threads():
    before, seen = torch.get_num_threads(), []

    def look():
        seen.append(torch.get_num_threads())

    with limited_threads(0):
        assert torch.get_num_threads() == 1
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before, before]
    assert torch.get_num_threads() == before


def test_concurrent_fits_leave_the_warning_filters(domains):
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: fit(domains, seed), range(12)))
    assert warnings.filters == before


def test_read_only_rows_warn_of_nothing_and_are_not_copied():
    from sktransfer.data._rows import DenseRows

    X = np.zeros((5, 3), np.float32)
    X.flags.writeable = False
    rows = DenseRows(X, torch.device("cpu"), torch.float32)
    assert rows.rows.data_ptr() == X.__array_interface__["data"][0]
    assert not X.flags.writeable


def test_flags_are_given_back_when_the_last_fit_is_over():
    flags, cudnn = _SharedFlags(), torch.backends.cudnn
    found = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32
    first, second = flags.set(), flags.set()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cudnn.deterministic  # the second still needs it
    second.__exit__(None, None, None)
    assert (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32) == found


@pytest.mark.parametrize("allowed", [False, True])
def test_reproducible_kernels_leave_tf32_as_it_is(monkeypatch, allowed):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", allowed)
    with reproducible_kernels(torch.device("cuda")):
        assert torch.backends.cudnn.deterministic
        assert torch.backends.cudnn.allow_tf32 == allowed
    assert torch.backends.cudnn.allow_tf32 == allowed
