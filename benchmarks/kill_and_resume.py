"""Fits that are killed at random moments and go on: they end with the bits of undisturbed ones.

    python benchmarks/kill_and_resume.py --kills 20
    python benchmarks/kill_and_resume.py --kills 10 --processes 2 --problems dann

Each trial starts a process that fits and writes its state after every epoch, waits for a random
one of these states, kills the process (SIGKILL) at a random moment of the time that passes until
the next, and calls the same fit again in another process. One trial in ten is killed before
there is a state. What is compared: weights, statistics, the optimizer's state, the generators,
the history and the predictions. With ``--results`` trials are kept in a file and not made again.
"""

import argparse
import contextlib
import hashlib
import json
import math
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
from sktransfer._values import from_json
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
        call = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        call += ["--nproc_per_node", str(processes), __file__, "--fit", name, path, result]
        with open(f"{result}.stderr", "w") as stderr:
            return subprocess.Popen(call, start_new_session=True, stderr=stderr).pid
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


def is_over(process):
    """Say whether a process has ended, and take note of it."""
    return os.waitpid(process, os.WNOHANG) != (0, 0)


def watch(path, process, n_states):
    """Wait until so many states were written, or the process has ended; return their moments."""
    moments, seen = [], None
    while len(moments) < n_states:
        if path.exists():
            with contextlib.suppress(FileNotFoundError):
                written = path.stat().st_mtime_ns, path.stat().st_ino
                if written != seen:
                    seen = written
                    moments.append(time.monotonic())
                    continue
        if is_over(process):
            return moments, True
        time.sleep(0.0005)
    return moments, False


def finish(arguments):
    """Fit to the end; return the digest and the moments of the states, the begin first."""
    start, process = time.monotonic(), begin(arguments)
    moments, over = watch(Path(arguments[1] or "/nowhere"), process, math.inf)
    assert over
    result = Path(arguments[2])
    if not result.exists():
        said = Path(f"{result}.stderr")
        said = said.read_text() if said.exists() else ""
        raise RuntimeError(f"the fit of {arguments} has failed\n{said}")
    return result.read_text(), [start, *moments]


def kill_all(process, path):
    """Kill a fit and what it has started: a launcher's processes are sessions of their own."""
    for one in [*started_for(path), process]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)
    while left := started_for(path):  # one may have been on its way
        for one in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        time.sleep(0.01)


def started_for(path):
    """Return the ids of the processes whose command names this checkpoint."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(path).encode() in (one / "cmdline").read_bytes().split(b"\0"):
                found.append(int(one.name))
    return found


def found_at(path):
    """Say where the next call goes on."""
    for one in (path, previous(path)):
        try:
            states, _ = read_states(one)
        except TornFile:
            continue
        if states["complete"]:
            return "the end"
        return from_json(states["history"][-1]).get("stage", "training")
    return "the beginning"


def trial(name, folder, number, moments, processes, rng):
    """Kill a fit at a random moment; return where it went on and the digest of the second call."""
    path = folder / f"{number}.checkpoint"
    arguments = (name, str(path), str(folder / f"{number}.digest"), processes)
    n_states = 0 if number % 10 == 9 else rng.randint(1, len(moments) - 2)
    process = begin(arguments)
    _, over = watch(path, process, n_states)
    if not over:
        time.sleep(rng.uniform(0, moments[n_states + 1] - moments[n_states]))
    kill_all(process, path)
    place = found_at(path)
    Path(arguments[2]).unlink(missing_ok=True)
    return place, finish(arguments)[0]


def trials_of(name, given, kept):
    """Make the trials of a problem that are not there yet; return all."""
    same = {"problem": name, "processes": given.processes}
    found = [one for one in kept if same.items() <= one.items()][: given.kills]
    if len(found) == given.kills:
        return found
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        expected, _ = finish((name, "", str(folder / "undisturbed"), given.processes))
        whole = (name, str(folder / "whole"), str(folder / "written"), given.processes)
        digest, moments = finish(whole)
        assert digest == expected, "a fit that writes its states ends otherwise"
        for number in range(len(found), given.kills):
            rng = random.Random(f"{given.seed} {name} {number}")
            place, digest = trial(name, folder, number, moments, given.processes, rng)
            found.append({**same, "number": number, "place": place, "same": digest == expected})
            if given.results:
                with open(given.results, "a") as file:
                    file.write(json.dumps(found[-1]) + "\n")
    return found


def main():
    """Run the trials and print, for each problem, how many ended with the same bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", help="where trials are kept, a line each")
    parser.add_argument("--fit", nargs=3, metavar=("NAME", "PATH", "RESULT"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.fit is not None:
        name, path, result = given.fit
        digest = fit(name, path or None, True)
        if os.environ.get("RANK", "0") == "0":
            Path(result).write_text(digest)
        return
    kept = []
    if given.results and Path(given.results).exists():
        kept = [json.loads(line) for line in Path(given.results).read_text().splitlines()]
    wrong = 0
    print("| fit | kills | same bits | went on from |\n|---|---|---|---|")
    for name in given.problems:
        found = trials_of(name, given, kept)
        equal = sum(one["same"] for one in found)
        wrong += len(found) - equal
        places = Counter(one["place"] for one in found)
        where = ", ".join(f"{place} {n}" for place, n in places.most_common())
        print(f"| {name} | {len(found)} | {equal} | {where} |", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
