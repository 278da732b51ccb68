"""Representations from rows without labels, beside raw rows and PCA, before logistic regression.

    python benchmarks/selftaught.py msda    # newsgroups, spectra of bearings: source to target
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
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sktransfer.model_selection import make_transfer_pipeline
from sktransfer.selftaught import MarginalizedDenoisingAutoencoder

DATA = Path(
    os.environ.get("SKTRANSFER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


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


if __name__ == "__main__":
    {"msda": msda, "size": size}[sys.argv[1]]()
