"""What estimators share that fit another estimator and predict by it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import sklearn
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .data._domain import Domain, Domains
from .validation._constraints import HasMethods
from .validation._domains import check_rows_to_predict
from .validation._target_labels import refuse_words_beside_numbers


def is_fitted(estimator: Any) -> bool:
    """Whether an estimator was fitted."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def stack_rows(*parts: Any) -> Any:
    """Return arrays or CSR matrices of as many columns as one."""
    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack(parts, format="csr")
    return np.concatenate(parts)


def takes_sample_weight(estimator: Any) -> bool:
    """Whether `fit`, or that of a pipeline's last step, has a `sample_weight`."""
    if isinstance(estimator, Pipeline):
        return takes_sample_weight(estimator.steps[-1][1])
    return has_fit_parameter(estimator, "sample_weight")


def fit_weighted(estimator: Any, X, y, sample_weight: np.ndarray | None) -> Any:
    """Fit with weights, which a pipeline hands to its last step; None fits without.

    Raises
    ------
    TypeError
        For weights, where the estimator takes none.
    """
    # Meta-estimators refuse unrequested weights where routing is on, as it is inside a
    # TransferPipeline; the weights here are ours and not the caller's to request.
    with config_context(enable_metadata_routing=False):
        if sample_weight is None:
            return estimator.fit(X, y)
        if not takes_sample_weight(estimator):
            raise TypeError(
                f"estimator is {type(estimator).__name__}, whose fit takes no sample_weight: rows "
                "cannot be weighed. Give one that does, for example LogisticRegression, SVC or "
                "HistGradientBoostingClassifier."
            )
        steps, inner = [], estimator
        while isinstance(inner, Pipeline):
            last, inner = inner.steps[-1]
            steps.append(last)
        return estimator.fit(X, y, **{"__".join([*steps, "sample_weight"]): sample_weight})


def check_labelled_target(estimator: Any, domains: Domains) -> Domain | None:
    """Return the labelled rows of the target, None where there is no target.

    Raises
    ------
    ValueError
        For a target without labels, from which nothing could be learned.
    """
    if domains.target is None:
        return None
    if domains.target.y is None:
        raise ValueError(
            f"{type(estimator).__name__} learns from labelled rows of the target, but y_target is "
            "None or has no label. Give those that are known (None or NaN for the others), or "
            "take a method that needs none, such as ImportanceWeightingClassifier."
        )
    return domains.target.labelled()


def find_classes(*parts: Domain | None) -> np.ndarray:
    """Return the sorted labels of domains, the source being the first.

    Raises
    ------
    ValueError
        For words in one and numbers in another.
    """
    labels = [part.labels for part in parts if part is not None]
    for known in labels[1:]:
        refuse_words_beside_numbers(labels[0], known)
    return np.unique(np.concatenate(labels))


def _has(method: str) -> Callable[[Any], bool]:
    def has_method(wrapper: Any) -> bool:
        fitted = getattr(wrapper, "estimator_", None)
        getattr(wrapper._inner() if fitted is None else fitted, method)
        return True

    return has_method


def may_take_sparse(estimator: Any) -> bool:
    """Whether an estimator says that it takes sparse rows, or is too old to say so.

    Before scikit-learn 1.7 most that do had no such tag; those that do not refuse by
    themselves.
    """
    is_old = sklearn.__version__.startswith("1.6.")
    return bool(get_tags(estimator).input_tags.sparse) or is_old


def may_take_missing(estimator: Any) -> bool:
    """Whether an estimator, or the first step of a pipeline, says that it takes missing values."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    return not isinstance(estimator, str) and bool(get_tags(estimator).input_tags.allow_nan)


class WrapperMixin:
    """Fits another estimator, whose tags it takes on."""

    # Whether rows are computed with here, and not only handed on to the other estimator.
    _computes_with_rows: ClassVar[bool] = False

    _parameter_constraints: ClassVar = {"estimator": [None, HasMethods(["fit", "predict"])]}

    estimator: Any
    estimator_: Any

    @abstractmethod
    def _default_estimator(self) -> Any:
        """Return what is fitted where `estimator` is None."""

    def _inner(self) -> Any:
        return self._default_estimator() if self.estimator is None else self.estimator

    def _make_estimator(self) -> Any:
        return clone(self._inner_of_one_kind())

    def _inner_of_one_kind(self) -> Any:
        """Return what is to be fitted.

        Raises
        ------
        TypeError
            For a regressor in a classifier, and the other way round.
        """
        inner = self._inner()
        kind, wanted = get_tags(inner).estimator_type, get_tags(self).estimator_type
        if kind is not None and kind != wanted:
            raise TypeError(
                f"estimator is {type(inner).__name__}, a {kind}, but {type(self).__name__} fits a "
                f"{wanted}: give one, such as {type(self._default_estimator()).__name__}()."
            )
        return inner

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = may_take_sparse(self._inner())
        tags.input_tags.allow_nan = not self._computes_with_rows and may_take_missing(self._inner())
        tags.target_tags.required = True
        return tags


class DelegatingMixin(WrapperMixin):
    """Predicts by another estimator, ``estimator_``."""

    def predict(self, X):
        """Predict for rows of the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels or values.
        """
        X = check_rows_to_predict(self, X)
        return self.estimator_.predict(X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X):
        """Return the probabilities of the classes, if the wrapped estimator has any.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        X = check_rows_to_predict(self, X)
        return self.estimator_.predict_proba(X)

    @available_if(_has("decision_function"))
    def decision_function(self, X):
        """Return the wrapped estimator's confidence, if it has one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_classes)
            Greater is surer.
        """
        X = check_rows_to_predict(self, X)
        return self.estimator_.decision_function(X)
