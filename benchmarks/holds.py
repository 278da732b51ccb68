"""Do the defaults of adaptation hold? Each method against its twin that sees no target.

    python benchmarks/holds.py RUNS.jsonl [options]
    python benchmarks/holds.py RUNS.jsonl --table

Every run adds one line of JSON to the file; a run whose line stands there is not made again, so
that a killed one goes on where it was. ``--method NAME --params JSON [JSON ...]`` runs a method
with other parameters than its defaults; ``{"random_state": 1}`` is another start on the same rows,
and ``weight_decay`` stands for an optimizer AdamW with the method's momentum. The twin of a method
is its `source_only()`, with the same parameters, fitted on the source alone. All target rows are
scored; their labels are seen by nothing else.
"""

import argparse
import json
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from _holds_problems import INPUTS, PROBLEMS
from _holds_tables import TWIN, file_of, make_tables, twin_params
from _resumable import read, record_missing
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback

from sktransfer import (
    CDANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DeepJDOTClassifier,
    DeepMMDClassifier,
    DomainConfusionClassifier,
    MCCClassifier,
    MCDClassifier,
    SHOTClassifier,
    VADAClassifier,
)
from sktransfer.engine._optimizers import OPTIMIZERS

METHODS = {
    "dann": DANNClassifier,
    "coral": DeepCORALClassifier,
    "mcc": MCCClassifier,
    "cdan": CDANClassifier,
    "dan": DeepMMDClassifier,
    "jan": partial(DeepMMDClassifier, joint=True),
    "jdot": DeepJDOTClassifier,
    "mcd": MCDClassifier,
    "shot": SHOTClassifier,
    "confusion": DomainConfusionClassifier,
    "vada": VADAClassifier,
    "dirt-t": partial(VADAClassifier, dirt_t_epochs=30),
}
RUNS = ["logistic", *METHODS, *(name + TWIN for name in METHODS)]
FLIP_EPOCHS = 10


class TargetCurve(Callback):
    """Record each epoch's accuracy on the target, and how many predictions it changed."""

    def __init__(self, X, y):
        self.X = X
        self.y = y

    def on_train_begin(self, net, **kwargs):
        """Forget the last fit."""
        self.predictions_ = []

    def on_epoch_end(self, net, **kwargs):
        """Predict."""
        self.predictions_.append(net.predict(self.X))

    def accuracies(self):
        """Return the target accuracy of each epoch."""
        return [float(np.mean(answers == self.y)) for answers in self.predictions_]

    def flips(self):
        """Return the mean share of rows whose class changes between two of the last epochs."""
        late = np.array(self.predictions_[-FLIP_EPOCHS:])
        return float(np.mean(late[1:] != late[:-1])) if len(late) > 1 else 0.0

    def disagreement(self, final):
        """Return the mean share of rows that one of the last epochs answers otherwise."""
        return float(np.mean(np.array(self.predictions_[-FLIP_EPOCHS:]) != final))


def run_logistic(problem, inputs, seed):
    """Return the accuracy of logistic regression on the source."""
    Xs, ys, Xt, yt = problem.rows(seed, inputs)
    flat = [X if X.ndim == 2 else X.reshape(len(X), -1) for X in (Xs, Xt)]
    start = time.perf_counter()
    clf = LogisticRegression(max_iter=300).fit(flat[0], ys)
    return {"last": clf.score(flat[1], yt), "seconds": time.perf_counter() - start}


def with_weight_decay(optimizer, weight_decay):
    """Return decoupled weight decay beside the optimizer of this name."""
    momentum = getattr(OPTIMIZERS[optimizer], "keywords", {})  # none are Adam's own
    return partial(torch.optim.AdamW, **momentum, weight_decay=weight_decay, fused=True)


def make_estimator(problem, method, params, seed):
    """Return the estimator with what the problem and the parameters say."""
    params = {"random_state": seed, **problem.settings, **params}
    if "weight_decay" in params:
        given = METHODS[method]().optimizer
        params["optimizer"] = with_weight_decay(given, params.pop("weight_decay"))
    if problem.body is not None:
        torch.manual_seed(seed)
        params["feature_extractor"] = problem.body()
    return METHODS[method](**params)


