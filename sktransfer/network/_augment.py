"""Features of batches that a callable of the user's augments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ._network import TransferNetwork


def features_of(
    network: TransferNetwork, X: Tensor, augment: Callable[[Tensor], Any] | None
) -> Tensor:
    """Return the features of a batch, augmented where asked to.

    Raises
    ------
    ValueError
        Where `augment` returns no batch of as many rows as the backbone takes.
    """
    if augment is None:
        return network.features(X)
    augmented = augment(X)
    if not isinstance(augmented, Tensor) or len(augmented) != len(X):
        shape = getattr(augmented, "shape", None)
        got = f"{type(augmented).__name__} of shape {shape}" if shape else repr(augmented)
        raise ValueError(
            f"augment made {got} of a batch of shape {tuple(X.shape)}; it must return a "
            "tensor with a row for each of the batch's."
        )
    try:
        return network.features(augmented)
    except RuntimeError as error:
        if augmented.shape == X.shape:
            raise
        raise ValueError(
            f"augment made a batch of shape {tuple(augmented.shape)} of one of shape "
            f"{tuple(X.shape)}, which the backbone does not take: {error}. Keep the shape of the "
            "rows."
        ) from error
