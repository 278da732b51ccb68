"""Features of two domains as points of the plane."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import resample
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from ..validation._arrays import as_array
from ..validation._naming import named

METHODS = ("pca", "tsne")
PERPLEXITY = 30.0  # scikit-learn's default, lowered for few rows


def check_choices(method, n_samples) -> None:
    """Check how to embed and how many rows.

    Raises
    ------
    ValueError
        For an unknown method and for no rows.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}; got {method!r}.")
    if n_samples is not None and (not isinstance(n_samples, Integral) or int(n_samples) < 1):
        raise ValueError(
            f"n_samples must be an integer of at least 1, or None for all rows; got {n_samples!r}."
        )


def check_transforms(estimator) -> None:
    """Check that an estimator is fitted and gives features.

    Raises
    ------
    NotFittedError, TypeError
        Where it is not, and where it does not.
    """
    check_is_fitted(estimator)
    if not hasattr(estimator, "transform"):
        raise TypeError(
            f"{type(estimator).__name__} has no transform, which gives the features to draw. Give "
            "a fitted estimator of sktransfer, or a pipeline or a search that ends in one."
        )


def draw_rows(domain: str, X, y, n_samples: int | None, seed: int):
    """Return which rows are drawn, the rows and their labels (None where there are none).

    Raises
    ------
    ValueError
        Where rows and labels differ in number.
    """
    X = as_array(X, f"X_{domain}")
    n_rows = np.shape(X)[0]
    arrays = [np.arange(n_rows), X]
    if y is not None:
        arrays.append(np.asarray(as_array(y, f"y_{domain}")))
        if np.shape(arrays[-1])[0] != n_rows:
            raise ValueError(
                f"X_{domain} has {n_rows} rows but y_{domain} {len(arrays[-1])} labels; give one "
                "label for each row, None or nan where it is not known."
            )
    n_drawn = n_rows if n_samples is None else min(n_rows, int(n_samples))
    drawn = resample(*arrays, replace=False, n_samples=n_drawn, random_state=int(seed))
    return drawn if y is not None else [*drawn, None]


def embed_domains(estimator, X_source, X_target, method: str, seed: int):
    """Return the rows of source and of target as points of the plane.

    Raises
    ------
    ValueError
        For features that have no two columns.
    """
    source = _features(estimator, X_source, "X_source")
    target = _features(estimator, X_target, "X_target")
    features = np.concatenate([source, target])
    if min(features.shape) < 2:
        raise ValueError(
            f"{type(estimator).__name__} gives features of shape {features.shape} to both domains "
            "together; a plane needs at least 2 rows and 2 columns."
        )
    if method == "pca":
        embedding = PCA(n_components=2, random_state=int(seed))
    else:
        perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
        embedding = TSNE(perplexity=perplexity, random_state=int(seed))
    with threadpool_limits(1):  # t-SNE's threads wait for each other longer than they work
        points = embedding.fit_transform(features)
    return points[: len(source)], points[len(source) :]


def _features(estimator, X, name: str) -> np.ndarray:
    with named(name):
        features = estimator.transform(X)
    features = np.asarray(features.toarray() if hasattr(features, "toarray") else features)
    return features.reshape(len(features), -1)
