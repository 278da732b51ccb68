"""Where an estimator's page in the documentation is, for its diagram in a notebook."""

from __future__ import annotations

import importlib.metadata
from functools import cache

from ._exports import EXPORTS


@cache
def address_of_documentation() -> str | None:
    """Return the address that the installed package names as its documentation, if it does."""
    try:
        urls = importlib.metadata.metadata("sktransfer").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:  # used out of a folder of sources
        return None
    named = dict(url.split(", ", 1) for url in urls)
    address = named.get("Documentation")
    return None if address is None else address.rstrip("/")


def page_of(kind: type) -> str:
    """Return the address of an estimator's page; empty where it has none, as scikit-learn does."""
    address = address_of_documentation()
    is_ours = kind.__module__.partition(".")[0] == "sktransfer" and kind.__name__ in EXPORTS
    return f"{address}/generated/sktransfer.{kind.__name__}.html" if address and is_ours else ""
