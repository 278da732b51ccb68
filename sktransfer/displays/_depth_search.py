"""What a search over the depth of fine-tuning has tried, read from its `cv_results_`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor

PARAMETER = "unfreeze_depth"


def find_parameter(search) -> str:
    """Return under which name the search varied `unfreeze_depth`.

    Raises
    ------
    ValueError
        Where it did not, or in several places.
    """
    searched = {name: None for params in search.cv_results_["params"] for name in params}
    depths = [name for name in searched if name.rpartition("__")[2] == PARAMETER]
    if len(depths) != 1:
        raise ValueError(
            f"search varied {list(searched)}, of which {len(depths)} are {PARAMETER}; it must vary "
            f'one {PARAMETER}, for example {{"{PARAMETER}": [0, 1, "all"]}}.'
        )
    return depths[0]


def find_score(search, scoring: str | None) -> str:
    """Return the name by which `cv_results_` calls the score.

    Raises
    ------
    ValueError
        For a score that the search does not have, and where it has several and
        none is named.
    """
    start = "mean_test_"
    names = [key.removeprefix(start) for key in search.cv_results_ if key.startswith(start)]
    if scoring is None and not search.multimetric_:
        return names[0]
    if scoring is None and isinstance(search.refit, str):
        return search.refit
    if scoring is None or scoring not in names:
        raise ValueError(
            f"scoring={scoring!r} names no score of the search; give one of {names}, or None "
            "where there is but one or the search refitted by one."
        )
    return scoring


def read_search(search, parameter: str, score: str) -> dict[str, Any]:
    """Return what `UnfreezeDepthDisplay` takes: at each depth its best candidate."""
    results = search.cv_results_
    means, chosen = results[f"mean_test_{score}"], getattr(search, "best_index_", None)
    rounds = results.get("iter", np.zeros(len(means)))

    def rank(index):
        mean = means[index]
        return index == chosen, rounds[index], -np.inf if np.isnan(mean) else mean

    shown: dict[Any, int] = {}
    for index, params in enumerate(results["params"]):
        if parameter in params:
            depth = params[parameter]
            shown[depth] = max(shown.get(depth, index), index, key=rank)
    depths = order_depths(list(shown))
    rows = np.array([shown[depth] for depth in depths])
    folds = [results[f"split{fold}_test_{score}"][rows] for fold in range(search.n_splits_)]
    if chosen is None:  # several scores and no refit: the search has chosen none
        chosen = max(rows, key=rank)
    return {
        "depths": depths,
        "mean_scores": means[rows],
        "std_scores": results[f"std_test_{score}"][rows],
        "fold_scores": np.stack(folds, axis=1),
        "best_depth": results["params"][chosen].get(parameter),
        "params": [results["params"][row] for row in rows],
        "n_resources": results["n_resources"][rows] if "n_resources" in results else None,
        "score_name": describe_score(search, score),
    }


def order_depths(depths: list) -> list:
    """Return numbers ascending, then names as they stand, then "all"."""
    names = [depth for depth in depths if isinstance(depth, str)]
    numbers = sorted(depth for depth in depths if not isinstance(depth, str))
    return numbers + sorted(names, key="all".__eq__)


def describe_score(search, score: str) -> str:
    """Return what the axis of the score is called."""
    if score == "score" and isinstance(search.scoring, str):
        score = search.scoring
    elif score == "score" and search.scoring is None and is_classifier(search.estimator):
        score = "accuracy"
    elif score == "score" and search.scoring is None and is_regressor(search.estimator):
        score = "r2"
    return f"test {score.replace('_', ' ')}"
