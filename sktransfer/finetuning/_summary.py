"""The layers of a fine-tuned network and what of it learns in which stage, as a table."""

from __future__ import annotations

import contextlib
import copy
import html
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..engine._runtime import PrivateGenerators
from ..network._probe import probe
from ._freezing import order_layers
from ._network import FineTuneNetwork


@dataclass(frozen=True)
class LayerSummary:
    """A layer.

    Parameters
    ----------
    name : str
        As `unfreeze_depth` knows it; the head's begin with ``head``.
    type : str
        Of the module.
    output_shape : tuple of int or None
        What it makes of one row, without the first axis; None for what is no tensor.
    n_parameters : int
        Its own weights; one that several layers share counts where it is first used.
    """

    name: str
    type: str
    output_shape: tuple[int, ...] | None
    n_parameters: int


@dataclass(frozen=True)
class StageSummary:
    """What learns in a stage of training.

    Parameters
    ----------
    name : str
        As ``history_`` calls it.
    n_trainable, n_frozen : int
        Parameters that learn in it, and that do not.
    """

    name: str
    n_trainable: int
    n_frozen: int


@dataclass(frozen=True, repr=False)
class FineTuneSummary:
    """Layers, stages and numbers of parameters; ``str`` and notebooks show them as tables.

    Parameters
    ----------
    layers : tuple of LayerSummary
        In the order in which a row meets them.
    stages : tuple of StageSummary
        In the order of training.
    n_parameters : int
        Of all layers.
    has_head : bool
        Whether the head is among them.
    """

    layers: tuple[LayerSummary, ...]
    stages: tuple[StageSummary, ...]
    n_parameters: int
    has_head: bool

    def __str__(self) -> str:
        parts = [*self._tables("simple"), self._total_in_words()]
        return "\n\n".join(part for part in parts if part)

    def _repr_html_(self) -> str:
        """Return the tables for a notebook."""
        total = f"<p>{html.escape(self._total_in_words())}</p>"
        return "".join(["<div>", *self._tables("html"), total, "</div>"])

    def __repr__(self) -> str:
        stages = "".join(f", {row.n_trainable:,} learn in {row.name!r}" for row in self.stages)
        return f"<FineTuneSummary: {self._total()}{stages}>"

    def _tables(self, form: str) -> list[str]:
        layers = [
            (row.name, row.type, _written(row.output_shape), f"{row.n_parameters:,}")
            for row in self.layers
        ]
        stages = [(row.name, f"{row.n_trainable:,}", f"{row.n_frozen:,}") for row in self.stages]
        return [
            _table(("layer", "type", "output shape", "parameters"), layers, 3, form),
            _table(("stage", "trainable", "frozen"), stages, 1, form),
        ]

    def _total_in_words(self) -> str:
        return self._total() + ("" if self.has_head else ", whose size depends on the labels")

    def _total(self) -> str:
        return f"{self.n_parameters:,} parameters" + ("" if self.has_head else " without the head")


