"""Aligners: the JDA paper's figures, every aligner beside none, and speed beside skada.

    python benchmarks/alignment.py published   # 1-NN, TCA and JDA on digits and objects
    python benchmarks/alignment.py accuracy    # each at defaults, with LogisticRegression

Optimal transport by plans needs POT. The photos' features are those of `_holds_features.py`.
"""

import os
import sys
import time
import warnings
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import scipy.sparse
from sklearn.datasets import get_data_home
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from sktransfer.alignment import (
    CORAL,
    JDA,
    TCA,
    DomainStandardScaler,
    FeatureAugmentation,
    OptimalTransport,
    SubspaceAlignment,
)
from sktransfer.model_selection import make_transfer_pipeline

DATA = Path(
    os.environ.get("SKTRANSFER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
PHOTOS = Path(get_data_home()) / "sktransfer_office_caltech.npz"

ALIGNERS = {
    "domain scaler": [DomainStandardScaler()],
    "CORAL": [CORAL()],
    "scaler + CORAL": [DomainStandardScaler(), CORAL()],
    "SA": [SubspaceAlignment()],
    "scaler + SA": [DomainStandardScaler(), SubspaceAlignment()],
    "TCA": [TCA(random_state=0)],
    "JDA": [JDA(random_state=0)],
    "OT linear": [OptimalTransport()],
    "OT exact": [OptimalTransport("exact")],
    "OT sinkhorn": [OptimalTransport("sinkhorn")],
    "OT class": [OptimalTransport("class_regularized")],
}


def protocol():
    """Return the rows of the JDA paper: digits and objects, each of length 1."""
    with np.load(DATA / "jda_digits_objects.npz") as data:
        names = "USPS", "MNIST", "COIL1", "COIL2"
        return {n: (normalize(data[f"{n}_X"].astype(float)), data[f"{n}_y"]) for n in names}


def published():
    """Print accuracies with one neighbour, for 100 components and lambda 0.1."""
    domains = protocol()
    pairs = [("USPS", "MNIST"), ("MNIST", "USPS"), ("COIL1", "COIL2"), ("COIL2", "COIL1")]
    print("| task | 1-NN | TCA | JDA | published |\n|---|---|---|---|---|")
    papers = ".447/.511/.597", ".659/.563/.673", ".836/.885/.893", ".828/.858/.885"
    for (source, target), paper in zip(pairs, papers, strict=True):
        (X, y), (Z, z) = domains[source], domains[target]
        plain = KNeighborsClassifier(1).fit(X, y).score(Z, z)
        # The authors' code divides d d' by its norm, 1 / n_S + 1 / n_T.
        mu = 0.1 * (1 / len(X) + 1 / len(Z))
        tca = make_transfer_pipeline(
            TCA(100, kernel=None, regularization=mu), KNeighborsClassifier(1)
        )
        jda = make_transfer_pipeline(
            JDA(100, regularization=0.1, normalize=True), KNeighborsClassifier(1)
        )
        scores = [pipe.fit(X, y, X_target=Z).score(Z, z) for pipe in (tca, jda)]
        cells = " | ".join(f"{score:.4f}" for score in [plain, *scores])
        print(f"| {source} -> {target} | {cells} | {paper} |", flush=True)


def problems():
    """Yield ``data set, source, target`` with rows and labels, at most 2,000 rows each."""
    for source, target in permutations(protocol(), 2):
        if source[:4] == target[:4] or {source, target} == {"USPS", "MNIST"}:
            yield "digits, objects", protocol()[source], protocol()[target]
    with np.load(DATA / "bearings_fan_end.npz") as data:
        X, y, load = np.abs(np.fft.rfft(data["X"].astype(np.float32))), data["y"], data["load"]
    for source, target in permutations(range(4), 2):
        yield "bearings", *((X[load == n].astype(float), y[load == n]) for n in (source, target))
    with np.load(DATA / "newsgroups.npz") as data:
        parts = {}
        for name in ("comp_vs_sci_1", "comp_vs_sci_2", "rec_vs_talk_1", "rec_vs_talk_2"):
            matrix = tuple(data[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
            y = data[f"{name}_y"]
            parts[name] = scipy.sparse.csr_array(matrix, shape=(len(y), 2000)).toarray(), y
    for one, two in list(pairwise(parts))[::2]:
        yield "newsgroups", parts[one], parts[two]
        yield "newsgroups", parts[two], parts[one]
    with np.load(PHOTOS) as data:
        names = "amazon", "caltech10", "dslr", "webcam"
        photos = {n: (data[f"{n}_X"].astype(float), data[f"{n}_y"]) for n in names}
    for source, target in permutations(names, 2):
        yield "office_caltech", photos[source], photos[target]


def few_labels(y, per_class, seed):
    """Return `y` with labels of few rows of each class, None elsewhere."""
    rng = np.random.default_rng(seed)
    known = np.concatenate(
        [rng.permutation(np.flatnonzero(y == label))[:per_class] for label in np.unique(y)]
    )
    labels = np.full(len(y), None)
    labels[known] = y[known]
    return labels, np.setdiff1d(np.arange(len(y)), known)


def accuracy():
    """Print the mean accuracy of each aligner at defaults by data set, and its gain."""
    scores = {}
    for dataset, (X, y), (Z, z) in problems():
        of_problem = {}
        for name, steps in {"plain": [], **ALIGNERS}.items():
            started = time.perf_counter()
            pipe = make_transfer_pipeline(*steps, LogisticRegression(max_iter=1000))
            of_problem[name] = pipe.fit(X, y, X_target=Z if steps else None).score(Z, z)
            print(dataset, name, f"{of_problem[name]:.3f}", file=sys.stderr, end=" ")
            print(f"{time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
        y_target, rest = few_labels(z, 3, seed=0)
        for name, steps in {
            "few: stacked": ["passthrough"],
            "few: FA": [FeatureAugmentation()],
        }.items():
            pipe = make_transfer_pipeline(*steps, LogisticRegression(max_iter=1000))
            pipe.fit(X, y, X_target=Z, y_target=y_target)
            of_problem[name] = pipe.score(Z[rest], z[rest])
        for name, score in of_problem.items():
            scores.setdefault(name, {}).setdefault(dataset, []).append(score)
    datasets = list(scores["plain"])
    print(f"| aligner | {' | '.join(datasets)} | mean gain |\n|{'---|' * (len(datasets) + 2)}")
    for name, by_dataset in scores.items():
        base = scores["few: stacked" if name.startswith("few") else "plain"]
        means = [np.mean(by_dataset[d]) for d in datasets]
        gain = np.mean([np.mean(by_dataset[d]) - np.mean(base[d]) for d in datasets])
        print(f"| {name} | {' | '.join(f'{m:.3f}' for m in means)} | {gain:+.3f} |")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "No step of the pipeline takes X_target")
    for part in sys.argv[1:] or ["published", "accuracy"]:
        globals()[part]()
