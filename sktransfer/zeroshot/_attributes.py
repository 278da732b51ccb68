"""Direct attribute prediction."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from .._docs import with_shared_docs
from ..validation._constraints import HasMethods, Interval, Real, StrOptions
from ._base import BaseZeroShotClassifier

# A row's probability of an attribute is at least this: no attribute rules a class out alone.
LEAST_PROBABILITY = 1e-6


def score_attributes(
    probabilities: np.ndarray, priors: np.ndarray, attributes: np.ndarray
) -> np.ndarray:
    """Return ``sum_m log p(a_m = a_km | x_i) - log p(a_m = a_km)`` of shape (n_rows, n_classes)."""
    has = np.log(probabilities) - np.log(priors)
    lacks = np.log1p(-probabilities) - np.log1p(-priors)
    return has @ attributes.T + lacks @ (1.0 - attributes).T


@with_shared_docs
class DAPClassifier(BaseZeroShotClassifier):
    """Predicts attributes, each by an estimator of its own, and the class they fit (DAP).

    With ``a_km`` whether class ``k`` has attribute ``m``, a class's score is ::

        log p(k | x) = sum_m log p(a_m = a_km | x) - log p(a_m = a_km) + const

    over the attributes in which seen classes differ; no estimator could learn the others.
    Probabilities are kept within 1e-6 and 1 - 1e-6.

    Parameters
    ----------
    {descriptions_parameter} Above `threshold` a class has
        the attribute.
    estimator : estimator or None, default=None
        Any with `predict_proba`. None is `LogisticRegression`.
    attribute_prior : {"seen", "uniform"}, default="seen"
        ``p(a_m)``: the share of the seen classes that have it, or 1/2.
    threshold : float, default=0.5
        Of descriptions that are no 0 and 1.
    {zero_shot_parameters}

    Attributes
    ----------
    estimators_ : list of estimators
        Of each attribute that was learned.
    learned_attributes_ : ndarray of int
        Numbers of these attributes.
    attribute_priors_ : ndarray of shape (n_learned_attributes,)
        ``p(a_m)``.
    {zero_shot_attributes}

    Notes
    -----
    ``search="auto"`` chooses nothing. Estimators are searched by
    ``search={"estimator": [one, another]}``.

    References
    ----------
    Lampert, Nickisch and Harmeling, "Attribute-based classification for zero-shot visual object
    categorization", TPAMI 36 (2014), eq. 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.zeroshot import DAPClassifier
    >>> rng = np.random.default_rng(0)
    >>> described = {k: [k & 1, k >> 1 & 1, k >> 2 & 1] for k in range(8)}
    >>> y = rng.integers(8, size=400)
    >>> X = np.array([described[k] for k in y]) + 0.2 * rng.normal(size=(400, 3))
    >>> unseen = np.isin(y, [2, 5])
    >>> clf = DAPClassifier(described).fit(X[~unseen], y[~unseen])
    >>> bool(clf.score(X[unseen], y[unseen]) > 0.95)
    True
    """

    _parameter_constraints: ClassVar = {
        **BaseZeroShotClassifier._parameter_constraints,
        "estimator": [None, HasMethods(["fit", "predict_proba"])],
        "attribute_prior": [StrOptions({"seen", "uniform"})],
        "threshold": [Interval(Real, None, None, closed="neither")],
    }
    _searchable = ("estimator", "attribute_prior", "threshold")

    def __init__(
        self,
        descriptions=None,
        *,
        estimator=None,
        attribute_prior="seen",
        threshold=0.5,
        candidates="unseen",
        calibration=0.0,
        search="auto",
        cv=None,
    ):
        self.descriptions = descriptions
        self.estimator = estimator
        self.attribute_prior = attribute_prior
        self.threshold = threshold
        self.candidates = candidates
        self.calibration = calibration
        self.search = search
        self.cv = cv

    def _learn(self, X, codes, vectors) -> None:
        attributes = vectors > self.threshold
        self.threshold_ = float(self.threshold)
        self.learned_attributes_ = np.flatnonzero(attributes.any(axis=0) & ~attributes.all(axis=0))
        if len(self.learned_attributes_) == 0:
            if len(vectors) == 1:
                raise ValueError("y has one class: attributes are learned where classes differ.")
            raise ValueError(
                f"No attribute differs between seen classes at threshold={self.threshold!r}: give "
                "descriptions that tell them apart, or a threshold between their values."
            )
        attributes = attributes[:, self.learned_attributes_]
        self.attribute_priors_ = np.full(attributes.shape[1], 0.5)
        if self.attribute_prior == "seen":
            self.attribute_priors_ = attributes.mean(axis=0)
        self.estimators_ = [
            self._make_estimator().fit(X, has_attribute[codes]) for has_attribute in attributes.T
        ]

    def _scores(self, X, vectors) -> np.ndarray:
        probabilities = np.column_stack(
            [estimator.predict_proba(X)[:, 1] for estimator in self.estimators_]
        )
        return score_attributes(
            np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY),
            self.attribute_priors_,
            self._compared(vectors).astype(float),
        )

    def _compared(self, vectors) -> np.ndarray:
        """Return which of the learned attributes classes have."""
        return vectors[:, self.learned_attributes_] > self.threshold_

    def predict_proba(self, X):
        """Return the probabilities of candidates, alike before the row was seen.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows, n_candidates)
            In the order of ``classes_``; attributes count as independent, so they are surer than
            they should be.
        """
        return softmax(self._candidate_scores(X), axis=1)

    def _make_estimator(self) -> Any:
        if self.estimator is None:
            return LogisticRegression(max_iter=1000)
        return clone(self.estimator)
