"""Several sources named, against all of them pooled and against the best one alone.

    python benchmarks/sources.py RUNS.jsonl [seed ...]
    python benchmarks/sources.py RUNS.jsonl --table

Three domains are the sources, the fourth the target: loads of the bearings (spectra) and the
photos of Office-Caltech10, as features of a network and as counts of visual words. "one logit"
is DANN that balances the sources in its batches and tells all of them from the target by one
logit, not by an output for each. "best single" is the one that the target's labels would
choose: nobody knows it, it is here to compare with. Rows are standardised by all sources.
"""

import sys

import numpy as np
from _holds_features import office_caltech_features
from _holds_problems import some, spectra
from _resumable import run_missing, table
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNClassifier, DeepCORALClassifier
from sktransfer.adaptation._dann import make_domain_classifier


class OneLogit(DANNClassifier):
    """Takes balanced sources for one domain."""

    def _make_heads(self, features, n_outputs):
        made = make_domain_classifier(self.domain_classifier, self.domain_layer_sizes, features)
        return {"domain_classifier": made}


def words():
    """Return the roots of counts of 800 visual words."""
    from _holds_visual_words import office_caltech_words

    return {name: (np.sqrt(X), y) for name, (X, y) in office_caltech_words().items()}


DATA = {"office": office_caltech_features, "words": words, "spectra": spectra}
METHODS = {"DANN": DANNClassifier, "CORAL": DeepCORALClassifier}
WAYS = ("several", "one logit", "pooled", "pooled, no target", "best single")
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
    kind = OneLogit if way == "one logit" else METHODS[method]
    clf = kind(max_epochs=EPOCHS, random_state=seed)
    if way == "best single":
        fits = [clf.fit(X[domain == n], y[domain == n], Xt).score(Xt, yt) for n in names]
        return max(fits)
    if way == "pooled, no target":
        return clf.source_only().fit(X, y).score(Xt, yt)
    named = way in ("several", "one logit")
    return clf.fit(X, y, Xt, domains=domain if named else None).score(Xt, yt)


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
            if method == "DANN" or way != "one logit"
        ]
        run_missing(path, keys, run)
