"""What a history holds, sorted for drawing."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# Recorded by skorch or by the nets of this package, but neither loss nor score.
NOT_DRAWN = {"batches", "dur", "epoch", "lambda", "learning_rate", "stage"}
NOT_DRAWN_ENDINGS = ("_best", "_batch_count", "_batch_size")


def read_history(history) -> dict[str, Any]:
    """Sort the columns of a history into what `TrainingHistoryDisplay` takes.

    A column is a loss by its name, and a share where all of it lies between 0
    and 1. Epochs in which a column was not recorded hold nan.
    """
    columns = {
        name: np.array([_number(epoch.get(name)) for epoch in history])
        for name in {name: None for epoch in history for name in epoch}  # in the order recorded
    }
    columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    losses = {name: values for name, values in columns.items() if name.endswith("_loss")}
    total = losses.pop("train_loss", None)
    if total is not None and not any(_same(total, values) for values in losses.values()):
        losses["train_loss"] = total
    others = {
        name: values
        for name, values in columns.items()
        if not name.endswith(("_loss", *NOT_DRAWN_ENDINGS))
        and not name.startswith("event_")
        and name not in NOT_DRAWN
    }
    shares = {name: values for name, values in others.items() if _is_share(values)}
    stages = [epoch.get("stage") for epoch in history]
    best = [epoch["epoch"] for epoch in history if epoch.get("target_score_best")]
    return {
        "epochs": np.array([epoch["epoch"] for epoch in history]),
        "losses": losses,
        "shares": shares,
        "scores": {name: values for name, values in others.items() if name not in shares},
        "lambda_": columns.get("lambda"),
        "stages": stages if any(stages) else None,
        "restored_epoch": best[-1] if best else None,
    }


def _number(value) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    return float(value) if is_number else math.nan


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def _is_share(values: np.ndarray) -> bool:
    recorded = values[~np.isnan(values)]
    return bool(((recorded >= 0) & (recorded <= 1)).all())


def find_history(estimator):
    """Return the history of a fitted estimator, of a pipeline's last step or a search's best.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        For what is not fitted, what records no history, and an empty one.
    """
    check_is_fitted(estimator)
    found = estimator
    while isinstance(found, Pipeline) or hasattr(found, "best_estimator_"):
        found = found[-1] if isinstance(found, Pipeline) else found.best_estimator_
    history = getattr(found, "history_", None)
    if history is None:
        raise TypeError(
            f"estimator is a {type(estimator).__name__} without history_. Give a fitted estimator "
            "of sktransfer or skorch, a pipeline that ends in one, or a search over one with "
            "refit=True."
        )
    if len(history) == 0:
        raise ValueError(
            f"The history_ of {type(found).__name__} is empty: training ended before its first "
            "epoch. Fit it again."
        )
    return history
