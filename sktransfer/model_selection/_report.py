"""Did adaptation help? A fit beside its source-only twin."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from tabulate import tabulate

from .._wrapping import is_fitted
from ..metrics import proxy_a_distance
from ..validation._arrays import as_array, check_same_length
from ._confidence import InfoMaxScorer, SNDScorer
from ._scoring import TargetAccuracyScorer, extract_features, refuse_numbers
from ._source_only import make_source_only, transfers
from ._source_side import as_for_source
from ._structure import ClassAMIScorer, NeighborAgreementScorer

# Shares by less than which two fits do not differ.
MARGIN = 0.01

# Share of rows in which a source-only fit agrees with its neighbours, and is believed.
SURE_AGREEMENT = 0.95

WITNESSES = ("gap of class shares", "NeighborAgreementScorer", "SNDScorer")

HEADLINES = {
    "helped": "Adaptation helped.",
    "nothing": "Adaptation did nothing.",
    "harm": "Adaptation did harm (negative transfer): do without it, or give it less weight.",
    "unclear": "Whether adaptation helped is unclear.",
}

# Standard errors by which accuracies on labelled rows must differ.
N_STANDARD_ERRORS = 1.96


@dataclass(frozen=True)
class AdaptationReport:
    """What adaptation changed; `print` it, or show it in a notebook.

    Attributes
    ----------
    verdict : {"helped", "nothing", "harm", "unclear"}
        What adaptation did to the predictions on the target.
    explanation : str
        Why, in words.
    figures : dict of str to (float, float)
        By name the figure of the source-only twin and that of the adapted fit.
    changed : float
        Share of the target's rows that the two predict differently. Their
        accuracies cannot differ by more.
    source_only : estimator
        The fitted twin.
    """

    verdict: str
    explanation: str
    figures: dict[str, tuple[float, float]]
    changed: float
    source_only: Any

    def __str__(self) -> str:
        return f"{self.explanation}\n\n{self._table('simple')}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.explanation)}</p>\n{self._table('html')}"

    def _table(self, form: str) -> str:
        rows = [(name, *pair) for name, pair in self.figures.items()]
        return tabulate(rows, ["", "source only", "adapted"], form, floatfmt=".3f")


def adaptation_report(
    estimator: Any,
    X: Any,
    y: Any,
    X_target: Any,
    *,
    y_target: Any = None,
    scorers: Any = None,
    source_only: Any = None,
) -> AdaptationReport:
    """Say whether adaptation helped, did nothing or did harm, beside a source-only twin.

    The twin is the estimator's ``source_only()``, fitted on the source alone from
    the same `random_state`. Where the two predict less than 1%
    of the target rows differently, adaptation did nothing. With labels of the
    target their accuracies decide: a difference of more than 1.96 standard
    errors, those of the rows that only one of the two has right; less is "unclear",
    for want of labels or of a difference. Without labels
    there are witnesses, and only where they agree is there a verdict:

    - the gap of class shares ``1/2 sum_k |h_k - s_k|``, with ``h_k`` the share of
      class ``k`` predicted for the target and ``s_k`` its share of the source:
      fits that go wrong lose classes. This takes for granted that the
      classes are about as frequent in both domains;
    - the score of `NeighborAgreementScorer` on `X` and `y`;
    - the score of `SNDScorer`, whose word counts against adaptation alone: it
      prefers a source-only fit that has collapsed on the target to a good one.

    The first two better by more than 0.01 is "helped"; both worse by more than 0.01,
    and the third worse, is "harm". So is a second and a third that are worse where the
    source-only twin agreed with the neighbours in 95% of the rows or more: such a twin is
    believed about the shares of classes, too, and the target may lack some of them.
    Anything else is "unclear", as it often will be.
    Other scorers, and the proxy A-distance of the features, are shown but not
    asked: they prefer fits that are sure or alike, right or not.
    ``benchmarks/scorers.py`` and ``benchmarks/verdicts.py`` count how often the verdict is
    right.

    Parameters
    ----------
    estimator : classifier with ``source_only()``, or a pipeline or search that holds one
        As the classifiers of this package that take a target without labels. Fitted on
        the very data that follow, or not fitted: then a clone is fitted. It is not
        changed.
    X : array-like of shape (n_source, ...)
        Rows of the source.
    y : array-like of shape (n_source,)
        Their labels.
    X_target : array-like of shape (n_target, ...)
        Rows of the target, at least 2.
    y_target : array-like of shape (n_target,), default=None
        Their labels, if there are any.
    scorers : dict of str to callable or None, default=None
        What to show besides: ``(estimator, X, y) -> float`` by name, called with `X`
        and `y`. None is `ClassAMIScorer` and `InfoMaxScorer` on `X_target`.
    source_only : estimator or None, default=None
        A fitted estimator to compare with, such as the twin of an earlier report on
        the same source, which saves its fit. None fits the twin.

    Returns
    -------
    AdaptationReport
        Verdict, explanation and figures.

    Raises
    ------
    ValueError
        Where the estimator does not adapt: without ``source_only()``, or with
        parameters by which a target without labels makes no difference.

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import adaptation_report
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = DANNClassifier(learning_rate=0.01, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> adaptation_report(clf, Xs, ys, Xt, y_target=yt).verdict
    'helped'
    """
    refuse_numbers("adaptation_report", estimator)
    _check_adapts(estimator)
    X_target = as_array(X_target, "X_target")
    accuracy = None if y_target is None else TargetAccuracyScorer(X_target, y_target)
    check_same_length(np.shape(X)[0] if hasattr(X, "shape") else len(X), "X", y, "y")
    _check_scorers(scorers)
    _check_source_only(source_only)
    if scorers is None:
        scorers = {kind.__name__: kind(X_target) for kind in (ClassAMIScorer, InfoMaxScorer)}
    if source_only is None:
        source_only = make_source_only(estimator).fit(X, y)
    pair = source_only, _fitted(estimator, X, y, X_target)
    before, after = (np.asarray(fit.predict(X_target)) for fit in pair)
    shown = {**_own_scorers(X_target), **scorers}
    if accuracy is not None:
        shown["target accuracy"] = accuracy
    figures = {
        name: (float(score(pair[0], X, y)), float(score(pair[1], X, y)))
        for name, score in shown.items()
    }
    changed = float(np.mean(before != after))
    if changed < MARGIN:
        verdict, reason = "nothing", "so their accuracies cannot differ by more"
    elif accuracy is not None:
        verdict, reason = judge_by_labels(before == accuracy.y_target, after == accuracy.y_target)
    else:
        verdict, reason = judge_by_witnesses(*(figures[name] for name in WITNESSES))
    explanation = (
        f"{HEADLINES[verdict]} {changed:.1%} of the target's rows are predicted differently than "
        f"by the source-only twin, {reason}."
    )
    return AdaptationReport(verdict, explanation, figures, changed, source_only)


def _own_scorers(X_target) -> dict[str, Any]:
    """Return what every report shows, the witnesses among it."""
    return {
        "source accuracy": lambda fit, X, y: accuracy_score(y, as_for_source(fit).predict(X)),
        "proxy A-distance": lambda fit, X, _: _distance_of_domains(fit, X, X_target),
        "gap of class shares": lambda fit, _, y: class_share_gap(fit.predict(X_target), y),
        "NeighborAgreementScorer": NeighborAgreementScorer(X_target),
        "SNDScorer": SNDScorer(X_target),
    }


def class_share_gap(labels: np.ndarray, y) -> float:
    """Return ``1/2 sum_k |h_k - s_k|`` of the shares of classes in labels and in y."""
    classes = np.unique(np.concatenate([labels, np.asarray(y)]))
    shares = [np.mean(np.asarray(given) == classes[:, np.newaxis], axis=1) for given in (labels, y)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def judge_by_labels(before: np.ndarray, after: np.ndarray) -> tuple[str, str]:
    """Judge by which rows are predicted rightly; rows that changed for the better or worse count.

    McNemar's test: of ``n`` such rows half would be for the better by chance, with a
    standard error of ``sqrt(n) / 2`` rows.
    """
    better, worse = int(np.sum(after & ~before)), int(np.sum(before & ~after))
    reason = f"{better} of the {len(before)} labelled ones for the better and {worse} for the worse"
    if abs(better - worse) <= N_STANDARD_ERRORS * np.sqrt(better + worse):
        return "unclear", f"{reason}, which may be chance: label more rows to tell"
    return ("helped" if better > worse else "harm"), reason


def judge_by_witnesses(
    gaps: tuple[float, float], agreements: tuple[float, float], densities: tuple[float, float]
) -> tuple[str, str]:
    """Judge by gaps of class shares, agreements with neighbours and densities, before and after."""
    closer, agreed = gaps[0] - gaps[1], agreements[1] - agreements[0]
    if min(closer, agreed) > MARGIN:
        return "helped", (
            "in shares of classes nearer to those of the source, and more of them as their "
            "neighbours in the source are labelled"
        )
    if max(closer, agreed) < -MARGIN and densities[1] < densities[0]:
        return "harm", (
            "in shares of classes further from those of the source, fewer of them as their "
            "neighbours in the source are labelled, and in looser neighbourhoods of their own"
        )
    sure = agreements[0] >= SURE_AGREEMENT
    if sure and agreed < -MARGIN and densities[1] < densities[0]:
        return "harm", (
            "fewer of them as their neighbours in the source are labelled, where without "
            f"adaptation {agreements[0]:.1%} were, and in looser neighbourhoods of their own: the "
            "target may lack classes, which no matching of domains can know"
        )
    return "unclear", (
        f"and the witnesses do not agree: the gap of class shares went from {gaps[0]:.3f} to "
        f"{gaps[1]:.3f}, the agreement with neighbours in the source from {agreements[0]:.3f} to "
        f"{agreements[1]:.3f}, the density of neighbourhoods from {densities[0]:.3f} to "
        f"{densities[1]:.3f}. Label some rows of the target and pass y_target: 100 tell "
        "differences of 0.1"
    )


def _check_adapts(estimator) -> None:
    if isinstance(estimator, type) or not transfers(estimator):
        raise ValueError(
            f"estimator must adapt to a target without labels, but {estimator!r} does not: give "
            "an adaptation classifier of this package, or a pipeline that holds one, with the "
            "weight of what adapts (lambda_ and its like) above 0. An estimator of your own says "
            "that it adapts by a method source_only()."
        )


def _check_scorers(scorers) -> None:
    if scorers is None:
        return
    if not isinstance(scorers, Mapping):
        raise TypeError(
            f"scorers must be a dict of name: scorer, or None; got a {type(scorers).__name__}."
        )
    for name, scorer in scorers.items():
        if isinstance(scorer, type) or not callable(scorer):
            raise TypeError(
                f"scorers[{name!r}] must be a callable (estimator, X, y) -> float, such as "
                f"InfoMaxScorer(X_target), not its class; got {scorer!r}."
            )


def _check_source_only(source_only) -> None:
    if source_only is not None and not is_fitted(source_only):
        raise ValueError(
            f"source_only={source_only!r} is not fitted: fit it on X and y, or leave it out."
        )


def _fitted(estimator, X, y, X_target):
    if is_fitted(estimator):
        return estimator
    return clone(estimator).fit(X, y, X_target=X_target)


def _distance_of_domains(fit, X, X_target) -> float:
    source, target = extract_features(as_for_source(fit), X), extract_features(fit, X_target)
    return proxy_a_distance(source, target, random_state=0)
