"""What is asked of an estimator, or of those within a pipeline or a search, about transfer."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone


def make_source_only(estimator) -> Any:
    """Return a clone that transfers nothing when it is fitted without a target.

    Estimators answer by their ``source_only()``; of others, such as pipelines and
    searches, those within are asked.
    """
    return _answer(estimator, "source_only")


def without_callbacks_of_a_domain(estimator) -> Any:
    """Return a clone without what holds rows of a domain besides those of `fit`."""
    return _answer(estimator, "_for_other_domains")


def transfers(estimator) -> bool:
    """Whether a target without labels makes a difference to `fit`."""
    if hasattr(estimator, "_transfers"):
        return bool(estimator._transfers())
    parts = transferring_parts(estimator).values()
    return any(map(transfers, parts)) if parts else hasattr(estimator, "source_only")


def transferring_parts(estimator) -> dict[str, Any]:
    """Return the outermost estimators with ``source_only`` within another, by parameter."""
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    found = {
        name: value
        for name, value in params.items()
        if hasattr(value, "source_only") and not isinstance(value, type)
    }
    return {
        name: value
        for name, value in found.items()
        if not any(name.startswith(f"{outer}__") for outer in found)
    }


def answer_of_parts(estimator, method: str) -> Any:
    """Return a clone in which each part that has the method is replaced by its answer."""
    parts = transferring_parts(estimator)
    return clone(estimator).set_params(
        **{name: _answer(part, method) for name, part in parts.items()}
    )


def _answer(estimator, method: str) -> Any:
    answer = getattr(estimator, method, None)
    return answer_of_parts(estimator, method) if answer is None else answer()
