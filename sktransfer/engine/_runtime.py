"""Torch's state, borrowed and given back: random generators, modes, threads, kernels."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

# Held while the global generators are another's: fits that draw from them take turns.
_generators_lock = threading.RLock()

# Forward FLOPs of a training step that keep one thread busy. Measured on two cores: at
# 0.6 MFLOP one thread is faster than two, at 80 MFLOP and more two are; on a loaded
# machine, where they wait for each other, two were 8 times slower at 42 MFLOP.
FLOPS_PER_THREAD = 3e7


def device_at_hand(device: torch.device) -> torch.device:
    """Return the device, or the CPU where a GPU of another machine is meant."""
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        return torch.device("cpu")
    return device


class PrivateGenerators:
    """A state of torch's global generators that is lent to them for a while.

    Modules draw from the global generators (initialisation, dropout), so a fit
    that depends on its own seed alone must lend them its state and give back
    the one it found.

    Parameters
    ----------
    seed : int
        Where the private state starts.
    device : torch.device
        Its CUDA generator is lent to as well as the CPU's.
    """

    def __init__(self, seed: int, device: torch.device):
        self.seed, self.device = seed, device
        self.states = [torch.Generator().manual_seed(seed).get_state()]
        if device.type == "cuda":
            generator = torch.Generator(device=device)
            self.states.append(generator.manual_seed(seed).get_state())

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.device = device_at_hand(self.device)
        self.states = self.states[: 1 + (self.device.type == "cuda")]

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Have the global generators draw from here meanwhile."""
        with _generators_lock:
            found = self._global_states()
            try:
                self._set_global(self.states)
                yield
                self.states = self._global_states()
            finally:
                self._set_global(found)

    def fresh(self) -> PrivateGenerators:
        """Return generators that start where these did."""
        return PrivateGenerators(self.seed, self.device)

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return where the generators stand."""
        return {"generators": self.states}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from where `state_dict` stood."""
        self.states = list(state["generators"])

    def _global_states(self) -> list[Tensor]:
        states = [torch.default_generator.get_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _set_global(self, states: list[Tensor]) -> None:
        torch.default_generator.set_state(states[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)


@contextlib.contextmanager
def watched_draws(generators: PrivateGenerators) -> Iterator[list[bool]]:
    """Lend the generators, and afterwards say in the list whether anything was drawn."""
    drew: list[bool] = []
    before = list(generators.states)
    with generators.lent():
        yield drew
    unequal = (not torch.equal(a, b) for a, b in zip(before, generators.states, strict=True))
    drew.append(any(unequal))


@contextlib.contextmanager
def own_modes() -> Iterator[None]:
    """Have torch take gradients and make tensors on the CPU, whatever modes the caller has set."""
    elsewhere = torch.get_default_device().type != "cpu"
    # Only where it is needed: every function of torch is slower in this mode.
    on_cpu = torch.device("cpu") if elsewhere else contextlib.nullcontext()
    with torch.inference_mode(False), torch.enable_grad(), on_cpu:
        yield


@lru_cache(maxsize=1)
def _openmp() -> Any:
    return ThreadpoolController().select(user_api="openmp")


@contextlib.contextmanager
def limited_threads(flops: float) -> Iterator[None]:
    """Use no more intra-op threads than a step of `flops` keeps busy.

    The calling thread's own OpenMP setting is changed, not torch's, which threads
    that start meanwhile would take over for good.
    """
    wanted = max(1, int(min(flops / FLOPS_PER_THREAD, 2**16)))
    if wanted >= torch.get_num_threads():
        yield
        return
    with _openmp().limit(limits=wanted):
        yield


class _SharedFlags:
    """cuDNN's flags, set while at least one fit needs them and then given back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_users = 0
        self._found = (False, False)

    @contextlib.contextmanager
    def set(self) -> Iterator[None]:
        cudnn = torch.backends.cudnn
        entered = False
        try:
            with self._lock:
                if self._n_users == 0:
                    self._found = (cudnn.deterministic, cudnn.benchmark)
                    cudnn.deterministic, cudnn.benchmark = True, False
                self._n_users += 1
                entered = True
            yield
        finally:
            with self._lock:
                self._n_users -= entered
                if self._n_users == 0:
                    cudnn.deterministic, cudnn.benchmark = self._found


_cudnn_flags = _SharedFlags()


@contextlib.contextmanager
def reproducible_kernels(device: torch.device) -> Iterator[None]:
    """Have cuDNN choose kernels that give the same bits each time."""
    with _cudnn_flags.set() if device.type == "cuda" else contextlib.nullcontext():
        yield
