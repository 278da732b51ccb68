"""Torch's process-wide state, borrowed and given back: random generators, threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch
from torch import Tensor

# Held while the global generators are another's: fits in two threads take turns.
_generators_lock = threading.RLock()

# Forward FLOPs of a training step that keep one thread busy. Measured on two cores: at
# 0.6 MFLOP one thread is faster than two, at 80 MFLOP and more two are; on a loaded
# machine, where they wait for each other, two were 8 times slower at 42 MFLOP.
FLOPS_PER_THREAD = 3e7


class PrivateGenerators:
    """Torch's global generators, put in a state of our own while inside.

    Modules draw from the global generators (initialisation, dropout), so a fit
    that depends on its own seed alone must lend them its state and give back
    the one it found.

    Parameters
    ----------
    seed : int
        Where the private state starts.
    device : torch.device
        Its CUDA generator is swapped as well as the CPU's.
    """

    def __init__(self, seed: int, device: torch.device):
        self.seed, self.device = seed, device
        self._outer: list[Tensor] = []
        self._inner = [torch.Generator().manual_seed(seed).get_state()]
        if device.type == "cuda":
            generator = torch.Generator(device=device)
            self._inner.append(generator.manual_seed(seed).get_state())

    def __enter__(self) -> PrivateGenerators:
        _generators_lock.acquire()
        self._outer = self._states()
        self._set_states(self._inner)
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._inner = self._states()
            self._set_states(self._outer)
        finally:
            self._outer = []
            _generators_lock.release()

    def _states(self) -> list[Tensor]:
        states = [torch.default_generator.get_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _set_states(self, states: list[Tensor]) -> None:
        torch.default_generator.set_state(states[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)


@contextlib.contextmanager
def limited_threads(flops: float) -> Iterator[None]:
    """Use no more intra-op threads than a step of `flops` keeps busy.

    The setting is the calling thread's own, so concurrent fits do not meet.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, int(flops / FLOPS_PER_THREAD))))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def reproducible_kernels(device: torch.device) -> Iterator[None]:
    """Have cuDNN choose kernels that give the same bits each time."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
        yield
