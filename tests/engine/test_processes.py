"""Two processes in step do what one does with twice the batch."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import DANNClassifier, FineTuneClassifier
from sktransfer.engine._processes import join_processes

pytestmark = pytest.mark.slow  # starts processes that import torch

SCRIPT = """
import pickle
import sys
import numpy as np
import torch
from torch import nn
from sktransfer import DANNClassifier, FineTuneClassifier, SourceTraining
from sktransfer.callbacks import DomainScoring

def run(batch_size, folder, data_parallel):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(2, 96, 4))
    X_target += 0.5
    y = np.where(X.sum(axis=1) > 0, "up", "down")
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    torch.manual_seed(rank)  # the given modules differ from process to process
    fast = {"batch_size": batch_size, "data_parallel": data_parallel, "random_state": 0}
    body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU())
    scoring = DomainScoring(X, y, X_target, y)
    fits = {
        "dann": DANNClassifier(max_epochs=3, callbacks=[scoring], gradient_penalty=0.0, **fast).fit(
            X, y, X_target[:64]
        ),
        "weighted": DANNClassifier(
            max_epochs=2, optimizer="sgd", gradient_penalty=0.0, **fast
        ).fit(
            X, y, X_target, sample_weight=np.repeat([1.0, 2.0], 48)
        ),
        "finetune": FineTuneClassifier(
            source_training=SourceTraining(epochs=3), head_epochs=2, finetune_epochs=2, **fast
        ).fit(X, y, X_target, y),
        "own module": FineTuneClassifier(body, head_epochs=2, finetune_epochs=2, **fast).fit(X, y),
        "any seed": DANNClassifier(
            max_epochs=2, batch_size=batch_size, data_parallel=data_parallel
        ).fit(X, y, X_target),
        "dropout and batch statistics": DANNClassifier(
            nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.ReLU()),
            max_epochs=2,
            **fast,
        ).fit(X, y, X_target),
    }
    for fit in fits.values():
        fit.callbacks = None
    with open(f"{folder}/{rank}.pickle", "wb") as file:
        pickle.dump({name: (fit, fit.predict_proba(X)) for name, fit in fits.items()}, file)

if __name__ == "__main__":
    from accelerate import PartialState
    PartialState(cpu=True)
    run(8, sys.argv[1], True)
"""


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """Return what two processes have fitted, and one alone with twice the batch."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("processes")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parents[2])
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root, "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [sys.executable, *launcher, str(script), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env=env,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    both = [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(2)]
    namespace = {"__name__": "alone"}
    exec(SCRIPT, namespace)
    namespace["run"](16, str(folder), False)
    return *both, pickle.loads((folder / "0.pickle").read_bytes())


@pytest.mark.parametrize("name", ["dann", "weighted", "finetune", "own module"])
def test_two_processes_end_with_the_model_of_one_with_twice_the_batch(fits, name):
    first, second, alone = (fit[name] for fit in fits)
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_allclose(first[1], alone[1], atol=1e-6)
    for mine, its in zip(first[0].history_, alone[0].history_, strict=True):
        assert mine["train_loss"] == pytest.approx(its["train_loss"], abs=1e-6)
        assert mine.get("domain_accuracy") == pytest.approx(its.get("domain_accuracy"), abs=1e-6)


def test_processes_agree_on_a_seed_where_none_is_given(fits):
    first, second, _ = (fit["any seed"] for fit in fits)
    np.testing.assert_array_equal(first[1], second[1])


def test_processes_end_with_one_model_in_spite_of_dropout_and_batch_statistics(fits):
    first, second, alone = (fit["dropout and batch statistics"] for fit in fits)
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.allclose(first[1], alone[1])  # other noise, other batches to normalise by


@pytest.mark.parametrize("name", ["dann", "finetune"])
def test_the_model_loads_and_predicts_without_the_launcher(fits, name):
    clf, probabilities = fits[0][name]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 96, 4))[0]
    np.testing.assert_allclose(clf.predict_proba(X), probabilities, rtol=1e-12)
    assert clf.data_parallel


@pytest.mark.parametrize(
    "estimator",
    [
        DANNClassifier(max_epochs=2, random_state=0),
        FineTuneClassifier(nn.Linear(4, 3), head_epochs=1, finetune_epochs=1, random_state=0),
    ],
)
def test_without_a_launcher_it_changes_nothing(domains, estimator, monkeypatch):
    pytest.importorskip("accelerate")
    X, y, X_target = domains
    y_target = y if isinstance(estimator, FineTuneClassifier) else None
    plain = estimator.fit(X, y, X_target, y_target).predict_proba(X)
    estimator.set_params(data_parallel=True).fit(X, y, X_target, y_target)
    np.testing.assert_array_equal(estimator.predict_proba(X), plain)


def test_missing_accelerate_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"pip install 'sktransfer\[distributed\]'"):
        join_processes(True, torch.device("cpu"))
