"""Keys of the values that a body's steps make of rows."""

from __future__ import annotations

from torch import fx

from ._digests import digest
from ._fingerprint import Fingerprints
from ._graph import BodyGraph


def value_keys(
    graph: BodyGraph, context: str, fingerprints: Fingerprints | None = None
) -> dict[str, str]:
    """Return a key for each value: equal where the steps that lead to it are.

    A key holds the steps' functions, the classes, attributes and weights of their
    modules and, through the keys of its inputs, all that comes before.

    Parameters
    ----------
    graph : BodyGraph
        The body's steps.
    context : str
        What else decides the values, such as the type of the rows.
    fingerprints : Fingerprints or None
        Those made of the body already.
    """
    fingerprints = fingerprints or Fingerprints()
    keys: dict[fx.Node, str] = {}
    for node, used in graph.steps():
        does = node.target if node.op.startswith("call") and used is None else context
        inputs = fx.node.map_arg((node.args, node.kwargs), keys.__getitem__)
        parts = [node.op, *(fingerprints.of(part) for part in (does, inputs, used))]
        keys[node] = digest(*(part.encode() for part in parts)).hex()
    return {node.name: key for node, key in keys.items()}
