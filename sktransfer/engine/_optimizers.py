"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from .. import schedules
from ._checks import CheckedOptimizer

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "game_adam": partial(torch.optim.Adam, betas=(0.5, 0.999)),
    "rmsprop": torch.optim.RMSprop,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}
LEARNING_RATE_SCHEDULES = {
    "constant": schedules.constant,
    "cosine": schedules.cosine_annealing,
    "dann": schedules.dann_annealing,
}


def take_over(made: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimizer the state of another for the same parameters, but keep its rates.

    One of other parameters (a stage had it) stays as it was made.
    """
    if _sizes(made.state_dict()) != _sizes(state):
        return
    rates = [group["lr"] for group in made.param_groups]
    made.load_state_dict(state)
    for group, rate in zip(made.param_groups, rates, strict=True):
        group["lr"] = rate


def _sizes(optimizer_state: dict[str, Any]) -> list[int]:
    return [len(group["params"]) for group in optimizer_state["param_groups"]]


def look_up(given: Any, known: dict[str, Any]) -> Any:
    """Return what a name stands for, or what was given instead of a name."""
    return known[given] if isinstance(given, str) else given


def make_optimizer(given: Any, device: torch.device) -> Callable[..., torch.optim.Optimizer]:
    """Return what makes an optimizer of parameters: fused where torch has that."""
    if not isinstance(given, str):
        return CheckedOptimizer(given)
    optimizer: Callable[..., torch.optim.Optimizer] = look_up(given, OPTIMIZERS)
    if given in ("adam", "adamw", "game_adam") and device.type in ("cpu", "cuda"):
        return partial(_fused, optimizer)
    return optimizer


def _fused(
    make: Callable[..., torch.optim.Optimizer], groups: list[dict[str, Any]], **settings: Any
) -> torch.optim.Optimizer:
    """Make a fused optimizer, of which torch has none for complex numbers."""
    are_floats = all(p.is_floating_point() for group in groups for p in group["params"])
    return make(groups, fused=are_floats, **settings)
