"""Label propagation across domains: how its defaults were chosen, and what it gains.

``python benchmarks/relations.py choose FOLDER`` fits all settings of a grid on all tasks and
prints, for each data set, the settings that are best on all others and what they give there.
``python benchmarks/relations.py compare FOLDER`` compares the defaults with other methods, and
``python benchmarks/relations.py finetune FOLDER`` fine-tuning that holds relations with fine-tuning
that does not, by three labels a class. They keep lines of results in the folder: ended at any time
and called again, they go on. 500 rows of a domain, drawn anew for each seed; of the tasks named
"shares" every other class has 3 in 10 of its rows left in the target. The data lie in
``$SKTRANSFER_DATA``, by default ``../shared/data`` beside the repository; photos are features of
EfficientNet-Lite0 (``_holds_features.py``), left out where these were not computed.
"""

import itertools
import sys
import warnings
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
from _holds_features import FEATURES, office_caltech_features
from _holds_problems import digits_objects, moons, newsgroups, pair, spectra
from _resumable import read, run_missing
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.semi_supervised import LabelSpreading

from sktransfer import (
    CrossDomainLabelPropagation,
    FineTuneClassifier,
    SourceTraining,
    Unfreezing,
)

ROWS = 500
LABELS = 3  # of each class, where some are known
SETS = {
    "moons": {f"{degrees} degrees": partial(moons, degrees) for degrees in (15, 30, 45, 60)},
    "newsgroups": {
        f"{topic} {a} -> {3 - a}": partial(pair, newsgroups, f"{topic}_{a}", f"{topic}_{3 - a}")
        for topic in ("comp_vs_sci", "rec_vs_talk")
        for a in (1, 2)
    },
    "digits": {
        f"{a} -> {b}": partial(pair, digits_objects, a, b)
        for a, b in (("MNIST", "USPS"), ("USPS", "MNIST"))
    },
    "objects": {
        f"{a} -> {b}": partial(pair, digits_objects, a, b)
        for a, b in (("COIL1", "COIL2"), ("COIL2", "COIL1"))
    },
    "spectra": {
        f"load {a} -> {b}": partial(pair, spectra, a, b)
        for a, b in ((0, 3), (3, 0), (1, 2), (2, 1))
    },
}
if FEATURES.exists():
    SETS["photos"] = {
        f"{a} -> {b}": partial(pair, office_caltech_features, a, b)
        for a, b in (
            ("amazon", "webcam"),
            ("webcam", "amazon"),
            ("caltech10", "dslr"),
            ("dslr", "caltech10"),
            ("amazon", "caltech10"),
            ("dslr", "webcam"),
        )
    }
GRID = {
    f"{'standardize, ' * standardize}{metric}, alpha {alpha}{', mass' * mass}": {
        "standardize": standardize,
        "metric": metric,
        "alpha": alpha,
        "class_mass_normalization": mass,
    }
    for standardize, metric, alpha, mass in itertools.product(
        (False, True), ("euclidean", "cosine"), (0.8, 0.9, 0.95), (False, True)
    )
}


def rows_of(data_set, task, shares, seed):
    """Return both domains, at most 500 rows of each."""
    (Xs, ys), (Xt, yt) = SETS[data_set][task](seed)
    Xs, ys, Xt, yt = Xs[:ROWS], ys[:ROWS], Xt[:ROWS], yt[:ROWS]
    if shares == "shares":
        rare = np.unique(ys)[::2]
        drawn = np.random.default_rng(seed).random(len(yt)) < 0.3
        kept = np.flatnonzero(drawn | ~np.isin(yt, rare))
        Xt, yt = Xt[kept], yt[kept]
    return Xs.astype(np.float64), ys, Xt.astype(np.float64), yt


def fitted(data_set, task, shares, seed, name):
    """Return the accuracy on the target of a setting of the grid."""
    Xs, ys, Xt, yt = rows_of(data_set, task, shares, seed)
    clf = CrossDomainLabelPropagation(**GRID[name]).fit(Xs, ys, X_target=Xt)
    return clf.score(Xt, yt)


def spread_over_both(length_one, Xs, ys, Xt, yt):
    """Return the accuracy of scikit-learn's label spreading over one graph of both domains."""
    Xs, Xt = (X.toarray() if scipy.sparse.issparse(X) else X for X in (Xs, Xt))
    X = np.concatenate([Xs, Xt])
    X = Normalizer().fit_transform(X) if length_one else X
    classes, codes = np.unique(ys, return_inverse=True)
    y = np.concatenate([codes, np.full(len(yt), -1)])
    clf = LabelSpreading(kernel="knn", n_neighbors=10).fit(X, y)
    return np.mean(classes[clf.transduction_[len(ys) :]] == yt)


def plain(estimator, Xs, ys, Xt, yt):
    """Return the accuracy of an estimator of the source alone."""
    return estimator.fit(Xs, ys).score(Xt, yt)


def propagated(parameters, Xs, ys, Xt, yt):
    """Return the accuracy of label propagation."""
    return CrossDomainLabelPropagation(**parameters).fit(Xs, ys, X_target=Xt).score(Xt, yt)


def source_only(Xs, ys, Xt, yt):
    """Return the accuracy of its twin."""
    return CrossDomainLabelPropagation().source_only().fit(Xs, ys).score(Xt, yt)


