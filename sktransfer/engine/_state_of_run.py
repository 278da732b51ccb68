"""All that decides how a stage goes on, taken from it and given to it."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from skorch.callbacks import Callback
from torch import nn

from ._engine import Engine
from ._net import TransferNet
from ._runtime import PrivateGenerators
from ._stage import Stage
from ._states import pack


class InProgress(Protocol):
    """A stage in progress: what of it is taken and given back."""

    net: TransferNet
    stage: Stage
    engine: Engine
    generators: PrivateGenerators
    trained: list[nn.Parameter]
    factor: float


def state_of(run: InProgress, epoch: int) -> dict[str, Any]:
    """Return the state of a run after so many epochs.

    Raises
    ------
    ValueError
        For a follower or a callback whose state cannot be had.
    """
    net, stage, engine = run.net, run.stage, run.engine
    generators = torch.cat([*engine.generators.states, *run.generators.states])
    return {
        "epoch": epoch,
        "n_epochs": len(net.history),
        "network": net.module_.state_dict(),
        "modules": [module.state_dict() for module in stage.modules],
        "learning": list(run.trained),
        "has_gradient": [parameter.grad is not None for parameter in run.trained],
        "optimizer": net.optimizer_.state_dict(),
        "factor": run.factor,
        "generators": engine.processes.gather(generators),
        "sampler": stage.sampler.state_dict(),
        "followers": [follower.state_dict() for follower in stage.followers],
        "callbacks": {name: _callback_state(name, call) for name, call in net.callbacks_},
    }


@torch.no_grad()
def restore(run: InProgress, state: dict[str, Any], *, is_over: bool) -> None:
    """Bring a run, whose stage has begun or is not to begin, to where the state was taken."""
    net, stage, engine = run.net, run.stage, run.engine
    net.module_.load_state_dict(state["network"])
    for module, of_module in zip(stage.modules, state["modules"], strict=True):
        module.load_state_dict(of_module)
    for parameter, value in zip(run.trained, state["learning"], strict=True):
        parameter.copy_(value)
    for parameter, has_gradient in zip(run.trained, state["has_gradient"], strict=True):
        parameter.grad = torch.zeros_like(parameter) if has_gradient else None
    if "optimizer" in state:
        net.optimizer_.load_state_dict(state["optimizer"])
    run.factor = state["factor"]
    states = [*engine.generators.states, *run.generators.states]
    parts = state["generators"][engine.processes.rank].split([len(s) for s in states])
    of_rank = [part.clone() for part in parts]  # torch reads no generator from within a tensor
    n_states = len(engine.generators.states)
    engine.generators.load_state_dict({"generators": of_rank[:n_states]})
    run.generators.load_state_dict({"generators": of_rank[n_states:]})
    stage.sampler.load_state_dict(state["sampler"])
    if not is_over:
        for follower, of_follower in zip(stage.followers, state["followers"], strict=True):
            follower.load_state_dict(of_follower)
    for name, callback in net.callbacks_:
        if name in state["callbacks"]:
            _restore_callback(callback, state["callbacks"][name])


def _has_state(value: Any) -> bool:
    if isinstance(value, type):
        return False
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


def _callback_state(name: str, callback: Callback) -> dict[str, Any]:
    """Return what a callback says of its state, or what it keeps in names like ``misses_``."""
    if _has_state(callback):
        state = {"whole": callback.state_dict()}
        _check_packable(state, f"The callback {name}")
        return state
    attributes: dict[str, Any] = {}
    states: dict[str, Any] = {}
    for key, value in vars(callback).items():
        if not key.endswith("_") or key.startswith("_"):
            continue
        if _has_state(value):
            states[key] = value.state_dict()
            _check_packable(states[key], f"{key} of the callback {name}")
        elif _is_packable(value):
            attributes[key] = value
    return {"attributes": attributes, "states": states}


def _restore_callback(callback: Any, state: dict[str, Any]) -> None:
    if "whole" in state:
        callback.load_state_dict(state["whole"])
        return
    for key, value in state["attributes"].items():
        setattr(callback, key, value)
    for key, value in state["states"].items():
        if _has_state(getattr(callback, key, None)):  # where the stage is over there is none
            getattr(callback, key).load_state_dict(value)


def _is_packable(value: Any) -> bool:
    try:
        pack(value, {})
    except TypeError:
        return False
    return True


def _check_packable(value: Any, what: str) -> None:
    try:
        pack(value, {})
    except TypeError as error:
        raise ValueError(
            f"{what} has a state that no checkpoint can hold: {error}. Have state_dict return "
            "tensors, numbers, text, lists and dicts of these, or fit without checkpoint."
        ) from error
