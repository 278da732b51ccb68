"""Scorers that weigh labelled rows of the source by how much they look like the target."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from .._docs import with_shared_docs
from ._scoring import (
    LEAST_PROBABILITY,
    BaseTargetScorer,
    check_has_predict,
    check_labelled_rows,
    extract_features,
    predicts_numbers,
)
from ._source_side import as_for_source

# Folds by which the domain classifier tells of rows that it has not seen.
N_FOLDS = 5

LOSSES = ("zero_one", "log_loss", "squared_error")


def importance_weighted_risk(weights: np.ndarray, losses: np.ndarray) -> float:
    """Return ``1/n sum_i w_i l_i``."""
    return float(np.mean(weights * losses))


def controlled_risk(weights: np.ndarray, losses: np.ndarray) -> float:
    """Return ``mean(w l) + eta mean(w) - eta``, ``eta = -Cov(w l, w) / Var(w)``.

    Weights of no variance need no control: ``eta`` is 0 then.
    """
    weighted = weights * losses
    eta = 0.0
    if np.ptp(weights) > 0:
        covariance = np.mean((weighted - weighted.mean()) * (weights - weights.mean()))
        eta = -covariance / np.var(weights)
    return float(weighted.mean() + eta * weights.mean() - eta)


def make_domain_classifier(n_features: int):
    """Return logistic regression that many features do not make overconfident.

    ``C = 1 / n_features`` on standardised features: their log ratio has a prior standard
    deviation of about 1, whatever their number.
    """
    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / n_features, max_iter=1000))


def density_ratio(source: np.ndarray, target: np.ndarray, domain_classifier) -> np.ndarray:
    """Estimate ``p_target(x) / p_source(x)`` at the rows of the source.

    ``n_s/n_t d(x) / (1 - d(x))`` with ``d`` the probability that a domain
    classifier gives the target for a row it was not trained on
    (cross-validation in 5 folds).
    """
    n_source, n_target = len(source), len(target)
    n_folds = min(N_FOLDS, n_source, n_target)
    if n_folds < 2:
        raise ValueError(
            f"The density ratio is learned from {n_source} rows of the source and {n_target} of "
            "the target: at least 2 of each are needed."
        )
    domain = np.repeat([0, 1], [n_source, n_target])
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    rows = np.concatenate([source, target])
    with threadpool_limits(1):  # more threads spin, up to 30 times slower on a busy machine
        probabilities = cross_val_predict(
            clone(domain_classifier), rows, domain, cv=folds, method="predict_proba"
        )
    of_target = np.clip(probabilities[:n_source, 1], LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return n_source / n_target * of_target / (1 - of_target)


def prediction_losses(loss: str, estimator, X, y) -> np.ndarray:
    """Return the loss of each row, as `loss` says.

    ``1[predict(x) != y]``, ``-log p_y(x)``, or ``(y - predict(x))^2``, of several outputs
    the mean of these.
    """
    y = np.asarray(y)
    if loss == "squared_error":
        squares = np.square(np.asarray(estimator.predict(X), dtype=np.float64) - y)
        return squares.reshape(len(y), -1).mean(axis=1)
    if loss == "zero_one":
        return (np.asarray(estimator.predict(X)) != y).astype(np.float64)
    probabilities = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    # A class that the estimator does not know has probability 0.
    of_label = (probabilities * (y[:, np.newaxis] == estimator.classes_)).sum(axis=1)
    return -np.log(np.maximum(of_label, LEAST_PROBABILITY))


class BaseImportanceScorer(BaseTargetScorer):
    """Estimates the risk on the target from labelled rows of the source."""

    def __init__(
        self, X_target: Any, *, loss: str = "zero_one", domain_classifier: Any = None
    ) -> None:
        super().__init__(X_target)
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {LOSSES}; got {loss!r}.")
        is_class = isinstance(domain_classifier, type)
        if is_class or not (
            domain_classifier is None or hasattr(domain_classifier, "predict_proba")
        ):
            raise TypeError(
                "domain_classifier must be an estimator (not its class) with predict_proba, by "
                f"which rows are weighed; got {domain_classifier!r}."
            )
        self.loss = loss
        self.domain_classifier = domain_classifier

    def _weights_and_losses(self, estimator, X, y) -> tuple[np.ndarray, np.ndarray]:
        self._check_loss(estimator)
        check_labelled_rows(self, X, y)
        of_source = as_for_source(estimator)
        source = extract_features(of_source, X)
        target = extract_features(estimator, self.X_target)
        classifier = self.domain_classifier
        if classifier is None:
            classifier = make_domain_classifier(source.shape[1])
        weights = density_ratio(source, target, classifier)
        return weights, prediction_losses(self.loss, of_source, X, y)

    def _check_loss(self, estimator) -> None:
        """Check that what is to be scored predicts what the loss is of."""
        name = type(self).__name__
        check_has_predict(name, estimator)
        if predicts_numbers(estimator) == (self.loss == "squared_error"):
            return
        wanted = "zero_one" if self.loss == "squared_error" else "squared_error"
        what = "classes" if self.loss == "squared_error" else "numbers"
        raise TypeError(
            f"{name}(loss={self.loss!r}) cannot score {type(estimator).__name__}, which predicts "
            f"{what}. Give {name}(X_target, loss={wanted!r})."
        )


@with_shared_docs
class IWCVScorer(BaseImportanceScorer):
    """Importance-weighted validation: errors on the source count as the target would have them.

    The score is ``-1/n sum_i w(f_i) l_i`` over the held-out rows of the source, with
    ``l_i`` the loss of row ``i``, ``f_i`` its features and ``w = p_target / p_source``
    their density ratio, ``n_s/n_t d(f) / (1 - d(f))`` by a domain classifier
    ``d`` (in 5 folds, so that it has not seen the row). With the true ratio and
    under covariate shift its mean is the negative risk on the target. Where the
    domains hardly overlap, few rows carry all weight and the score is unsteady.

    Parameters
    ----------
    {target_scorer_parameters}
    {importance_parameters}

    See Also
    --------
    DEVScorer : The same with less variance.

    References
    ----------
    Sugiyama, Krauledat and Müller, "Covariate shift adaptation by importance
    weighted cross validation", JMLR 8 (2007), eq. 9.
    https://jmlr.org/papers/v8/sugiyama07a.html

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import IWCVScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(200, random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(Xs[:100], ys[:100], X_target=Xt)
    >>> IWCVScorer(Xt)(clf, Xs[100:], ys[100:]) <= 0
    True
    """

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score on labelled rows of the source, `X` and `y`."""
        return -importance_weighted_risk(*self._weights_and_losses(estimator, X, y))


@with_shared_docs
class DEVScorer(BaseImportanceScorer):
    """Deep embedded validation: the importance-weighted risk with a control variate.

    The score is ``-(mean(w l) + eta mean(w) - eta)``, ``eta = -Cov(w l, w) / Var(w)``, over
    the held-out rows of the source, with losses ``l`` and weights ``w`` as for
    `IWCVScorer`. Weights have mean 1 by their nature; what their sample mean is
    off by is taken out of the risk, as far as the two go together. Their mean
    being far from 1 can carry the estimate out of the range of the loss.

    Parameters
    ----------
    {target_scorer_parameters}
    {importance_parameters}

    See Also
    --------
    IWCVScorer : Without the control variate.

    References
    ----------
    You et al., "Towards accurate model selection in deep unsupervised domain
    adaptation", ICML 2019, algorithm 1. https://proceedings.mlr.press/v97/you19a.html

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.callbacks import TargetValidation
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import DEVScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(200, random_state=0)
    >>> validation = TargetValidation(DEVScorer(Xt), Xs[100:], ys[100:])
    >>> clf = DANNClassifier(max_epochs=5, callbacks=[validation], random_state=0)
    >>> clf = clf.fit(Xs[:100], ys[:100], X_target=Xt)
    """

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score on labelled rows of the source, `X` and `y`."""
        return -controlled_risk(*self._weights_and_losses(estimator, X, y))