METHODS = {
    "logistic regression": partial(plain, LogisticRegression(max_iter=300)),
    "1-NN": partial(plain, KNeighborsClassifier(1)),
    "1-NN, length 1": partial(plain, make_pipeline(Normalizer(), KNeighborsClassifier(1))),
    "LabelSpreading": partial(spread_over_both, False),
    "LabelSpreading, length 1": partial(spread_over_both, True),
    "source only": source_only,
    "label propagation": partial(propagated, {}),
    "without class mass": partial(propagated, {"class_mass_normalization": False}),
    "standardize, euclidean": partial(propagated, {"standardize": True, "metric": "euclidean"}),
}


def scored(data_set, task, shares, seed, name):
    """Return the accuracy on the target of a method."""
    return METHODS[name](*rows_of(data_set, task, shares, seed))


def keys(names, seeds):
    """Yield what is to be run: set, task, shares, seed and the name of what runs."""
    for data_set, tasks in SETS.items():
        for seed, task, shares in itertools.product(seeds, tasks, ("", "shares")):
            for name in names:
                yield data_set, task, shares, seed, name


RESTRAINTS = {
    "plain": {},
    "l2_sp 0.1": {"l2_sp": 0.1},
    "relational 1": {"relational_weight": 1.0},
    "relational 10": {"relational_weight": 10.0},
}
OF_SOURCE = ("source model", "labelled rows, logistic regression", "head alone")


@cache
def pretrained(data_set, task, seed):
    """Return an MLP trained on the source, rows with three labels a class, and all others."""
    Xs, ys, Xt, yt = rows_of(data_set, task, "", seed)
    order = np.random.default_rng(seed).permutation(len(yt))
    few = np.concatenate([order[yt[order] == label][:LABELS] for label in np.unique(yt)])
    rest = np.setdiff1d(order, few)
    # What a few labels are to change is a good model of the source, not a half-trained one.
    clf = FineTuneClassifier(source_training=SourceTraining(epochs=50), random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fit without a target
        clf.fit(Xs.astype(np.float32), ys)
    return clf, Xt[few].astype(np.float32), yt[few], Xt[rest].astype(np.float32), yt[rest]


def finetuned(data_set, task, seed, name):
    """Return the accuracy on unlabelled target rows of a way to use three labels a class."""
    clf, X_few, y_few, X_rest, y_rest = pretrained(data_set, task, seed)
    if name == "source model":
        return clf.score(X_rest, y_rest)
    if name == "labelled rows, logistic regression":
        return LogisticRegression(max_iter=300).fit(X_few, y_few).score(X_rest, y_rest)
    held = FineTuneClassifier(
        clf.backbone_,
        unfreeze_depth=0 if name == "head alone" else "all",
        finetune_learning_rate=1e-3,
        unfreezing=Unfreezing(**RESTRAINTS.get(name, {})),
        random_state=seed,
    )
    return held.fit(X_few, y_few).score(X_rest, y_rest)


def finetune(folder):
    """Print accuracies by data set, means over tasks, with the spread of these over seeds."""
    path = Path(folder) / "finetune.jsonl"
    names = [*OF_SOURCE, *RESTRAINTS]
    runs = (
        (data_set, task, seed, name)
        for data_set in ("newsgroups", "digits", "objects", "spectra")
        for seed, task, name in itertools.product((0, 1, 2), list(SETS[data_set])[:1], names)
    )
    run_missing(path, runs, finetuned)
    frame = pd.DataFrame([(*line["key"], line["accuracy"]) for line in read(path)])
    frame.columns = ["set", "task", "seed", "name", "accuracy"]
    show(frame)


def show(frame):
    """Print means over tasks, with their spread over seeds."""
    by_seed = frame.groupby(["set", "name", "seed"], sort=False)["accuracy"].mean()
    cells = by_seed.groupby(["set", "name"], sort=False).agg(
        lambda values: f"{values.mean():.3f} ± {values.std():.3f}"
    )
    print(cells.unstack("set").to_markdown())


def frame_of(path):
    """Return results as a frame."""
    lines = read(path)
    frame = pd.DataFrame(
        [line["key"] for line in lines], columns=["set", "task", "shares", "seed", "name"]
    )
    frame["accuracy"] = [line["accuracy"] for line in lines]
    return frame


def choose(folder):
    """Fit the grid; print for each data set what the others choose, and the best there."""
    path = Path(folder) / "choose.jsonl"
    run_missing(path, keys(GRID, (10, 11)), fitted)  # not the seeds that `compare` draws by
    means = frame_of(path).groupby(["set", "name"])["accuracy"].mean().unstack("set")
    print(
        "| left out | chosen by the others | it gives | best there | gives |\n|---|---|---|---|---|"
    )
    for data_set in means:
        chosen = means.drop(columns=data_set).mean(axis=1).idxmax()
        best = means[data_set].idxmax()
        cells = (
            chosen,
            f"{means.loc[chosen, data_set]:.3f}",
            best,
            f"{means.loc[best, data_set]:.3f}",
        )
        print(f"| {data_set} | " + " | ".join(cells) + " |")
    print("\nAll sets:")
    print(means.assign(mean=means.mean(axis=1)).sort_values("mean").tail(8).round(3).to_markdown())


def compare(folder):
    """Print accuracies by data set: means over tasks, and the spread of these over seeds."""
    path = Path(folder) / "compare.jsonl"
    run_missing(path, keys(METHODS, (0, 1, 2)), scored)
    frame = frame_of(path)
    for shares, part in frame.groupby("shares"):
        print(f"\n{shares or 'as drawn'}\n")
        show(part)


if __name__ == "__main__":
    {"choose": choose, "compare": compare, "finetune": finetune}[sys.argv[1]](sys.argv[2])
