"""Faults without rows, on the Tennessee Eastman process, without torch.

``python benchmarks/zero_shot.py FOLDER`` prints two tables; FOLDER holds tennessee_eastman.npz.
``python benchmarks/zero_shot.py FOLDER FILE`` prints what was tried after these were known; runs
that FILE has already are not repeated.
A group's classifiers learn from the twelve other faults; what they choose, they choose by leaving
out whole ones of these.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from _resumable import run_missing, table
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktransfer.zeroshot import (
    DAPClassifier,
    ESZSLClassifier,
    LeaveClassesOut,
    SemanticAutoencoderClassifier,
    zero_shot_score,
)

# Written down before anything was fitted. The first is the task's, and the five together leave
# each of the fifteen faults out once.
GROUPS = [[4, 7, 10], [1, 6, 14], [8, 11, 12], [2, 3, 5], [9, 13, 15]]

ESTIMATORS = [
    GaussianNB(),
    make_pipeline(PCA(10, random_state=0), GaussianNB()),
    make_pipeline(PCA(20, random_state=0), GaussianNB()),
    LinearDiscriminantAnalysis(shrinkage=0.1, solver="lsqr"),
    LinearDiscriminantAnalysis(shrinkage=0.5, solver="lsqr"),
    LogisticRegression(C=0.001),
]


def make_models(descriptions, **settings):
    """Return the classifiers of the table."""
    cv = LeaveClassesOut(3, n_splits=8)
    dap = DAPClassifier(descriptions, cv=cv, **settings)
    return {
        "DAP, naive Bayes": clone(dap).set_params(estimator=GaussianNB()),
        "DAP, logistic regression": clone(dap),
        "DAP, searched": clone(dap).set_params(search={"estimator": ESTIMATORS}),
        "ESZSL": ESZSLClassifier(descriptions, cv=cv, **settings),
        "SAE": SemanticAutoencoderClassifier(descriptions, cv=cv, **settings),
    }


def with_squares(X):
    """Return the columns and their squares, which show a change of spread."""
    return np.column_stack([X, X**2])


def make_later_model(name, descriptions, seed):
    """Return a pipeline of the second table."""
    cv = LeaveClassesOut(3, n_splits=8)
    kinds = {"ESZSL": ESZSLClassifier, "SAE": SemanticAutoencoderClassifier}
    if name.endswith("squares"):
        model = kinds[name.split(",")[0]](descriptions, cv=cv)
        return make_pipeline(StandardScaler(), FunctionTransformer(with_squares), model)
    trees = ExtraTreesClassifier(50, min_samples_leaf=5, random_state=seed)
    estimators = {"trees": trees, "naive Bayes": GaussianNB()}
    chosen = [pair for pair in estimators.items() if pair[0] in name]
    estimator = VotingClassifier(chosen, voting="soft")
    return make_pipeline(StandardScaler(), DAPClassifier(descriptions, estimator=estimator))


def later(folder, file):
    """Show what was tried after the first tables were known."""
    X, y, descriptions = read_faults(folder)

    def run(name, group, seed):
        is_unseen = np.isin(y, GROUPS[group])
        pipe = make_later_model(name, descriptions, seed).fit(X[~is_unseen], y[~is_unseen])
        return pipe.score(X[is_unseen], y[is_unseen])

    groups = range(len(GROUPS))
    fixed = [(f"{name}, with squares", group, 0) for name in ("ESZSL", "SAE") for group in groups]
    averaged = ["DAP, naive Bayes and trees", "DAP, trees"]
    drawn = [(name, group, seed) for seed in range(3) for name in averaged for group in groups]
    run_missing(file, fixed + drawn, run)
    print(table(file, ["classifier", "group", "seed"], ["classifier"], "group"))


def unseen_accuracy(X, y, descriptions, unseen):
    """Yield each classifier's accuracy among the unseen faults."""
    is_unseen = np.isin(y, unseen)
    for name, model in make_models(descriptions).items():
        start = time.perf_counter()
        pipe = make_pipeline(StandardScaler(), model).fit(X[~is_unseen], y[~is_unseen])
        score = pipe.score(X[is_unseen], y[is_unseen])
        yield name, score, time.perf_counter() - start, model.best_score_, model.best_params_


def generalised(X, y, descriptions, unseen):
    """Yield the scores among all faults, a quarter of the seen ones' rows held out."""
    is_unseen = np.isin(y, unseen)
    seen = np.flatnonzero(~is_unseen)
    train, test = next(
        (seen[a], seen[b])
        for a, b in StratifiedKFold(4, shuffle=True, random_state=0).split(seen, y[seen])
    )
    test = np.concatenate([test, np.flatnonzero(is_unseen)])
    for calibration in (0.0, "auto"):
        models = make_models(descriptions, candidates="all", calibration=calibration)
        for name in ("DAP, naive Bayes", "ESZSL"):
            pipe = make_pipeline(StandardScaler(), models[name]).fit(X[train], y[train])
            score = zero_shot_score(y[test], pipe.predict(X[test]), models[name].seen_classes_)
            yield f"{name}, calibration={calibration!r}", score


def read_faults(folder):
    """Return readings, faults and a description of each fault."""
    data = np.load(folder / "tennessee_eastman.npz")
    descriptions = {k + 1: vector for k, vector in enumerate(data["attributes"])}
    return data["X"].astype(float), data["fault"].astype(int), descriptions


def main(folder):
    """Show both tables."""
    X, y, descriptions = read_faults(folder)
    table, generalised_table = {}, {}
    for unseen in GROUPS:
        for name, score, seconds, inner, chosen in unseen_accuracy(X, y, descriptions, unseen):
            table.setdefault(name, []).append(score)
            print(
                unseen, name, f"{score:.3f}", f"{seconds:.1f} s", f"{inner:.3f}", chosen, flush=True
            )
    for unseen in GROUPS:
        for name, score in generalised(X, y, descriptions, unseen):
            generalised_table.setdefault(name, []).append(score)
    for name, scores in table.items():
        cells = " | ".join(f"{score:.3f}" for score in [*scores, np.mean(scores)])
        print(f"| {name} | {cells} |")
    for name, scores in generalised_table.items():
        cells = " | ".join(f"{score:.3f}" for score in np.mean(scores, axis=0))
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="sklearn")
    folder, *file = sys.argv[1:]
    (later if file else main)(Path(folder), *file)
