"""What makes a deep estimator predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine._net import TransferNet


class DeepPredictorMixin:
    """Answers by the label head's outputs; classifiers and regressors build upon it."""

    # Of the estimator that this is mixed into.
    net_: TransferNet
    _forward: Callable[[Any, str], np.ndarray]

    def predict(self, X: Any) -> np.ndarray:
        """Predict for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows, as a rule of the target.

        Returns
        -------
        ndarray of shape (n_samples,), or of a regressor's `y`
            For a classifier labels out of `classes_`, for a regressor numbers in the units of `y`.
        """
        outputs = self._forward(X, "forward")
        return self.net_.task.answers(outputs)
