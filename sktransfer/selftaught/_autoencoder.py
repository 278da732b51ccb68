"""Denoising autoencoders: a body learns what restores rows from what is left of them."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._docs import with_shared_docs
from ..deep._parameters import parameters
from ..network._build import check_layer_sizes, make_head, make_mlp
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real
from ._pretraining import BasePretraining


def delete_at_random(X: Tensor, share: float) -> Tensor:
    """Return rows in which each number became zero with probability `share`."""
    return X * (torch.rand(X.shape, device=X.device) >= share)


def reconstruction_loss(restored: Tensor, X: Tensor) -> Tensor:
    """Return the mean of squared differences over all numbers of all rows."""
    return (restored - X.flatten(1)).square().mean()


@with_shared_docs
@parameters
class AutoencoderPretrainer(BasePretraining):
    """Learn features from which a row can be restored, though part of it was deleted.

    The body sees rows in which each number is zero with the probability `corruption`, and
    a decoder on its features restores the whole rows; afterwards the decoder is dropped.
    The loss is

    ``mean (decoder(body(x~)) - x)^2``

    over all numbers of the rows ``x``, of which ``x~`` are the damaged ones. No labels
    are needed, of any domain.

    Parameters
    ----------
    {pretrained_body_parameters}
    decoder : torch.nn.Module, callable or None, default=None
        ``(n, n_features_out) -> (n, size of a row)``; a callable gets these two numbers. None
        mirrors the MLP of `hidden_layer_sizes`, and is one linear layer on a `backbone`
        of yours.
    corruption : float in [0, 1), default={corruption}
        Probability with which a number is deleted. 0 is an autoencoder without noise.
    {pretraining_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    backbone_ : torch.nn.Module
        The trained body.
    {fitted_attributes}

    See Also
    --------
    MarginalizedDenoisingAutoencoder : Linear layers in closed form, for words and counts.
    ContrastivePretrainer : Finds rows again instead of restoring them.

    Notes
    -----
    Features should have one scale, with zero for their usual value (`StandardScaler`).

    References
    ----------
    Vincent et al., "Extracting and Composing Robust Features with Denoising Autoencoders",
    ICML 2008, section 2.3, with squared error and all layers trained at once.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sktransfer.selftaught import AutoencoderPretrainer
    >>> X = StandardScaler().fit_transform(load_wine().data)
    >>> pretrainer = AutoencoderPretrainer(max_epochs=5, random_state=0).fit(X)
    >>> pretrainer.transform(X).shape
    (178, 128)
    """

    _loss_name = "reconstruction_loss"

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "decoder": [callable, None],
        "corruption": [Interval(Real, 0, 1, closed="left")],
    }

    decoder: Any = None
    corruption: float = 0.3
    hidden_layer_sizes: Any = (256, 128)

    def _n_outputs(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape)

    def _make_head(self, features: Tensor, X: Tensor) -> nn.Module:
        n_features, n_outputs = features.shape[1], X[0].numel()
        sizes = check_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        hidden = [] if self.backbone is not None else sizes[-2::-1]

        def mirrored(n_features: int, n_outputs: int) -> nn.Module:
            return make_mlp([n_features, *hidden, n_outputs], activate_last=False)

        arguments = n_features, n_outputs
        return make_head(self.decoder, "decoder", features, n_outputs, arguments, mirrored)

    def _loss(self, network: TransferNetwork, X: Tensor, outputs: Tensor) -> Tensor:
        if self.corruption > 0:
            outputs = network(delete_at_random(X, self.corruption))
        return reconstruction_loss(outputs, X)
