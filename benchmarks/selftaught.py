"""Representations from rows without labels, beside raw rows and PCA, before logistic regression.

    python benchmarks/selftaught.py msda    # newsgroups, spectra of bearings: source to target
    python benchmarks/selftaught.py pretrain  # tables with 10 % labels, MNIST for other digits
    python benchmarks/selftaught.py size    # 30,000 x 5,000 sparse rows: seconds and memory

The data lie in ``$SKTRANSFER_DATA``, by default ``../shared/data`` beside the repository.
"""

import os
import resource
import sys
import time
from itertools import permutations
from pathlib import Path

import numpy as np
import scipy.sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from sktransfer import AutoencoderPretrainer, ContrastivePretrainer, FineTuneClassifier
from sktransfer.model_selection import make_transfer_pipeline
from sktransfer.selftaught import MarginalizedDenoisingAutoencoder

DATA = Path(
    os.environ.get("SKTRANSFER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)

# Passes over the unlabelled rows; the rest takes the default.
EPOCHS = {"MNIST -> digits, 5 a class": 10}


def newsgroups():
    """Return rows and labels of the four tasks by name."""
    parts = {}
    with np.load(DATA / "newsgroups.npz") as data:
        for name in ("comp_vs_sci_1", "comp_vs_sci_2", "rec_vs_talk_1", "rec_vs_talk_2"):
            matrix = tuple(data[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
            y = data[f"{name}_y"]
            parts[name] = scipy.sparse.csr_array(matrix, shape=(len(y), 2000)), y
    return parts


def spectra():
    """Return the bearings' spectra and fault classes by load."""
    with np.load(DATA / "bearings_fan_end.npz") as data:
        X, y, load = np.abs(np.fft.rfft(data["X"].astype(np.float32))), data["y"], data["load"]
    return {n: (X[load == n].astype(float), y[load == n]) for n in range(4)}


def directions():
    """Yield data set, source and target."""
    parts = newsgroups()
    for one, two in (("comp_vs_sci_1", "comp_vs_sci_2"), ("rec_vs_talk_1", "rec_vs_talk_2")):
        yield f"{one} -> 2", parts[one], parts[two]
        yield f"{two} -> 1", parts[two], parts[one]
    loads = spectra()
    for one, two in permutations(range(4), 2):
        yield f"bearings {one} -> {two}", loads[one], loads[two]


def classifier():
    """Return what comes last in each pipeline."""
    return LogisticRegression(max_iter=2000)


def msda():
    """Print accuracies on the target."""
    print("| task | raw | SVD of both | mSDA of the source | mSDA of both |\n|---|---|---|---|---|")
    scores = []
    for name, (X, y), (X_target, y_target) in directions():
        scale = MaxAbsScaler().fit(X)
        X, X_target = scale.transform(X), scale.transform(X_target)
        both = (
            scipy.sparse.vstack([X, X_target]) if scipy.sparse.issparse(X) else np.r_[X, X_target]
        )
        svd = TruncatedSVD(100, random_state=0).fit(both)
        features = MarginalizedDenoisingAutoencoder(random_state=0)
        row = [
            classifier().fit(X, y).score(X_target, y_target),
            classifier().fit(svd.transform(X), y).score(svd.transform(X_target), y_target),
            make_pipeline(features, classifier()).fit(X, y).score(X_target, y_target),
            make_transfer_pipeline(features, classifier())
            .fit(X, y, X_target=X_target)
            .score(X_target, y_target),
        ]
        scores.append(row)
        print(f"| {name} | {' | '.join(f'{s:.3f}' for s in row)} |", flush=True)
    for name, part in (("newsgroups", scores[:4]), ("bearings", scores[4:])):
        print(f"| mean of {name} | {' | '.join(f'{s:.3f}' for s in np.mean(part, axis=0))} |")


def size():
    """Print what 30,000 sparse rows of 5,000 features cost."""
    X = scipy.sparse.random_array((30_000, 5_000), density=0.01, rng=0, format="csr")
    for dtype in (np.float64, np.float32):
        started = time.perf_counter()
        shape = (
            MarginalizedDenoisingAutoencoder(random_state=0).fit_transform(X.astype(dtype)).shape
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        seconds = time.perf_counter() - started
        print(
            f"{np.dtype(dtype).name}: {shape}, {seconds:.0f} s, most memory so far {peak:.1f} GiB"
        )


def tables():
    """Yield name, rows without labels, labelled rows, their labels, test rows and labels."""
    for name, load in (
        ("breast cancer", load_breast_cancer),
        ("wine", load_wine),
        ("digits", load_digits),
    ):
        X, y = load(return_X_y=True)
        for seed in range(5):
            X_train, X_test, y_train, y_test = train_test_split(
                X, y, test_size=0.3, stratify=y, random_state=seed
            )
            scale = StandardScaler().fit(X_train)
            X_train, X_test = scale.transform(X_train), scale.transform(X_test)
            few, _ = train_test_split(
                np.arange(len(y_train)),
                train_size=max(0.1, 4 * len(set(y)) / len(y_train)),
                stratify=y_train,
                random_state=seed,
            )
            yield f"{name}, 10 % labels", seed, X_train, X_train[few], y_train[few], X_test, y_test
    with np.load(DATA / "mnist.npz") as data:
        unlabelled = data["X_train"][:10_000].astype(np.float64)
    unlabelled = (
        np.pad(unlabelled, ((0, 0), (2, 2), (2, 2)))
        .reshape(-1, 8, 4, 8, 4)
        .mean(axis=(2, 4))
        .reshape(-1, 64)
        / 255
    )
    X, y = load_digits(return_X_y=True)
    X = X / 16
    for seed in range(5):
        rng = np.random.default_rng(seed)
        few = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:5] for k in range(10)])
        rest = np.setdiff1d(np.arange(len(y)), few)
        yield "MNIST -> digits, 5 a class", seed, unlabelled, X[few], y[few], X[rest], y[rest]


def pretrain():
    """Print accuracies with few labels, means of 5 seeds and their standard deviations."""
    scores = {}
    for name, seed, unlabelled, X, y, X_test, y_test in tables():
        contrast = ContrastivePretrainer(max_epochs=EPOCHS.get(name, 100), random_state=seed).fit(
            unlabelled
        )
        restore = AutoencoderPretrainer(max_epochs=EPOCHS.get(name, 100), random_state=seed).fit(
            unlabelled
        )
        pca = PCA(min(30, unlabelled.shape[1]), random_state=seed).fit(unlabelled)
        found = {"raw": (X, X_test)} | {
            label: (step.transform(X), step.transform(X_test))
            for label, step in (("PCA", pca), ("contrastive", contrast), ("autoencoder", restore))
        }
        row = {
            k: classifier().fit(*scaled(a, b)[:1], y).score(scaled(a, b)[1], y_test)
            for k, (a, b) in found.items()
        }
        for label, step in (
            ("contrastive, fine-tuned", contrast),
            ("autoencoder, fine-tuned", restore),
        ):
            tuned = FineTuneClassifier(step.backbone_, unfreeze_depth="all", random_state=seed).fit(
                X, y
            )
            row[label] = tuned.score(X_test, y_test)
        for label, score in row.items():
            scores.setdefault(name, {}).setdefault(label, []).append(score)
        print(name, seed, {k: f"{v:.3f}" for k, v in row.items()}, file=sys.stderr, flush=True)
    labels = list(next(iter(scores.values())))
    print(f"| task | {' | '.join(labels)} |\n|{'---|' * (len(labels) + 1)}")
    for name, row in scores.items():
        cells = (f"{np.mean(row[k]):.3f} ± {np.std(row[k], ddof=1):.3f}" for k in labels)
        print(f"| {name} | {' | '.join(cells)} |")


def scaled(X, X_test):
    """Return both scaled by the features' standard deviation in the first."""
    scale = StandardScaler().fit(X)
    return scale.transform(X), scale.transform(X_test)


if __name__ == "__main__":
    {"msda": msda, "pretrain": pretrain, "size": size}[sys.argv[1]]()
