"""Layers that change what flows back through a network."""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["GradientReversal", "scale_gradient"]


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def scale_gradient(features: Tensor, factor: float) -> Tensor:
    """Pass features on unchanged and multiply the gradient that comes back.

    Forward ``f(x) = x``; backward ``df/dx = factor``.

    Parameters
    ----------
    features : Tensor of any shape
        What to pass on.
    factor : float
        What to multiply the gradient by.

    Returns
    -------
    Tensor
        A view of `features`.

    Examples
    --------
    >>> import torch
    >>> from sktransfer.layers import scale_gradient
    >>> x = torch.ones(2, requires_grad=True)
    >>> scale_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([0.5000, 0.5000])
    """
    if not isinstance(features, Tensor):
        raise TypeError(
            f"features must be a Tensor; got a {type(features).__name__}: give "
            "torch.as_tensor(features)."
        )
    if not isinstance(factor, (Real, Tensor)):
        raise TypeError(f"factor must be a number; got {factor!r:.80}.")
    scaled: Tensor = _ScaleGradient.apply(features, factor)
    return scaled


class GradientReversal(nn.Module):
    """Pass features on unchanged and reverse the gradient that comes back.

    Forward ``R(x) = x``; backward ``dR/dx = -lambda_ I``, so that what a loss
    behind this layer would have the layers before it learn, they unlearn.

    Parameters
    ----------
    lambda_ : float, default=1.0
        Weight of the reversed gradient; may be set anew before any pass.

    References
    ----------
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17
    (2016), eqs. 17-18.

    Examples
    --------
    >>> import torch
    >>> from sktransfer.layers import GradientReversal
    >>> x = torch.ones(2, requires_grad=True)
    >>> GradientReversal(lambda_=0.5)(x).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """

    def __init__(self, lambda_: float = 1.0):
        super().__init__()
        if not isinstance(lambda_, (Real, Tensor)):
            raise TypeError(f"lambda_ must be a number; got {lambda_!r:.80}.")
        self.lambda_: float = lambda_

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` as they are."""
        return scale_gradient(features, -self.lambda_)

    def extra_repr(self) -> str:
        """Show ``lambda_`` in the printed network."""
        return f"lambda_={self.lambda_:g}"
