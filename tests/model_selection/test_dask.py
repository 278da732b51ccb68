"""Searches over the workers of a dask cluster: processes of their own, which may die."""

import contextlib
import itertools
import logging
import os
import pickle
import signal

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from distributed.client import FutureCancelledError
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktransfer import DANNClassifier, FineTuneClassifier, TargetDomain, make_transfer_pipeline
from sktransfer.finetuning import FrozenCache
from sktransfer.model_selection import (
    InfoMaxScorer,
    NeighborAgreementScorer,
    ReverseValidationScorer,
)

pytestmark = pytest.mark.slow  # starts processes that import torch

# Far more than a loaded machine needs to start a process that imports torch.
PATIENCE = 120
DANN = DANNClassifier(max_epochs=3, random_state=0)
PIPELINE = make_transfer_pipeline(StandardScaler(), DANN)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start two workers of one thread each, and stop them after the last test."""
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any port that is free
            local_directory=tmp_path_factory.mktemp("dask"),
            silence_logs=logging.CRITICAL,
        ) as local_cluster,
        Client(local_cluster, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture
def pids(cluster):
    """Return a function that asks the processes of both workers for their numbers."""

    def ask():
        cluster.wait_for_workers(2, timeout=PATIENCE)
        return set(cluster.run(os.getpid).values())

    return ask


@pytest.fixture
def large_domains():
    """Return domains of which joblib sends rows and folds to a worker apart from the tasks."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    return X, np.where(X[:, 0] + X[:, 1] > 0, "up", "down"), rng.normal(size=(600, 4)) + 0.5


def make_backbone():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()
        return nn.Sequential(*layers).double()


def fine_tune(**params):
    epochs = {"head_epochs": 3, "finetune_epochs": 3}
    return FineTuneClassifier(make_backbone(), **epochs, random_state=0, **params)


def assert_same_search(search, serial, X):
    """Check that a search over workers is the serial one, to the bit and as a whole."""
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], serial.cv_results_[name])
    assert search.best_params_ == serial.best_params_
    twin = pickle.loads(pickle.dumps(search.best_estimator_))
    expected = serial.predict_proba(X)
    for fitted in (search, search.best_estimator_, twin):
        np.testing.assert_array_equal(fitted.predict_proba(X), expected)


@pytest.mark.parametrize("scorer", [NeighborAgreementScorer, ReverseValidationScorer])
@pytest.mark.parametrize(("estimator", "name"), [(DANN, ""), (PIPELINE, "dannclassifier__")])
def test_a_search_of_lambda_gives_the_bits_of_a_serial_one(
    cluster, domains, estimator, name, scorer
):
    X, y, X_target = domains
    grid = {f"{name}lambda_": [0.0, 1.0]}
    search = GridSearchCV(estimator, grid, scoring=scorer(X_target), cv=2, error_score="raise")
    serial = clone(search).fit(X, y, X_target=TargetDomain(X_target))
    with parallel_config("dask"):
        search.fit(X, y, X_target=TargetDomain(X_target))
    assert_same_search(search, serial, X_target)


def test_a_search_of_the_depth_gives_the_bits_of_a_serial_one(cluster, domains, tmp_path):
    X, y, X_target = domains
    grid = {"unfreeze_depth": [0, 1, "all"]}
    search = GridSearchCV(fine_tune(), grid, cv=2, error_score="raise")
    serial = clone(search).fit(X, y)
    with parallel_config("dask"):
        search.fit(X, y)
        with_memory = (
            clone(search).set_params(estimator__frozen_cache=FrozenCache(memory=tmp_path)).fit(X, y)
        )
    assert_same_search(search, serial, X_target)
    assert_same_search(with_memory, serial, X_target)
    assert list(tmp_path.glob("**/shard-*")), "the workers kept nothing in the shared folder"


@pytest.mark.parametrize("estimator", [DANN, PIPELINE, fine_tune()])
def test_what_was_fitted_on_a_worker_comes_back_whole(pids, domains, estimator):
    X, y, X_target = domains

    def validate():
        return cross_validate(
            estimator,
            X,
            y,
            cv=2,
            params={} if isinstance(estimator, FineTuneClassifier) else target,
            scoring=lambda *_: os.getpid(),
            return_estimator=True,
            error_score="raise",
        )

    target = {"X_target": TargetDomain(X_target)}
    here = validate()
    with parallel_config("dask"):
        there = validate()
    assert set(here["test_score"]) == {os.getpid()}
    assert set(there["test_score"]) <= pids()
    for fitted, expected in zip(there["estimator"], here["estimator"], strict=True):
        for twin in (fitted, pickle.loads(pickle.dumps(fitted))):
            np.testing.assert_array_equal(
                twin.predict_proba(X_target), expected.predict_proba(X_target)
            )
            last, expected_last = (getattr(e, "_final_estimator", e) for e in (twin, expected))
            losses = expected_last.history_[:, "train_loss"]
            assert last.history_[:, "train_loss"] == losses
            assert last.n_iter_ == len(losses) > 0


def test_a_search_within_a_cross_validation_shares_the_workers(cluster, domains):
    X, y, X_target = domains
    search = GridSearchCV(DANN, {"lambda_": [0.0, 1.0]}, scoring=InfoMaxScorer(X_target), cv=2)
    nested = {"cv": 2, "params": {"X_target": TargetDomain(X_target)}, "error_score": "raise"}
    serial = cross_validate(search, X, y, **nested)["test_score"]
    with parallel_config("dask"):
        scores = cross_validate(search, X, y, **nested)["test_score"]
    np.testing.assert_array_equal(scores, serial)


class DeadlyScorer:
    """Kills the process it is called in, once; then scores as another does.

    Parameters
    ----------
    scorer : callable
        The other one.
    mark : Path
        A file that tells that it has killed.
    spared : int
        Number of a process that it must not kill: the one of the tests.
    """

    def __init__(self, scorer, mark, spared):
        self.scorer, self.mark, self.spared = scorer, mark, spared

    def __call__(self, estimator, X, y):
        if os.getpid() != self.spared:
            with contextlib.suppress(FileExistsError):
                self.mark.touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return self.scorer(estimator, X, y)


def killed_once(search, data, scorer, mark, pids):
    """Fit a search of which one worker dies; return who is left of the workers."""
    before = pids()
    search.set_params(scoring=DeadlyScorer(scorer, mark, os.getpid()))
    search.fit(*data[:2], X_target=TargetDomain(data[2]))
    assert mark.exists()
    return before & pids()


def test_a_search_survives_the_death_of_a_worker(pids, large_domains, tmp_path):
    X, y, X_target = large_domains
    scorer = InfoMaxScorer(X_target)
    splits = list(StratifiedKFold(2).split(X, y))
    grid = {"dannclassifier__lambda_": [0.0, 0.3, 1.0]}
    search = GridSearchCV(PIPELINE, grid, scoring=scorer, cv=splits, error_score="raise")
    serial = clone(search).fit(X, y, X_target=TargetDomain(X_target))
    with parallel_config("dask", scatter=[X, y, *itertools.chain(*splits)]):
        try:
            left = killed_once(search, large_domains, scorer, tmp_path / "first", pids)
        except FutureCancelledError:  # distributed has forgotten the task, as it rarely does
            left = killed_once(search, large_domains, scorer, tmp_path / "second", pids)
    assert len(left) == 1, "one worker of two was killed, and started again"
    assert_same_search(search, serial, X_target)
