"""The layers of a body in the order in which it uses them, and which of them to unfreeze."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ._blocks import blocks_of

BLOCKS = re.compile(r"last_(\d+)_blocks?")


@dataclass(frozen=True)
class Layers:
    """A body's modules by the order of their first call.

    Parameters
    ----------
    position : dict of str to int
        When each module is first called, by name. A module that is never called
        itself (a projection that its parent uses directly) stands where its
        parent does.
    weights : dict of str to list of str
        The layers that hold weights, in forward order: the name of each, and the
        modules whose parameters are its own.
    idle : frozenset of str
        Those of them that the features do not depend on.
    """

    position: dict[str, int]
    weights: dict[str, list[str]]
    idle: frozenset[str] = frozenset()

    def parameters(self, body: nn.Module, layer: str) -> Iterator[nn.Parameter]:
        """Yield what of a layer can learn: its own parameters, or those of its adapter."""
        for name in self.weights[layer]:
            module = body.get_submodule(name)
            if hasattr(module, "base_layer"):  # an adapter, put around the layer
                yield from (p for name, p in module.named_parameters() if "lora_" in name)
            else:
                yield from module.parameters(recurse=False)

    def sharing_with(self, layers: Sequence[str], body: nn.Module) -> list[str]:
        """List these layers and those that share a parameter with one of them, in order."""
        learned = {id(p) for layer in layers for p in self.parameters(body, layer)}
        return [
            layer
            for layer in self.weights
            if layer in layers or any(id(p) in learned for p in self.parameters(body, layer))
        ]


def order_layers(
    body: nn.Module, called: dict[str, int], idle_modules: Collection[str] = ()
) -> Layers:
    """Order a body's layers by the calls that a pass has shown.

    Parameters
    ----------
    body : Module
        Left as it is.
    called : dict of str to int
        When each of its modules was first called.
    idle_modules : collection of str
        Modules whose own weights the features do not depend on.

    Returns
    -------
    Layers
    """
    modules = list(body.named_modules())
    owner = {name: _called_parent(name, called) for name, _ in modules}
    weights: dict[str, list[str]] = {}
    for name, module in sorted(modules, key=lambda pair: called[owner[pair[0]]]):
        if any(True for _ in module.parameters(recurse=False)):
            weights.setdefault(owner[name], []).append(name)
    idle = [layer for layer, parts in weights.items() if set(parts) <= set(idle_modules)]
    position = {name: called[parent] for name, parent in owner.items()}
    return Layers(position, weights, frozenset(idle))


def _called_parent(name: str, called: dict[str, int]) -> str:
    name = f".{name}".partition(".parametrizations.")[0][1:]  # a weight of the layer's own
    while name not in called:
        name = name.rpartition(".")[0]
    return name


def unfrozen_layers(
    depth: int | str, layers: Layers, body: nn.Module, *, freeze_batch_norm: bool
) -> list[str]:
    """Return the layers to unfreeze, in forward order.

    Parameters
    ----------
    depth : int or str
        The last so many layers that the features depend on, "all", "last_2_blocks", or
        a name or glob: the first layer it fits and all after it.
    layers : Layers
        Of `body`.
    body : Module
        To tell batch normalisation from the rest.
    freeze_batch_norm : bool
        Whether batch normalisation stays frozen; it is then not counted.

    Raises
    ------
    ValueError
        For a depth beyond the body and a name that is not in it.
    """
    candidates = [
        name
        for name in layers.weights
        if not (freeze_batch_norm and isinstance(body.get_submodule(name), _BatchNorm))
    ]
    if depth == "all":
        return candidates
    if isinstance(depth, str):
        blocks = BLOCKS.fullmatch(depth)
        if blocks is not None and depth not in layers.position:
            matching = _last_blocks(int(blocks[1]), layers, body)
        else:
            matching = _matching(depth, list(layers.position))
        first = min((layers.position[name] for name in matching), default=len(layers.position))
        return [name for name in candidates if layers.position[name] >= first]
    candidates = [name for name in candidates if name not in layers.idle]
    if depth and not candidates:
        raise ValueError(
            f"unfreeze_depth={depth}, but the backbone has no layer that holds weights. Give 0."
        )
    if depth > len(candidates):
        raise ValueError(
            f"unfreeze_depth={depth}, but the backbone has {len(candidates)} layers that hold "
            f"weights: {_listed(candidates)}. Give at most {len(candidates)}, or 'all'."
        )
    return candidates[len(candidates) - depth :]


def _last_blocks(number: int, layers: Layers, body: nn.Module) -> list[str]:
    blocks = sorted(blocks_of(body), key=layers.position.__getitem__)
    if number > len(blocks):
        kind = "blocks (entries of a ModuleList or Sequential, of one kind)"
        has = f"{len(blocks)} {kind}: {_listed(blocks)}" if blocks else f"no {kind}"
        fewer = "a smaller number of them, " if blocks else ""
        raise ValueError(
            f"unfreeze_depth='last_{number}_blocks', but the backbone has {has}. "
            f"Give {fewer}a number of layers, 'all', or a name."
        )
    return blocks[len(blocks) - number :]


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    names = [name for name in names if name]
    matching = [pattern] if pattern in names else [n for n in names if fnmatchcase(n, pattern)]
    if not matching:
        lower = {name.lower(): name for name in [*names, "all"]}
        close = difflib.get_close_matches(pattern.lower(), lower, n=5, cutoff=0.4)
        nearest = [lower[name] for name in close] or names
        raise ValueError(
            f"unfreeze_depth={pattern!r} fits no layer of the backbone; nearest are "
            f"{_listed(nearest)}. Give a number of layers, 'all', or a name or glob out of "
            "backbone.named_modules()."
        )
    return matching


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def freeze(
    body: nn.Module, layers: Layers, unfrozen: Sequence[str], *, freeze_batch_norm: bool
) -> set[str]:
    """Let only the parameters of these layers learn.

    Returns
    -------
    set of str
        The modules that must stay in evaluation mode while the rest trains:
        those before the first unfrozen layer, so that no dropout acts there and
        no statistics move, and all batch normalisation if it is frozen.
    """
    body.requires_grad_(False)
    for name in unfrozen:
        for parameter in layers.parameters(body, name):
            parameter.requires_grad_(parameter.is_floating_point())
    first = min((layers.position[name] for name in unfrozen), default=len(layers.position))
    training = {name for name, position in layers.position.items() if position >= first}
    for name in unfrozen:  # and what they stand in
        while name:
            name = name.rpartition(".")[0]
            training.add(name)
    return {
        name
        for name, module in body.named_modules()
        if name not in training or (freeze_batch_norm and isinstance(module, _BatchNorm))
    }
