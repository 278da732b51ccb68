"""What tells, without labels, that a fit has failed? Hits and false alarms of some witnesses."""

import numpy as np
import pandas as pd

CHANCE = 2 * np.log(2)
LOST, MISSED = -0.03, 0.05  # against the twin; against the best epoch
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
    failures = {
        "lost": runs["gain"] <= LOST,
        "lost or missed": (runs["gain"] <= LOST) | (runs["regret"] >= MISSED),
    }
    rows = []
    for name, (column, thresholds) in WITNESSES.items():
        for threshold in thresholds:
            named = runs[column] > threshold
            cells = []
            for failed in failures.values():
                cells += [f"{(named & failed).sum()} of {failed.sum()}"]
                cells += [f"{(named & ~failed).sum()} of {(~failed).sum()}"]
            rows.append([name, threshold, *cells])
    columns = [f"{failure}: {kind}" for failure in failures for kind in ("hits", "false alarms")]
    return pd.DataFrame(rows, columns=["witness", "above", *columns])
