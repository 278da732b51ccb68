"""Kernels of arrays and of tensors alike."""

from __future__ import annotations

from typing import Any


def mean_of_powers(kernel: Any) -> Any:
    """Return the mean of a kernel's powers 1, 2, 4, 8 and 16, of an array or a tensor."""
    total = power = kernel
    for _ in range(4):
        power = power * power
        total = total + power
    return total / 5
