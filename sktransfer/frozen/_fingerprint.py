"""Fingerprints: equal where two modules, functions or objects compute the same.

A fingerprint follows all that decides what a thing does: weights and attributes by their
content, the users' functions and classes by their code and by what that refers to, packages
by name and version. Addresses, file names and the order of sets have no part in it. What
cannot be compared is never equal, not even to itself.
"""

from __future__ import annotations

import builtins
import copyreg
import functools
import re
import types
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from ._code import imported, is_of_library, library, scan
from ._digests import digest, tensor_parts
from ._kinds import ATOMS, BESIDE_THE_POINT, DESCRIPTORS, PARTS, cell_content

# What every module has. Hooks are among it: `examine` looks whether they matter.
MODULE_ATTRIBUTES = set(vars(nn.Module()))
HOOKS = ("_forward_hooks", "_forward_pre_hooks")

# Builtins and functions by which code gets hold of what it does not name.
NAMELESS = {"globals", "eval", "exec", "__import__", "import_module"}

# A thing that leads to more functions, classes and modules than this is not followed.
MOST_NODES = 20_000


class Fingerprints:
    """Makes fingerprints, of which those of classes are made once.

    To be used within one fit: of a class that is edited later, a new one is needed.
    """

    def __init__(self) -> None:
        self._classes: dict[type, bytes] = {}

    def of(self, thing: Any) -> str:
        """Return the fingerprint of a module, a tensor, a function or any object."""
        return _Description(self.of_class).digest(thing).hex()

    def of_class(self, cls: type) -> bytes:
        """Return the fingerprint of a class."""
        if cls not in self._classes:
            self._classes[cls] = _Description(None).digest(cls)
        return self._classes[cls]


