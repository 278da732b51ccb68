"""The network of fine-tuning: a body of which the first layers may be frozen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from torch import Tensor, fx, nn

from ..frozen import BodyGraph
from ..network._network import TransferNetwork
from ..network._probe import Probe
from ._freezing import freeze, order_layers
from ._lora import add_lora, lora_ranks


class FineTuneNetwork(TransferNetwork):
    """A body, a label head, and what of the body is frozen.

    Parameters
    ----------
    body : Module
        ``(n, *input_shape) -> (n, ...)``; its output is flattened to features.
    label_head : Module
        ``(n, n_features) -> (n, n_outputs)``.
    probed : Probe
        What a pass of a few rows showed of the body.
    idle : collection of str
        Its modules whose weights the features do not depend on.
    """

    def __init__(
        self,
        body: nn.Module,
        label_head: nn.Module,
        probed: Probe,
        idle: Collection[str] = (),
    ):
        super().__init__(body, label_head, {}, probed)
        self.layers = order_layers(body, probed.called, idle)
        self.unfrozen: list[str] = list(self.layers.weights)
        self._freezes_batch_norm = False
        self._always_in_evaluation: set[str] = set()
        # Not registered as modules: they compute with the body's.
        self._rests: dict[bool, fx.GraphModule] = {}
        self._goes_on_from: tuple[list[str], BodyGraph] | None = None
        self.activations: Any = None

    def features(self, X: Tensor | tuple[Any, ...]) -> Tensor:
        """Return the features, shape (n, n_features), of rows or of the frozen part's values."""
        if isinstance(X, Tensor):
            return super().features(X)
        output: Tensor = self._rests[self.training](*X)
        return output.flatten(1)

    def structure(self) -> dict[str, Any]:
        """Return which layers are unfrozen, and the ranks of adapters by layer."""
        return {
            "unfrozen": self.unfrozen,
            "freeze_batch_norm": self._freezes_batch_norm,
            "lora_ranks": lora_ranks(self.body),
        }

    def restore_structure(self, structure: dict[str, Any]) -> None:
        """Put adapters where they were, and freeze what was frozen."""
        for layer, rank in structure["lora_ranks"].items():
            add_lora(self, [layer], rank)
        self.freeze(structure["unfrozen"], freeze_batch_norm=structure["freeze_batch_norm"])

    def freeze(self, unfrozen: Sequence[str], *, freeze_batch_norm: bool) -> None:
        """Let only these layers of the body, and the head, learn from now on."""
        self.unfrozen = list(unfrozen)
        self._freezes_batch_norm = freeze_batch_norm
        self._always_in_evaluation = freeze(
            self.body, self.layers, unfrozen, freeze_batch_norm=freeze_batch_norm
        )
        self.label_head.requires_grad_(True)

    def live(self, unfrozen: Sequence[str]) -> list[str]:
        """List the modules whose output changes while these layers learn."""
        position = self.layers.position
        changing = self.layers.sharing_with(unfrozen, self.body)
        first = min((position[name] for name in changing), default=len(position))
        return [name for name, place in position.items() if place >= first]

    def has_all(self, layers: Sequence[str]) -> bool:
        """Whether these are all layers of the body that hold weights."""
        return len(layers) == len(self.layers.weights)

    def go_on_from(self, crossing: list[str], graph: BodyGraph) -> None:
        """Have `features` take these values of the body's graph, too."""
        if self._goes_on_from != (crossing, graph):
            self._goes_on_from = (list(crossing), graph)
            self._rests = {mode: graph.rest(crossing, training=mode) for mode in (False, True)}

    def move_statistics(self, target: Iterable[Any], n_target: int) -> None:
        """Move the batch statistics of what predicts to those of a target of so many rows."""
        super().move_statistics(target, n_target)
        self.activations = None  # made by the frozen part as it was

    def train(self, mode: bool = True) -> FineTuneNetwork:
        """Set the mode, but leave what is frozen in evaluation."""
        super().train(mode)
        if mode:
            for name in self._always_in_evaluation:
                self.body.get_submodule(name).training = False
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rests": {}, "_goes_on_from": None, "activations": None}