def _written(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else str(shape)


def _table(
    headers: tuple[str, ...], rows: Sequence[tuple[str, ...]], n_texts: int, form: str
) -> str:
    if not rows:
        return ""
    sides = ["left"] * n_texts + ["right"] * (len(headers) - n_texts)
    return str(tabulate(rows, headers, form, disable_numparse=True, colalign=sides))


def summarize(
    network: FineTuneNetwork,
    row: Tensor,
    stages: Sequence[str],
    unfrozen: Sequence[str],
    *,
    has_head: bool,
) -> FineTuneSummary:
    """Describe a network and what learns in which stage.

    Parameters
    ----------
    network : FineTuneNetwork
        Left as it is: a copy of it sees the row.
    row : Tensor of shape (1, ...)
        On the network's device, in the type that it takes.
    stages : sequence of {"source", "head", "finetune"}
        In the order of training.
    unfrozen : sequence of str
        The layers that learn in the last of them.
    has_head : bool
        Whether the head is the one that is trained, and not a stand-in.

    Returns
    -------
    FineTuneSummary
    """
    with untouched_generators(row.device):
        twin = _copy(network)
        layers, features = _layers(twin.body, "backbone", row)
        if has_head:
            layers += _layers(twin.label_head, "head", features.flatten(1))[0]
    return _summary(twin, layers, stages, unfrozen, has_head=has_head)


def _copy(network: FineTuneNetwork) -> FineTuneNetwork:
    """Copy a network; values that a training step has left in it come without their history."""
    left = [value for module in network.modules() for value in vars(module).values()]
    memo: dict[int, Any] = {
        id(value): value.detach().clone()
        for value in left
        if isinstance(value, Tensor) and not value.is_leaf  # which deepcopy refuses
    }
    return copy.deepcopy(network, memo)


def check_shape(shape: Any, name: str) -> tuple[int, ...]:
    """Return the shape of one row as a tuple of positive integers."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if not sizes or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"{name}={shape!r} must be the shape of one row, a tuple of positive integers, for "
            "example (3, 150, 150) or (30,)."
        )
    return tuple(int(size) for size in sizes)


@contextlib.contextmanager
def untouched_generators(device: torch.device) -> Iterator[None]:
    """Give back the global generators as they were: a body or what makes it may draw."""
    states = random.getstate(), np.random.get_state()
    try:
        with PrivateGenerators(0, device).lent():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _layers(module: nn.Module, part: str, row: Tensor) -> tuple[list[LayerSummary], Tensor]:
    """Pass a row through a part of the network; return its layers and its output."""
    with _noted_shapes(module) as shapes:
        probed = probe(module, part, row, "a float tensor of shape (n, ...)")
    weights = order_layers(module, probed.called).weights
    leaves = [name for name in probed.called if not [*module.get_submodule(name).children()]]
    counted: set[int] = set()
    layers = []
    for name in sorted({*weights, *leaves}, key=probed.called.__getitem__):
        own = {
            id(p): p
            for owned in weights.get(name, ())
            for p in module.get_submodule(owned).parameters(recurse=False)
            if id(p) not in counted
        }
        counted |= own.keys()
        shown = name if part == "backbone" else f"{part}.{name}"
        kind = type(module.get_submodule(name)).__name__
        layers.append(
            LayerSummary(shown if name else part, kind, shapes.get(name), _count(own.values()))
        )
    return layers, probed.output


@contextlib.contextmanager
def _noted_shapes(module: nn.Module) -> Iterator[dict[str, tuple[int, ...] | None]]:
    """Note the shape of each module's first output, without its first axis."""
    shapes: dict[str, tuple[int, ...] | None] = {}

    def note(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        tensors = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
        shapes.setdefault(name, tuple(tensors[0].shape[1:]) if tensors else None)

    with contextlib.ExitStack() as stack:
        for name, child in module.named_modules():
            stack.callback(child.register_forward_hook(partial(note, name)).remove)
        yield shapes


def _summary(
    network: FineTuneNetwork,
    layers: list[LayerSummary],
    stages: Sequence[str],
    unfrozen: Sequence[str],
    *,
    has_head: bool,
) -> FineTuneSummary:
    head = list(network.label_head.parameters())
    body = [p for name in unfrozen for p in network.layers.parameters(network.body, name)]
    learning = {
        "source": [*head, *network.body.parameters()],
        "head": head,
        "finetune": [*head, *(p for p in body if p.is_floating_point())],
    }
    total = _count(network.parameters())
    counts = {name: _count(learning[name]) for name in stages}
    rows = [StageSummary(name, count, total - count) for name, count in counts.items()]
    return FineTuneSummary(tuple(layers), tuple(rows), total, has_head)


def _count(parameters: Iterable[Tensor]) -> int:
    """Return the number of weights in parameters, each counted once."""
    return sum({id(p): p.numel() for p in parameters}.values())
