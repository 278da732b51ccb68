"""What may be asked of predictions on a target without labels: losses of its logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..validation._arguments import check_takes

TargetLoss = Callable[[Tensor], Tensor]

# Of the paper: softer predictions show which classes are confused.
TEMPERATURE = 2.5


def row_entropies(logits: Tensor) -> Tensor:
    """Return the entropy of each prediction, ``-sum_k p_ik log p_ik``, shape (n,)."""
    log_probabilities = F.log_softmax(logits, dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1)


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of the predictions, ``-1/n sum_i sum_k p_ik log p_ik``."""
    return row_entropies(logits).mean()


def class_confusion(logits: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return the minimum class confusion loss, ``1/K sum_k (sum_{j != k} C_kj / sum_l C_kl)``.

    ``C = P^T diag(w) P`` of the ``n`` predictions ``P = softmax(logits / temperature)``,
    with ``w_i = n (1 + exp(-H_i)) / sum_j (1 + exp(-H_j))``, ``H_i`` the entropy of row
    ``i``; no gradient flows through ``w``.
    """
    softened = logits / temperature
    probabilities = softened.softmax(dim=1)
    certainty = 1 + torch.exp(-row_entropies(softened.detach()))
    weights = len(logits) * certainty / certainty.sum()
    confusion = (weights[:, None] * probabilities).T @ probabilities
    # A class that no row has any probability of is not confused with another.
    row_sums = confusion.sum(dim=1, keepdim=True).clamp(min=torch.finfo(logits.dtype).tiny)
    confusion = confusion / row_sums
    return (confusion.sum() - confusion.trace()) / logits.shape[1]


def batch_nuclear_norm(logits: Tensor) -> Tensor:
    """Return ``-1/n ||softmax(logits)||_*``, less the sum of the singular values of ``n`` rows.

    It is least where predictions are sure and spread over the classes.
    """
    # LAPACK has no half precision.
    precision = torch.promote_types(logits.dtype, torch.float32)
    probabilities = logits.softmax(dim=1, dtype=precision)
    if not probabilities.isfinite().all():  # what diverged is told by the loss, and not by LAPACK
        return probabilities.sum()
    singular_values: Tensor = torch.linalg.svdvals(probabilities)
    return -singular_values.sum() / len(logits)


TARGET_LOSSES: dict[str, TargetLoss] = {
    "bnm": batch_nuclear_norm,
    "entropy": entropy,
    "mcc": class_confusion,
}


def check_target_loss(loss: Any, n_classes: int, dtype: torch.dtype, device: torch.device) -> None:
    """Check that a loss of the user's makes one number of logits.

    Raises
    ------
    TypeError, ValueError
        Where it does not.
    """
    check_takes(loss, "target_loss", "logits")
    logits = torch.zeros(2, n_classes, dtype=dtype, device=device)
    try:
        value = loss(logits)
    except Exception as error:
        raise ValueError(
            f"target_loss={loss!r:.80} failed for logits of shape (2, {n_classes}): "
            f"{str(error).rstrip('.')}. It gets the logits of target rows, without labels, and "
            "must return their loss."
        ) from error
    if not isinstance(value, Tensor) or value.shape != () or not value.is_floating_point():
        shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
        raise ValueError(
            f"target_loss={loss!r:.80} made a {type(value).__name__}{shape} of 2 rows of logits; "
            "it must return their loss, a float tensor without dimensions (such as a mean)."
        )
