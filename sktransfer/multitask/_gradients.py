"""What is made of the gradients of several tasks: projections, and weights by their norms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

# GradNorm's step of the weights, and what none of them falls below.
WEIGHTS_RATE = 0.025
LEAST_WEIGHT = 1e-4


def project_conflicts(products: Tensor, order: Tensor) -> Tensor:
    """Return ``C`` with which ``g_i' = sum_k C_ik g_k`` are PCGrad's projected gradients.

    Each ``g_i'`` begins as ``g_i`` and meets the others in its order; where ``g_i' . g_j < 0``,
    ``g_i' -= (g_i' . g_j)/||g_j||^2 g_j`` with the original ``g_j``.

    Parameters
    ----------
    products : Tensor of shape (n_tasks, n_tasks)
        ``g_i.g_j``.
    order : Tensor of int of shape (n_tasks, n_tasks)
        A permutation of the tasks for each.
    """
    n_tasks = len(products)
    coefficients = torch.eye(n_tasks, dtype=products.dtype, device=products.device)
    each, squares = torch.arange(n_tasks, device=products.device), products.diagonal()
    for other in order.T:
        along = (coefficients * products[other]).sum(dim=1)
        conflict = (along < 0) & (other != each) & (squares[other] > 0)
        step = torch.where(conflict, along / squares[other], torch.zeros_like(along))
        coefficients[each, other] -= step
    return coefficients


def balance_gradients(weights: Tensor, norms: Tensor, ratios: Tensor, alpha: float) -> Tensor:
    """Return weights after a step of GradNorm down ``sum_t |w_t G_t - m r_t^alpha|``.

    ``G_t`` are the norms of the tasks' gradients, ``m`` the mean of ``w_t G_t``, taken for
    constant, and ``r_t`` the ratios of loss to loss before training, over their mean. Weights
    keep their sum.
    """
    weighed = weights * norms
    mean = weighed.mean()
    wanted = mean * (ratios / ratios.mean()) ** alpha
    # Over the mean, so that the rate does not depend on the scale of losses; the paper's is plain.
    gradient = (weighed - wanted).sign() * norms / mean
    moved = (weights - WEIGHTS_RATE * gradient).clamp(min=LEAST_WEIGHT)
    scaled: Tensor = moved * (weights.sum() / moved.sum())
    return torch.where(mean > 0, scaled, weights)


def loss_of_gradients(parameters: Iterable[Tensor], gradients: Iterable[Tensor]) -> Tensor:
    """Return ``sum <p, g>``, the loss that sends each parameter its gradient."""
    parts = [(p * g).sum() for p, g in zip(parameters, gradients, strict=True)]
    return torch.stack(parts).sum()


def gradients_of(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return a loss's gradients, zeros where it does not depend on a parameter."""
    if not parameters:
        return ()
    return torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)


def widest_type(device: torch.device) -> torch.dtype:
    """Return the type of most digits that a device knows."""
    return torch.float32 if device.type == "mps" else torch.float64


def sum_of_products(
    by_parameter: Iterable[Tensor], n_tasks: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return ``g_i.g_j`` of gradients of each parameter, shape (n_tasks, ...) each."""
    products = torch.zeros(n_tasks, n_tasks, dtype=dtype, device=device)
    for gradients in by_parameter:
        flat = gradients.flatten(1).to(dtype)
        products += flat @ flat.T
    return products
