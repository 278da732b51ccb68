"""Checks of what says how to train: callbacks, devices, schedules."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from ..validation._arguments import check_takes


def check_schedule(schedule: Callable[[float], float], name: str) -> Callable[[float], float]:
    """Check that a schedule gives finite numbers from the first step to the last.

    Raises
    ------
    ValueError
        Where it does not.
    """
    check_takes(schedule, name, "progress")
    for progress in (0.0, 0.5, 1.0):
        try:
            factor = schedule(progress)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f"{name}({progress}) raised {type(error).__name__}: {error}. It must return a "
                "finite number, the factor for a training progress in [0, 1]."
            ) from error
        if not isinstance(factor, Real) or not np.isfinite(float(factor)):
            raise ValueError(
                f"{name}({progress}) returned {factor!r}; it must return a finite number, the "
                "factor for a training progress in [0, 1]."
            )
    return schedule


class CheckedOptimizer:
    """What the user gave as `optimizer`, called and looked at.

    Parameters
    ----------
    make : callable
        ``make(parameters, lr=learning_rate)``.
    """

    def __init__(self, make: Callable[..., Any]):
        self.make = make

    def __call__(self, *arguments: Any, **settings: Any) -> torch.optim.Optimizer:
        """Return the optimizer.

        Raises
        ------
        TypeError, ValueError
            For what makes none, and for one whose steps need a closure.
        """
        wanted = "a torch optimizer's class, or a callable (parameters, lr) that makes one"
        try:
            made = self.make(*arguments, **settings)
        except TypeError as error:
            raise TypeError(
                f"optimizer={self.make!r:.80} cannot be called with parameters and lr ({error}). "
                f"Give {wanted}."
            ) from error
        if not isinstance(made, torch.optim.Optimizer):
            raise TypeError(f"optimizer={self.make!r:.80} made {made!r:.80}; give {wanted}.")
        closure = inspect.signature(type(made).step).parameters.get("closure")
        if closure is not None and closure.default is inspect.Parameter.empty:
            raise ValueError(
                f"optimizer={type(made).__name__} computes each loss several times, by a closure, "
                "which training does not give: choose one that does not, such as Adam."
            )
        return made


def copy_callbacks(callbacks: Sequence[Any] | None) -> list[Any]:
    """Copy the user's skorch callbacks: they keep state, and the user's must not change.

    Lists, dicts and sets that they hold are copied as well, what else they hold (rows,
    files) is shared.

    Raises
    ------
    TypeError
        For what is no callback.
    """
    copies: list[Any] = []
    for given in [] if callbacks is None else callbacks:
        name, callback = given if isinstance(given, tuple) and len(given) == 2 else (None, given)
        is_class = isinstance(callback, type)
        if not (issubclass(callback, Callback) if is_class else isinstance(callback, Callback)):
            raise TypeError(
                f"callbacks holds {given!r}; give skorch callbacks or pairs (name, callback)."
            )
        copied = callback if is_class else _copy(callback)
        copies.append(copied if name is None else (name, copied))
    return copies


def _copy(callback: Callback) -> Callback:
    copied = copy.copy(callback)
    for name, value in vars(copied).items():
        if isinstance(value, (list, dict, set)):
            setattr(copied, name, copy.copy(value))
    return copied


def check_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"`` or a name into a device that can be used here.

    Raises
    ------
    ValueError
        Where torch does not know the device or cannot use it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        known = torch.device(device)
        if known.type == "meta":
            raise RuntimeError("it holds no numbers")
        if known.type != "cpu":  # asking for its type alone may warn
            known = torch.empty(0, device=known).device
        return known
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        usable = ["auto", "cpu"] + ["cuda"] * torch.cuda.is_available()
        raise ValueError(
            f"device={device!r} cannot be used here ({str(error).splitlines()[0]}). "
            f"Give one of {usable} or another device that torch can use."
        ) from error
