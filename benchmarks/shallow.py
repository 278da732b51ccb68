"""Weights, boosting, priors and label shift beside the plain estimator.

    python benchmarks/shallow.py DATA transfer|shift|size

DATA is a folder with newsgroups.npz, bearings_fan_end.npz, jda_digits_objects.npz,
school.npz and mnist.npz. Everything runs at its defaults. The speed of others stands in
shallow_peers.py.
"""

import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.tree import DecisionTreeRegressor

from sktransfer.instance import (
    KLIEP,
    KMM,
    ULSIF,
    ImportanceWeightingClassifier,
    ImportanceWeightingRegressor,
    LabelShiftClassifier,
    LogisticRatio,
    TrAdaBoostClassifier,
    TrAdaBoostRegressor,
    TwoStageTrAdaBoostRegressor,
)
from sktransfer.parameters import (
    BalancedWeightingClassifier,
    BalancedWeightingRegressor,
    PriorTransferClassifier,
    PriorTransferRegressor,
)

SEEDS = range(3)
LABELS_PER_CLASS = 3
LABELLED_PUPILS = 20
N_SCHOOLS = 10
SHIFTS = 10

UNSUPERVISED = {
    "weights, uLSIF": lambda: ImportanceWeightingClassifier(random_state=0),
    "weights, uLSIF alpha .5": lambda: ImportanceWeightingClassifier(
        weighting=ULSIF(0.5, random_state=0)
    ),
    "weights, KLIEP": lambda: ImportanceWeightingClassifier(weighting="kliep", random_state=0),
    "weights, KMM": lambda: ImportanceWeightingClassifier(weighting="kmm", random_state=0),
    "weights, logistic": lambda: ImportanceWeightingClassifier(
        weighting="logistic", random_state=0
    ),
    "label shift, EM": lambda: LabelShiftClassifier(n_bootstraps=0, random_state=0),
    "label shift, BBSE": lambda: LabelShiftClassifier(
        method="bbse", n_bootstraps=0, random_state=0
    ),
    "label shift, RLLS": lambda: LabelShiftClassifier(
        method="rlls", n_bootstraps=0, random_state=0
    ),
}
SUPERVISED = {
    "TrAdaBoost": lambda: TrAdaBoostClassifier(random_state=0),
    "balanced weighting": BalancedWeightingClassifier,
    "prior": lambda: PriorTransferClassifier(random_state=0),
}
REGRESSORS = {
    "TrAdaBoost.R2": lambda: TrAdaBoostRegressor(random_state=0),
    "two-stage R2": lambda: TwoStageTrAdaBoostRegressor(random_state=0),
    "balanced weighting": BalancedWeightingRegressor,
    "prior": PriorTransferRegressor,
    "weights, uLSIF": lambda: ImportanceWeightingRegressor(random_state=0),
}


def standardized(*parts):
    """Return domains on the source's scale."""
    scaler = StandardScaler().fit(parts[0])
    return [scaler.transform(part) for part in parts]


def load_tasks(folder):
    """Yield names and ``X, y, X_target, y_target`` of the classification tasks."""
    texts = np.load(folder / "newsgroups.npz")

    def text(name):
        parts = [texts[f"{name}_{part}"] for part in ("data", "indices", "indptr")]
        rows = sparse.csr_matrix(tuple(parts), shape=(len(parts[2]) - 1, 2000))
        return rows.astype(np.float64), texts[f"{name}_y"]

    for topic in ("comp_vs_sci", "rec_vs_talk"):
        for a, b in ((1, 2), (2, 1)):
            yield f"{topic} {a} to {b}", (*text(f"{topic}_{a}"), *text(f"{topic}_{b}"))
    digits = np.load(folder / "jda_digits_objects.npz")
    for a, b in (("MNIST", "USPS"), ("USPS", "MNIST"), ("COIL1", "COIL2"), ("COIL2", "COIL1")):
        X, X_target = (normalize(digits[f"{name}_X"].astype(np.float64)) for name in (a, b))
        X, X_target = (StandardScaler().fit_transform(rows) for rows in (X, X_target))
        yield f"{a} to {b}", (X, digits[f"{a}_y"], X_target, digits[f"{b}_y"])
    bearings = np.load(folder / "bearings_fan_end.npz")
    spectra = np.log1p(np.abs(np.fft.rfft(bearings["X"].astype(np.float64))))[:, 1:257]
    for a, b in ((0, 3), (3, 0), (1, 2)):
        of_source, of_target = bearings["load"] == a, bearings["load"] == b
        X, X_target = standardized(spectra[of_source], spectra[of_target])
        yield (
            f"bearings, load {a} to {b}",
            (
                X,
                bearings["y"][of_source],
                X_target,
                bearings["y"][of_target],
            ),
        )


