"""Fits that are killed at random moments and go on: they end with the bits of undisturbed ones.

    python benchmarks/kill_and_resume.py --kills 20
    python benchmarks/kill_and_resume.py --kills 3 --processes 2 --problems dann

Each trial starts a process that fits, kills it (SIGKILL) at a random moment of the time that
an undisturbed fit takes (every second time once a state was written), and calls the same fit
again in another process. What is compared: weights, statistics, the optimizer's state, the
generators, the history and the predictions.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sktransfer import DANNClassifier, DeepCORALClassifier, FineTuneClassifier, FitCheckpoint
from sktransfer.engine._states import TornFile, previous, read_states
from sktransfer.finetuning import FrozenCache, HeldOut, SourceTraining, Unfreezing


def body(input_shape):
    """Return a body with dropout and batch statistics, which both have a state."""
    layers = nn.Linear(*input_shape, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2)
    return nn.Sequential(*layers, nn.Linear(32, 32), nn.ReLU())


def make_data():
    """Return a source, a shifted target and the labels of both."""
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(2, 300, 10)).astype(np.float32)
    X_target += 0.5
    y, y_target = (np.where(Z[:, 0] + Z[:, 1] > 0.3, "up", "down") for Z in (X, X_target))
    return X, y, X_target, y_target


ADAPTATION = {"max_epochs": 20, "random_state": 0}
STAGES = {
    "source_training": SourceTraining(epochs=10),
    "head_epochs": 10,
    "finetune_epochs": 10,
    "random_state": 0,
}
# Name: estimator, whether it is given labels of the target.
PROBLEMS = {
    "dann": (DANNClassifier(body, learning_rate_schedule="cosine", **ADAPTATION), False),
    "coral": (DeepCORALClassifier(body, **ADAPTATION), False),
    "finetune": (FineTuneClassifier(body, **STAGES), True),
    "finetune without cache": (
        FineTuneClassifier(body, frozen_cache=FrozenCache(enabled=False), **STAGES),
        True,
    ),
    "finetune gradually, held out, pulled back": (
        FineTuneClassifier(
            body,
            unfreeze_depth=3,
            unfreezing=Unfreezing(gradual=True, l2_sp=0.01),
            early_stopping=HeldOut(patience=5),
            **STAGES,
        ),
        True,
    ),
    "finetune by pseudo-labels": (FineTuneClassifier(body, unfreeze_depth=2, **STAGES), False),
}


def fit(name, path, data_parallel):
    """Fit a problem, with a checkpoint if there is a path; return a digest of all that came."""
    estimator, with_labels = PROBLEMS[name]
    checkpoint = None if path is None else FitCheckpoint(path, every_epochs=1)
    estimator.set_params(checkpoint=checkpoint, data_parallel=data_parallel, device="cpu")
    X, y, X_target, y_target = make_data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y, X_target, y_target if with_labels else None)
    parts = [
        *estimator.net_.module_.state_dict().values(),
        *estimator.net_.engine.generators.states,
    ]
    for of_parameter in estimator.net_.optimizer_.state_dict()["state"].values():
        parts += [torch.as_tensor(value) for value in of_parameter.values()]
    history = [
        {name: value for name, value in epoch.items() if name != "dur"}
        for epoch in estimator.history_
    ]
    text = [repr(history), repr(getattr(estimator, "unfrozen_layers_", None))]
    digest = hashlib.sha256("".join(text).encode())
    for part in parts:
        digest.update(part.contiguous().numpy().tobytes())
    digest.update(estimator.predict_proba(X_target).tobytes())
    return digest.hexdigest()


def begin(arguments):
    """Start a fit in a process of its own, or with a launcher in several; return its id."""
    name, path, result, processes = arguments
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone"]
        call = [
            *launcher,
            "--nproc_per_node",
            str(processes),
            __file__,
            "--fit",
            name,
            path,
            result,
        ]
        started = subprocess.Popen(
            [sys.executable, *call], start_new_session=True, stderr=subprocess.DEVNULL
        )
        return started.pid
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.setsid()
            Path(result).write_text(fit(name, path or None, False))
            code = 0
        finally:
            os._exit(code)
    return process


def finish(arguments):
    """Fit to the end; return the digest and the seconds that it took."""
    start = time.monotonic()
    _, status = os.waitpid(begin(arguments), 0)
    if status:
        raise RuntimeError(f"the fit of {arguments} ended with status {status}")
    return Path(arguments[2]).read_text(), time.monotonic() - start


def children_of(process):
    """Return the ids of all processes that this one has started, and theirs."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children_of(int(child))]
    return found


def found_at(path):
    """Say where the next call goes on."""
    for one in (path, previous(path)):
        try:
            states, _ = read_states(one)
        except TornFile:
            continue
        return "the end" if states["complete"] else f"stage {len(states['stages'])}"
    return "the beginning"


def trial(name, folder, number, seconds, processes, rng):
    """Kill a fit at a random moment; return where it went on and the digest of the second call."""
    path = folder / f"{number}.checkpoint"
    arguments = (name, str(path), str(folder / f"{number}.digest"), processes)
    process = begin(arguments)
    wait = rng.uniform(0, seconds)
    if number % 2 == 0:  # much of the time goes before the first state is written
        while not path.exists() and os.waitpid(process, os.WNOHANG) == (0, 0):
            time.sleep(0.005)
        wait /= 3
    time.sleep(wait)
    for one in [*children_of(process), process]:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os.waitpid(process, 0)
    place = found_at(path)
    return place, finish(arguments)[0]


def main():
    """Run the trials and print, for each problem, how many ended with the same bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fit", nargs=3, metavar=("NAME", "PATH", "RESULT"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.fit is not None:
        name, path, result = given.fit
        digest = fit(name, path or None, True)
        if os.environ.get("RANK", "0") == "0":
            Path(result).write_text(digest)
        return
    rng, wrong = random.Random(given.seed), 0
    for name in given.problems:
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            result = str(folder / "undisturbed")
            expected, _ = finish((name, "", result, given.processes))
            _, seconds = finish((name, str(folder / "whole"), result, given.processes))
            trials = [
                trial(name, folder, number, seconds, given.processes, rng)
                for number in range(given.kills)
            ]
        equal = sum(digest == expected for _, digest in trials)
        wrong += given.kills - equal
        places = ", ".join(
            f"{n} x {place}" for place, n in sorted(Counter(p for p, _ in trials).items())
        )
        print(f"{name}: {equal} of {given.kills} end with the same bits; went on from {places}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
