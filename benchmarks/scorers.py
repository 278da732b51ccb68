"""Which scorer without target labels can be trusted? DANN over lambda, judged by each of them.

python benchmarks/scorers.py [seeds]

fits DANN for each lambda and seed on four problems, scores every fit by every scorer and keeps
all figures in scorers.csv; `python benchmarks/scorers.py --table` prints the tables from that
file. The target's rows, whose labels nobody sees, are those that DANN adapts to; labelled rows
of the source that some scorers want, and the rows of both true accuracies, were held out.
"""

import sys
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from scipy.stats import spearmanr
from tabulate import tabulate
from torch import nn
from torch.nn import functional as F

from sktransfer import DANNClassifier
from sktransfer.datasets import make_shifted_moons
from sktransfer.model_selection import (
    BNMScorer,
    ClassAMIScorer,
    DEVScorer,
    EntropyScorer,
    InfoMaxScorer,
    IWCVScorer,
    NeighborAgreementScorer,
    ReverseValidationScorer,
    SNDScorer,
    adaptation_report,
)
from sktransfer.model_selection._report import WITNESSES

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from plot_dann_mnist_m import load_domains
from plot_dann_mnist_m import make_body as make_colour_body

DATA = Path(__file__).parents[2] / "shared" / "data"
RUNS = Path(__file__).with_suffix(".csv")
LAMBDAS = [0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]


def moons(seed, rotation=35):
    """Return two domains of moons, the rows of each to train on, and DANN's settings."""
    Xs, ys, Xt, yt = make_shifted_moons(600, rotation=rotation, noise=0.1, random_state=seed)
    settings = {"learning_rate": 0.01, "max_epochs": 60}
    return (Xs, ys), (Xt, yt), 300, settings


def mnist_to_mnist_m(_):
    """Return the shipped digits and the same on photos, and the demo's body."""
    source, target = [
        (np.concatenate([d.X_train, d.X_test]), np.concatenate([d.y_train, d.y_test]))
        for d in load_domains()
    ]
    settings = {"feature_extractor": make_colour_body(), "batch_size": 32, "max_epochs": 12}
    return source, target, 4000, settings


def grey_digits(name, n_rows, seed):
    """Return rows of MNIST or USPS, 16x16 pixels between 0 and 1."""
    with np.load(DATA / f"{name}.npz") as data:
        X, y = data["X_train"], data["y_train"].astype(int)
    rows = np.random.default_rng(seed).permutation(len(X))[:n_rows]
    images = torch.tensor(X[rows] / 255, dtype=torch.float32)[:, None]
    if name == "mnist":  # its margin of 4 pixels is no matter of the digits
        images = F.interpolate(images[:, :, 4:24, 4:24], (16, 16), mode="bilinear", antialias=True)
    return images.numpy(), y[rows]