class _Description:
    """Describes a thing and, one after the other, the functions and classes it leads to.

    Each of these gets a number when it is met first, by which it is referred to, so
    that those which refer to each other can be described.
    """

    def __init__(self, of_class: Callable[[type], bytes] | None):
        self._of_class = of_class
        self._numbers: dict[int, int] = {}
        self._tensors: dict[int, bytes] = {}
        self._kept: list[Any] = []  # as an id is only an object's own while that lives
        self._todo: deque[Any] = deque()
        self._open: list[int] = []

    def digest(self, thing: Any) -> bytes:
        """Return a digest of all that decides what a thing does."""
        if isinstance(thing, nn.Module):
            self._number(thing)
            parts = [self._guarded(lambda: self._module(thing, registered=True))]
        else:
            parts = [self.refer(thing)]
        while self._todo:
            node = self._todo.popleft()
            parts.append(self._guarded(functools.partial(self._node, node)))
        return digest(*parts)

    def refer(self, value: Any) -> bytes:
        """Describe a value, or say by which number it will be described."""
        if type(value) in ATOMS:
            return f"{type(value).__name__} {value!r}".encode()
        if id(value) in self._open:
            return f"within {self._open[::-1].index(id(value))}".encode()
        self._open.append(id(value))
        self._kept.append(value)
        try:
            return self._guarded(lambda: self._describe(value))
        finally:
            self._open.pop()

    def _guarded(self, describe: Callable[[], bytes]) -> bytes:
        try:
            return _unique() if len(self._numbers) > MOST_NODES else describe()
        except Exception:  # a lock, a generator, what raises when it is looked at
            return _unique()

    def _describe(self, value: Any) -> bytes:
        if isinstance(value, Tensor):
            if id(value) not in self._tensors:
                content = digest(self.refer(type(value)), *tensor_parts(value))
                self._tensors[id(value)] = content
            return self._tensors[id(value)]
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            header = f"{value.dtype.descr} {value.shape}".encode()
            flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            return digest(self.refer(type(value)), header, flat)
        if isinstance(value, types.FunctionType | type | types.ModuleType | nn.Module):
            return self._named(value)
        for kind, parts in PARTS.items():
            if type(value) is kind:
                return self._all(kind.__name__, parts(value))
        if type(value) in (set, frozenset):
            return digest(type(value).__name__.encode(), *sorted(map(self.refer, value)))
        if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
            owner = value.__self__
            owner = owner.__name__ if isinstance(owner, type | types.ModuleType) else owner
            return self._all("builtin", [value.__qualname__, owner])
        if isinstance(value, DESCRIPTORS):
            return self._all("descriptor", [value.__qualname__])
        if hasattr(value, "inlined_graph"):  # a function that torch has compiled
            return self._all("compiled", _steps(value.inlined_graph))
        return self._reduced(value)

    def _named(self, value: Any) -> bytes:
        """Name what is a package's; number what is the user's, to be described in its turn."""
        if isinstance(value, types.ModuleType):
            name = library(value.__name__)
            if name is not None:
                return f"{name}: {value.__name__}".encode()
        elif not isinstance(value, nn.Module):
            name = is_of_library(value)
            if name is not None:
                return name.encode()
            if isinstance(value, type) and self._of_class is not None:
                return self._of_class(value)
        if id(value) not in self._numbers:
            self._number(value)
            self._todo.append(value)
        return f"number {self._numbers[id(value)]}".encode()

    def _number(self, value: Any) -> None:
        self._kept.append(value)
        self._numbers.setdefault(id(value), len(self._numbers))

    def _reduced(self, value: Any) -> bytes:
        """Describe an object by what would make it again, and by all that it holds."""
        reduce = copyreg.dispatch_table.get(type(value))
        reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
        if isinstance(reduced, str):  # the name of the only one of its kind
            known = is_of_library(type(value))
            return _unique() if known is None else f"{known} {reduced}".encode()
        make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        parts: list[Any] = [type(value), make, arguments, state]
        parts += [list(items or ()), list(pairs or ())]
        held = getattr(value, "__dict__", None)
        if is_of_library(type(value)) is None and held is not state:
            parts.append(held)  # what it would not pickle may decide as well
        return self._all("object", parts)

    def _all(self, kind: str, values: Iterable[Any]) -> bytes:
        return digest(kind.encode(), *map(self.refer, values))

    def _node(self, node: Any) -> bytes:
        if isinstance(node, types.FunctionType):
            return self._function(node)
        if isinstance(node, nn.Module):
            return self._module(node, registered=False)
        if isinstance(node, types.ModuleType):
            return self._used_of(node, None)
        return self._class(node)

    def _function(self, function: types.FunctionType) -> bytes:
        found, namespace = scan(function.__code__), function.__globals__
        bound = [cell_content(cell) for cell in function.__closure__ or ()]
        parts = [self._of_module(value, found.attributes) for value in bound]
        held = [function.__defaults__, function.__kwdefaults__, vars(function)]
        parts += map(self.refer, held)
        everything = not {"getattr", "vars"}.isdisjoint(found.names)
        if not NAMELESS.isdisjoint((*found.names, *found.attributes)):
            parts.append(_unique())
        for name in found.names:
            attributes = None if everything else found.attributes
            if name in namespace:
                described = self._of_module(namespace[name], attributes)
            else:
                described = b"builtin" if hasattr(builtins, name) else b"missing"
            parts += [name.encode(), described]
        for what in found.imports:
            module = imported(*what, namespace)
            attributes = None if everything else found.attributes
            described = _unique() if module is None else self._of_module(module, attributes)
            parts += [repr(what).encode(), described]
        return digest(b"function", found.content, *parts)

    def _of_module(self, value: Any, attributes: Iterable[str] | None) -> bytes:
        """Describe a value; of a module of the user's what may be used of it."""
        if isinstance(value, types.ModuleType) and library(value.__name__) is None:
            return self._used_of(value, attributes)
        return self.refer(value)

    def _used_of(self, module: types.ModuleType, attributes: Iterable[str] | None) -> bytes:
        if id(module) in self._open:
            return b"within"
        self._open.append(id(module))
        try:
            held = vars(module)
            names = [name for name in held if not name.startswith("__")]
            parts: list[bytes] = []
            for name in sorted(names if attributes is None else attributes):
                if name in held:
                    parts += [name.encode(), self._of_module(held[name], attributes)]
            return digest(b"module of functions", *parts)
        finally:
            self._open.pop()

    def _class(self, cls: type) -> bytes:
        parts = [cls.__qualname__.encode(), self.refer(type(cls)), self.refer(cls.__bases__)]
        for name, value in sorted(vars(cls).items()):
            if name not in BESIDE_THE_POINT:
                parts += [name.encode(), self.refer(value)]
        return digest(b"class", *parts)

    def _module(self, whole: nn.Module, *, registered: bool) -> bytes:
        """Describe a module and those in it; what others hold of it is not known to be the same.

        Of one that is not registered in the body the mode and the hooks count as well.
        """
        modules = list(whole.named_modules())
        for _, module in modules:
            self._number(module)
        parts: list[bytes] = []
        for name, module in modules:
            children = [(k, m and self._numbers[id(m)]) for k, m in module._modules.items()]
            parts += [name.encode(), self.refer(type(module)), repr(children).encode()]
            own = {k: v for k, v in vars(module).items() if k not in MODULE_ATTRIBUTES}
            if not registered:
                own |= {k: list(vars(module)[k].values()) for k in HOOKS} | {
                    "training": module.training
                }
            for key, value in sorted(_with_compiled(module, own).items()):
                parts += [key.encode(), self.refer(value)]
            for tensors in (module._parameters, module._buffers):
                for key, tensor in tensors.items():
                    parts += [key.encode(), self.refer(tensor)]
        return digest(b"module", *parts)


def _with_compiled(module: nn.Module, own: dict[str, Any]) -> dict[str, Any]:
    """Add what a module does whose class was made for it alone."""
    if isinstance(module, torch.jit.ScriptModule):
        return {"compiled": _steps(module.inlined_graph)}
    if isinstance(module, fx.GraphModule):
        targets = [node.target for node in module.graph.nodes]
        return {"code": module.code, "targets": targets}
    return own


def _steps(graph: Any) -> list[Any]:
    """Return what a graph of torch's compiler does, but for places and for names counted up."""
    text = re.sub(r" #.*|\.___torch_mangle_\d+", "", str(graph))
    constants = graph.findAllNodes("prim::Constant")
    constants = [node for node in constants if "value" in node.attributeNames()]
    return [text, *(node.t("value") for node in constants if node.kindOf("value") == "t")]


def _unique() -> bytes:
    return uuid.uuid4().bytes
