"""Related tasks on real data.

``python benchmarks/tasks.py FOLDER school`` prints a table of linear models; FOLDER holds
school.npz. ``python benchmarks/tasks.py FOLDER networks FILE`` prints one of networks on the same
splits, with their defaults; runs that FILE has already are not repeated. ``python
benchmarks/tasks.py FOLDER strengths`` prints R^2 of a strength of 1 and of the chosen one.
"""

import sys
import time
from pathlib import Path

import numpy as np
import sklearn
from _resumable import run_missing, table
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_friedman1, make_regression
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer.multitask import (
    MeanRegularizedRegressor,
    MultiTaskRegressor,
    TaskRelationshipRegressor,
)

SEEDS = range(5)
STRENGTHS = [0.3, 1.0, 3.0, 10.0, 30.0]
MODELS = {
    "each school alone": MeanRegularizedRegressor(mean_strength=np.inf),
    "mean-regularised": MeanRegularizedRegressor(mean_strength=0.001),
    "MTRL, as published": TaskRelationshipRegressor(),
    "MTRL with a mean": TaskRelationshipRegressor(mean_strength=0.001),
}
NETWORKS = {
    "for all": MultiTaskRegressor(),
    "a head for each school": MultiTaskRegressor(),
}


def explained(y, predicted):
    """Return the share of the variance over all rows that is explained."""
    return 1 - np.mean((y - predicted) ** 2) / np.var(y)


def search(model, X, y, task):
    """Return the pipeline with the strength of least squared error in 3 inner folds, refitted."""
    best = {}
    for strength in STRENGTHS:
        pipe = make_pipeline(StandardScaler(), clone(model))
        pipe[-1].set_params(strength=strength)
        error = 0.0
        for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(X, task):
            pipe.fit(X[train], y[train], task=task[train])
            error += np.sum((pipe.predict(X[test], task=task[test]) - y[test]) ** 2)
        best[strength] = error
    strength = min(best, key=best.get)
    pipe[-1].set_params(strength=strength)
    start = time.perf_counter()
    return pipe.fit(X, y, task=task), strength, time.perf_counter() - start


def read_schools(folder):
    """Return features, scores and schools."""
    data = np.load(folder / "school.npz")
    return [data[name].astype(float) for name in ("X", "y", "school")]


def split(y, seed):
    """Return three quarters of the rows, and the others."""
    order = np.random.default_rng(seed).permutation(len(y))
    cut = round(0.75 * len(y))
    return order[:cut], order[cut:]


def networks(folder, file):
    """Show explained variance of networks."""
    X, y, task = read_schools(folder)

    def run(measure, name, seed):
        train, test = split(y, seed)
        scaler = StandardScaler().fit(X[train])
        rows = [scaler.transform(X[part]).astype(np.float32) for part in (train, test)]
        model = clone(NETWORKS[name]).set_params(random_state=seed)
        tasks = np.zeros_like(task) if name == "for all" else task
        model.fit(rows[0], y[train], task=tasks[train])
        return explained(y[test], model.predict(rows[1], task=tasks[test]))

    measure = "explained variance"
    run_missing(file, [(measure, name, seed) for seed in SEEDS for name in NETWORKS], run)
    print(table(file, ["measure", "network", "split"], ["network"], "measure"))


def school(folder):
    """Show explained variance on schools, with the strength by inner folds."""
    X, y, task = read_schools(folder)
    results = {}
    for seed in SEEDS:
        train, test = split(y, seed)
        pooled = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
        pooled.fit(X[train], y[train])
        results.setdefault("one ridge", []).append(
            (explained(y[test], pooled.predict(X[test])), np.nan, np.nan)
        )
        with sklearn.config_context(enable_metadata_routing=True):
            for name, model in MODELS.items():
                fitted, strength, seconds = search(model, X[train], y[train], task[train])
                score = explained(y[test], fitted.predict(X[test], task=task[test]))
                results.setdefault(name, []).append((score, strength, seconds))
    print("| | explained variance | strengths chosen | seconds of a fit |\n|---|---|---|---|")
    for name, rows in results.items():
        scores, strengths, seconds = np.array(rows).T
        print(
            f"| {name} | {scores.mean():.3f} ({scores.std():.3f}) | {strengths.tolist()} "
            f"| {seconds.mean():.2f} |"
        )


def two_tasks(X, y, seed, n_labels=30):
    """Return each row's task, of two drawn at random, and rows with labels and without."""
    order = np.random.default_rng(seed).permutation(len(X))
    task, half = np.zeros(len(X), int), len(X) // 2
    task[order[:half]] = 1
    train = np.concatenate([order[:n_labels], order[half : half + n_labels]])
    return task, train, np.setdiff1d(order, train)


def few_of_each(task, seed, n_rows=10):
    """Return so many rows of each task, and the others."""
    order = np.random.default_rng(seed).permutation(len(task))
    few = np.concatenate([np.flatnonzero(task[order] == one)[:n_rows] for one in np.unique(task)])
    return order[few], np.delete(order, few)


def strengths(folder):
    """Show explained variance of a strength of 1, of the chosen one, and of other models."""
    pupils, scores, schools = read_schools(folder)
    problems = {
        "linear": lambda seed: make_regression(
            600, 20, n_informative=10, noise=20, random_state=seed
        ),
        "curved": lambda seed: make_friedman1(600, random_state=seed),
        "diabetes": lambda seed: load_diabetes(return_X_y=True),
    }
    tables = {
        f"{name}, 2 tasks of 30": [(*make(s), *two_tasks(*make(s), s)) for s in SEEDS]
        for name, make in problems.items()
    }
    for name, drawn in (("10 pupils", few_of_each), ("three quarters", None)):
        tables[f"schools, {name}"] = [
            (pupils, scores, schools, *(drawn(schools, s) if drawn else split(scores, s)))
            for s in SEEDS[:3]
        ]
    for name, draws in tables.items():
        found = {}
        for X, y, task, train, test in draws:
            X = StandardScaler().fit(X[train]).transform(X)
            alone = np.full(len(test), y[train].mean())
            for one in np.unique(task[test]):
                of_task = train[task[train] == one]
                if len(of_task):
                    here = task[test] == one
                    alone[here] = Ridge().fit(X[of_task], y[of_task]).predict(X[test][here])
            found.setdefault("Ridge() for each", []).append(explained(y[test], alone))
            for label, model in {
                "one RidgeCV": RidgeCV(np.logspace(-3, 4, 22)),
                "MeanRegularizedRegressor()": MeanRegularizedRegressor(),
                "strength 1": TaskRelationshipRegressor(1.0),
                "chosen": TaskRelationshipRegressor(),
            }.items():
                tasks = {} if label == "one RidgeCV" else {"task": task[train]}
                to_predict = {} if label == "one RidgeCV" else {"task": task[test]}
                model.fit(X[train], y[train], **tasks)
                score = explained(y[test], model.predict(X[test], **to_predict))
                found.setdefault(label, []).append(score)
        for label, values in found.items():
            print(f"{name:28} {label:28} {np.mean(values):.3f} ({np.std(values):.3f})", flush=True)


if __name__ == "__main__":
    {"school": school, "networks": networks, "strengths": strengths}[sys.argv[2]](
        Path(sys.argv[1]), *sys.argv[3:]
    )
