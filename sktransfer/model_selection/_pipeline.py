"""A pipeline that transforms the target as it does the source."""

from __future__ import annotations

import time
from typing import Any

from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_memory

from ..data._target_domain import TargetDomain
from ._routed_pipeline import OF_THE_GRAMMAR, RoutedPipeline, takes_target
from ._source_only import answer_of_parts
from ._travelling_rows import TravellingRows, by_method, fit_transform_step


def _transforms(pipeline: TransferPipeline) -> bool:
    last = pipeline._final_estimator
    return last == "passthrough" or hasattr(last, "transform") or hasattr(last, "fit_transform")


def _predicts(pipeline: TransferPipeline) -> bool:
    return hasattr(pipeline._final_estimator, "predict")


def _adapts(pipeline: TransferPipeline) -> bool:
    return hasattr(pipeline._final_estimator, "adapt")


class TransferPipeline(RoutedPipeline):
    """A `Pipeline` that sends `X_target` through its transformers as well.

    A transformer that takes `X_target` (those of `sktransfer.alignment`) learns from
    both domains, ``fit_transform`` giving the source and ``transform`` the target; others
    learn from the source. A last step that takes `X_target` gets both domains; any
    other is trained on the source, and on the target rows that `y_target` labels.
    Make one with `make_transfer_pipeline`.

    Parameters
    ----------
    steps : list of (str, estimator)
        Transformers by name, then what decides.
    transform_input : list of str or None, default=None
        Further arguments of `fit` that pass through the transformers, as in scikit-learn;
        `X_target` always does.
    memory : str, object with the joblib.Memory interface or None, default=None
        Where fitted transformers are kept.
    verbose : bool, default=False
        Whether to print how long each step took.
    """

    steps: list[tuple[str, Any]]

    def fit(
        self,
        X: Any,
        y: Any = None,
        X_target: Any = None,
        y_target: Any = None,
        sample_weight: Any = None,
        domains: Any = None,
        **params: Any,
    ) -> TransferPipeline:
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

    @available_if(_transforms)
    def fit_transform(
        self,
        X: Any,
        y: Any = None,
        X_target: Any = None,
        y_target: Any = None,
        sample_weight: Any = None,
        domains: Any = None,
        **params: Any,
    ) -> Any:
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

    @available_if(_predicts)
    def fit_predict(
        self,
        X: Any,
        y: Any = None,
        X_target: Any = None,
        y_target: Any = None,
        sample_weight: Any = None,
        domains: Any = None,
        **params: Any,
    ) -> Any:
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

    @available_if(_adapts)
    def adapt(self, X_target: Any, *args: Any, **params: Any) -> TransferPipeline:
        """Adapt the fitted last step to further target rows, which pass through the others first.

        Parameters
        ----------
        X_target : array-like of shape (n_target, ...)
            Rows as `predict` takes them. The transformers stay as they were fitted.
        *args, **params
            What else the `adapt` of the last step takes, such as labels.

        Returns
        -------
        self : TransferPipeline
            The pipeline, its last step adapted.
        """
        for _, _, step in self._iter(with_final=False):
            X_target = step.transform(X_target)
        self.steps[-1][1].adapt(X_target, *args, **params)
        return self

    def source_only(self) -> TransferPipeline:
        """Return the pipeline without transfer, its twin: each step as it says of itself.

        Returns
        -------
        TransferPipeline
            Not fitted.
        """
        twin: TransferPipeline = answer_of_parts(self, "source_only")
        return twin

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
            routed = self._route(method, given)
            moving = {
                name: given[name]
                for name in dict.fromkeys(["X_target", *(self.transform_input or [])])
                if name in given
            }
            for place, (name, step) in enumerate(self.steps[:-1]):
                started = time.perf_counter()
                if step is not None and step != "passthrough":
                    rows = TravellingRows(X, y, moving, given)
                    fitted, X, moving = self._fit_transformer(step, rows, routed[name])
                    self.steps[place] = (name, fitted)
                self._report(place, started)
            return self._fit_last(method, TravellingRows(X, y, moving, given), routed)

    def _fit_transformer(self, step, rows: TravellingRows, routed):
        memory = check_memory(self.memory)
        if getattr(memory, "location", memory) is not None:
            step = clone(step)  # what the cache gives back is another object in any case
        return memory.cache(fit_transform_step)(
            step, rows.X, rows.y, rows.moving, by_method(routed, rows)
        )

    def _fit_last(self, method: str, rows: TravellingRows, routed):
        name, last = self.steps[-1]
        started = time.perf_counter()
        X, y = rows.X, rows.y
        if last is not None and last != "passthrough":
            params = by_method(routed[name], rows)
            if method == "fit_transform" and hasattr(last, "fit_transform"):
                X = last.fit_transform(X, y, **params["fit_transform"])
            else:
                of_fit = params["fit"]
                train_X, train_y = X, y
                if "y_target" in rows.given and not takes_target(last):
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


def make_transfer_pipeline(
    *steps: Any, memory: Any = None, verbose: bool = False
) -> TransferPipeline:
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
