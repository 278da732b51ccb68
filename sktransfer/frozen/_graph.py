"""A body as a graph of its steps, which can be cut where the frozen part ends.

Frozen is what depends on no unfrozen layer, so that residual edges across the cut are
cut as well: the values that cross it are all that the rest needs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from ._found import Layout
from ._trace import INPUT, Trace
from ._twin import twin_of

# What a step may do without anyone asking for its result.
HARMLESS = {"getattr", "getitem", "size", "dim", "numel", "shape"}


class Value(NamedTuple):
    """What a step makes of rows: how its tensors are nested, and shape and type of their rows."""

    structure: pytree.TreeSpec
    layout: Layout

    @classmethod
    def of(cls, value: Any) -> Value:
        """Describe a value."""
        leaves, structure = pytree.tree_flatten(value)
        rows = ((tuple(leaf.shape[1:]), str(leaf.dtype).removeprefix("torch.")) for leaf in leaves)
        return cls(structure, tuple(rows))

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        sizes = (math.prod(shape) * _type(name).itemsize for shape, name in self.layout)
        return sum(sizes)


@dataclass(frozen=True)
class Findings:
    """What is known of a body once it was run.

    Parameters
    ----------
    opaque : set of str
        Modules that cannot be looked into.
    values : dict of str to Value
        The values that have a row for each row of the input.
    """

    opaque: set[str]
    values: dict[str, Value]


class BodyGraph:
    """The steps of a body, traced where it can be and whole where it cannot.

    A module is looked into where it holds several layers with weights; one that
    cannot be traced, or whose steps are not the same in training, is one step.

    Parameters
    ----------
    body : Module
        Shared, not copied: what is extracted computes with its weights. It is not
        changed: a twin is what is traced and run.
    layers : sequence of str
        Its layers with weights.
    X : Tensor of shape (1, ...)
        A row that it takes.
    known : Findings or None
        What an equal body was found to be; the row is then not needed.

    Attributes
    ----------
    findings : Findings
        What running the body has shown.
    """

    def __init__(
        self, body: nn.Module, layers: Sequence[str], X: Tensor, known: Findings | None = None
    ):
        self._twin, self._layers = twin_of(body), [_join("body", layer) for layer in layers]
        self.findings = known or Findings(set(), {})
        opaque = self.findings.opaque
        while True:
            n_opaque = len(opaque)
            self._frozen = self._trace(opaque, training=False)
            self._training = self._trace(opaque, training=True)
            if known is not None:
                break
            if len(opaque) > n_opaque:
                continue  # once more, as what was tried in vain has used up names
            clash = _first_clash(self._frozen.graph, self._training.graph) or self._run(X)
            if clash is None or clash in opaque:
                break
            opaque.add(clash)
        self._frozen.body = self._training.body = body
        del self._twin

    @property
    def values(self) -> dict[str, Value]:
        """The values that have a row for each row of the input."""
        return self.findings.values

    def crossing(self, live: Iterable[str]) -> list[str]:
        """Return the values that the rest needs of what depends on no live module.

        Parameters
        ----------
        live : iterable of str
            Modules of the body whose output may change from step to step.

        Returns
        -------
        list of str
            Names of values, in forward order; `INPUT` alone where nothing is frozen.
        """
        changing, nodes = self.changing(live), list(self._frozen.graph.nodes)
        needed, crossing = {*changing, nodes[-1].name}, set()
        for node in reversed(nodes):
            for value in node.all_input_nodes if node.name in needed else ():
                if value.name not in changing and value.name in self.values:
                    crossing.add(value)
                else:
                    needed.add(value.name)  # a size or a constant: cheap to make again
        return [node.name for node in nodes if node in crossing]

    def changing(self, live: Iterable[str]) -> set[str]:
        """Return the values that depend on any of these modules."""
        names = {_join("body", name) for name in live}
        parents = {parent for name in names for parent in _parents(name)}
        changing: set[str] = set()
        for node in self._frozen.graph.nodes:
            inputs = {value.name for value in node.all_input_nodes}
            if _is_live(node, names, parents) or not changing.isdisjoint(inputs):
                changing.add(node.name)
        return changing

    def leads(self, given: Sequence[str], wanted: Sequence[str]) -> bool:
        """Whether values can be computed from others alone."""
        nodes = [node for node in self._frozen.graph.nodes if node.name in wanted]
        return INPUT not in {node.name for node in _needed(nodes, stop=given)} - set(given)

    def frozen_part(self, given: Sequence[str], wanted: Sequence[str]) -> fx.GraphModule:
        """Return the module that maps values to others (a tuple), all as in evaluation."""
        nodes = {node.name: node for node in self._frozen.graph.nodes}
        return _extract(self._frozen, given, tuple(nodes[name] for name in wanted))

    def rest(self, crossing: Sequence[str], *, training: bool) -> fx.GraphModule:
        """Return the module that maps these values to the body's output.

        Modules in it follow their own mode; what the body writes as a function,
        such as ``F.dropout``, acts as `training` says.
        """
        trace = self._training if training else self._frozen
        output = next(iter(reversed(trace.graph.nodes)))
        return _extract(trace, crossing, output.args[0])

    def steps(self) -> Iterator[tuple[fx.Node, Any]]:
        """Yield the steps in order, each with the module or tensor that it uses, if any."""
        for node in self._frozen.graph.nodes:
            yield node, self._frozen.used_by(node)

    def _trace(self, opaque: set[str], *, training: bool) -> Trace:
        self._twin.train(training)
        return Trace(self._twin, opaque, self._layers)

    @torch.no_grad()
    def _run(self, X: Tensor) -> str | None:
        """Find the values that have a row for each row of the input.

        Returns the module, if any, that cannot be cut: the body, where its steps
        do not make what it makes itself, and a part that overwrites a value of
        which it makes use again.
        """
        rows = X.repeat(3, *[1] * (X.ndim - 1))
        self.values.clear()
        self.values[INPUT] = Value.of(rows)
        self._twin.eval()
        expected, graph = self._twin(X), self._frozen.graph
        runner = fx.Interpreter(self._frozen, garbage_collect_values=False, graph=graph)
        runner.args_iter = iter([rows])
        made: dict[fx.Node, tuple[Any, list[int]]] = {}
        overwritten: set[fx.Node] = set()
        of_rows: set[fx.Node] = set()  # a tensor of the body itself is not, whatever its shape
        for node in graph.nodes:
            if node.op == "placeholder" or not of_rows.isdisjoint(node.all_input_nodes):
                of_rows.add(node)
            again = overwritten.intersection(node.all_input_nodes)
            if again:
                return str(again.pop().meta["inside"])
            try:
                value = runner.env[node] = runner.run_node(node)
            except Exception:
                return "body"
            made[node] = value, _versions(value)
            overwritten = {node for node, (value, was) in made.items() if _versions(value) != was}
        output, _ = made.pop(node)
        if not torch.allclose(output[:1], expected, rtol=1e-3, atol=1e-5, equal_nan=True):
            return "body"
        self.values.update(
            (node.name, Value.of(value))
            for node, (value, _) in made.items()
            if node in of_rows - overwritten and _has_rows(value, len(rows))
        )
        return None


def _extract(trace: Trace, inputs: Sequence[str], result: Any) -> fx.GraphModule:
    """Return the steps from these values to a result, which is a step or a tuple of such."""
    wanted: list[fx.Node] = []
    fx.node.map_arg(result, wanted.append)
    needed, part = _needed(wanted, stop=inputs), fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    nodes = {node.name: node for node in trace.graph.nodes}
    for name in inputs:
        copies[nodes[name]] = part.placeholder(name)
    for node in trace.graph.nodes:
        if node in needed and node not in copies:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(fx.node.map_arg(result, copies.__getitem__))
    return fx.GraphModule(trace, part)


def _needed(wanted: Iterable[fx.Node], stop: Collection[str]) -> set[fx.Node]:
    needed: set[fx.Node] = set()
    todo = list(wanted)
    while todo:
        node = todo.pop()
        if node not in needed:
            needed.add(node)
            if node.name not in stop:
                todo.extend(node.all_input_nodes)
    return needed


def _first_clash(frozen: fx.Graph, training: fx.Graph) -> str | None:
    """Return the module inside which a step is lost in a cut, or other in training."""
    for x, y in zip_longest(frozen.nodes, training.nodes):
        if x is None or y is None:
            return str((x or y).meta["inside"])
        same = (x.op, x.name, str(x.target)) == (y.op, y.name, str(y.target))
        inputs = [[node.name for node in step.all_input_nodes] for step in (x, y)]
        name = getattr(x.target, "__name__", str(x.target))
        unused = not x.users and x.op.startswith("call") and name not in HARMLESS
        if not same or inputs[0] != inputs[1] or unused:
            return str(x.meta["inside"])
    return None


def _is_live(node: fx.Node, names: set[str], parents: set[str]) -> bool:
    target = str(node.target)
    if node.op == "get_attr":
        return not names.isdisjoint(_parents(target))
    if node.op == "call_module":  # a live module, one in it, or a step that holds one
        return target in parents or target in names or not names.isdisjoint(_parents(target))
    return False


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _has_rows(value: Any, n_rows: int) -> bool:
    """Whether a value is made of tensors with a row for each of n equal rows of the input."""
    tensors = pytree.tree_leaves(value)
    return bool(tensors) and all(
        isinstance(tensor, Tensor)
        and tensor.ndim > 0
        and len(tensor) == n_rows
        and torch.allclose(tensor, tensor[:1].expand_as(tensor), rtol=1e-3, equal_nan=True)
        for tensor in tensors
    )


def _type(name: str) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _versions(value: Any) -> list[int]:
    return [t._version for t in pytree.tree_leaves(value) if isinstance(t, Tensor)]


def _join(parent: str, name: str) -> str:
    return f"{parent}.{name}" if name else parent
