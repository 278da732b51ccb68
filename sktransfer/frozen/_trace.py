"""What a body does, step by step, found by running it on a stand-in for its input."""

from __future__ import annotations

import contextlib
import pickle
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import fx, nn

# Name of the value that the body is given.
INPUT = "rows"


class Trace(nn.Module):
    """One run of a body on a stand-in for its input, written down.

    fx's own `trace` exchanges ``nn.Module.__call__`` for the whole process,
    which other threads would notice; here the body's modules alone are changed.

    Parameters
    ----------
    body : Module
        Looked into as far as it holds several layers; any other step is a whole
        module or function.
    opaque : set of str
        Modules not to be looked into. What cannot be followed is added.
    layers : sequence of str
        The layers with weights, as names in the trace.

    Attributes
    ----------
    graph : fx.Graph
        The steps. Each has the name of the module inside which it is taken under
        ``meta["inside"]``.
    """

    def __init__(self, body: nn.Module, opaque: set[str], layers: Sequence[str]):
        super().__init__()
        self.body = body
        self._opaque, self._layers = opaque, layers
        tracer = self._tracer = _Tracer()
        tracer.root, tracer.graph, tracer.tensor_attrs = self, fx.Graph(), {}
        with contextlib.ExitStack() as stack:
            for name, module in self.named_modules():
                if name:
                    stack.enter_context(_replaced_forward(module, partial(self._step, name)))
            output = body(tracer.create_proxy("placeholder", INPUT, (), {}))
        tracer.create_node("output", "output", (tracer.create_arg(output),), {})
        self.graph = tracer.graph
        del self._tracer

    def used_by(self, node: fx.Node) -> Any:
        """Return the module or the tensor that a step uses, or None."""
        if node.op == "call_module":
            return self.get_submodule(str(node.target))
        if node.op == "get_attr":
            parent, _, name = str(node.target).rpartition(".")
            return getattr(self.get_submodule(parent), name)
        return None

    def _step(
        self, name: str, module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        tracer = self._tracer
        if self._is_looked_into(name, module):
            last = next(iter(reversed(tracer.graph.nodes)))
            tracer.inside.append(name)
            try:
                with _no_side_effects(module):
                    return forward(*args, **kwargs)
            except Exception:
                self._opaque.add(name)
                for node in list(reversed(tracer.graph.nodes)):
                    if node is last:
                        break
                    tracer.graph.erase_node(node)
            finally:
                tracer.inside.pop()
        return tracer.create_proxy("call_module", name, args, kwargs)

    def _is_looked_into(self, name: str, module: nn.Module) -> bool:
        of_torch = type(module).__module__.startswith("torch.nn")
        if name in self._opaque or (of_torch and not isinstance(module, nn.Sequential)):
            return False
        return sum(is_within(layer, name) for layer in self._layers) > 1


class _Tracer(fx.Tracer):
    """Notes for each step the module inside which it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = ["body"]

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        node.meta["inside"] = self.inside[-1]
        return node


@contextlib.contextmanager
def _replaced_forward(module: nn.Module, step: Callable[..., Any]) -> Iterator[None]:
    """Have calls of a module go to `step`, past its hooks, which are for real rows."""
    own = vars(module).copy()
    hooks = [name for name in own if name.endswith("_hooks") and isinstance(own[name], dict)]
    vars(module).update({name: OrderedDict() for name in hooks})
    vars(module)["forward"] = partial(step, module, module.forward)
    try:
        yield
    finally:
        del vars(module)["forward"]
        vars(module).update({name: own[name] for name in [*hooks, "forward"] if name in own})


class _SideEffectError(Exception):
    """A trace would fix what the module draws or counts anew in each pass."""


@contextlib.contextmanager
def _no_side_effects(module: nn.Module) -> Iterator[None]:
    attributes, generators = vars(module).copy(), _generator_states()
    try:
        yield
    finally:
        drawn = pickle.dumps(_generator_states()) != pickle.dumps(generators)
        torch.set_rng_state(torch.from_numpy(generators[0]))
        random.setstate(generators[1])
        np.random.set_state(generators[2])
        present = vars(module).copy()
        vars(module).clear()
        vars(module).update(attributes)
    same = present.keys() == attributes.keys()
    if drawn or not (same and all(present[name] is attributes[name] for name in present)):
        raise _SideEffectError


def _generator_states() -> tuple[np.ndarray, Any, Any]:
    return torch.get_rng_state().numpy(), random.getstate(), np.random.get_state()


def is_within(name: str, parent: str) -> bool:
    """Whether a module is another one or a part of it."""
    return name == parent or name.startswith(parent + ".")