def run(problem, inputs, seed, method, params, twin, probabilities=None):
    """Return what one fit gave; write its probabilities on the target to this file."""
    Xs, ys, Xt, yt = problem.rows(seed, inputs)
    clf = make_estimator(problem, method, params, seed)
    clf = clf.source_only() if twin else clf
    clf.set_params(callbacks=[TargetCurve(Xt, yt)])
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(Xs, ys, X_target=None if twin else Xt)
    seconds = time.perf_counter() - start
    final = clf.predict(Xt)
    if probabilities is not None:
        answers = np.searchsorted(clf.classes_, yt)
        np.savez_compressed(probabilities, p=clf.predict_proba(Xt).astype("f4"), y=answers)
    # The estimator works with a copy of the callback that it is given.
    curve = next(c for _, c in clf.net_.callbacks_ if isinstance(c, TargetCurve))
    accuracies, history = curve.accuracies(), clf.history_
    late = history[-FLIP_EPOCHS:]
    record = {
        "last": float(np.mean(final == yt)),
        "last_epoch": accuracies[-1],
        "best": max(accuracies),
        "best_epoch": int(np.argmax(accuracies)) + 1,
        "curve": [round(a, 3) for a in accuracies[:: max(1, len(accuracies) // 20)]],
        "flips": curve.flips(),
        "disagreement": curve.disagreement(final),
        "label_loss": late[-1].get("label_loss"),
        "n_epochs": len(history),
        "seconds": seconds,
        "warned": [str(w.message)[:60] for w in caught],
    }
    for name in ("domain_loss", "domain_accuracy"):
        if name in late[-1]:
            record[name] = [epoch[name] for epoch in late]
    return record


def key_of(problem, inputs, method, params, seed):
    """Return what tells a run from all others."""
    return [problem.name, inputs, method, json.dumps(params, sort_keys=True), seed]


def main():
    """Make the runs that are asked for and lack, or print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--method", nargs="+", default=RUNS)
    parser.add_argument("--params", type=json.loads, nargs="+", default=[{}])
    parser.add_argument("--grid", type=Path, help="a file of settings by method, for --params")
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--tasks", type=int, help="so many tasks of each data set")
    parser.add_argument("--inputs", nargs="+", default=list(INPUTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--probabilities", type=Path, help="a folder for those of each fit")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        print(make_tables(read(args.runs), args.probabilities))
    else:
        record_missing(args.runs, planned(args))


def planned(args):
    """Yield the key of each run that is asked for, and what makes it."""
    for seed, problem, inputs, method, given in wanted(args):
        params = params_of(method, given)
        key = key_of(problem, inputs, method, params, seed)
        file = None if args.probabilities is None else file_of(key, args.probabilities)
        yield key, partial(make_run, problem, inputs, seed, method, params, file)


def wanted(args):
    """Yield seed, problem, inputs, method and parameters of the runs that are asked for."""
    grid = {} if args.grid is None else json.loads(args.grid.read_text())
    for seed, problem, inputs in product(args.seeds, chosen(args), args.inputs):
        if inputs in problem.inputs:
            for method in args.method:
                for params in grid.get(method.removesuffix(TWIN), args.params):
                    yield seed, problem, inputs, method, params


def params_of(method, params):
    """Return those of the parameters that decide what the method gives."""
    if method == "logistic":
        return {}
    return twin_params(params) if method.endswith(TWIN) else params


def chosen(args):
    """Return the problems that are asked for."""
    problems, counts = [], {}
    for problem in PROBLEMS:
        counts[problem.dataset] = counts.get(problem.dataset, 0) + 1
        if args.datasets and problem.dataset not in args.datasets:
            continue
        if args.tasks and counts[problem.dataset] > args.tasks:
            continue
        problems.append(problem)
    return problems


def make_run(problem, inputs, seed, method, params, probabilities=None):
    """Make one run of a method, of its twin, or of logistic regression."""
    if method == "logistic":
        return run_logistic(problem, inputs, seed)
    twin = method.endswith(TWIN)
    return run(problem, inputs, seed, method.removesuffix(TWIN), params, twin, probabilities)


if __name__ == "__main__":
    main()
