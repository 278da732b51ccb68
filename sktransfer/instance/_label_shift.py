"""Correct a classifier for a target whose classes are more or less frequent."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state

from .._estimator import BaseTransferEstimator
from .._row_order import make_folds
from .._warning import warn
from .._wrapping import WrapperMixin, find_classes, fit_weighted
from ..data._domain import Domain, Domains
from ..validation._constraints import Integral, Interval, Real, StrOptions
from ..validation._domains import check_rows_to_predict
from ._calibration import calibrate, fit_calibration
from ._doubts import doubts_of_shares
from ._priors import (
    HeldOut,
    bootstrap_interval,
    correct_probabilities,
    estimate_priors,
    joint_confusion,
    shift_p_value,
    source_shares,
)


class LabelShiftClassifier(ClassifierMixin, WrapperMixin, BaseTransferEstimator):
    """Any probabilistic classifier, corrected for the target's shares of classes.

    Take it where classes are rarer or more frequent in the target and nothing else has changed.
    Where rows of a class look different as well, the shares take the blame for it, and the
    correction may harm.

    Under label shift the classes have other shares ``q`` in the target than ``p`` in the source,
    and rows of one class are distributed alike: a disease spreads, its symptoms stay. Without a
    label of the target ``q`` can be estimated, and the probabilities corrected::

        p'(k | x) = (q_k / p_k) p(k | x) / sum_j (q_j / p_j) p(j | x)

    ``p(k | x)`` are the classifier's probabilities, calibrated as ``softmax(a log p + b)`` on
    predictions for held-out rows of the source; ``p_k`` is their mean. The estimates of ``q``:

    - "em": the maximum of the likelihood, by ``q_k <- mean_i p'(k | x_i)`` until nothing changes;
    - "bbse": ``q_k = w_k p_k``, ``w = max(C^-1 mu, 0)``, with the share ``C_jk`` of held-out rows
      of class ``k`` that are taken for ``j`` and the share ``mu_j`` of the target's that are;
    - "rlls": ``w = 1 + t``, ``t`` of ``min ||C t - (mu - C 1)|| + penalty ||t||``.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Has `predict_proba`. None is `LogisticRegression`.
    method : {"em", "bbse", "rlls"}, default="em"
        Of estimating the shares. "em" is the most precise where the calibration holds; the others
        need no probabilities, and "rlls" is the steadier where classes are hard to tell apart.
    n_folds : int, default=5
        Folds by which rows of the source are held out. The final classifier is fitted on all.
    n_bootstraps : int, default=100
        Draws of rows of both domains for the intervals of the shares; 0 for none.
    confidence : float, default=0.95
        Of the intervals.
    random_state : int, RandomState instance or None, default=None
        Assigns rows to folds and draws them.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on all rows of the source.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    source_priors_ : ndarray of shape (n_classes,)
        ``p``: mean calibrated prediction for the held-out rows of the source.
    target_priors_ : ndarray of shape (n_classes,)
        ``q``; missing before a target was seen.
    target_priors_interval_ : ndarray of shape (2, n_classes) or None
        Its lower and upper ends, percentiles over the draws; an end below the share of a single
        row is 0.
    p_value_ : float
        Of the test that predicted classes are as frequent in the target as on held-out rows of the
        source. A small one says that there is some shift, not that it is one of labels.
    confusion_matrix_ : ndarray of shape (n_classes, n_classes)
        Shares ``C`` (row: predicted; column: class).
    temperature_ : float
        ``1 / a``: above 1 the classifier was overconfident.
    biases_ : ndarray of shape (n_classes,)
        ``b``.
    n_features_in_ : int
        Columns.

    Notes
    -----
    The target's labels are not used. Before a target was seen, predictions are the estimator's own.
    Classes that the source does not have are not looked for. Where rows of a class change too, the
    shares absorb it, wrongly: on eleven tasks whose shares hardly differ and whose rows do (texts,
    digits, photos, spectra) "em" lost .045 of accuracy in the mean, the others .029.

    References
    ----------
    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori
    probabilities", Neural Computation 14 (2002), eq. 2.9.

    Lipton, Wang and Smola, "Detecting and correcting for label shift with black box predictors",
    ICML 2018, section 4.

    Azizzadenesheli et al., "Regularized learning for domain adaptation under label shifts", ICLR
    2019, eq. 6.

    Calibration: Alexandari, Kundaje and Shrikumar, "Maximum likelihood with bias-corrected
    calibration is hard-to-beat at label shift adaptation", ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.instance import LabelShiftClassifier
    >>> rng = np.random.default_rng(0)
    >>> y, y_target = rng.random(1000) < 0.5, rng.random(1000) < 0.1
    >>> X = rng.normal(size=(1000, 1)) + 2 * y[:, None]
    >>> X_target = rng.normal(size=(1000, 1)) + 2 * y_target[:, None]
    >>> clf = LabelShiftClassifier(random_state=0).fit(X, y, X_target=X_target)
    >>> clf.target_priors_.round(1)
    array([0.9, 0.1])
    >>> clf.score(X_target, y_target) > clf.estimator_.score(X_target, y_target)
    True
    """

    _parameter_constraints: ClassVar = {
        **WrapperMixin._parameter_constraints,
        "method": [StrOptions({"em", "bbse", "rlls"})],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "n_bootstraps": [Interval(Integral, 0, None, closed="left")],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        method="em",
        *,
        n_folds=5,
        n_bootstraps=100,
        confidence=0.95,
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.n_folds = n_folds
        self.n_bootstraps = n_bootstraps
        self.confidence = confidence
        self.random_state = random_state

    def _default_estimator(self) -> Any:
        return LogisticRegression(max_iter=1000)

    def _fit(self, domains: Domains) -> None:
        source, target, inner = domains.source.weighted(), domains.target, self._inner_of_one_kind()
        if not hasattr(inner, "predict_proba"):
            raise TypeError(
                f"estimator is {type(inner).__name__}, which has no predict_proba. Wrap it "
                "in sklearn.calibration.CalibratedClassifierCV."
            )
        if target is None and self._transfers():
            warn(
                "LabelShiftClassifier was fitted without X_target: predictions are its estimator's "
                "until adapt(X_target)."
            )
        if target is not None and target.y is not None:
            warn(
                "y_target was given, but LabelShiftClassifier estimates the shares of classes "
                "from X_target alone."
            )
        self.classes_ = find_classes(source)
        self.estimator_ = fit_weighted(
            self._make_estimator(), source.X, source.y, source.sample_weight
        )
        self._hold_out(source)
        if target is not None:
            self._adapt(target.X)

    def _hold_out(self, source: Domain) -> None:
        """Predict rows of the source that were not trained on, and calibrate on them."""
        codes = np.searchsorted(self.classes_, np.asarray(source.y))
        given = np.ones(len(source)) if source.sample_weight is None else source.sample_weight
        n_folds = min(self.n_folds, np.bincount(codes).min())
        self._is_held_out = n_folds > 1
        if self._is_held_out:
            probabilities = np.empty((len(source), len(self.classes_)))
            random_state = check_random_state(self.random_state)
            for fold in make_folds(source.X, codes, n_folds, random_state):
                rest = source.take(np.delete(np.arange(len(source)), fold))
                fitted = fit_weighted(self._make_estimator(), rest.X, rest.y, rest.sample_weight)
                probabilities[fold] = fitted.predict_proba(source.X[fold])
        else:  # a class with a single row: nothing can be held out
            probabilities = self.estimator_.predict_proba(source.X)
        slope, self.biases_ = fit_calibration(probabilities, codes, given)
        self.temperature_ = 1 / slope
        calibrated = calibrate(probabilities, slope, self.biases_)
        self._held_out = HeldOut(calibrated, codes, given)
        self.source_priors_ = source_shares(self._held_out)
        self.confusion_matrix_ = joint_confusion(
            calibrated.argmax(axis=1), codes, given, len(self.classes_)
        )

    def adapt(self, X_target):
        """Estimate the shares of another target, from the same fit.

        Parameters
        ----------
        X_target : {array-like, sparse matrix} of shape (n_target, n_features)
            Rows of the target.

        Returns
        -------
        self : LabelShiftClassifier
            Corrected for that target.

        Raises
        ------
        ValueError
            For the twin that `source_only` gives.
        """
        if not self._transfers():
            raise ValueError(
                "adapt was called on the twin that source_only() gives, which transfers nothing: "
                "call it on the estimator itself."
            )
        self._adapt(check_rows_to_predict(self, X_target))
        return self

    def _adapt(self, X_target: Any) -> None:
        matrix, is_held_out = self.confusion_matrix_, self._is_held_out
        for doubt in doubts_of_shares(self.method, X_target.shape[0], matrix, is_held_out):
            warn(doubt)
        target = self._calibrated(X_target)
        priors = estimate_priors(self.method, self._held_out, target)
        interval = None
        if self.n_bootstraps:
            draws = self.n_bootstraps, self.confidence, check_random_state(self.random_state)
            interval = bootstrap_interval(self.method, self._held_out, target, priors, *draws)
        self.p_value_ = shift_p_value(self._held_out, target)
        self.target_priors_, self.target_priors_interval_ = priors, interval

    def _calibrated(self, X: Any) -> np.ndarray:
        probabilities = self.estimator_.predict_proba(X)
        return calibrate(probabilities, 1 / self.temperature_, self.biases_)

    def predict_proba(self, X):
        """Return the probabilities of the classes, corrected once a target was seen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        X = check_rows_to_predict(self, X)
        if not hasattr(self, "target_priors_"):
            return self.estimator_.predict_proba(X)
        probabilities = self._calibrated(X)
        return correct_probabilities(probabilities, self.source_priors_, self.target_priors_)

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels.
        """
        if not hasattr(self, "target_priors_"):
            X = check_rows_to_predict(self, X)
            return self.estimator_.predict(X)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
