"""A body's twin, which may be traced and run while others compute with the body itself."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import torch
from torch import nn


def twin_of(body: nn.Module) -> nn.Module:
    """Return a body with the same weights, of which all else is its own.

    Parameters are shared; modules, buffers and attributes are copied, but for
    attributes that cannot be.

    Parameters
    ----------
    body : Module
        Left as it is.
    """
    memo: dict[int, Any] = {id(parameter): parameter for parameter in body.parameters()}
    twins: list[tuple[nn.Module, nn.Module]] = []
    for module in body.modules():
        if isinstance(module, torch.jit.ScriptModule):  # made of more than attributes
            memo[id(module)] = module
        else:
            memo[id(module)] = twin = type(module).__new__(type(module))
            twins.append((module, twin))
    for module, twin in twins:
        for name, value in vars(module).items():
            vars(twin)[name] = value
            with contextlib.suppress(Exception):  # a lock, a generator, ...
                vars(twin)[name] = copy.deepcopy(value, memo)
    whole: nn.Module = memo[id(body)]
    return whole
