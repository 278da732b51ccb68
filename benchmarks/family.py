"""The deep family at its defaults, and at what two scorers choose without labels.

    python benchmarks/family.py RUNS.jsonl [--method NAME ...] [--datasets ...] [--seeds 0 1 2]
    python benchmarks/family.py RUNS.jsonl --grid    # the values of the choices
    python benchmarks/family.py RUNS.jsonl --table

Every run adds one line of JSON to the file; a run whose line stands there is not made again, so
that a killed one goes on where it was. Methods of one optimizer and as many epochs share a twin,
which is fitted on the source alone. "target" is the same network fitted on half of the target's
labels and scored on the other half; "weighted" a method with ``class_weighting="target"``.
"""

import argparse
import json
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _family_problems import CHOICES, CLASS_SETS, FAMILY
from _family_tables import print_tables, read
from _resumable import record_missing
from holds import METHODS as OF_HOLDS
from sklearn.linear_model import LogisticRegression

from sktransfer import SHOTClassifier
from sktransfer.model_selection import EntropyScorer, NeighborAgreementScorer

DIRT_T = {"dirt-t": OF_HOLDS["dirt-t"]}
METHODS = {name: kind for name, kind in OF_HOLDS.items() if name not in DIRT_T}
WEIGHTED = {
    f"{name} weighted": partial(kind, class_weighting="target")
    for name, kind in METHODS.items()
    if name not in ("mcd", "shot")
}
WEIGHTED["shot weighted"] = partial(SHOTClassifier, diversity=False, pseudo_label_weight=0.0)
TWINS = {f"{name} twin": METHODS[name] for name in ("dann", "coral", "mcc")}
KINDS = {**METHODS, **DIRT_T, **WEIGHTED, **TWINS, "target": METHODS["mcc"]}
RUNS = ["logistic", *TWINS, "target", *METHODS, *DIRT_T, *WEIGHTED]
DIRT_T_ON = ("moons", "no_shift")
FACTORS = (1 / 3, 3)  # of the default, where a method's main weight is chosen


def grid(method):
    """Return the parameters that are tried beside the default."""
    name = "pseudo_label_weight" if method == "shot" else "lambda_"
    default = KINDS[method]().get_params()[name]
    return [{name: round(float(default * factor), 4)} for factor in FACTORS]


def is_run(problem, method):
    """Whether a method is run on a problem."""
    if method in WEIGHTED:
        return problem.dataset in CLASS_SETS
    return method not in DIRT_T or problem.dataset in DIRT_T_ON


def make_estimator(problem, seed, method, params):
    """Return the estimator with what the problem and the parameters say."""
    params = {**problem.settings, **params}
    if problem.body is not None:
        torch.manual_seed(seed)
        params["feature_extractor"] = problem.body()
    clf = KINDS[method](**params, random_state=seed)
    return clf.source_only() if method in TWINS or method == "target" else clf


def halves(X, y, seed):
    """Return rows and labels of one half, then of the other."""
    order = np.random.default_rng(seed).permutation(len(y))
    first, second = order[: len(y) // 2], order[len(y) // 2 :]
    return X[first], y[first], X[second], y[second]


def run(problem, seed, method, params):
    """Return what one fit gave."""
    Xs, ys, Xt, yt = problem.rows(seed, problem.inputs[0])
    start = time.perf_counter()
    if method == "logistic":
        Xs, Xt = (X if X.ndim == 2 else X.reshape(len(X), -1) for X in (Xs, Xt))
        accuracy = LogisticRegression(max_iter=300).fit(Xs, ys).score(Xt, yt)
        return {"last": accuracy, "seconds": time.perf_counter() - start}
    clf = make_estimator(problem, seed, method, params)
    if method == "target":
        Xs, ys, Xt, yt = halves(Xt, yt, seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(Xs, ys, X_target=None if method in (*TWINS, "target") else Xt)
    record = {"last": float(np.mean(clf.predict(Xt) == yt))}
    record["seconds"] = time.perf_counter() - start
    record["entropy"] = EntropyScorer(Xt)(clf)
    record["neighbors"] = NeighborAgreementScorer(Xt)(clf, Xs, ys)
    record["warned"] = [str(w.message)[:60] for w in caught]
    return record


def planned(args):
    """Yield the problem, seed, method and parameters of each run that is asked for."""
    for seed in args.seeds:
        for problem in FAMILY:
            if args.grid and problem.name not in CHOICES:
                continue
            if args.datasets and problem.dataset not in args.datasets:
                continue
            if args.tasks and problem.task not in args.tasks:
                continue
            for method in args.method or (METHODS if args.grid else RUNS):
                if is_run(problem, method):
                    for params in grid(method) if args.grid else args.params:
                        yield problem, seed, method, params


def make_runs(args):
    """Make the runs that lack."""
    runs = (
        (
            [problem.name, method, json.dumps(params, sort_keys=True), seed],
            partial(run, problem, seed, method, params),
        )
        for problem, seed, method, params in planned(args)
    )
    record_missing(args.runs, runs, read(args.runs))


def main():
    """Make the runs that are asked for and lack, or print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--method", nargs="+", choices=RUNS)
    parser.add_argument("--params", type=json.loads, nargs="+", default=[{}])
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--tasks", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        print_tables(args.runs)
    else:
        make_runs(args)


if __name__ == "__main__":
    main()