def score_task(X, y, X_target, y_target):
    """Return accuracies on the target by method, and seconds."""
    scores, seconds = {}, {}

    def run(name, estimator, *data, test):
        start = time.perf_counter()
        fitted = estimator.fit(*data)
        seconds.setdefault(name, []).append(time.perf_counter() - start)
        scores.setdefault(name, []).append(fitted.score(*test))

    plain = LogisticRegression(max_iter=1000)
    run("source only", plain, X, y, test=(X_target, y_target))
    for name, make in UNSUPERVISED.items():
        run(name, make(), X, y, X_target, test=(X_target, y_target))
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(y_target))
        rank = np.array([np.sum(y_target[order[:i]] == y_target[j]) for i, j in enumerate(order)])
        few, rest = order[rank < LABELS_PER_CLASS], order[rank >= LABELS_PER_CLASS]
        test = X_target[rest], y_target[rest]
        stack = sparse.vstack if sparse.issparse(X) else np.concatenate
        both = stack([X, X_target[few]]), np.concatenate([y, y_target[few]])
        run("source and few labels", plain, *both, test=test)
        run("few labels only", plain, X_target[few], y_target[few], test=test)
        for name, make in SUPERVISED.items():
            run(name, make(), X, y, X_target[few], y_target[few], test=test)
    return {name: (np.mean(scores[name]), np.mean(seconds[name])) for name in scores}


def show(columns, results):
    """Print a Markdown table of gains over the plain estimator, and the mean."""
    names = list(results[0])
    print("| | " + " | ".join(columns) + " | mean | worst | seconds |")
    print("|---" * (len(columns) + 4) + "|")
    for name in names:
        base = "source only" if name in ("source only", *UNSUPERVISED) else "source and few labels"
        is_base = name in ("source only", "source and few labels")
        values = [r[name][0] - (0 if is_base else r[base][0]) for r in results]
        form = "{:.3f}" if is_base else "{:+.3f}"
        cells = [form.format(v) for v in [*values, np.mean(values), np.min(values)]]
        print(
            f"| {name} | " + " | ".join(cells), f"| {np.mean([r[name][1] for r in results]):.1f} |"
        )
        sys.stdout.flush()


def transfer(folder):
    """Show gains on all classification tasks, and R^2 on schools."""
    names, results = zip(
        *((name, score_task(*task)) for name, task in load_tasks(folder)), strict=True
    )
    show(names, results)
    school = np.load(folder / "school.npz")
    X, y, number = (school[key].astype(np.float64) for key in ("X", "y", "school"))
    largest = np.argsort(-np.bincount(number.astype(int)), kind="stable")[:N_SCHOOLS]
    errors, seconds = {}, {}
    for target in largest:
        here = np.flatnonzero(number == target)
        away = np.random.default_rng(target).permutation(np.flatnonzero(number != target))[:3000]
        order = np.random.default_rng(target).permutation(here)
        few, rest = order[:LABELLED_PUPILS], order[LABELLED_PUPILS:]
        both = np.concatenate([away, few])
        fits = {
            "source and few, ridge": (Ridge(), (X[both], y[both])),
            "source and few, tree": (
                DecisionTreeRegressor(max_depth=6, random_state=0),
                (X[both], y[both]),
            ),
            "few, ridge": (Ridge(), (X[few], y[few])),
        }
        for name, make in REGRESSORS.items():
            fits[name] = make(), (X[away], y[away], X[few], y[few])
        for name, (estimator, data) in fits.items():
            start = time.perf_counter()
            predicted = estimator.fit(*data).predict(X[rest])
            seconds.setdefault(name, []).append(time.perf_counter() - start)
            error = np.mean((predicted - y[rest]) ** 2) / np.var(y[rest])
            errors.setdefault(name, []).append(error)
    print("\n| school: 1 - R^2 | mean | deviation | seconds |\n|---|---|---|---|")
    for name, values in errors.items():
        print(
            f"| {name} | {np.mean(values):.3f} | {np.std(values):.3f} "
            f"| {np.mean(seconds[name]):.2f} |"
        )


