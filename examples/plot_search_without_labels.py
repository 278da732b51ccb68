"""
A search without labels of the target, and what scorers miss
============================================================

Which ``lambda_`` is best for the target? A search scores candidates on the source, where every one
of them is good. Scorers of `sktransfer.model_selection` look at the target without its labels. Each
takes something for granted, and chooses badly where that does not hold.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV
from tabulate import tabulate

from sktransfer import DANNClassifier, TargetDomain
from sktransfer.datasets import make_shifted_moons
from sktransfer.model_selection import (
    ClassAMIScorer,
    EntropyScorer,
    InfoMaxScorer,
    NeighborAgreementScorer,
    SNDScorer,
    TargetAccuracyScorer,
)

SEEDS = range(2)  # each decides the rows and the training
LAMBDAS = [0.0, 0.1, 1.0]

# %%
# Two problems. In the first both classes are as frequent in the target as in the source, and
# adaptation gains much. In the second the moons are turned less, so that there is little to gain,
# and one class makes up only 10% of the target: much adaptation harms. (By default DANN may notice
# that by itself; ``class_weighting=None`` leaves it to the scorers.)


def make_domains(rotation, share, seed):
    """Return 300 rows of each domain, and in the target this share of class 0."""
    Xs, ys, Xt, yt = make_shifted_moons(600, rotation=rotation, random_state=seed)
    n_zeros = round(300 * share)
    zeros, ones = np.flatnonzero(yt == 0), np.flatnonzero(yt == 1)
    rows = np.concatenate([zeros[:n_zeros], ones[: 300 - n_zeros]])
    return Xs[:300], ys[:300], Xt[rows], yt[rows]


PROBLEMS = {"classes as in the source": (35, 0.5), "one class rare": (20, 0.1)}

# %%
# One search asks all scorers: they are given as a dict, and ``refit`` names the one that decides.
# Scorers hold the target themselves; to ``fit`` it goes in a `TargetDomain`, which no fold can cut.
# The last scorer looks at the labels. Here it is the truth to compare with; where some rows of the
# target have labels, it is a scorer like the others. scikit-learn's "accuracy" is that of held-out
# rows of the source, which a search maximises unless told otherwise.

chosen, truth = {}, {}
for problem, (rotation, share) in PROBLEMS.items():
    for seed in SEEDS:
        Xs, ys, Xt, yt = make_domains(rotation, share, seed)
        scoring = {
            "source accuracy": "accuracy",
            "EntropyScorer": EntropyScorer(Xt),
            "SNDScorer": SNDScorer(Xt),
            "InfoMaxScorer": InfoMaxScorer(Xt),
            "ClassAMIScorer": ClassAMIScorer(Xt),
            "NeighborAgreementScorer": NeighborAgreementScorer(Xt),
            "target accuracy": TargetAccuracyScorer(Xt, yt),
        }
        search = GridSearchCV(
            DANNClassifier(class_weighting=None, random_state=seed),
            {"lambda_": LAMBDAS},
            scoring=scoring,
            refit="NeighborAgreementScorer",
            cv=2,
        )
        search.fit(Xs, ys, X_target=TargetDomain(Xt))
        results = search.cv_results_
        accuracy = results["mean_test_target accuracy"]
        truth.setdefault(problem, []).append(accuracy)
        for name in scoring:
            best = int(np.argmax(results[f"mean_test_{name}"]))
            chosen.setdefault(name, {}).setdefault(problem, []).append(accuracy[best])

table = [
    [name, *(np.mean(reached[problem]) for problem in PROBLEMS)] for name, reached in chosen.items()
]
table.append(["without adaptation", *(np.mean(truth[p], axis=0)[0] for p in PROBLEMS)])
print(f"accuracy on the target of what each scorer chose, mean of {len(SEEDS)} seeds")
print(tabulate(table, ["", *PROBLEMS], floatfmt=".3f"))

# %%
# Above, the true accuracy of the candidates, which a search without labels never sees. Below, what
# each scorer has chosen reaches: every point is a search, every diamond a mean. Accuracy on the
# source finds little, being about 1 whatever ``lambda_`` is. `NeighborAgreementScorer`, `SNDScorer`
# and `EntropyScorer` find what it gains on the left. On the right not to adapt is best, as
# `SNDScorer` says; most others prefer fits that find too much of the rare class. Labels of the
# target choose best. On other problems the order is another: ``benchmarks/scorers.py`` has more.

BLUE, ORANGE = "#0072B2", "#D55E00"
figure, axes = plt.subplots(2, 2, figsize=(12, 8), sharey="row", layout="constrained")
places = np.arange(len(LAMBDAS))
for (above, below), problem in zip(axes.T, PROBLEMS, strict=True):
    above.plot(places, np.transpose(truth[problem]), color="0.7", lw=1)
    above.plot(places, np.mean(truth[problem], axis=0), "ko-", lw=2.5, label="mean")
    above.plot([], [], color="0.7", lw=1, label="each seed")
    above.set_xticks(places, LAMBDAS)
    above.set(title=problem, xlabel="lambda_")
    above.grid(axis="y", color="0.92")
    for row, (name, reached) in enumerate(chosen.items()):
        color = "k" if name == "target accuracy" else ORANGE if name == "source accuracy" else BLUE
        below.plot(reached[problem], [row] * len(SEEDS), "o", color=color, alpha=0.35, markersize=6)
        below.plot(np.mean(reached[problem]), row, "D", color=color, markersize=9)
    unadapted = np.mean(truth[problem], axis=0)[0]
    below.axvline(unadapted, color="0.4", ls=":", lw=1.2, label="without adaptation")
    below.set(xlabel="accuracy on the target of what was chosen", xlim=(0.65, 1.02))
    below.grid(axis="x", color="0.92")
axes[0, 0].set_ylabel("accuracy on the target")
axes[0, 0].legend(loc="lower right", fontsize=9)
axes[1, 0].set_yticks(range(len(chosen)), chosen)
axes[1, 0].invert_yaxis()
axes[1, 1].legend(loc="lower left", fontsize=9)

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
