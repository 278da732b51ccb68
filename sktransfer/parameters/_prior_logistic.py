"""Logistic regression with a prior centred on the source's parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot

from .._docs import with_shared_docs
from .._estimator import BaseTransferEstimator
from .._row_order import make_folds
from .._wrapping import find_classes
from ..data._domain import Domain, Domains
from ..validation._domains import check_domains, check_rows_to_predict
from ..validation._target_labels import refuse_words_beside_numbers
from ._priors import PRIOR_CONSTRAINTS, PriorMixin, read_coefficients

# Strengths that are tried, times the mean square of a row's features, and folds they are tried in.
STRENGTHS = (*np.logspace(-4, 2, 7), np.inf)
N_FOLDS = 5


def spread_prior(
    coef: np.ndarray, intercept: np.ndarray, known: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a source's coefficients for the `classes` of both domains, intercepts included.

    Two classes keep their single row. For more, a single row becomes two of half its size, rows are
    centred (which changes no probability), and a class that the source does not know gets zeros.
    """
    if np.array_equal(known, classes):
        return coef, intercept
    if len(known) == 2:
        coef = np.concatenate([-coef, coef]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    of_known = np.searchsorted(classes, known)
    wide, offsets = np.zeros((len(classes), coef.shape[1])), np.zeros(len(classes))
    wide[of_known], offsets[of_known] = coef - coef.mean(axis=0), intercept - intercept.mean()
    return wide, offsets


def losses_and_slopes(logits: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the negative log likelihood of each row, and its derivatives by the logits.

    It is logistic for one column of logits and answers (0 or 1), softmax for more.
    """
    if logits.shape[1] == 1:
        losses = np.logaddexp(0, logits[:, 0]) - answers[:, 0] * logits[:, 0]
        return losses, expit(logits) - answers
    losses = -(answers * log_softmax(logits, axis=1)).sum(axis=1)
    return losses, softmax(logits, axis=1) - answers


def logistic_deviations(
    X: Any,
    codes: np.ndarray,
    shares: np.ndarray,
    prior: tuple[np.ndarray, np.ndarray],
    strength: float,
    shrink_intercept: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``min_{V, c} sum_j p_j loss(y_j, (W_S + V) x_j + b_S + c) + strength/2 ||V||^2``.

    The loss is that of `losses_and_slopes`, logistic for a prior of one row.

    Returns
    -------
    coef, intercept : ndarray
        The parameters ``W_S + V`` and ``b_S + c``.
    """
    coef, intercept = prior
    n_outputs, n_features = coef.shape
    fixed = safe_sparse_dot(X, coef.T, dense_output=True) + intercept
    learn_coef = bool(np.isfinite(strength))
    if not learn_coef and shrink_intercept:
        return coef, intercept
    size = n_outputs * (n_features if learn_coef else 0)
    penalty = strength if learn_coef else 0.0
    scale = 1 / (1 + penalty)
    answers = (
        codes[:, np.newaxis].astype(float)
        if n_outputs == 1
        else (codes[:, np.newaxis] == np.arange(n_outputs)).astype(float)
    )

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        V, c = parameters[:size].reshape(n_outputs, -1), parameters[size:]
        logits = fixed + c
        if learn_coef:
            logits = logits + safe_sparse_dot(X, V.T, dense_output=True)
        losses, slopes = losses_and_slopes(logits, answers)
        slopes *= shares[:, np.newaxis]
        of_c = slopes.sum(axis=0) + (penalty * c if shrink_intercept else 0)
        value = shares @ losses + penalty / 2 * (V**2).sum()
        value += penalty / 2 * (c**2).sum() if shrink_intercept else 0
        of_V = safe_sparse_dot(X.T, slopes, dense_output=True).T + penalty * V if learn_coef else V
        return scale * value, scale * np.concatenate([of_V.ravel(), of_c])

    found = minimize(
        objective,
        np.zeros(size + n_outputs),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxfun": 2000, "ftol": 1e-14, "gtol": 1e-8 * scale},
    ).x
    deviation = found[:size].reshape(coef.shape) if learn_coef else 0.0
    return coef + deviation, intercept + found[size:]


def log_losses(X: Any, codes: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    """Return the negative log likelihood of each row."""
    logits = safe_sparse_dot(X, coef.T, dense_output=True) + intercept
    if logits.shape[1] == 1:
        return np.logaddexp(0, np.where(codes == 1, -1, 1) * logits[:, 0])
    return -log_softmax(logits, axis=1)[np.arange(len(codes)), codes]


@with_shared_docs
class PriorTransferClassifier(PriorMixin, ClassifierMixin, BaseTransferEstimator):
    """Logistic regression on few labels of the target, with a prior centred on the source's.

    The target's coefficients ``W`` are drawn to those of the source, ``W_S``, instead of to zero::

        min_{W, b}  1/m sum_j -log p(y_j | x_j; W, b) + strength/2 (||W - W_S||^2 + ||b - b_S||^2)

    for ``m`` rows of the target, with softmax (two classes: logistic) probabilities ``p``. Strength
    0 is the target alone, an infinite one the source's model. The best strength has the least log
    loss on held-out rows of the target, in 5 folds.

    Parameters
    ----------
    {prior_source_parameter}
    strength : "auto" or float, default="auto"
        Of the prior, from 0 to infinity. "auto" takes the best of 8, from 1e-4 to 100 times the
        mean square of the target's rows, and infinity. Where the target has a single row, it is
        infinity.
    shrink_intercept : bool, default=True
        Draw the intercepts to the source's, too. Few rows say little of the shares of classes, and
        nothing of a class that they do not show; False lets the target's rows alone decide.
    random_state : int, RandomState instance or None, default=None
        Assigns rows to folds.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients ``W``.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts ``b``.
    classes_ : ndarray of shape (n_classes,)
        Labels of the source and the target.
    {prior_attributes}

    See Also
    --------
    BalancedWeightingClassifier : For estimators that have no coefficients.

    References
    ----------
    Chelba and Acero, "Adaptation of maximum entropy capitalizer: little data can help a lot",
    Computer Speech & Language 20 (2006), eq. 10.

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.parameters import PriorTransferClassifier
    >>> Xs, ys, Xt, yt = make_shifted_moons(200, rotation=60, random_state=0)
    >>> clf = PriorTransferClassifier(random_state=0)
    >>> clf = clf.fit(Xs, ys, X_target=Xt[:10], y_target=yt[:10])
    >>> clf.score(Xt[10:], yt[10:]) > clf.source_.score(Xt[10:], yt[10:])
    True
    """

    _parameter_constraints: ClassVar = {**PRIOR_CONSTRAINTS, "random_state": ["random_state"]}

    def __init__(self, source=None, *, strength="auto", shrink_intercept=True, random_state=None):
        self.source = source
        self.strength = strength
        self.shrink_intercept = shrink_intercept
        self.random_state = random_state

    def _default_source(self) -> Any:
        return LogisticRegression(max_iter=1000)

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        return check_domains(
            fitted, X, y, X_target, y_target, sample_weight, dtype=[np.float64, np.float32]
        )

    def _fit(self, domains: Domains) -> None:
        self.source_, target = self._split(domains)
        coef, intercept = read_coefficients(self.source_, self.n_features_in_)
        known = getattr(self.source_, "classes_", None)
        if known is None:
            raise TypeError(
                f"source is {type(self.source_).__name__}, which has no classes_: give a linear "
                "classifier such as LogisticRegression."
            )
        if target is not None:
            refuse_words_beside_numbers(known, target.labels)
        self.classes_ = known if target is None else np.union1d(known, find_classes(target))
        self.coef_, self.intercept_ = spread_prior(coef, intercept, known, self.classes_)
        self.strength_ = np.inf
        if target is not None:
            self._learn(target)

    def _learn(self, target: Domain) -> None:
        codes = np.searchsorted(self.classes_, np.asarray(target.y))
        weights = np.ones(len(target)) if target.sample_weight is None else target.sample_weight
        prior = self.coef_, self.intercept_

        def learn(rows: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
            shares = weights[rows] / weights[rows].sum()
            return logistic_deviations(
                target.X[rows], codes[rows], shares, prior, strength, self.shrink_intercept
            )

        def held_out_loss(strength: float) -> float:
            losses = [
                weights[fold]
                @ log_losses(
                    target.X[fold], codes[fold], *learn(np.delete(every, np.sort(fold)), strength)
                )
                for fold in folds
            ]
            return float(np.sum(losses))

        every = np.arange(len(target))
        self.strength_ = self.strength
        if self.strength == "auto" and len(target) == 1:
            self.strength_ = np.inf
        elif self.strength == "auto":
            folds = make_folds(target.X, codes, N_FOLDS, check_random_state(self.random_state))
            squares = target.X.multiply(target.X) if hasattr(target.X, "multiply") else target.X**2
            size = max(float(squares.sum(axis=1).mean()), np.finfo(float).tiny)
            strengths = np.multiply(STRENGTHS, size)
            self.strength_ = float(strengths[np.argmin([held_out_loss(s) for s in strengths])])
        self.coef_, self.intercept_ = learn(every, self.strength_)

    def decision_function(self, X):
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_classes)
            ``W x + b``; for two classes, that of the second.
        """
        X = check_rows_to_predict(self, X, dtype=[np.float64, np.float32])
        logits = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows of the target.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        logits = self.decision_function(X)
        if logits.ndim == 1:
            return np.column_stack([expit(-logits), expit(logits)])
        return softmax(logits, axis=1)

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
        logits = self.decision_function(X)
        chosen = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        return self.classes_[chosen]