def shift(folder):
    """Show accuracies on MNIST whose shares of classes were drawn from a Dirichlet."""
    mnist = np.load(folder / "mnist.npz")
    pca = PCA(50, random_state=0).fit(mnist["X_train"][:10_000].reshape(10_000, -1) / 255)
    X = pca.transform(mnist["X_train"][:10_000].reshape(10_000, -1) / 255)
    y = mnist["y_train"][:10_000]
    pool, labels = pca.transform(mnist["X_test"].reshape(10_000, -1) / 255), mnist["y_test"]
    fitted = {
        method: LabelShiftClassifier(method=method, random_state=0)
        for method in ("em", "bbse", "rlls")
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for clf in fitted.values():
            clf.fit(X, y)
    for alpha in (0.1, 1.0, None):
        rows = []
        for seed in range(SHIFTS):
            rng = np.random.default_rng(seed)
            q = np.full(10, 0.1) if alpha is None else rng.dirichlet(np.full(10, alpha))
            drawn = np.bincount(y) / len(y) if alpha is None else q
            chances = (drawn / np.bincount(labels))[labels]
            here = rng.choice(len(pool), 2000, p=chances / chances.sum())
            row = {"plain": fitted["em"].estimator_.score(pool[here], labels[here])}
            true = np.bincount(labels[here], minlength=10) / len(here)
            for method, clf in fitted.items():
                start = time.perf_counter()
                clf.adapt(pool[here])
                row[f"{method} seconds"] = time.perf_counter() - start
                row[method] = clf.score(pool[here], labels[here])
                row[f"{method} error of shares"] = np.abs(clf.target_priors_ - true).sum()
                low, high = clf.target_priors_interval_
                row[f"{method} intervals that hold"] = np.mean((low <= true) & (true <= high))
            clf = fitted["em"]
            row["p below .05"] = clf.p_value_ < 0.05
            clf.target_priors_ = true
            row["oracle"] = clf.score(pool[here], labels[here])
            rows.append(row)
        means = {name: np.mean([row[name] for row in rows]) for name in rows[0]}
        print(f"\nDirichlet {alpha}: " + ", ".join(f"{k} {v:.4f}" for k, v in means.items()))


def size(_):
    """Show seconds and memory from 10 to 100,000 rows."""
    print("| rows | " + " | ".join(["seconds"] * 5) + " | MiB |\n" + "|---" * 7 + "|")
    for n_rows in (10, 100, 1000, 10_000, 100_000):
        rng = np.random.default_rng(0)
        X, X_target = rng.normal(size=(n_rows, 10)), rng.normal(0.3, 1, size=(n_rows, 10))
        y = (X[:, 0] + rng.normal(size=n_rows) > 0).astype(int)
        cells = []
        for make in (ULSIF, KLIEP, LogisticRatio, LabelShiftClassifier, KMM):
            estimator = make(random_state=0)
            start = time.perf_counter()
            estimator.fit(X, y, X_target=X_target)
            cells.append(f"{type(estimator).__name__} {time.perf_counter() - start:.2f}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {n_rows} | " + " | ".join(cells) + f" | {peak:.0f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="The weights of")
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    warnings.filterwarnings("ignore", message=".*found no row of the source")
    {"transfer": transfer, "shift": shift, "size": size}[sys.argv[2]](Path(sys.argv[1]))
