"""Can a method and its lambda be chosen without labels? Scorers, judged on the suite of `holds.py`.

    python benchmarks/choices.py RUNS.jsonl [--seeds 0 1] [--datasets moons office ...]
    python benchmarks/choices.py RUNS.jsonl --table

On each problem, source-standardised, all settings are fitted to two thirds of the source; the last
third is for the scorers that want labelled rows of the source, as a search with cv=3 has them. The
choice of a scorer is what it scores highest, ties by their mean. Ensemble agreement is the share of
target rows on which a fit agrees with the mean of all settings' probabilities (Hu et al., "Towards
Reliable Model Selection for Unsupervised Domain Adaptation", NeurIPS 2024); "the ensemble" predicts
by this mean and chooses nothing.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from _holds_problems import PROBLEMS
from _resumable import read, record_missing
from holds import make_estimator
from sklearn.model_selection import train_test_split

from sktransfer.model_selection import (
    ClassAMIScorer,
    EntropyScorer,
    InfoMaxScorer,
    NeighborAgreementScorer,
    SNDScorer,
)

TWIN, DEFAULT = "source only", "dann 1"
SETTINGS = {
    TWIN: ("dann", {}),
    "dann 0.1": ("dann", {"lambda_": 0.1}),
    "dann 0.3": ("dann", {"lambda_": 0.3}),
    DEFAULT: ("dann", {}),
    "dann 3": ("dann", {"lambda_": 3.0}),
    "coral 1": ("coral", {}),
    "coral 10": ("coral", {"lambda_": 10.0}),
    "mcc 1": ("mcc", {}),
}
SCORERS = (NeighborAgreementScorer, SNDScorer, ClassAMIScorer, InfoMaxScorer, EntropyScorer)
TASKS = 2
ENSEMBLE = "ensemble agreement"


def fit_settings(problem, seed):
    """Yield name, accuracy on the target, probabilities there, and scores by name."""
    Xs, ys, Xt, yt = problem.rows(seed, "source")
    fitted, held_out, y, y_held_out = train_test_split(
        Xs, ys, test_size=1 / 3, stratify=ys, random_state=seed
    )
    scorers = {kind.__name__: kind(Xt) for kind in SCORERS}
    for name, (method, params) in SETTINGS.items():
        clf = make_estimator(problem, method, params, seed)
        if name == TWIN:
            clf = clf.source_only().fit(fitted, y)
        else:
            clf.fit(fitted, y, X_target=Xt)
        scores = {n: float(score(clf, held_out, y_held_out)) for n, score in scorers.items()}
        scores["source accuracy"] = float(clf.score(held_out, y_held_out))
        yield name, float(clf.score(Xt, yt)), clf.predict_proba(Xt), scores


def judge(problem, seed):
    """Return for all settings their accuracy and scores, and the accuracy of their ensemble."""
    names, accuracies, probabilities, scores = zip(*fit_settings(problem, seed), strict=True)
    classes = np.unique(problem.rows(seed, "source")[1])
    answers = classes[np.argmax(np.mean(probabilities, axis=0), axis=1)]
    for own, p in zip(scores, probabilities, strict=True):
        own[ENSEMBLE] = float(np.mean(classes[np.argmax(p, axis=1)] == answers))
    return {
        "accuracy": dict(zip(names, accuracies, strict=True)),
        "scores": dict(zip(names, scores, strict=True)),
        "ensemble": float(np.mean(answers == problem.rows(seed, "source")[3])),
    }


def problems(datasets):
    """Yield tables and texts, no images: at most two tasks of each data set."""
    seen = {}
    for problem in PROBLEMS:
        seen[problem.dataset] = seen.get(problem.dataset, 0) + 1
        wanted = datasets is None or problem.dataset in datasets
        if wanted and problem.body is None and seen[problem.dataset] <= TASKS:
            yield problem


def chosen_accuracies(line):
    """Return the target accuracy that each way of choosing leads to."""
    accuracy = pd.Series(line["accuracy"])
    scores = pd.DataFrame(line["scores"]).T.loc[accuracy.index]
    chosen = {name: accuracy[s == s.max()].mean() for name, s in scores.items()}
    return chosen | {
        "the ensemble": line["ensemble"],
        "no choice: DANNClassifier()": accuracy[DEFAULT],
        "no choice: DeepCORALClassifier()": accuracy["coral 1"],
        "no choice: MCCClassifier()": accuracy["mcc 1"],
        "source only": accuracy[TWIN],
        "a choice at random": accuracy.mean(),
        "best": accuracy.max(),
    }


def table(lines):
    """Return Markdown: accuracy lost against the best setting, by data set, least loss first."""
    rows = pd.DataFrame(
        [{"dataset": line["key"][0].split(":")[0], **chosen_accuracies(line)} for line in lines]
    )
    means = rows.groupby("dataset").mean()
    lost = (means.pop("best").to_numpy()[:, np.newaxis] - means).T
    lost["mean"] = lost.mean(axis=1)
    lost["mean without harm"] = lost.drop(columns=["mean", "harm"], errors="ignore").mean(axis=1)
    return lost.sort_values("mean").to_markdown(floatfmt=".3f")


def main():
    """Make the runs that lack, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if not args.table:
        runs = (
            ([problem.name, seed], partial(judge, problem, seed))
            for seed in args.seeds
            for problem in problems(args.datasets)
        )
        record_missing(args.runs, runs)
    print(table(read(args.runs)))


if __name__ == "__main__":
    main()
