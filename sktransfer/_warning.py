"""Warnings that point at the line of the user's that led to them."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

# Whose lines say nothing of what the user did; contextlib calls functions that it decorates.
IN_BETWEEN = frozenset({"sktransfer", "sklearn", "skorch", "joblib", "torch", "contextlib"})

_is_quiet: ContextVar[bool] = ContextVar("_is_quiet", default=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within, `warn` says nothing, in this thread: for inner fits that the user did not ask for."""
    token = _is_quiet.set(True)
    try:
        yield
    finally:
        _is_quiet.reset(token)


def warn(message: str) -> None:
    """Warn at the innermost line that is none of this package or of those that call it.

    So it is told which fit of a script, or which search, a warning is of, however deep in
    the package it arose; and a line that warns in a loop is shown once.
    """
    if _is_quiet.get():
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package_of(frame.f_globals) in IN_BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _package_of(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
