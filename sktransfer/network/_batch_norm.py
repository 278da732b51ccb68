"""Batch normalisation with two domains: by whose rows it normalises, in training and after."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# Rows of the source that weigh as much as the target's in its batch statistics; what
# Schneider et al. (NeurIPS 2020) call N and find best near 16.
SOURCE_PRIOR_ROWS = 16


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """List the layers of a module whose output depends on the rest of the batch."""
    return [child for child in module.modules() if isinstance(child, _BatchNorm)]


@contextlib.contextmanager
def untouched_statistics(module: nn.Module) -> Iterator[None]:
    """Normalise by the batch, but leave the running statistics as they are."""
    norms = [norm for norm in batch_norms(module) if norm.training and norm.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def estimate_statistics(
    network: nn.Module,
    norms: Sequence[_BatchNorm],
    source: Iterable[Any],
    target: Iterable[Any] | None,
    n_target: int,
) -> None:
    """Predict with the target's batch statistics, those of few rows drawn to the source's.

    ``(N s + n t) / (N + n)`` with the source's mean and variance ``s``, the
    target's ``t``, its number of rows ``n`` and ``N = 16`` (Schneider et al.,
    "Improving robustness against common corruptions by covariate shift
    adaptation", NeurIPS 2020, eq. 3).

    Parameters
    ----------
    network : Module
        What takes the batches.
    norms : sequence of Module
        Its layers whose statistics are estimated.
    source, target : iterable of Tensor
        Batches of either domain; without a target the statistics are the source's.
    n_target : int
        Rows of the target.
    """
    norms = [norm for norm in norms if norm.track_running_stats]
    if norms:
        _take_statistics(network, norms, source)
        if target is not None:
            move_statistics(network, norms, target, n_target)


def move_statistics(
    network: nn.Module, norms: Sequence[_BatchNorm], target: Iterable[Any], n_target: int
) -> None:
    """Move the running statistics to those of a target, ``(N s + n t) / (N + n)``.

    As `estimate_statistics`, with the present statistics for the source's.
    """
    norms = [norm for norm in norms if norm.track_running_stats]
    if not norms:
        return
    before = [tuple(statistic.clone() for statistic in _running(norm)) for norm in norms]
    _take_statistics(network, norms, target)
    share = n_target / (SOURCE_PRIOR_ROWS + n_target)
    with torch.no_grad():
        for norm, of_source in zip(norms, before, strict=True):
            for statistic, of_s in zip(_running(norm), of_source, strict=True):
                statistic.copy_(torch.lerp(of_s, statistic, share))


@torch.no_grad()
def _take_statistics(
    network: nn.Module, norms: Sequence[_BatchNorm], batches: Iterable[Any]
) -> None:
    """Set the running statistics to their means over the batches."""
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    for X in batches:
        network(X)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _running(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var
