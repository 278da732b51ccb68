"""A pipeline that transforms the target as it does the source."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np
import scipy.sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import check_memory

from .._target_domain import TargetDomain
from .._validation import find_labelled

# What a step that takes them gets without having asked.
OF_THE_GRAMMAR = ("X_target", "y_target", "sample_weight", "domains")


class TransferPipeline(Pipeline):
    """A `Pipeline` that sends `X_target` through its transformers as well.

    A transformer that takes `X_target` (those of `sktransfer.alignment`) learns from
    both domains, ``fit_transform`` giving the source and ``transform`` the target; others
    learn from the source. A last step that takes `X_target` gets both domains; any
    other is trained on the source, and on the target rows that `y_target` labels.
    Make one with `make_transfer_pipeline`.
    """

    steps: list[tuple[str, Any]]

    def fit(
        self,
        X,
        y=None,
        X_target=None,
        y_target=None,
        sample_weight=None,
        domains=None,
        **params,
    ):
        """Fit the steps one after the other, each on what the one before made of the rows.

        Parameters
        ----------
        X : array-like of shape (n_source, ...)
            Rows of the source.
        y : array-like of shape (n_source,)
            Their labels.
        X_target : array-like of shape (n_target, ...), default=None
            Rows of the target, which pass through the same transformers.
        y_target : array-like of shape (n_target,), default=None
            Labels of the target rows, missing where not known: for the steps that
            take them. A last step without `X_target` trains on the rows labelled.
        sample_weight : array-like of shape (n_source,), default=None
            Weights of the source rows, for the steps that take them.
        domains : array-like of shape (n_source,), default=None
            Names of several sources, for the steps that take them.
        **params : dict
            What else the steps request.

        Returns
        -------
        self : TransferPipeline
            The fitted pipeline.

        Raises
        ------
        TypeError
            For a parameter that no step takes.
        """
        self._fit_steps("fit", X, y, X_target, y_target, sample_weight, domains, params)
        return self

    def fit_transform(
        self,
        X,
        y=None,
        X_target=None,
        y_target=None,
        sample_weight=None,
        domains=None,
        **params,
    ):
        """Fit as `fit` does and return what the last step makes of the source.

        Parameters
        ----------
        X, y, X_target, y_target, sample_weight, domains, **params
            As for `fit`.

        Returns
        -------
        ndarray of shape (n_source, n_features_out)
            Features of the source, aligned where a step aligns.
        """
        return self._fit_steps(
            "fit_transform", X, y, X_target, y_target, sample_weight, domains, params
        )

    def fit_predict(
        self,
        X,
        y=None,
        X_target=None,
        y_target=None,
        sample_weight=None,
        domains=None,
        **params,
    ):
        """Fit as `fit` does and predict the labels of the source.

        Parameters
        ----------
        X, y, X_target, y_target, sample_weight, domains, **params
            As for `fit`.

        Returns
        -------
        ndarray of shape (n_source,)
            Predicted labels of the source.
        """
        source = self._fit_steps("fit", X, y, X_target, y_target, sample_weight, domains, params)
        with config_context(enable_metadata_routing=True):
            return self.steps[-1][1].predict(source)

    def get_metadata_routing(self):
        """Return what the steps request, and what of the grammar they take besides.

        Returns
        -------
        MetadataRouter
        """
        router = super().get_metadata_routing()
        for _, pair in router:
            requests: Any = getattr(pair.router, "fit", None)  # a nested router has none
            for name, alias in [*getattr(requests, "requests", {}).items()]:
                if alias is None and name in OF_THE_GRAMMAR:
                    requests.add_request(param=name, alias=True)
        return router

    def _fit_steps(self, method, X, y, X_target, y_target, sample_weight, domains, params):
        """Fit all steps; return what the last gave of the source, or what it was trained on."""
        self._validate_params()
        self.steps = [*self.steps]
        self._validate_steps()
        grammar = zip(OF_THE_GRAMMAR, (X_target, y_target, sample_weight, domains), strict=True)
        given = {**params, **{name: value for name, value in grammar if value is not None}}
        given = {
            name: value.data if isinstance(value, TargetDomain) else value
            for name, value in given.items()
        }
        with config_context(enable_metadata_routing=True):
            routed = process_routing(self, method, **self._taken(method, given))
            moving = {
                name: given[name]
                for name in dict.fromkeys(["X_target", *(self.transform_input or [])])
                if name in given
            }
            for place, (name, step) in enumerate(self.steps[:-1]):
                started = time.perf_counter()
                if step is not None and step != "passthrough":
                    rows = _Rows(X, y, moving, given)
                    fitted, X, moving = self._fit_transformer(step, rows, routed[name])
                    self.steps[place] = (name, fitted)
                self._report(place, started)
            return self._fit_last(method, _Rows(X, y, moving, given), routed)

    def _taken(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return what is routed: all but a target that the steps have no use for."""
        target = {"X_target", "y_target"} & {*given}
        consumed = self.get_metadata_routing().consumes(method, target)
        if "X_target" in target and "X_target" not in consumed:
            labels = "" if "y_target" not in target else " but by the rows that y_target labels"
            warnings.warn(
                f"No step of the pipeline takes X_target: nothing is transferred{labels}.",
                UserWarning,
                stacklevel=4,
            )
        return {
            name: value for name, value in given.items() if name not in target or name in consumed
        }

    def _fit_transformer(self, step, rows: _Rows, routed):
        memory = check_memory(self.memory)
        if getattr(memory, "location", memory) is not None:
            step = clone(step)  # what the cache gives back is another object in any case
        return memory.cache(_fit_transform_step)(
            step, rows.X, rows.y, rows.moving, _by_method(routed, rows)
        )

    def _fit_last(self, method: str, rows: _Rows, routed):
        name, last = self.steps[-1]
        started = time.perf_counter()
        X, y = rows.X, rows.y
        if last is not None and last != "passthrough":
            params = _by_method(routed[name], rows)
            if method == "fit_transform" and hasattr(last, "fit_transform"):
                X = last.fit_transform(X, y, **params["fit_transform"])
            else:
                of_fit = params["fit"]
                train_X, train_y = X, y
                if "y_target" in rows.given and not _takes_target(last):
                    train_X, train_y, of_fit = rows.with_labelled_target(of_fit)
                last.fit(train_X, train_y, **of_fit)
                if method == "fit_transform":
                    X = last.transform(X, **params["transform"])
        self._report(len(self.steps) - 1, started)
        return X

    def _report(self, place: int, started: float) -> None:
        message = self._log_message(place)
        if message is not None:
            print(f"[Pipeline] {message}, {time.perf_counter() - started:.1f} s")


