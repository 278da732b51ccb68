"""How often is `adaptation_report` right without labels? Verdicts beside what labels say.

    python benchmarks/verdicts.py RUNS.jsonl [--seeds 0 1]
    python benchmarks/verdicts.py RUNS.jsonl --table

On the problems of `holds.py`, source-standardised, at most two tasks a data set. Lost and gained
mean a target accuracy .03 below and above that of the source-only twin.
"""

import argparse
from collections import Counter
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from _holds_problems import PROBLEMS
from _resumable import read, record_missing
from holds import make_estimator

from sktransfer.model_selection import adaptation_report

METHODS = ("dann", "coral")
TASKS, MARGIN = 2, 0.03


def judge(problem, seed, method):
    """Return the verdict of a fit, its figures and what it gained over its twin."""
    Xs, ys, Xt, yt = problem.rows(seed, "source")
    clf = make_estimator(problem, method, {}, seed)
    clf.fit(Xs, ys, X_target=Xt)
    report = adaptation_report(clf, Xs, ys, Xt)
    gain = np.mean(clf.predict(Xt) == yt) - np.mean(report.source_only.predict(Xt) == yt)
    return {"verdict": report.verdict, "gain": float(gain), "figures": report.figures}


def problems():
    """Yield tables and texts, no images: at most two tasks of each data set."""
    seen = Counter()
    for problem in PROBLEMS:
        seen[problem.dataset] += 1
        if problem.body is None and seen[problem.dataset] <= TASKS:
            yield problem


def table(lines):
    """Return how often each verdict stands for what."""
    counts = Counter()
    for line in lines:
        gain = line["gain"]
        truth = "lost" if gain <= -MARGIN else "gained" if gain >= MARGIN else "neither"
        counts[line["verdict"], truth] += 1
    names = ("lost", "neither", "gained")
    rows = [
        f"| {verdict} | " + " | ".join(str(counts[verdict, truth]) for truth in names) + " |"
        for verdict in ("helped", "nothing", "harm", "unclear")
    ]
    return "\n".join(["| verdict | lost | neither | gained |", "|---|---|---|---|", *rows])


def main():
    """Make the runs that lack, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if not args.table:
        runs = (
            ([problem.name, method, seed], partial(judge, problem, seed, method))
            for seed, problem, method in product(args.seeds, problems(), METHODS)
        )
        record_missing(args.runs, runs)
    print(table(read(args.runs)))


if __name__ == "__main__":
    main()
