"""The network of few-shot learning: a body and a head that keeps what it is shown."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..network._network import TransferNetwork
from ..network._probe import Probe
from ._heads import SupportHead


class FewShotNetwork(TransferNetwork):
    """A body and a head that is not trained.

    Parameters
    ----------
    body : Module
        ``(n, *input_shape) -> (n, ...)``; its output is flattened to features.
    label_head : SupportHead
        What tells the classes of the support apart.
    probed : Probe
        What a pass of a few rows showed of the body.
    """

    label_head: SupportHead

    def __init__(self, body: nn.Module, label_head: SupportHead, probed: Probe):
        super().__init__(body, label_head, {}, probed)

    def structure(self) -> dict[str, Any]:
        """Return what the size of the head's state depends on."""
        return self.label_head.structure()

    def restore_structure(self, structure: dict[str, Any]) -> None:
        """Make room for what the head keeps."""
        self.label_head.restore_structure(structure)

    def with_head(self, head: SupportHead) -> FewShotNetwork:
        """Return a network of the same body, not a copy of it, and this head."""
        twin = FewShotNetwork.__new__(FewShotNetwork)
        twin.__dict__ = {**vars(self), "_modules": {**self._modules, "label_head": head}}
        return twin
