"""A pipeline that transforms the target as it does the source."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.pipeline import Pipeline, make_pipeline

from .._target_domain import TargetDomain
from ._source_only import answer_of_parts


class TransferPipeline(Pipeline):
    """A `Pipeline` that sends `X_target` through its transformers as well.

    Its transformers learn from the source; the last step gets both domains
    transformed. Make one with `make_transfer_pipeline`.
    """

    def fit(self, X: Any, y: Any = None, X_target: Any = None, **params: Any) -> TransferPipeline:
        """Fit the steps one after the other on the source, and the last on both domains.

        Parameters
        ----------
        X : array-like of shape (n_source, ...)
            Rows of the source.
        y : array-like of shape (n_source,)
            Their labels.
        X_target : array-like of shape (n_target, ...), default=None
            Rows of the target, which pass through the same transformers.
        **params : dict
            What else the steps request.

        Returns
        -------
        self : TransferPipeline
            The fitted pipeline.
        """
        if X_target is not None:
            params["X_target"] = X_target
        with config_context(enable_metadata_routing=True):
            return super().fit(X, y, **_unwrap(params))

    def fit_transform(
        self, X: Any, y: Any = None, X_target: Any = None, **params: Any
    ) -> np.ndarray:
        """Fit as `fit` does and return the last step's features of `X`.

        Parameters
        ----------
        X, y, X_target, **params
            As for `fit`.

        Returns
        -------
        ndarray of shape (n_source, n_features_out)
            Features of the source.
        """
        return self.fit(X, y, X_target, **params).transform(X)

    def fit_predict(self, X: Any, y: Any = None, X_target: Any = None, **params: Any) -> np.ndarray:
        """Fit as `fit` does and predict the labels of `X`.

        Parameters
        ----------
        X, y, X_target, **params
            As for `fit`.

        Returns
        -------
        ndarray of shape (n_source,)
            Predicted labels of the source.
        """
        return self.fit(X, y, X_target, **params).predict(X)

    def source_only(self):
        """Return an unfitted clone that transfers nothing, to compare with.

        Its steps are those of their own ``source_only()``. Fit it without a target.

        Returns
        -------
        TransferPipeline
            With the same parameters.
        """
        return answer_of_parts(self, "source_only")


def make_transfer_pipeline(
    *steps: Any, memory: Any = None, verbose: bool = False
) -> TransferPipeline:
    """Chain transformers and a transfer classifier, the target going the same way.

    A plain `Pipeline` hands `X_target` to the classifier untransformed unless it
    has ``transform_input=["X_target"]`` and metadata routing is switched on. This
    one does both by itself, for its own calls only, in any search.

    Parameters
    ----------
    *steps : estimators
        Transformers, then a classifier of this package.
    memory : str, object with the joblib.Memory interface or None, default=None
        As in scikit-learn's `make_pipeline`.
    verbose : bool, default=False
        As in scikit-learn's `make_pipeline`.

    Returns
    -------
    TransferPipeline
        Steps are named by their classes in lower case.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sktransfer import DANNClassifier, make_transfer_pipeline
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(100, random_state=0)
    >>> pipe = make_transfer_pipeline(StandardScaler(), DANNClassifier(random_state=0))
    >>> pipe.fit(Xs, ys, X_target=Xt).predict(Xt).shape
    (100,)
    """
    named_steps = make_pipeline(*steps).steps
    return TransferPipeline(
        named_steps, transform_input=["X_target"], memory=memory, verbose=verbose
    )


def _unwrap(params: dict) -> dict:
    """Take targets out of their `TargetDomain`: frames and sparse matrices stay what they are."""
    return {
        name: value.data if isinstance(value, TargetDomain) else value
        for name, value in params.items()
    }
