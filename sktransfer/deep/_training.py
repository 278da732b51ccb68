"""The parameters of everything that trains a network."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import torch

from ..engine._checkpoint import FitCheckpoint
from ..engine._optimizers import LEARNING_RATE_SCHEDULES, OPTIMIZERS
from ..validation._constraints import Integral, Interval, Real, StrOptions
from ._parameters import parameters


@parameters
class TrainingParameters:
    """How a network is trained; stands before a deep base."""

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "learning_rate_schedule": [StrOptions(set(LEARNING_RATE_SCHEDULES)), callable],
        "callbacks": ["array-like", None],
        "checkpoint": [str, os.PathLike, FitCheckpoint, None],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "data_parallel": ["boolean"],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "verbose": ["verbose"],
    }

    optimizer: Any = "adam"
    learning_rate: float = 1e-3
    learning_rate_schedule: Any = "constant"
    callbacks: Any = None
    checkpoint: Any = None
    device: Any = "auto"
    random_state: Any = None
    warm_start: bool = False
    data_parallel: bool = False
    num_workers: int = 0
    verbose: Any = 0
