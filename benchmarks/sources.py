"""Several sources named, against all of them pooled and against the best one alone.

    python benchmarks/sources.py RUNS.jsonl [seed ...]
    python benchmarks/sources.py RUNS.jsonl --table

Three domains are the sources, the fourth the target: loads of the bearings (spectra) and the
photos of Office-Caltech10 (features). "best single" is the one that the target's labels would
choose: nobody knows it, it is here to compare with. Rows are standardised by all sources.
"""

import sys

import numpy as np
from _holds_features import office_caltech_features
from _holds_problems import some, spectra
from _resumable import run_missing, table
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNClassifier, DeepCORALClassifier

DATA = {"office": office_caltech_features, "spectra": spectra}
METHODS = {"DANN": DANNClassifier, "CORAL": DeepCORALClassifier}
WAYS = ("several", "pooled", "pooled, no target", "best single")
ROWS, EPOCHS = 200, 30  # rows of a domain


def run(dataset, place, method, way, seed):
    """Return the accuracy on the target."""
    domains = DATA[dataset]()
    names = list(domains)
    target = names.pop(place)
    rows = {name: some(*domains[name], seed, ROWS) for name in (*names, target)}
    X = np.concatenate([rows[name][0] for name in names])
    y = np.concatenate([rows[name][1] for name in names])
    scaler = StandardScaler().fit(X)
    X, Xt, yt = scaler.transform(X), scaler.transform(rows[target][0]), rows[target][1]
    domain = np.repeat(names, [len(rows[name][1]) for name in names])
    clf = METHODS[method](max_epochs=EPOCHS, random_state=seed)
    if way == "best single":
        fits = [clf.fit(X[domain == n], y[domain == n], Xt).score(Xt, yt) for n in names]
        return max(fits)
    if way == "pooled, no target":
        return clf.source_only().fit(X, y).score(Xt, yt)
    return clf.fit(X, y, Xt, domains=domain if way == "several" else None).score(Xt, yt)


if __name__ == "__main__":
    path, *rest = sys.argv[1:]
    if rest == ["--table"]:
        print(table(path, ["data", "target", "method", "way", "seed"], ["data", "method"], "way"))
    else:
        keys = [
            (dataset, place, method, way, seed)
            for method in METHODS
            for dataset in DATA
            for seed in list(map(int, rest or (0, 1, 2)))
            for place in range(4)
            for way in WAYS
        ]
        run_missing(path, keys, run)
