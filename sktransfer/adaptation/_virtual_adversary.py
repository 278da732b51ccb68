"""Virtual adversarial perturbations: by how little rows must move to be answered otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd

from ..network._batch_norm import untouched_statistics

# The step along the first direction, in radii: within it the divergence is a square form.
STEP = 0.1


def divergences(logits: Tensor, other_logits: Tensor) -> Tensor:
    """Return ``KL(p_i || q_i) = sum_k p_ik (log p_ik - log q_ik)`` of each row, shape (n,).

    ``p`` and ``q`` are the softmaxes of `logits` and `other_logits`.
    """
    log_p, log_q = logits.log_softmax(dim=1), other_logits.log_softmax(dim=1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)


def spread(X: Tensor) -> Tensor:
    """Return ``sqrt(1/n sum_i ||x_i - mean||^2)``, how far rows are from their mean."""
    flat = X.flatten(1)
    return (flat - flat.mean(dim=0)).square().sum(dim=1).mean().sqrt()


def unit_rows(X: Tensor) -> Tensor:
    """Return rows of norm 1, as they are but for their length; zeros stay zeros."""
    largest = X.flatten(1).abs().amax(dim=1)  # first, so that no square is lost
    shape = (-1, *(1,) * (X.ndim - 1))
    scaled = X / largest.clamp(min=torch.finfo(X.dtype).tiny).view(shape)
    units: Tensor = scaled / scaled.flatten(1).norm(dim=1).clamp(min=0.5).view(shape)
    return units


def adversarial_perturbation(
    logits_of: Callable[[Tensor], Tensor],
    X: Tensor,
    logits: Tensor,
    radius: Tensor | float,
    start: Tensor,
) -> Tensor:
    """Return by what rows move such that the predictions for them change most.

    ``r_i = radius g_i / ||g_i||`` with the gradient ``g_i`` of ``KL(p_i || q(x_i + h d_i))`` by
    ``d_i``, ``d_i`` the rows of `start` at norm 1 and ``h`` a tenth of the radius: one
    step of the power iteration for the largest eigenvector of the divergence's second
    derivatives at the row. No gradient flows through what is returned.

    Parameters
    ----------
    logits_of : callable
        What predicts.
    X : Tensor of shape (n, ...)
        The rows.
    logits : Tensor of shape (n, n_classes)
        Their predictions, ``p = softmax(logits)``.
    radius : float or Tensor of shape ()
        Norm of every perturbation; where no direction changes a prediction it is 0.
    start : Tensor of the shape of X
        Directions to begin with, as a rule random ones.
    """
    directions = unit_rows(start.detach()).requires_grad_()
    with torch.enable_grad():
        moved = logits_of(X.detach() + STEP * radius * directions)
        gap = divergences(logits.detach(), moved).sum()
    if not gap.requires_grad:
        return torch.zeros_like(X)
    (gradient,) = torch.autograd.grad(gap, directions, allow_unused=True)
    return torch.zeros_like(X) if gradient is None else radius * unit_rows(gradient)


@contextlib.contextmanager
def without_noise(network: nn.Module) -> Iterator[bool]:
    """Leave dropout out and batch statistics untouched; say whether there is dropout."""
    noisy = [m for m in network.modules() if isinstance(m, _DropoutNd) and m.training]
    for module in noisy:
        module.training = False
    try:
        with untouched_statistics(network):
            yield bool(noisy)
    finally:
        for module in noisy:
            module.training = True


def virtual_adversarial_logits(
    network: nn.Module, X: Tensor, logits: Tensor, radius: float
) -> tuple[Tensor, Tensor]:
    """Return the logits of rows as they are, held fixed, and of rows that have been moved.

    They are moved by `adversarial_perturbation` over ``radius * spread(X)``, so that the same
    `radius` means as much whatever the rows' unit and number of features.

    Parameters
    ----------
    network : Module
        What predicts, in training mode.
    X : Tensor of shape (n, ...)
        Rows of one domain.
    logits : Tensor of shape (n, n_classes)
        What the network has said of them in this step.
    radius : float
        Norm of the perturbations, in spreads of the rows.
    """
    with without_noise(network) as is_noisy:
        with torch.no_grad():
            fixed = network(X) if is_noisy else logits.detach()
            length = radius * spread(X)
        moves = adversarial_perturbation(network, X, fixed, length, torch.randn_like(X))
        moved: Tensor = network(X + moves)
    return fixed, moved
