"""The only `fit`: check, then learn, and keep what was learned once all has gone well."""

from __future__ import annotations

import copy
from abc import ABCMeta, abstractmethod
from typing import Any, ClassVar, Never, Self

from sklearn.base import BaseEstimator, clone

from ._doc_link import page_of
from .data._domain import Domains
from .validation._arguments import refuse_unknown
from .validation._constraints import refuse_booleans
from .validation._domains import check_domains
from .validation._source_names import with_sources

# The arguments of `fit`, for the message on any other.
OF_FIT = ("X", "y", "X_target", "y_target", "sample_weight", "domains")


class AtomicFitMixin:
    """Sets what `fit` learns at once and last; stands before `BaseEstimator`.

    A fit that is refused, fails or is interrupted leaves the estimator as it was.
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {}

    def _begin_fit(self) -> Any:
        """Check the parameters and return what is to learn: a copy without fitted attributes."""
        self._validate_params()  # type: ignore[attr-defined]
        refuse_booleans(self)
        return self._unfitted()

    def _get_doc_link(self) -> str:
        """Return the link that scikit-learn's diagram of the estimator shows."""
        return page_of(type(self))

    def _end_fit(self, fitted: Any) -> Self:
        """Take over what the copy has learned."""
        self.__dict__ = vars(fitted)
        return self

    def _unfitted(self) -> Any:
        """Return a copy with the same parameters (not copies of them) and nothing learned."""
        twin = copy.copy(self)
        parameters = self._get_param_names()  # type: ignore[attr-defined]
        for name in [*vars(twin)]:
            if name.endswith("_") and not name.startswith("_") and name not in parameters:
                delattr(twin, name)
        return twin


class BaseTransferEstimator(AtomicFitMixin, BaseEstimator, metaclass=ABCMeta):
    """Learns from a source, and from a target where there is one.

    A method says how it learns, in `_fit`, which runs on a copy without fitted attributes.
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": True, "domains": False}

    # Whether several sources are told apart; who does so requests `domains`, too.
    _uses_domains = False

    # Set by `source_only`, kept by `clone`.
    _is_source_only = False

    def fit(
        self,
        X: Any,
        y: Any = None,
        X_target: Any = None,
        y_target: Any = None,
        sample_weight: Any = None,
        domains: Any = None,
        **unknown: Never,
    ) -> Self:
        """Fit on a source and a target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_source, n_features)
            Rows of the source domain.
        y : array-like of shape (n_source,), default=None
            Their labels: numbers, strings, anything scikit-learn takes.
        X_target : like X, of shape (n_target, n_features), default=None
            Rows of the target domain. Where a method transfers nothing without
            any, it warns.
        y_target : array-like of shape (n_target,), default=None
            Labels of the target rows; None, NaN, ``pandas.NA`` or masked where one
            is not known.
        sample_weight : array-like of shape (n_source,), default=None
            Weights of the source rows.
        domains : array-like of shape (n_source,), default=None
            Names of several sources, one for each row of `X`. A method that takes them
            for one warns.
        **unknown : never
            Any other name is refused, and the one that may have been meant is told.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters or data that cannot be used, with what is wanted
            instead.
        """
        refuse_unknown(unknown, OF_FIT, self)
        if self._is_source_only:
            X_target = y_target = None
        fitted = self._begin_fit()
        checked = self._check(fitted, X, y, X_target, y_target, sample_weight)
        fitted._fit(with_sources(fitted, checked, domains))
        return self._end_fit(fitted)

    def source_only(self) -> Any:
        """Return an unfitted clone that transfers nothing, to compare with.

        Its `fit` takes the same arguments, learns from the source alone whatever it
        is given of a target, and does not warn of that. So do clones of it.

        Returns
        -------
        estimator of the same class
            With the same parameters, but for callbacks that hold a domain and for
            `checkpoint`, whose file is that of another fit.

        Examples
        --------
        >>> from sktransfer import DANNClassifier
        >>> from sktransfer.datasets import make_shifted_moons
        >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
        >>> clf = DANNClassifier(learning_rate=0.01, random_state=0).fit(Xs, ys, X_target=Xt)
        >>> plain = clf.source_only().fit(Xs, ys)
        >>> clf.score(Xt, yt) > plain.score(Xt, yt)
        True
        """
        twin = self._for_other_domains()
        twin._is_source_only = True
        return twin

    def _transfers(self) -> bool:
        """Whether a target without labels makes a difference to `fit`."""
        return not self._is_source_only

    def _for_other_domains(self) -> Any:
        """Return a clone without what holds rows of a domain besides those of `fit`."""
        return clone(self)

    def __sklearn_clone__(self) -> Any:
        twin = super().__sklearn_clone__()
        if self._is_source_only:
            twin._is_source_only = True
        return twin

    @abstractmethod
    def _fit(self, domains: Domains) -> None:
        """Set the fitted attributes by what was learned from checked domains."""

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        """Check the data; `fitted` gets what they tell, such as ``n_features_in_``."""
        return check_domains(fitted, X, y, X_target, y_target, sample_weight)
