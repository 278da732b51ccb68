"""Fitted estimators that map the target's rows, for rows of the source."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline


def as_for_source(estimator) -> Any:
    """Return a fitted estimator that takes rows of the source for what they are.

    Aligners map them by ``transform_source``, and `transform` is for the target; classifiers
    with a body for each domain take them with ``domain="source"``. Where no step of a
    pipeline does either, it is the estimator itself.
    """
    if hasattr(estimator, "transform_source"):
        side = _ClassifierSourceSide if hasattr(estimator, "predict") else _SourceSide
        return side(estimator)
    if isinstance(estimator, Pipeline):
        steps = [(name, as_for_source(step)) for name, step in estimator.steps]
        if any(
            side is not step for (_, side), (_, step) in zip(steps, estimator.steps, strict=True)
        ):
            return Pipeline(steps)
    elif hasattr(estimator, "best_estimator_"):
        side = as_for_source(estimator.best_estimator_)
        return estimator if side is estimator.best_estimator_ else side
    return estimator


class _SourceSide(BaseEstimator):
    """A fitted aligner as a step of a pipeline for rows of the source."""

    def __init__(self, aligner):
        self.aligner = aligner

    def fit(self, X, y=None):
        """Return itself: the aligner is fitted."""
        return self

    def transform(self, X):
        """Map rows of the source."""
        return self.aligner.transform_source(X)

    def __sklearn_is_fitted__(self):
        return True


class _ClassifierSourceSide(ClassifierMixin, _SourceSide):
    """A fitted classifier with a body for each domain, for rows of the source."""

    @property
    def classes_(self):
        return self.aligner.classes_

    def predict(self, X):
        """Predict for rows of the source."""
        return self.aligner.predict(X, domain="source")

    def predict_proba(self, X):
        """Predict probabilities for rows of the source."""
        return self.aligner.predict_proba(X, domain="source")
