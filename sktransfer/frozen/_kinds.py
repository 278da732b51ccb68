"""What Python's own objects are made of."""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from ._code import scan

ATOMS = {type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented)}

# Of a class: what does not decide what its methods do.
BESIDE_THE_POINT = {
    "__abstractmethods__",
    "__annotations__",
    "__annotations_cache__",
    "__annotate__",
    "__annotate_func__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "__qualname__",
    "__slotnames__",
    "__static_attributes__",
    "__weakref__",
    "_abc_impl",
}
# What is known by its name alone.
DESCRIPTORS = (
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)

# What makes a value of these kinds.
PARTS: dict[type, Callable[[Any], Iterable[Any]]] = {
    tuple: tuple,
    list: list,
    dict: lambda value: (part for item in value.items() for part in item),
    types.MappingProxyType: lambda value: [dict(value)],
    types.MethodType: lambda value: [value.__func__, value.__self__],
    types.CodeType: lambda value: [scan(value).content],
    functools.partial: lambda value: [value.func, value.args, value.keywords, vars(value)],
    functools.partialmethod: lambda value: [value.func, value.args, value.keywords],
    functools.cached_property: lambda value: [value.func],
    property: lambda value: [value.fget, value.fset, value.fdel],
    staticmethod: lambda value: [value.__func__],
    classmethod: lambda value: [value.__func__],
    type(functools.lru_cache(len)): lambda value: [value.__wrapped__],
    weakref.ref: lambda value: [value()],
}


def cell_content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "a variable without a value"
