"""Contrastive pretraining: a row is recognised among others by a changed copy of it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._docs import with_shared_docs
from ..deep._parameters import parameters
from ..network._build import check_layer_sizes, make_mlp
from ..network._network import TransferNetwork
from ..validation._arguments import check_takes
from ..validation._constraints import Integral, Interval, Real
from ._pretraining import BasePretraining


def corrupt_by_marginals(X: Tensor, share: float) -> Tensor:
    """Return rows in which some features are those of other rows, each drawn by itself.

    In each row ``round(share * n_features)`` features, drawn without replacement, get the
    value of that feature in a row drawn from all of `X`: its empirical marginal.
    """
    n_rows, n_features = X.shape
    n_changed = round(share * n_features)
    order = torch.rand(n_rows, n_features, device=X.device).argsort(dim=1)
    changed = order < n_changed
    drawn = torch.randint(n_rows, (n_rows, n_features), device=X.device)
    return torch.where(changed, X.gather(0, drawn), X)


def info_nce_loss(anchors: Tensor, views: Tensor, temperature: float) -> Tensor:
    """Return ``-1/n sum_i log(exp(s_ii / t) / sum_k exp(s_ik / t))`` with cosines ``s``.

    ``s_ik`` is that of anchor i and view k; of each anchor one view, i, is its own.
    """
    cosines = F.normalize(anchors, dim=1) @ F.normalize(views, dim=1).T
    own = torch.arange(len(anchors), device=anchors.device)
    return F.cross_entropy(cosines / temperature, own)


def nt_xent_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the loss of two views of each row, of which either is to find the other.

    ``-1/(2n) sum_i log(exp(s_ij / t) / sum_(k != i) exp(s_ik / t))`` over all 2n views, j the
    other view of i's row.
    """
    views = F.normalize(torch.cat([first, second]), dim=1)
    n_rows = len(first)
    cosines = (views @ views.T / temperature).fill_diagonal_(-torch.inf)
    other = torch.arange(2 * n_rows, device=first.device).roll(n_rows)
    return F.cross_entropy(cosines, other)


@with_shared_docs
@parameters
class ContrastivePretrainer(BasePretraining):
    """Learn features by which a row is found again, when much of it has been changed.

    Each row of a batch is changed at random, and the body learns features that are more
    like those of the row it came from than like those of all others. No labels are
    needed; afterwards few of them go a long way, on `transform`'s features or by
    fine-tuning `backbone_`.

    For tables (SCARF): of every row the share `corruption` of the features gets values
    of other rows of the batch, each feature drawn by itself, and the loss is, with the
    cosines ``s_ik`` of the projections of row ``i`` and of changed row ``k``,

    ``-1/n sum_i log(exp(s_ii / t) / sum_k exp(s_ik / t))``.

    With `augment` (SimCLR), for images and whatever else is to be changed in ways that
    you know: two augmented views of each row look for one another,

    ``-1/(2n) sum_i log(exp(s_ij / t) / sum_(k != i) exp(s_ik / t))``

    over all views ``i``, with ``j`` the other view of the same row.

    Projections are those of an MLP on the features, which is dropped afterwards.

    Parameters
    ----------
    {pretrained_body_parameters}
    projection_layer_sizes : int or sequence of int, default={projection_layer_sizes}
        Widths of the projecting MLP's layers; the last is that of the projections.
    corruption : float in [0, 1], default={corruption}
        Share of the features of a row that are changed, where `augment` is None.
    augment : callable or None, default=None
        Gets a batch (a tensor of shape ``(n, *input_shape)``, on the device) and returns it
        augmented, another way each time. It draws from torch's generator, which
        `random_state` decides. Rows with more than one axis need one.
    temperature : float, default={temperature}
        The formulas' ``t``: the smaller, the more the nearest other rows count. SimCLR takes
        0.1 to 0.5.
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
    AutoencoderPretrainer : Restores the rows instead.
    sktransfer.FineTuneClassifier : ``FineTuneClassifier(pretrainer.backbone_)`` goes on.

    Notes
    -----
    Features should have one scale (`StandardScaler`). Where there are two domains, rows are
    told apart within each, so that the features need not tell the domains apart.

    References
    ----------
    Bahri et al., "SCARF: Self-Supervised Contrastive Learning using Random Feature
    Corruption", ICLR 2022, algorithm 1. https://arxiv.org/abs/2106.15147 (values are drawn
    from the batch here, not from all rows).

    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations",
    ICML 2020, eq. 1. https://arxiv.org/abs/2002.05709

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sktransfer.selftaught import ContrastivePretrainer
    >>> X = StandardScaler().fit_transform(load_wine().data)
    >>> pretrainer = ContrastivePretrainer(max_epochs=5, random_state=0).fit(X)
    >>> pretrainer.transform(X).shape
    (178, 256)
    """

    _loss_name = "contrastive_loss"

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "projection_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "corruption": [Interval(Real, 0, 1, closed="both")],
        "augment": [callable, None],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    projection_layer_sizes: Any = (256, 256)
    corruption: float = 0.6
    augment: Any = None
    temperature: float = 1.0

    def _n_outputs(self, shape: tuple[int, ...]) -> int:
        return check_layer_sizes(self.projection_layer_sizes, "projection_layer_sizes")[-1]

    def _make_head(self, features: Tensor, X: Tensor) -> nn.Module:
        if self.augment is not None:
            check_takes(self.augment, "augment", "X")
        elif X.ndim > 2:
            raise ValueError(
                f"augment=None exchanges the features of a table, but X has rows of shape "
                f"{tuple(X.shape[1:])}. Give augment=, a callable that returns a batch with its "
                "rows changed (shifted, cropped, turned), or flatten the rows."
            )
        sizes = check_layer_sizes(self.projection_layer_sizes, "projection_layer_sizes")
        return make_mlp([features.shape[1], *sizes], activate_last=False).to(features.dtype)

    def _loss(self, network: TransferNetwork, X: Tensor, outputs: Tensor) -> Tensor:
        if self.augment is None:
            changed = network(corrupt_by_marginals(X, self.corruption))
            return info_nce_loss(outputs, changed, self.temperature)
        first, second = (network(self.augment(X)) for _ in range(2))
        return nt_xent_loss(first, second, self.temperature)
