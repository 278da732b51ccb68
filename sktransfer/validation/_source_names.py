"""Names of several sources, whose rows stand together in `X`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from .._warning import warn
from ..data._domain import Domain, Domains
from ._arrays import as_array, check_same_length
from ._naming import named
from ._target_labels import find_labelled


def with_sources(estimator, domains: Domains, given: Any) -> Domains:
    """Return the domains with the names of the sources; sets ``domains_``.

    One name for all rows is one source, as None is. An estimator that cannot use several
    takes them for one, and warns.

    Raises
    ------
    ValueError, TypeError
        For what does not name a source for each row, and for a source without weight.
    """
    if given is None:
        return domains
    names = check_names(given, domains.source)
    if len(np.unique(names)) == 1:
        return domains
    if not estimator._uses_domains:
        warn(
            f"{type(estimator).__name__} takes all sources for one: `domains` is not used. Leave "
            "it out, or take a method that tells them apart, such as DANNClassifier."
        )
        return domains
    estimator.domains_ = np.unique(names)
    return replace(domains, source=replace(domains.source, domains=names))


def check_names(given: Any, source: Domain) -> np.ndarray:
    """Return the name of each row's source."""
    given = as_array(given, "domains")
    kept = object if isinstance(given, (list, tuple)) else None  # numpy would make text of 1
    with named("domains"):
        names = column_or_1d(np.asarray(given, dtype=kept))
    check_same_length(len(source), "X", names, "domains")
    if not find_labelled(names).all():
        raise ValueError(
            "domains has missing names: give the name of its source for each row of X. Rows of "
            "the target belong in X_target."
        )
    if names.dtype.kind == "O":
        if len({isinstance(name, str) for name in names.tolist()}) > 1:
            raise TypeError(
                f"domains mixes text and numbers, such as {names[:3].tolist()}; give one of them."
            )
        names = np.array(names.tolist())
    weights = source.sample_weight
    if weights is not None:
        weightless = np.setdiff1d(names, names[weights > 0])
        if weightless.size:
            raise ValueError(
                f"sample_weight is 0 for all rows of the sources {weightless.tolist()}: leave "
                "them out, so that batches are not to hold as many rows of them as of others."
            )
    return names
