"""Single arguments that are no rows: what each error says of them."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np
import sklearn.utils


def check_random_state(random_state: Any, name: str = "random_state") -> np.random.RandomState:
    """Return the generator of a seed, as scikit-learn's namesake does.

    Raises
    ------
    ValueError
        Naming the parameter.
    """
    try:
        return sklearn.utils.check_random_state(random_state)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name}={random_state!r} is no seed ({error}): give an integer from 0 to 2**32 - 1, "
            "a numpy.random.RandomState or None."
        ) from error


def check_takes(function: Callable[..., Any], name: str, *arguments: str) -> None:
    """Check that a function of the user's can be called with so many arguments.

    Raises
    ------
    TypeError
        Where its signature says that it cannot.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of some functions written in C nothing is known
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{name} is called as {name}({', '.join(arguments)}), but what was given, "
            f"{function!r:.80}, takes {signature} ({error}). Give a function of "
            f"{len(arguments)} argument(s)."
        ) from error


def refuse_unknown(unknown: Iterable[str], known: Iterable[str], estimator: Any) -> None:
    """Refuse arguments that `fit` does not know, with the one, or the parameter, that was meant.

    Raises
    ------
    TypeError
        Where there is any.
    """
    for name in unknown:
        kind, hint = type(estimator).__name__, meant(name, known)
        parameters = difflib.get_close_matches(name, estimator.get_params(deep=False), 1, 0.7)
        if parameters and not difflib.get_close_matches(name, known, 1, 0.5):
            hint = f" It is a parameter: {kind}({parameters[0]}=...)."
        if name in ("attributes", "semantics") and hasattr(estimator, "descriptions"):
            hint = f" It is the parameter {kind}(descriptions={{label: attributes, ...}})."
        raise TypeError(
            f"{kind}.fit() got an unexpected keyword argument {name!r}.{hint} "
            f"It takes {', '.join(known)}."
        )


def meant(name: str, known: Iterable[str]) -> str:
    """Return the question whether one of the known names was meant; nothing where none is alike."""
    longer = [word for word in known if len(word) > 1]
    alike = difflib.get_close_matches(name, longer, n=1, cutoff=0.3)
    return f" Did you mean {alike[0]}=?" if alike else ""


def check_number(value: Any, name: str, least: float, most: float, wanted: str) -> float:
    """Return a number between two others.

    Raises
    ------
    TypeError, ValueError
        For what is none, and for one beyond them.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be {wanted}; got {value!r:.80}.")
    if not least <= float(value) <= most:
        raise ValueError(f"{name} must be {wanted}; got {value!r}.")
    return float(value)


def check_path(path: Any, name: str = "path") -> str | os.PathLike[str]:
    """Check that an argument is the path of a file.

    Raises
    ------
    TypeError, ValueError
        For what is no path, and for an empty one.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"{name} must be the path of a file, a str or pathlib.Path; got a "
            f"{type(path).__name__}."
        )
    if os.fspath(path) in ("", "."):
        raise ValueError(f"{name} is empty; give the path of a file, as in 'model.safetensors'.")
    return path
