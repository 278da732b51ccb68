"""The parts of a body that deep networks repeat, and the weights that its features do without."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

CONTAINERS = (nn.Sequential, nn.ModuleList)


def blocks_of(body: nn.Module) -> list[str]:
    """List the blocks of a body: layers of a transformer, residual blocks.

    A block has parts of its own, is an entry of a ``ModuleList`` or ``Sequential``, and is
    of a class of which several such entries are; what stands within a block is none.

    Parameters
    ----------
    body : Module
        Left as it is.

    Returns
    -------
    list of str
        Their names, in the order of definition.
    """
    entries = {
        name: type(module)
        for name, module in body.named_modules()
        if name
        and type(module) not in CONTAINERS
        and any(True for _ in module.children())
        and isinstance(body.get_submodule(name.rpartition(".")[0]), CONTAINERS)
    }
    times = Counter(entries.values())
    repeated = {name for name, kind in entries.items() if times[kind] > 1}
    return [name for name in entries if name in repeated and not repeated & {*_around(name)}]


def _around(name: str) -> Iterator[str]:
    while name:
        name = name.rpartition(".")[0]
        yield name


def idle_modules(body: nn.Module, X: Tensor) -> frozenset[str]:
    """Name the modules whose own weights the output does not depend on.

    As gradients tell: of an output without any, as of a body that detaches it, nothing
    is known, and no module is named.

    Parameters
    ----------
    body : Module
        Left as it is: a copy of it sees the rows.
    X : Tensor of shape (n, ...)
        A few rows.
    """
    twin = copy.deepcopy(body).eval()
    for parameter in twin.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            output = twin(X)
    except RuntimeError:  # such as of an operation that has no gradient
        return frozenset()
    reached = {id(node.variable) for node in _graph(output) if hasattr(node, "variable")}
    if not reached:
        return frozenset()
    return frozenset(
        name
        for name, module in twin.named_modules()
        if (own := [p for p in module.parameters(recurse=False) if p.requires_grad])
        and not any(id(parameter) in reached for parameter in own)
    )


def _graph(output: Tensor) -> Iterator[Node]:
    """Yield the steps that have made a tensor."""
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting.extend(before for before, _ in node.next_functions)