def make_grey_body():
    """Return two convolutions for 16x16 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def mnist_to_usps(seed):
    """Return MNIST as the source and USPS as the target."""
    settings = {"feature_extractor": make_grey_body(), "batch_size": 32, "max_epochs": 15}
    return grey_digits("mnist", 3000, seed), grey_digits("usps", 3000, seed), 2000, settings


def usps_to_mnist(seed):
    """Return USPS as the source and MNIST as the target."""
    target, source, n_train, settings = mnist_to_usps(seed)
    return source, target, n_train, settings


def mnist_m_to_mnist(_):
    """Return digits on photos as the source and plain ones as the target."""
    target, source, n_train, settings = mnist_to_mnist_m(_)
    return source, target, n_train, settings


PROBLEMS = {
    "moons, 35 degrees": moons,
    "MNIST -> MNIST-M": mnist_to_mnist_m,
    "MNIST -> USPS": mnist_to_usps,
    "USPS -> MNIST": usps_to_mnist,
    # On the next two neither the scorers nor the margins of the report were chosen.
    "moons, 50 degrees": partial(moons, rotation=50),
    "MNIST-M -> MNIST": mnist_m_to_mnist,
}
# Nor on these seeds, which decide the draws of rows and weights.
FIRST_SEED = 200


class MixVal:
    """Mean share of mixed target rows that keep the class of their greater part (55 to 45).

    Hu et al., "Mixed samples as probes for unsupervised model selection in domain
    adaptation", NeurIPS 2023: of pairs of one class and of pairs of two.
    """

    def __init__(self, X_target):
        self.X_target = np.asarray(X_target, dtype=np.float32)

    def __call__(self, estimator, X=None, y=None):
        """Return the mean of both shares."""
        labels = estimator.predict(self.X_target)
        others = np.random.default_rng(0).permutation(len(labels))
        mixed = 0.55 * self.X_target + 0.45 * self.X_target[others]
        kept = estimator.predict(mixed) == labels
        same = labels == labels[others]
        return float(np.mean([kept[pairs].mean() for pairs in (same, ~same) if pairs.any()]))


def make_scorers(X_target):
    """Return the scorers by name."""
    return {
        "source accuracy": lambda estimator, X, y: estimator.score(X, y),
        "EntropyScorer": EntropyScorer(X_target),
        "InfoMaxScorer": InfoMaxScorer(X_target),
        "BNMScorer": BNMScorer(X_target),
        "SNDScorer": SNDScorer(X_target),
        "IWCVScorer": IWCVScorer(X_target),
        "IWCVScorer, log loss": IWCVScorer(X_target, loss="log_loss"),
        "DEVScorer": DEVScorer(X_target),
        "DEVScorer, log loss": DEVScorer(X_target, loss="log_loss"),
        "ReverseValidationScorer": ReverseValidationScorer(X_target),
        "ClassAMIScorer": ClassAMIScorer(X_target),
        "NeighborAgreementScorer": NeighborAgreementScorer(X_target),
        "MixVal": MixVal(X_target),
    }


def run(problem, seed):
    """Return the figures of each lambda, and of the fit without a target, for one seed."""
    torch.manual_seed(seed)
    (Xs, ys), (Xt, yt), n_train, settings = PROBLEMS[problem](seed)
    source = SimpleNamespace(X=Xs[:n_train], y=ys[:n_train], X_out=Xs[n_train:], y_out=ys[n_train:])
    scorers = make_scorers(Xt[:n_train])
    rows, plain = [], None
    for lambda_ in [np.nan, *LAMBDAS]:
        adapts = not np.isnan(lambda_)
        clf = DANNClassifier(**settings, lambda_=lambda_ if adapts else 0.0, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            clf.fit(source.X, source.y, X_target=Xt[:n_train] if adapts else None)
            scores = {n: score(clf, source.X_out, source.y_out) for n, score in scorers.items()}
            verdict, witnesses = None, {}
            if adapts and lambda_ > 0:
                rows_and_labels = source.X, source.y, Xt[:n_train]
                report = adaptation_report(clf, *rows_and_labels, scorers={}, source_only=plain)
                verdict = report.verdict
                witnesses = {
                    f"{name}, {when}": report.figures[name][column]
                    for name in WITNESSES
                    for column, when in enumerate(("before", "after"))
                }
            plain = plain or clf
        figures = {
            "problem": problem,
            "seed": seed,
            "lambda": lambda_,  # nan: fitted without a target
            "target accuracy": clf.score(Xt[n_train:], yt[n_train:]),
            "verdict": verdict,
            **witnesses,
            **scores,
        }
        rows.append(figures)
        print(problem, seed, lambda_, f"{figures['target accuracy']:.3f}", file=sys.stderr)
    return rows


def judge(runs, by):
    """Return rank correlation with and loss of target accuracy when lambda is chosen by a column.

    One row for each problem and seed; a constant score has no ranks, and its choice is the mean.
    """
    judged = []
    for (problem, seed), fits in runs.dropna(subset="lambda").groupby(["problem", "seed"]):
        accuracy, scores = fits["target accuracy"], fits[by]
        rank = spearmanr(scores, accuracy).statistic if scores.nunique() > 1 else 0.0
        chosen = accuracy[scores == scores.max()].mean()
        judged.append((problem, seed, rank, accuracy.max() - chosen))
    return pd.DataFrame(judged, columns=["problem", "seed", "rank", "lost"])


def table(runs, figure):
    """Return a Markdown table of one figure, best scorer first."""
    lines = []
    for name in make_scorers(np.zeros((2, 1))):
        by_problem = judge(runs, name).groupby("problem", sort=False)[figure]
        means, spreads = by_problem.mean(), by_problem.std()
        cells = [f"{means[p]:.3f} ({spreads[p]:.3f})" for p in PROBLEMS]
        lines.append([name, *cells, means.mean()])
    lines.sort(key=lambda line: line[-1], reverse=figure == "rank")
    return tabulate(lines, ["scorer", *PROBLEMS, "mean"], "pipe", floatfmt=".3f")


def verdicts(runs):
    """Return a Markdown table of the report's verdicts against what adaptation did.

    The truth is the difference in target accuracy to the fit without a target, on rows that
    neither has seen; by less than 0.02 it is "nothing".
    """
    plain = runs[runs["lambda"].isna()].set_index(["problem", "seed"])["target accuracy"]
    judged = runs.dropna(subset="verdict").set_index(["problem", "seed"])
    gain = judged["target accuracy"] - plain.loc[judged.index].to_numpy()
    truth = pd.cut(gain, [-1, -0.02, 0.02, 1], labels=["harm", "nothing", "helped"])
    chosen_on = list(PROBLEMS)[:4]
    seen = judged.index.get_level_values("problem").isin(chosen_on)
    lines = []
    for name, rows in (("the four problems above", seen), ("the two others", ~seen)):
        for verdict in ("helped", "harm", "nothing", "unclear"):
            counts = truth[rows & (judged["verdict"] == verdict)].value_counts()
            lines.append([name, verdict, *(counts[t] for t in ("helped", "nothing", "harm"))])
    headers = ["problems", "verdict", "helped by 0.02 or more", "between", "harmed by 0.02 or more"]
    return tabulate(lines, headers, "pipe")


def main(n_seeds=3):
    """Run all problems and write the file."""
    jobs = [
        delayed(run)(problem, FIRST_SEED + seed)
        for problem in PROBLEMS
        for seed in range(n_seeds * (3 if "moons" in problem else 1))  # they are quick
    ]
    rows = [row for rows in Parallel(n_jobs=2)(jobs) for row in rows]
    pd.DataFrame(rows).to_csv(RUNS, index=False, float_format="%.6g")
    return tables()


def tables():
    """Return both tables of the file as Markdown."""
    runs = pd.read_csv(RUNS)
    return (
        "Target accuracy lost against the best lambda:\n\n"
        f"{table(runs, 'lost')}\n\n"
        "Rank correlation (Spearman) with the target accuracy:\n\n"
        f"{table(runs, 'rank')}\n\n"
        "Verdicts of `adaptation_report` without target labels, fits:\n\n"
        f"{verdicts(runs)}"
    )


if __name__ == "__main__":
    print(tables() if sys.argv[1:] == ["--table"] else main(*map(int, sys.argv[1:])))
