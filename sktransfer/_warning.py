"""Warnings that point at the line of the user's that led to them."""

from __future__ import annotations

import sys
import warnings

# Whose lines say nothing of what the user did.
IN_BETWEEN = frozenset({"sktransfer", "sklearn", "skorch", "joblib", "torch"})


def warn(message: str) -> None:
    """Warn at the innermost line that is none of this package or of those that call it.

    So it is told which fit of a script, or which search, a warning is of, however deep in
    the package it arose; and a line that warns in a loop is shown once.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package_of(frame.f_globals) in IN_BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _package_of(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
