"""Targets with fewer classes than the source, with more, and with other shares of them.

    python benchmarks/other_classes.py RUNS.jsonl [--seeds 0 1 2] [--methods ...] [--cases ...]

MNIST and USPS at 16x16, 2,000 rows each, two convolutions, 20 epochs: the target keeps the digits
0 to 4 (partial), the source the digits 0 to 5 (open set), or two digits make nine tenths of the
target's pair (shares). One line of JSON a run; runs that stand in the file are not made again.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from _holds_problems import IMAGES, arrays, grey_body
from torch.nn import functional as F

import sktransfer
from sktransfer.metrics import open_set_score

PAIRS = {"mnist-usps": ("mnist", "usps"), "usps-mnist": ("usps", "mnist")}
N_ROWS = 2000


def digits(name, seed):
    """Return a draw of 2,000 digits, 16x16 and between 0 and 1."""
    X, y = arrays(name)["X_train"], arrays(name)["y_train"].astype(int)
    rows = np.random.default_rng(seed).permutation(len(X))[:N_ROWS]
    images = torch.tensor(X[rows] / 255, dtype=torch.float32)[:, None]
    if name == "mnist":
        images = F.interpolate(images[:, :, 4:24, 4:24], (16, 16), mode="bilinear", antialias=True)
    return images.numpy(), y[rows]


def make_case(case, pair, seed):
    """Return source rows and labels, target rows and labels; -1 for what is unknown."""
    source, target = PAIRS[pair]
    (Xs, ys), (Xt, yt) = digits(source, seed), digits(target, seed)
    if case == "partial":
        Xt, yt = Xt[yt < 5], yt[yt < 5]
    elif case == "open":
        Xs, ys = Xs[ys < 6], ys[ys < 6]
        yt = np.where(yt < 6, yt, -1)
    else:
        Xs, ys, Xt, yt = Xs[ys < 2], ys[ys < 2], Xt[yt < 2], yt[yt < 2]
        kept = (yt == 0) | (np.random.default_rng(seed).random(len(yt)) < (yt == 0).mean() / 9)
        Xt, yt = Xt[kept], yt[kept]
    return Xs, ys, Xt, yt


def run(case, pair, seed, method, params):
    """Return accuracy (open set: harmonic mean) and seconds of one fit."""
    Xs, ys, Xt, yt = make_case(case, pair, seed)
    twin = method.endswith("twin")
    torch.manual_seed(seed)
    kind = getattr(sktransfer, method.removesuffix(" twin"))
    clf = kind(grey_body(), random_state=seed, **{**IMAGES, **params})
    clf = clf.source_only() if twin else clf
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(Xs, ys, X_target=Xt)
    answers = clf.predict(Xt)
    record = {"accuracy": float(np.mean(answers == yt)), "seconds": time.perf_counter() - start}
    if case == "open":
        known = yt != -1
        record["hos"] = open_set_score(yt, answers, unknown_label=-1)
        record["known"] = float(np.mean(answers[known] == yt[known]))
        record["unknown"] = float(np.mean(answers[~known] == -1))
    return record


def main():
    """Make the runs that lack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--cases", nargs="+", default=["partial", "open", "shares"])
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS))
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--params", type=json.loads, default={})
    args = parser.parse_args()
    lines = args.runs.read_text().splitlines() if args.runs.exists() else []
    done = [json.loads(line)["key"] for line in lines]
    for seed in args.seeds:
        for case in args.cases:
            for pair in args.pairs:
                for method in args.methods:
                    key = [case, pair, method, json.dumps(args.params, sort_keys=True), seed]
                    if key in done:
                        continue
                    record = {"key": key, **run(case, pair, seed, method, args.params)}
                    with args.runs.open("a") as file:
                        file.write(json.dumps(record) + "\n")
                    print(*key, {k: round(v, 3) for k, v in record.items() if k != "key"})


if __name__ == "__main__":
    main()
