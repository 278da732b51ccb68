"""A body's graph and the keys of its values, known again where an equal body was seen before."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn

from ._fingerprint import Fingerprints
from ._graph import BodyGraph, Findings
from ._keys import value_keys
from ._twin import twin_of


@dataclass
class _Known:
    lock: threading.Lock = field(default_factory=threading.Lock)
    findings: Findings | None = None
    keys: dict[str, str] = field(default_factory=dict)


_known_lock = threading.Lock()


@lru_cache(maxsize=8)
def _known_bodies(fingerprint: str) -> _Known:
    return _Known()


def examine(
    body: nn.Module, layers: Sequence[str], row: Tensor, context: str
) -> tuple[BodyGraph, dict[str, str]]:
    """Return a body's graph and the keys of its values; of a body seen before, without a pass.

    The body is left as it is, also while it is looked at: others may compute with it.

    Parameters
    ----------
    body : Module
        In evaluation mode.
    layers : sequence of str
        Its layers with weights.
    row : Tensor of shape (1, ...)
        A row that it takes.
    context : str
        What else decides the values, such as the type of the rows.
    """
    if _hooks_matter(body, row):
        context += f" {uuid.uuid4()}"  # what they have seen may decide what they do
    fingerprints = Fingerprints()
    fingerprint = f"{fingerprints.of(body)} {context}"
    with _known_lock:
        known = _known_bodies(fingerprint)
    with known.lock:
        graph = BodyGraph(body, layers, row, known.findings)
        if known.findings is None:
            known.keys = value_keys(graph, context, fingerprints)
            known.findings = graph.findings
    return graph, known.keys


@torch.no_grad()
def _hooks_matter(body: nn.Module, row: Tensor) -> bool:
    """Whether the users' hooks change what the body makes of a row."""
    if not any(m._forward_hooks or m._forward_pre_hooks for m in body.modules()):
        return False
    twin = twin_of(body)
    with_hooks = twin(row)
    for module in twin.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return not torch.equal(twin(row), with_hooks)
