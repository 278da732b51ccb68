"""Maximum classifier discrepancy, small: what a method of players in turn takes."""

from torch import Tensor, nn

from sktransfer._classifier import DeepClassifierMixin
from sktransfer.adaptation._base import BaseAdaptation
from sktransfer.data._sampler import Batch
from sktransfer.engine._stage import AlternatingStep, Move, Step
from sktransfer.network._network import TransferNetwork


def discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Return ``mean |softmax(first) - softmax(second)|`` over rows and classes."""
    return (first.softmax(dim=1) - second.softmax(dim=1)).abs().mean()


class MCDClassifier(DeepClassifierMixin, BaseAdaptation):
    """Two label heads that disagree on the target as much as they can, and a body that lets none.

    In turn: (A) body and heads minimise the cross-entropy on the source; (B) the heads
    minimise it less their discrepancy on the target; (C) the body minimises the
    discrepancy, four times (Saito et al., CVPR 2018).
    """

    n_body_moves = 4

    def _make_heads(self, features: Tensor, n_outputs: int) -> dict[str, nn.Module]:
        return {"second_head": nn.Linear(features.shape[1], n_outputs).to(features.dtype)}

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        first = network.label_head(batch.target.features)
        return {"domain_loss": discrepancy(first, network.second_head(batch.target.features))}

    def _make_step(self, network: TransferNetwork) -> Step:
        body = list(network.body.parameters())
        heads = [*network.label_head.parameters(), *network.second_head.parameters()]

        def source(batch: Batch) -> dict[str, Tensor]:
            network.forward_domains(batch)
            second = network.second_head(batch.source.features)
            loss = self.net_.task.loss
            both = loss(batch.source_outputs, batch.source.y) + loss(second, batch.source.y)
            return {"label_loss": both}

        def disagree(batch: Batch) -> dict[str, Tensor]:
            losses = source(batch)
            if batch.target is not None:
                losses["disagreement"] = -self._domain_losses(network, batch)["domain_loss"]
            return losses

        def agree(batch: Batch) -> dict[str, Tensor]:
            network.forward_domains(batch)
            if batch.target is None:
                return {"domain_loss": 0 * batch.source_outputs.sum()}
            batch.lambda_ = self.lambda_
            losses = self._domain_losses(network, batch)
            return {name: self.lambda_ * loss for name, loss in losses.items()}

        moves = [Move(source, body + heads), Move(disagree, heads)]
        return AlternatingStep([*moves, Move(agree, body, self.n_body_moves)])
