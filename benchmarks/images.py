"""Digits on photos and digits of two scripts at their full size: a method, then the target alone.

    python benchmarks/images.py RUNS.jsonl --problems shipped raw --methods DANNClassifier --seeds 0
    python benchmarks/images.py RUNS.jsonl --table

Problems: `shipped` (the package's 5,000 digits and the same on two photos), `raw` (5,000 digits
and 5,000 others on photos of BSDS500), `raw-full` (60,000 and the same on photos), `mnist-usps`
and `usps-mnist` (the training rows of both, 16x16; `--mnist-rows` of MNIST's 60,000). With
``--then JSON`` the fitted model learns on by ``adapt(X_target,
method=HypothesisTransfer(**JSON))``. One line of JSON a run: accuracy on the target's rows, and
for MNIST and USPS on the target's test set, after the fit and after `adapt`, with seconds of
each. A run whose line stands in the file is not made again; with ``--checkpoints FOLDER`` a
killed fit goes on where it was. With ``--each-epoch`` the accuracy on 5,000 rows of the target is
printed after each epoch, with the seconds so far, those of scoring left out.
"""

import argparse
import json
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _family_problems import lenet
from _holds_problems import (
    arrays,
    colour_body,
    colours,
    mnist_m,
    photos,
    shipped_mnist_m,
    standardising_body,
)
from _resumable import read, record_missing
from skorch.callbacks import Callback
from torch.nn import functional as F

import sktransfer
from sktransfer import HypothesisTransfer
from sktransfer.datasets import make_mnist_m

PAIRS = {"mnist-usps": ("mnist", "usps"), "usps-mnist": ("usps", "mnist")}
PROBLEMS = ("shipped", "raw", "raw-full", *PAIRS)
ROWS_AN_EPOCH = 5000


class TimedAccuracy(Callback):
    """Print each epoch's accuracy on some rows of the target and the seconds of training."""

    def __init__(self, X, y, seed):
        rows = np.random.default_rng(seed).permutation(len(y))[:ROWS_AN_EPOCH]
        self.X, self.y = X[rows], y[rows]

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        """Score, and stop the clock for as long."""
        now = time.perf_counter()
        accuracy = np.mean(net.predict(self.X) == self.y)
        epoch = len(net.history)
        print(f"epoch {epoch}: {accuracy:.3f} after {now - self.start_:.0f} s", flush=True)
        self.start_ += time.perf_counter() - now


def small_digits(name, part, rows=slice(None)):
    """Return digits of 16x16 pixels between 0 and 1; MNIST's margin of 4 pixels is cut off."""
    data = arrays(name)
    X, y = data[f"X_{part}"][rows], data[f"y_{part}"][rows].astype(int)
    images = torch.tensor(X / 255, dtype=torch.float32)[:, None]
    if name == "mnist":
        images = F.interpolate(images[:, :, 4:24, 4:24], (16, 16), mode="bilinear", antialias=True)
    return images.numpy(), y


def load(problem, seed, mnist_rows):
    """Return the body, both domains and, where there is one, the target's test set."""
    if problem == "shipped":
        return standardising_body, *shipped_mnist_m(seed), None
    if problem == "raw":
        return colour_body, *mnist_m(5000, seed), None
    if problem == "raw-full":
        digits, y = arrays("mnist")["X_train"], arrays("mnist")["y_train"]
        target = make_mnist_m(digits, photos(), random_state=seed)
        return colour_body, (colours(digits), y), (target, y), None
    n_rows = len(arrays("mnist")["y_train"])
    some = {"mnist": np.random.default_rng(seed).permutation(n_rows)[:mnist_rows]}
    domains = [small_digits(name, "train", some.get(name, slice(None))) for name in PAIRS[problem]]
    return lenet, *domains, small_digits(PAIRS[problem][1], "test")


def run(problem, seed, method, args, checkpoint=None):
    """Return accuracies and seconds after the fit and after the target alone."""
    make_body, (Xs, ys), (Xt, yt), test = load(problem, seed, args.mnist_rows)
    torch.manual_seed(seed)
    twin = method.endswith(" twin")
    kind = getattr(sktransfer, method.removesuffix(" twin"))
    callbacks = [TimedAccuracy(Xt, yt, seed)] if args.each_epoch else None
    fixed = {"random_state": seed, "checkpoint": checkpoint, "callbacks": callbacks}
    clf = kind(make_body(), **fixed, **args.params)
    clf = clf.source_only() if twin else clf
    record, start = {}, time.process_time()

    def note(name):
        record[f"{name}_seconds"] = time.process_time() - start
        record[name] = clf.score(Xt, yt)
        if test is not None:
            record[f"{name}_test"] = clf.score(*test)

    clf.fit(Xs, ys, X_target=Xt)
    note("fit")
    if args.then is not None:
        start = time.process_time()
        clf.adapt(Xt, method=HypothesisTransfer(**args.then))
        note("adapt")
    return record


def main():
    """Make the runs that lack, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=["shipped"])
    parser.add_argument("--methods", nargs="+", default=["DANNClassifier"])
    parser.add_argument("--params", type=json.loads, default={"max_epochs": 20})
    parser.add_argument("--then", type=json.loads)
    parser.add_argument("--mnist-rows", type=int, default=60_000)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--each-epoch", action="store_true")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        print(make_table(args.runs))
    else:
        record_missing(args.runs, planned(args))


def planned(args):
    """Yield the key of each run that is asked for, and what makes it."""
    settings = [json.dumps(part, sort_keys=True) for part in (args.params, args.then)]
    for seed, problem, method in product(args.seeds, args.problems, args.methods):
        rows = args.mnist_rows if problem in PAIRS else None
        checkpoint = args.checkpoints and args.checkpoints / f"{problem}-{method}-{seed}"
        yield (
            [problem, rows, method, *settings, seed],
            partial(run, problem, seed, method, args, checkpoint),
        )


def make_table(path):
    """Return Markdown: each setting's accuracies seed by seed, and their means."""
    lines = read(path)
    names = ["problem", "MNIST rows", "method", "params", "then", "seed"]
    runs = pd.DataFrame([line["key"] for line in lines], columns=names)
    figures = [f"{stage}{of}" for stage in ("fit", "adapt") for of in ("", "_test", "_seconds")]
    for name in figures:
        runs[name] = [line.get(name, np.nan) for line in lines]

    def cell(values):
        values = values.dropna()
        each = ", ".join(f"{value:.4f}" for value in values)
        return f"{each} ({values.mean():.4f})" if len(values) else ""

    grouped = runs.sort_values("seed").groupby(names[:-1], sort=False, dropna=False)
    return grouped[figures].agg(cell).reset_index().to_markdown(index=False)


if __name__ == "__main__":
    main()
