"""Targets with fewer classes than the source, with more, and with other shares of them.

    python benchmarks/other_classes.py RUNS.jsonl [--seeds 0 1 2] [--methods ...] [--cases ...]

MNIST and USPS at 16x16, 2,000 rows each (`--rows`), two convolutions, 20 epochs: the target keeps
the digits 0 to 4 (partial), the source the digits 0 to 5 (open set) or both domains (closed), or
two digits make nine tenths of the target's pair (shares). Open set and closed alone: vibration
spectra and features of photos (`--pairs spectra-0-3 office-amazon-webcam`), of which the source
keeps two thirds of the classes (the seed decides which), standardised by the source, 600 rows at
most, the default MLP. A method that knows no unknown (logistic, a twin) calls its least sure
answers so, as many as there are: as no user knows how many, it is what could be had. One line of
JSON a run; runs that stand in the file are not made again.
"""

import argparse
import json
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from _holds_features import office_caltech_features
from _holds_problems import IMAGES, arrays, grey_body, pair, scaler, spectra
from _resumable import record_missing
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

import sktransfer
from sktransfer.metrics import open_set_score

PAIRS = {"mnist-usps": ("mnist", "usps"), "usps-mnist": ("usps", "mnist")}
N_ROWS = 2000
TABLES = {"spectra": spectra, "office": office_caltech_features}


def digits(name, seed, n_rows):
    """Return a draw of digits, 16x16 and between 0 and 1."""
    X, y = arrays(name)["X_train"], arrays(name)["y_train"].astype(int)
    rows = np.random.default_rng(seed).permutation(len(X))[:n_rows]
    images = torch.tensor(X[rows] / 255, dtype=torch.float32)[:, None]
    if name == "mnist":
        images = F.interpolate(images[:, :, 4:24, 4:24], (16, 16), mode="bilinear", antialias=True)
    return images.numpy(), y[rows]


def open_table(name, seed):
    """Return a task of `TABLES` whose source lacks a third of the classes."""
    dataset, source, target = name.split("-")
    domains = [int(domain) if domain.isdigit() else domain for domain in (source, target)]
    (Xs, ys), (Xt, yt) = pair(TABLES[dataset], *domains, seed)
    classes = np.random.default_rng(seed).permutation(np.unique(ys))
    known = classes[: round(2 / 3 * len(classes))]
    of_source = scaler(Xs)
    kept = np.isin(ys, known)
    yt = np.where(np.isin(yt, known), yt, "unknown")
    return of_source(Xs)[kept], ys[kept], of_source(Xt), yt


def make_case(case, name, seed, n_rows=N_ROWS):
    """Return both domains' rows and labels; -1 or "unknown" for what is unknown."""
    if case == "closed":
        Xs, ys, Xt, yt = make_case("open", name, seed, n_rows)
        known = np.isin(yt, ys)
        return Xs, ys, Xt[known], yt[known]
    if name not in PAIRS:
        return open_table(name, seed)
    (Xs, ys), (Xt, yt) = (digits(domain, seed, n_rows) for domain in PAIRS[name])
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


def make_estimator(name, seed, method, params):
    """Return what is to be fitted, with what the task asks for."""
    if method == "logistic":
        return LogisticRegression(max_iter=300)
    settings = {**(IMAGES if name in PAIRS else {}), **params}
    if name in PAIRS:
        torch.manual_seed(seed)
        settings["feature_extractor"] = grey_body()
    clf = getattr(sktransfer, method.removesuffix(" twin"))(random_state=seed, **settings)
    return clf.source_only() if method.endswith("twin") else clf


def least_sure_as_unknown(clf, X, unknown, n_unknown):
    """Return answers, and `unknown` in place of so many that are least sure."""
    answers, certainty = clf.predict(X), clf.predict_proba(X).max(axis=1)
    answers[np.argsort(certainty)[:n_unknown]] = unknown
    return answers


def run(case, name, seed, method, params, n_rows=N_ROWS):
    """Return accuracy (open set: harmonic mean) and seconds of one fit."""
    Xs, ys, Xt, yt = make_case(case, name, seed, n_rows)
    clf = make_estimator(name, seed, method, params)
    if method == "logistic":
        Xs, Xt = Xs.reshape(len(Xs), -1), Xt.reshape(len(Xt), -1)
    start = time.perf_counter()
    clf.fit(Xs, ys, **({} if method == "logistic" else {"X_target": Xt}))
    seconds = time.perf_counter() - start
    answers, unknown = clf.predict(Xt), -1 if name in PAIRS else "unknown"
    if case == "open" and unknown not in clf.classes_.tolist():
        answers = least_sure_as_unknown(clf, Xt, unknown, np.sum(yt == unknown))
    record = {"accuracy": float(np.mean(answers == yt)), "seconds": seconds}
    record["called_unknown"] = float(np.mean(answers == unknown))
    if getattr(clf, "unknown_share_", None) is not None:
        record["unknown_share"] = clf.unknown_share_
    if case == "open":
        known = yt != unknown
        record["hos"] = open_set_score(yt, answers, unknown_label=unknown)
        record["known"] = float(np.mean(answers[known] == yt[known]))
        record["unknown"] = float(np.mean(answers[~known] == unknown))
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
    parser.add_argument("--rows", type=int, default=N_ROWS)
    args = parser.parse_args()
    record_missing(args.runs, planned(args))


def planned(args):
    """Yield the key of each run that is asked for, and what makes it."""
    for seed, case, name, method in product(args.seeds, args.cases, args.pairs, args.methods):
        key = [case, name, method, json.dumps(args.params, sort_keys=True), seed]
        key += [args.rows] if args.rows != N_ROWS else []
        yield key, partial(run, case, name, seed, method, args.params, args.rows)


if __name__ == "__main__":
    main()
