"""What tells, without labels, that a fit has failed? Hits and false alarms of what fit warns of."""

import numpy as np
import pandas as pd

CHANCE = 2 * np.log(2)
LOST, MISSED = -0.03, 0.05  # against the twin; against the best epoch
COLUMNS = [
    f"{failure}: {kind}"
    for failure in ("lost", "lost or missed")
    for kind in ("hits", "false alarms")
]
# How the warnings of `fit` begin.
WARNINGS = {
    "class shares differ": "The predicted shares",
    "domain loss swings or stands high": "The domain loss went",
    "domain loss stands still": "The domain loss stood",
    "domains are still told apart": "The domain classifier still",
    "no gradient": "No adaptation took place",
}
WITNESSES = {
    "late epochs flip a share of rows": ("flips", [0.02, 0.05, 0.1, 0.2]),
    "late epochs disagree with the fit": ("disagreement", [0.02, 0.05, 0.1, 0.2]),
    "domain loss above 2 ln 2 by a share": ("excess", [0.02, 0.05, 0.1, 0.3]),
    "domain loss swings by a share of 2 ln 2": ("swing", [0.02, 0.05, 0.1, 0.3]),
}


def witnesses(runs):
    """Return for each witness and threshold how many of the failed and good fits it names."""
    runs = runs[runs["gain"].notna()]
    losses = [np.atleast_1d(late) for late in runs["domain_loss"]]
    runs = runs.assign(
        excess=[np.mean(late) / CHANCE - 1 for late in losses],
        swing=[np.ptp(late) / CHANCE for late in losses],
    )
    rows = [
        [name, threshold, *hits_and_alarms(runs, runs[column] > threshold)]
        for name, (column, thresholds) in WITNESSES.items()
        for threshold in thresholds
    ]
    return pd.DataFrame(rows, columns=["witness", "above", *COLUMNS])


def warnings_of_fit(runs):
    """Return for each warning of `fit` and method how many failed and good fits it names."""
    rows = []
    for method, own in runs[runs["gain"].notna()].groupby("method"):
        for name, beginning in WARNINGS.items():
            named = own["warned"].astype(str).str.contains(beginning, regex=False)
            rows.append([method, name, *hits_and_alarms(own, named)])
    return pd.DataFrame(rows, columns=["method", "warning", *COLUMNS])


def hits_and_alarms(runs, named):
    """Return how many of the failed and of the other runs are named, for both kinds of failure."""
    lost = runs["gain"] <= LOST
    cells = []
    for failed in (lost, lost | (runs["regret"] >= MISSED)):
        cells += [f"{(named & failed).sum()} of {failed.sum()}"]
        cells += [f"{(named & ~failed).sum()} of {(~failed).sum()}"]
    return cells