class _Rows:
    """What a step gets: the rows so far, and what travels with them.

    Parameters
    ----------
    X, y
        Rows of the source and their labels.
    moving : dict
        Rows of other sets, transformed up to here, by name.
    given : dict
        The same before any step, and all that is not transformed.
    """

    def __init__(self, X, y, moving: dict[str, Any], given: dict[str, Any]):
        self.X, self.y, self.moving, self.given = X, y, moving, given

    def current(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return a step's parameters with rows as they are by now, whatever its names are."""
        by_id = {id(self.given[name]): rows for name, rows in self.moving.items()}
        return {name: by_id.get(id(value), value) for name, value in params.items()}

    def with_labelled_target(self, params: dict[str, Any]):
        """Return source and labelled target rows as one set, with labels and parameters of fit.

        Target rows weigh 1 where the source's have weights.
        """
        if "X_target" not in self.given:
            raise ValueError("y_target was given without X_target: pass the rows it labels too.")
        rows, labels = self.moving["X_target"], self.given["y_target"]
        n_rows = rows.shape[0] if hasattr(rows, "shape") else len(rows)
        labelled = np.flatnonzero(find_labelled(labels))
        if len(labels) != n_rows:
            raise ValueError(
                f"y_target has {len(labels)} labels for the {n_rows} rows of X_target: give one "
                "label for each row (None or NaN where it is not known)."
            )
        if self.y is None:
            raise ValueError("y_target was given without y: pass the source's labels too.")
        if not len(labelled):
            return self.X, self.y, params
        known = np.array(np.ma.getdata(np.asarray(labels))[labelled].tolist())
        stacked_y = np.concatenate([np.asarray(self.y), known])
        for name in params:
            if params[name] is self.given.get("sample_weight"):
                params = {**params, name: np.r_[params[name], np.ones(len(labelled))]}
        return _stack(self.X, rows, labelled), stacked_y, params


def _fit_transform_step(step, X, y, moving, params):
    """Fit a transformer; return it, the source transformed, and what travels with it."""
    if hasattr(step, "fit_transform"):
        transformed = step.fit_transform(X, y, **params["fit_transform"])
    else:
        transformed = step.fit(X, y, **params["fit"]).transform(X, **params["transform"])
    return step, transformed, {name: step.transform(rows) for name, rows in moving.items()}


def _by_method(routed, rows: _Rows) -> dict[str, dict[str, Any]]:
    """Return a step's parameters of each method, with rows as they are by now."""
    return {
        method: rows.current(dict(routed.get(method, {})))
        for method in ("fit", "fit_transform", "transform")
    }


def _takes_target(step) -> bool:
    router = TransferPipeline([("step", step)]).get_metadata_routing()
    return bool(router.consumes("fit", ["X_target"]))


def _stack(X, rows, labelled):
    """Return `X` with the labelled rows below, as a frame, a CSR matrix or an array."""
    if hasattr(X, "iloc") and hasattr(rows, "iloc"):
        pandas = sys.modules["pandas"]  # whose frames these are
        return pandas.concat([X, rows.iloc[labelled]], ignore_index=True)
    if scipy.sparse.issparse(X) or scipy.sparse.issparse(rows):
        return scipy.sparse.vstack([X, scipy.sparse.csr_array(rows)[labelled]], format="csr")
    return np.concatenate([np.asarray(X), np.asarray(rows)[labelled]])


def make_transfer_pipeline(*steps, memory=None, verbose=False) -> TransferPipeline:
    """Chain transformers and an estimator, the target going the same way as the source.

    A plain `Pipeline` hands `X_target` to the classifier untransformed unless it
    has ``transform_input=["X_target"]`` and metadata routing is switched on. This
    one does both by itself, for its own calls only, in any search.

    Parameters
    ----------
    *steps : estimators
        Transformers, those of `sktransfer.alignment` or any other, then a
        classifier of this package or any other.
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
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import make_transfer_pipeline
    >>> from sktransfer.alignment import DomainStandardScaler
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(100, random_state=0)
    >>> pipe = make_transfer_pipeline(DomainStandardScaler(), LogisticRegression())
    >>> pipe.fit(Xs, ys, X_target=Xt).predict(Xt).shape
    (100,)
    """
    named_steps = make_pipeline(*steps).steps
    return TransferPipeline(
        named_steps, transform_input=["X_target"], memory=memory, verbose=verbose
    )
