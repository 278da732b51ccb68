"""Maximum classifier discrepancy: two label heads and a body that move in turn."""

from __future__ import annotations

import copy
from functools import partial
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from .._docs import with_shared_docs
from ..data._batch import Batch, View
from ..deep._parameters import parameters
from ..engine._stage import AlternatingStep, GradientStep, Move, Step, Update
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ..validation._constraints import Integral, Interval
from ._classifier import AdaptationClassifier


def discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Return ``1/(n K) sum_i sum_k |p_ik - q_ik|``, ``p`` and ``q`` the softmaxes of logits."""
    return (first.softmax(dim=1) - second.softmax(dim=1)).abs().mean()


class TwoHeads(nn.Module):
    """Two heads on the same features; what they say together is the mean of their logits.

    Parameters
    ----------
    first, second : Module
        ``(n, n_features) -> (n, n_outputs)``.
    """

    def __init__(self, first: nn.Module, second: nn.Module):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean of both heads' logits."""
        mean: Tensor = (self.first(features) + self.second(features)) / 2
        return mean


def drawn_anew(first: nn.Module, second: nn.Module) -> nn.Module:
    """Return the second head with weights that are not the first's.

    Raises
    ------
    ValueError
        Where both have the same weights and their layers cannot draw others.
    """
    if first is second:
        second = copy.deepcopy(first)
    if _equal(first, second):
        for layer in second.modules():
            draw = getattr(layer, "reset_parameters", None)
            if callable(draw):
                draw()
    if _equal(first, second):
        raise ValueError(
            "label_classifier gives two heads with the same weights, which never disagree, and "
            "its layers have no reset_parameters() that would draw others. Give a callable "
            "(n_features, n_classes) that draws weights at every call."
        )
    return second


def _equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


@with_shared_docs
@parameters
class MCDClassifier(AdaptationClassifier):
    """Maximum classifier discrepancy: target rows on which two label heads cannot disagree.

    Two label heads that both know the source are driven apart on the target, which
    shows the target rows that lie beyond the source's classes; the body then moves
    these to where the heads agree. Classes are looked at, not the domains as wholes.

    Among those measured here it was nowhere among the best, for five times the work; it is for
    comparisons with the literature. `DANNClassifier` is the one to begin with.

    Each batch is three moves, with ``L_1``, ``L_2`` the mean cross-entropies of the heads
    on the source, ``lambda`` that of the step, and of their softmaxes ``p``, ``q`` the discrepancy

    ``d = 1/(n' K) sum_target sum_k |p_ik - q_ik|``:

    - body and heads go down ``L_1 + L_2``;
    - the heads alone go down ``L_1 + L_2 - lambda d``;
    - the body alone goes down ``lambda d``, `n_body_moves` times.

    `predict` answers by the mean of both heads' logits. A batch takes
    ``2 + n_body_moves`` passes through the body, of which the last are of target rows
    alone: five to six times the work of plain training.

    The paper has ``lambda`` 1. Where the source's border cuts through a class of the target
    (moons turned by 20 and 35 degrees) that carries whole clusters across, and 0.3 does so less;
    elsewhere the two differ by a point or less.

    Parameters
    ----------
    {body_parameters}
    n_body_moves : int, default={n_body_moves}
        How often the body moves for one move of the heads. One move is faster, and read .76 on
        words where four read .88.
    {label_classifier_parameter}
    {target_loss_parameters}
    {adaptation_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    {classes_attribute}
    {fitted_attributes}

    Warns
    -----
    UserWarning
        Where there is no `X_target`, and where the discrepancy has not moved or
        sends no gradient to the features.

    See Also
    --------
    DANNClassifier : Two players that look at domains, not at classes.

    References
    ----------
    Saito et al., "Maximum Classifier Discrepancy for Unsupervised Domain Adaptation",
    CVPR 2018, eqs. 2-10. https://arxiv.org/abs/1712.02560

    Examples
    --------
    >>> from sktransfer import MCDClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = MCDClassifier(max_epochs=20, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> clf.predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_body_moves": [Interval(Integral, 1, None, closed="left")],
    }

    n_body_moves: int = 4
    lambda_: float = 0.3

    def _make_label_head(self, features: Tensor, n_outputs: int) -> nn.Module:
        make = super()._make_label_head
        first = make(features, n_outputs)
        return TwoHeads(first, drawn_anew(first, make(features, n_outputs)))

    def _label_loss(self, network: TransferNetwork, view: View, outputs: Tensor) -> Tensor:
        """Return the sum of the two heads' losses: each is to know the labels by itself."""
        assert view.y is not None
        loss, heads = self.net_.task.loss, cast(TwoHeads, network.label_head)
        first = loss(heads.first(view.features), view.y, view.weight)
        return first + loss(heads.second(view.features), view.y, view.weight)

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the heads' discrepancy on the target, its gradient to the body weighed."""
        assert batch.target is not None
        heads = cast(TwoHeads, network.label_head)
        features = scale_gradient(batch.target.features, batch.lambda_)
        return {"domain_loss": discrepancy(heads.first(features), heads.second(features))}

    def _make_step(self, network: TransferNetwork) -> Step:
        body, heads = list(network.body.parameters()), list(network.label_head.parameters())
        know_source = partial(self._know_source, network)
        alone = GradientStep(know_source)
        in_turn = AlternatingStep(
            [
                Move(know_source, body + heads),
                Move(partial(self._disagree, network), heads),
                Move(partial(self._agree, network), body, self.n_body_moves),
            ]
        )

        def step(batch: Batch, update: Update) -> dict[str, Tensor]:
            turns = batch.target is not None and self.lambda_ > 0
            return (in_turn if turns else alone)(batch, update)

        return step

    def _know_source(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        losses = self._losses(network, batch)
        return {
            name: loss.detach() if name == "domain_loss" else loss for name, loss in losses.items()
        }

    @torch.no_grad()
    def _see(self, network: TransferNetwork, batch: Batch) -> None:
        """Pass both domains through the body as it is now, for the heads to learn of."""
        network.forward_domains(batch)

    def _disagree(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        self._see(network, batch)
        apart = -batch.lambda_ * self._domain_losses(network, batch)["domain_loss"]
        return {**self._label_losses(network, batch), "disagreement_loss": apart}

    def _agree(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        assert batch.target is not None
        batch.target.features = network.features(batch.target.X)
        return self._domain_losses(network, batch)
