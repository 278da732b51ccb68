"""A fit that was killed goes on to the bits of an undisturbed one."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn

import sktransfer
from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    DomainConfusionClassifier,
    FineTuneClassifier,
    FitCheckpoint,
    VADAClassifier,
)
from sktransfer._exports import EXPORTS
from sktransfer.deep._base import BaseDeepEstimator
from sktransfer.engine._run import Run
from sktransfer.engine._states import pack, previous, read_states, unpack, write_states
from sktransfer.finetuning import HeldOut, SourceTraining, Unfreezing

ROOT = Path(__file__).parents[2]
STAGES = {
    "source_training": SourceTraining(epochs=4),
    "head_epochs": 4,
    "finetune_epochs": 4,
    "random_state": 0,
}


class Killed(Exception):
    """Stands for the end of the process."""


class Stop:
    """Ends a fit after so many epochs, as if it were killed; counts them."""

    at = None
    seen = 0
    last_step = None
    steps = 0


@pytest.fixture(autouse=True)
def _stop(monkeypatch):
    Stop.at, Stop.seen, Stop.last_step = None, 0, None
    train = Run._train_epoch

    def train_epoch(self, done, share):
        Stop.seen += 1
        if Stop.at is not None and Stop.seen > Stop.at:
            raise Killed
        train(self, done, share)

    monkeypatch.setattr(Run, "_train_epoch", train_epoch)
    step = Run._step

    def step_or_stop(self, batch):
        if Stop.steps == Stop.last_step:
            raise Killed
        Stop.steps += 1
        return step(self, batch)

    monkeypatch.setattr(Run, "_step", step_or_stop)


def body(input_shape):
    layers = nn.Linear(*input_shape, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2)
    return nn.Sequential(*layers, nn.Linear(8, 8)).double()


def estimators():
    fast = {"max_epochs": 6, "random_state": 0}
    scheduler = LRScheduler("StepLR", step_size=2, gamma=0.5)
    stopping = EarlyStopping(monitor="train_loss", patience=3, load_best=True)
    return {
        "dann": DANNClassifier(body, learning_rate_schedule="cosine", **fast),
        "coral": DeepCORALClassifier(body, callbacks=[scheduler, stopping], **fast),
        "confusion": DomainConfusionClassifier(body, **fast),
        "dirt_t": VADAClassifier(body, dirt_t_epochs=5, **fast),
        "finetune": FineTuneClassifier(body, early_stopping=HeldOut(patience=3), **STAGES),
        "gradual": FineTuneClassifier(
            body, unfreeze_depth=3, unfreezing=Unfreezing(gradual=True, l2_sp=0.1), **STAGES
        ),
    }


def result(estimator, X):
    history = [{k: v for k, v in e.items() if k != "dur"} for e in estimator.history_]
    optimizer = estimator.net_.optimizer_.state_dict()["state"]
    moments = [v for one in optimizer.values() for v in one.values()]
    tensors = [*estimator.net_.module_.state_dict().values(), *moments]
    tensors += estimator.net_.engine.generators.states
    return history, [torch.as_tensor(t).clone() for t in tensors], estimator.predict_proba(X)


def assert_same(mine, its):
    assert mine[0] == its[0]
    assert all(torch.equal(a, b) for a, b in zip(mine[1], its[1], strict=True))
    np.testing.assert_array_equal(mine[2], its[2])


def arguments(name, domains):
    X, y, X_target = domains
    some = np.where(np.arange(len(y)) < 9, y.astype(object), None)
    given = {"finetune": y, "gradual": y, "confusion": some}
    return X, y, X_target, given.get(name)


@pytest.mark.parametrize("every_epochs", [1, 3])
@pytest.mark.parametrize("name", ["dann", "coral", "confusion", "dirt_t", "finetune", "gradual"])
def test_a_fit_that_ended_at_any_epoch_goes_on_to_the_same_bits(
    name, every_epochs, domains, tmp_path
):
    data = arguments(name, domains)
    estimator = estimators()[name]
    expected = result(estimator.fit(*data), data[0])
    n_epochs = Stop.seen
    checkpoint = FitCheckpoint(tmp_path / "fit", every_epochs=every_epochs, every_seconds=None)
    n_calls = 0
    while not estimator.checkpoint:  # one and the same fit, ended again and again
        n_calls += 1
        Stop.at, Stop.seen = every_epochs + 2, 0
        try:
            estimator = estimators()[name].set_params(checkpoint=checkpoint).fit(*data)
        except Killed:
            continue
    assert n_calls > 1
    assert 0 < Stop.seen < n_epochs
    assert_same(result(estimator, data[0]), expected)
    assert not previous(tmp_path / "fit").exists()
    Stop.seen = 0
    assert_same(result(estimator.fit(*data), data[0]), expected)
    assert Stop.seen == 0  # from the file


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_killed_processes_go_on_to_the_same_bits():
    script = str(ROOT / "benchmarks" / "kill_and_resume.py")
    call = [sys.executable, script, "--kills", "2", "--problems", "finetune"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| finetune | 2 | 2 |" in done.stdout


@pytest.fixture
def killed(domains, tmp_path):
    """Return an estimator whose fit was ended, its arguments and the file."""
    data = arguments("dann", domains)
    checkpoint = FitCheckpoint(tmp_path / "fit", every_epochs=1)
    clf = DANNClassifier(max_epochs=6, random_state=0, checkpoint=checkpoint)
    Stop.at = 3
    with pytest.raises(Killed):
        clf.fit(*data)
    Stop.at, Stop.seen = None, 0
    return clf, data, tmp_path / "fit"


def test_what_differs_is_said(killed):
    clf, (X, y, X_target, _), path = killed
    with pytest.raises(ValueError, match=r"of another fit: lambda_ is 0\.5, there 1\.0\. Set"):
        DANNClassifier(**{**clf.get_params(deep=False), "lambda_": 0.5}).fit(X, y, X_target)
    with pytest.raises(ValueError, match="fit: X_target has other content"):
        clf.fit(X, y, X_target + 1)
    with pytest.raises(ValueError, match="fit: sample_weight was not given there"):
        clf.fit(X, y, X_target, sample_weight=np.ones(len(X)))
    states, tensors = read_states(path)
    states["identity"]["versions"]["torch"] = "1.0"
    write_states(path, states, tensors)
    with pytest.raises(ValueError, match=r"torch is .*, there 1\.0"):
        clf.fit(X, y, X_target)
    assert clf.source_only().checkpoint is None


def test_a_torn_file_falls_back_to_the_one_before(killed):
    clf, data, path = killed
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"is damaged .* goes on from the one before"):
        clf.fit(*data)
    assert Stop.seen == 4  # one epoch more than from the torn one
    expected = DANNClassifier(max_epochs=6, random_state=0).fit(*data).predict_proba(data[0])
    np.testing.assert_array_equal(clf.predict_proba(data[0]), expected)


def test_a_file_that_is_no_checkpoint_is_left_alone(killed):
    clf, data, path = killed
    previous(path).unlink()
    path.write_text("letters")
    with pytest.raises(ValueError, match="is no checkpoint of this version, or damaged"):
        clf.fit(*data)
    assert path.read_text() == "letters"
    with pytest.raises(FileNotFoundError, match="make it first"):
        clf.set_params(checkpoint=path.parent / "none" / "fit").fit(*data)


def test_without_a_seed_the_first_one_stands(domains, tmp_path):
    clf = DANNClassifier(max_epochs=2, checkpoint=str(tmp_path / "fit"))
    first = clf.fit(*domains).predict_proba(domains[0])
    np.testing.assert_array_equal(clf.fit(*domains).predict_proba(domains[0]), first)


def test_what_cannot_be_compared_is_refused(domains, tmp_path):
    class Holder(Callback):
        def __init__(self):
            self.generator = (number for number in range(3))

    clf = DANNClassifier(max_epochs=2, checkpoint=tmp_path / "fit", callbacks=[Holder()])
    with pytest.raises(ValueError, match=r"callbacks=.* cannot be compared with that of another"):
        clf.fit(*domains)


SMALL = {"batch_size": 32, "random_state": 0}  # three steps an epoch
SHORT = {"max_epochs": 3, **SMALL}
STAGED = {
    "source_training": SourceTraining(epochs=2),
    "head_epochs": 2,
    "finetune_epochs": 2,
    **SMALL,
}
EPISODES = {"episodes": 130, "n_way": 2, "n_shot": 2, "n_query": 2, "random_state": 0}
# Every estimator that takes `checkpoint`, by name: what is as small as can be.
RESUMED = {
    "AutoencoderPretrainer": SHORT,
    "CDANClassifier": SHORT,
    "ContrastivePretrainer": SHORT,
    "DANNClassifier": SHORT,
    "DANNRegressor": SHORT,
    "DeepCORALClassifier": SHORT,
    "DeepCORALRegressor": SHORT,
    "DeepJDOTClassifier": SHORT,
    "DeepMMDClassifier": SHORT,
    "DomainConfusionClassifier": SHORT,
    "FineTuneClassifier": STAGED,
    "FineTuneRegressor": STAGED,
    "HeterogeneousTransferClassifier": {"inner_folds": 2, **SHORT},
    "MCCClassifier": SHORT,
    "MCDClassifier": SHORT,
    "MatchingClassifier": EPISODES,
    "MultiTaskClassifier": SHORT,
    "MultiTaskRegressor": SHORT,
    "OpenSetClassifier": SHORT,
    "PrototypicalClassifier": EPISODES,
    "SHOTClassifier": {"target_epochs": 2, **SHORT},
    "VADAClassifier": SHORT,
}


def every_deep_kind():
    kinds = [getattr(sktransfer, name) for name in EXPORTS]
    return [k for k in kinds if inspect.isclass(k) and issubclass(k, BaseDeepEstimator)]


def arguments_of(name, domains):
    X, y, X_target = domains
    if "Pretrainer" in name:
        return (X,)
    numbers = X[:, 0] + X[:, 1]
    if name.startswith("MultiTask"):
        both = np.column_stack([numbers, X[:, 2]])
        return X, both if name.endswith("Regressor") else (both > 0).astype(int)
    if name == "HeterogeneousTransferClassifier":
        return X[:, :3], y, X_target, y
    y = numbers if name.endswith("Regressor") else y
    if name.startswith("FineTune"):
        return X, y, X_target, y
    return (X, y) if name in ("MatchingClassifier", "PrototypicalClassifier") else (X, y, X_target)


def fitted_parts(estimator, rows):
    history = [{k: v for k, v in e.items() if k != "dur"} for e in estimator.history_]
    optimizer = estimator.net_.optimizer_.state_dict()["state"]
    moments = [v for one in optimizer.values() for v in one.values()]
    tensors = [*estimator.net_.module_.state_dict().values(), *moments]
    tensors += estimator.net_.engine.generators.states
    tensors += [float(v) for v in getattr(estimator, "inner_scores_", {}).values()]
    return history, [torch.as_tensor(t).clone() for t in tensors], estimator.transform(rows)


@pytest.mark.parametrize("name", sorted(RESUMED))
@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.filterwarnings("ignore:.*the source seems not to help:UserWarning")
def test_every_estimator_goes_on_from_within_an_epoch(name, domains, tmp_path):
    data = arguments_of(name, domains)
    rows = data[2] if name.startswith("Heterogeneous") else data[0]

    def fit(checkpoint):
        estimator = getattr(sktransfer, name)(**RESUMED[name])
        return estimator.set_params(checkpoint=checkpoint).fit(*data)

    Stop.steps, Stop.last_step = 0, None
    expected, n_steps = fitted_parts(fit(None), rows), Stop.steps
    # Two thirds of an epoch beyond one; of episodes, 50 an epoch, a fifth beyond two.
    per_call, n_killed, estimator = 110 if "episodes" in RESUMED[name] else 5, 0, None
    while estimator is None:
        Stop.steps, Stop.last_step = 0, per_call
        try:
            estimator = fit(FitCheckpoint(tmp_path / "fit", every_epochs=1))
        except Killed:
            n_killed += 1
            assert n_killed < n_steps  # each call gets on
    assert n_killed >= 1
    assert n_killed * per_call + Stop.steps > n_steps  # what was lost was done again
    assert_same(fitted_parts(estimator, rows), expected)


def test_the_list_of_resumed_estimators_is_whole():
    takes = {k.__name__ for k in every_deep_kind() if "checkpoint" in k().get_params()}
    assert takes == set(RESUMED)


def test_packed_values_come_back():
    value = {"a": [1, 2.5, None, float("inf")], 3: (torch.ones(2), {"b": torch.ones(2)})}
    tensors = {}
    back = unpack(pack(value, tensors), tensors)
    assert len(tensors) == 1
    assert back["a"] == value["a"]
    assert isinstance(back[3], tuple)
    assert torch.equal(back[3][1]["b"], torch.ones(2))


def test_every_deep_estimator_takes_a_checkpoint():
    deep = every_deep_kind()
    assert len(deep) >= 3
    # One pass that trains nothing: there is no state between its begin and its end.
    trained = [k for k in deep if k is not sktransfer.NearestPrototypeClassifier]
    assert [k for k in trained if "checkpoint" not in k().get_params()] == []
