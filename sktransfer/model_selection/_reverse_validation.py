"""Reverse validation: learn the source back from the predicted target."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

from .._docs import with_shared_docs
from ._scoring import BaseTargetScorer, check_labelled_rows, predict_labels
from ._source_only import without_callbacks_of_a_domain


@with_shared_docs
class ReverseValidationScorer(BaseTargetScorer):
    """Train back from the target, as labelled by the estimator, to the source.

    A clone of the estimator learns the target's rows with the labels that the
    estimator predicts for them, and the held-out rows of the source without
    labels are its target. The score is the clone's accuracy on these rows, of
    whose labels neither has seen any. An estimator that predicts one class for
    the whole target gets the share of that class.

    Each score costs a fit. The paper starts the reverse fit at the weights of
    the estimator and adapts it to the training rows of the source; a scorer is
    shown held-out rows alone, so the clone starts afresh and adapts to these.
    Warnings of the reverse fit are kept quiet, and callbacks that hold a domain
    (`DomainScoring`, `TargetValidation`) take no part in it.

    Parameters
    ----------
    {target_scorer_parameters}

    References
    ----------
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17
    (2016), section 5.1.2. https://jmlr.org/papers/v17/15-239.html

    Zhong et al., "Cross validation framework to choose amongst models and datasets for
    transfer learning", ECML PKDD 2010.

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import ReverseValidationScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(200, random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(Xs[:100], ys[:100], X_target=Xt)
    >>> 0 <= ReverseValidationScorer(Xt)(clf, Xs[100:], ys[100:]) <= 1
    True
    """

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score on labelled rows of the source, `X` and `y`."""
        check_labelled_rows(self, X, y)
        if not hasattr(estimator, "fit"):
            raise TypeError(
                f"{type(self).__name__} fits a clone of the estimator, which one in the middle of "
                "training has not: use it in a search, and another scorer in TargetValidation."
            )
        labels = predict_labels(self, estimator, self.X_target)
        if len(np.unique(labels)) == 1:
            return float(np.mean(np.asarray(y) == labels[0]))
        reverse = without_callbacks_of_a_domain(estimator)
        adapts = "X_target" in inspect.signature(reverse.fit).parameters
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reverse.fit(self.X_target, labels, **({"X_target": X} if adapts else {}))
        return float(accuracy_score(y, reverse.predict(X)))
