"""The same estimator without adaptation, and what of it belongs to a domain."""

from __future__ import annotations

from sklearn.base import clone

# What sets adaptation methods apart from a plain classifier of the source.
ADAPTING_PARAMETERS = ("lambda_", "entropy_weight")


def adapting_parameters(estimator) -> dict[str, float]:
    """Return the weights that make an estimator, or the last step of a pipeline, adapt."""
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    return {
        name: value
        for name, value in params.items()
        if name.rpartition("__")[2] in ADAPTING_PARAMETERS
    }


def make_source_only(estimator):
    """Return a clone that knows that there is nothing to adapt to, and does not warn of it."""
    params = dict.fromkeys(adapting_parameters(estimator), 0.0)
    return without_callbacks_of_a_domain(clone(estimator)).set_params(**params)


def without_callbacks_of_a_domain(estimator):
    """Take those callbacks out of an estimator that is no longer on the domain they hold."""
    for name, callbacks in estimator.get_params().items():
        if name.rpartition("__")[2] == "callbacks" and callbacks is not None:
            kept = [callback for callback in callbacks if not _holds_a_domain(callback)]
            estimator.set_params(**{name: kept})
    return estimator


def _holds_a_domain(callback) -> bool:
    from ..callbacks import DomainScoring, TargetValidation  # with which torch comes

    callback = callback[1] if isinstance(callback, tuple) else callback
    return isinstance(callback, (DomainScoring, TargetValidation))
