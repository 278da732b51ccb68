"""Representations from rows without labels, beside raw rows and PCA, before logistic regression.

    python benchmarks/selftaught.py msda    # newsgroups, spectra of bearings: source to target
    python benchmarks/selftaught.py pretrain FILE  # tables with 10 % labels, MNIST for digits
    python benchmarks/selftaught.py size    # 30,000 x 5,000 sparse rows: seconds and memory

Lines are appended to FILE, and none is run twice.
The data lie in ``$SKTRANSFER_DATA``, by default ``../shared/data`` beside the repository.
"""

import os
import resource
import sys
import time
from functools import cache, lru_cache
from itertools import permutations
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from _resumable import run_missing, table
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from torch.nn.functional import affine_grid, grid_sample, interpolate

from sktransfer import AutoencoderPretrainer, ContrastivePretrainer, FineTuneClassifier
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


def like_load_digits(images):
    """Return digits as `load_digits` has them: 32 dots high, black or white, counted by 4 x 4."""
    rows = np.zeros((len(images), 32, 32), dtype=np.float32)
    for row, image in zip(rows, images, strict=True):
        inked = image > 64
        up, left = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
        box = image[up[0] : up[-1] + 1, left[0] : left[-1] + 1].astype(np.float32) / 255
        width = min(32, max(1, round(box.shape[1] * 32 / box.shape[0])))
        scaled = interpolate(torch.from_numpy(box)[None, None], (32, width), mode="bilinear")
        start = (32 - width) // 2
        row[:, start : start + width] = scaled[0, 0].numpy() > 0.5
    return rows.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64).astype(np.float64)


def averaged_down(images):
    """Return digits as 8 x 8 means of the whole image, which they fill by five eighths."""
    padded = np.pad(images.astype(np.float64), ((0, 0), (2, 2), (2, 2)))
    return padded.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64) / 255


def moved(X):
    """Return images of 8 x 8, in rows of 64, turned, scaled and shifted a little: `augment=`."""
    n_rows = len(X)
    angle, scale = (0.26 * draw(n_rows, X), 1 + 0.15 * draw(n_rows, X))
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1)
    shift = 0.25 * draw(2 * n_rows, X).view(n_rows, 2, 1)
    theta = torch.cat([scale.view(-1, 1, 1) * turn.view(-1, 2, 2), shift], dim=2)
    grid = affine_grid(theta, [n_rows, 1, 8, 8], align_corners=False)
    return grid_sample(X.view(-1, 1, 8, 8), grid, align_corners=False).flatten(1)


def draw(n_numbers, like):
    """Return numbers between -1 and 1."""
    return 2 * torch.rand(n_numbers, dtype=like.dtype, device=like.device) - 1


TABLES = {"breast cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits}
MNIST = {"MNIST, averaged down": averaged_down, "MNIST, like load_digits": like_load_digits}
LEARNERS = {
    "PCA": lambda seed, epochs: PCA(0.95, random_state=seed),
    "contrastive": lambda seed, epochs: ContrastivePretrainer(max_epochs=epochs, random_state=seed),
    "contrastive, moved": lambda seed, epochs: ContrastivePretrainer(
        augment=moved, temperature=0.5, max_epochs=epochs, random_state=seed
    ),
    "autoencoder": lambda seed, epochs: AutoencoderPretrainer(max_epochs=epochs, random_state=seed),
}


@cache
def unlabelled_mnist(name):
    """Return 10,000 digits of MNIST, as 8 x 8 pixels."""
    with np.load(DATA / "mnist.npz") as data:
        return MNIST[name](data["X_train"][:10_000])


def split(name, seed):
    """Return rows without labels, labelled rows, their labels, test rows and labels."""
    rng = np.random.default_rng(seed)
    if name in TABLES:
        X, y = TABLES[name](return_X_y=True)
        given = {"test_size": 0.3, "stratify": y, "random_state": seed}
        X_train, X_test, y_train, y_test = train_test_split(X, y, **given)
        scale = StandardScaler().fit(X_train)
        X_train, X_test = scale.transform(X_train), scale.transform(X_test)
        few, _ = train_test_split(
            np.arange(len(y_train)),
            train_size=max(0.1, 4 * len(set(y)) / len(y_train)),
            stratify=y_train,
            random_state=seed,
        )
        return X_train, X_train[few], y_train[few], X_test, y_test
    X, y = load_digits(return_X_y=True)
    X = X / 16
    few = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:5] for k in range(10)])
    rest = np.setdiff1d(np.arange(len(y)), few)
    return unlabelled_mnist(name), X[few], y[few], X[rest], y[rest]


@lru_cache(maxsize=1)
def learned(name, learner, seed):
    """Return a learner fitted on the rows without labels."""
    return LEARNERS[learner](seed, 10 if name in MNIST else 100).fit(split(name, seed)[0])


def accuracy(name, contender, seed):
    """Return the accuracy of logistic regression on features, or of the body that learns on."""
    unlabelled, X, y, X_test, y_test = split(name, seed)
    learner, _, tuned = contender.partition(", then ")
    if learner == "raw":
        return classifier().fit(X, y).score(X_test, y_test)
    step = learned(name, learner, seed)
    if tuned:
        clf = FineTuneClassifier(step.backbone_, unfreeze_depth="all", random_state=seed)
        return clf.fit(X, y).score(X_test, y_test)
    # One factor for all features, so that the penalty of the regression means the same for each
    # learner; one for each by few rows would blow up what hardly varies.
    features = step.transform(unlabelled)
    factor = np.sqrt(unlabelled.var(axis=0).sum() / features.var(axis=0).sum())
    clf = classifier().fit(factor * step.transform(X), y)
    return clf.score(factor * step.transform(X_test), y_test)


def pretrain():
    """Run what is missing, and print means of 3 seeds and their standard deviations."""
    path = Path(sys.argv[2])
    tuned = [f"{name}, then fine-tuned" for name in LEARNERS if name != "PCA"]
    contenders = ["raw", *sorted([*LEARNERS, *tuned])]  # a learner beside its tuned body
    keys = [
        (name, contender, seed)
        for seed in range(3)
        for name in ("MNIST, like load_digits", *TABLES, "MNIST, averaged down")
        for contender in contenders
        if "moved" not in contender or name in ("digits", *MNIST)
    ]
    run_missing(path, keys, accuracy)
    print(table(path, ["task", "learner", "seed"], ["task"], "learner"))


if __name__ == "__main__":
    {"msda": msda, "pretrain": pretrain, "size": size}[sys.argv[1]]()
