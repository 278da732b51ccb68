"""A network in which source and target have bodies of their own below common heads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from ..data._batch import Batch
from ._batch_norm import batch_norms, estimate_statistics
from ._network import TransferNetwork, pass_each
from ._probe import Probe


class TwoBodyNetwork(TransferNetwork):
    """A body for rows of the target, for which it predicts, one for those of the source, and heads.

    Parameters
    ----------
    body : Module
        Of the target, ``(n, *input_shape) -> (n, ...)``.
    source_body : Module
        Of the source, ``(n, *source_shape) -> (n, ...)``, with as many features.
    label_head : Module
        ``(n, n_features) -> (n, n_outputs)``.
    heads : dict of Module
        What else the method puts on the features.
    probed : Probe
        What a pass of a few rows showed of the target's body.
    source_shape : tuple of int
        Shape of one row of the source.
    """

    source_body: nn.Module

    def __init__(
        self,
        body: nn.Module,
        source_body: nn.Module,
        label_head: nn.Module,
        heads: dict[str, nn.Module],
        probed: Probe,
        source_shape: tuple[int, ...],
    ) -> None:
        super().__init__(body, label_head, {"source_body": source_body, **heads}, probed)
        self.source_shape = source_shape

    def source_features(self, X: Tensor) -> Tensor:
        """Return what the source's body makes of its rows, shape (n, n_features)."""
        features: Tensor = self.source_body(X)
        return features.flatten(1)

    def forward_source(self, X: Tensor) -> Tensor:
        """Return what the label head says of rows of the source, by their own body."""
        outputs: Tensor = self.label_head(self.source_features(X))
        return outputs

    def forward_domains(self, batch: Batch) -> None:
        """Fill the features of both domains, each by its own body."""
        source, head = batch.source, self.label_head
        source.features = (
            pass_each(self.source_features, source, source.X)
            if self._passes_apart["source_body"]
            else self.source_features(source.X)
        )
        if batch.target is not None:
            batch.target.features = self._features_of_target(batch)
        apart = self._passes_apart["label_head"]
        batch.source_outputs = (
            pass_each(head, source, source.features) if apart else head(source.features)
        )
        batch.target_outputs = None

    def estimate_statistics(
        self, source: Iterable[Any], target: Iterable[Any] | None, n_target: int
    ) -> None:
        """Estimate each body's batch statistics by its own rows, the head's by the target's.

        Where there are rows of one domain, they are the target's, and stand in the first place.
        """
        if target is None:  # rows of the target alone
            super().estimate_statistics(source, None, 0)
            return
        super().estimate_statistics(target, None, 0)
        estimate_statistics(self.source_body, batch_norms(self.source_body), source, None, 0)
