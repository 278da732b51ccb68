"""Parameters of an estimator that inherits most of them: fields of its classes."""

from __future__ import annotations

import difflib
import functools
import inspect
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def parameters(cls: type[T]) -> type[T]:
    """Give a class the ``__init__`` that its fields say, and all their constraints.

    ``__init__`` has an explicit argument for each field of the class and of its bases,
    keyword-only unless the field says otherwise, and assigns it. So a class states what it
    adds and which defaults it changes, and nothing else; ``_parameter_constraints`` of its
    bases are joined to its own. What is annotated in a class with this decorator is a
    parameter, unless it is a `ClassVar`.
    """
    made: type[T] = dataclass(kw_only=True, eq=False, repr=False, match_args=False)(cls)
    constraints: dict[str, list[object]] = {}
    for base in reversed(made.__mro__):
        constraints |= vars(base).get("_parameter_constraints", {})
    made._parameter_constraints = constraints  # type: ignore[attr-defined]
    _show_own_first(made)
    _name_the_class(made)
    return made


def _show_own_first(made: type[Any]) -> None:
    """Let help show what a method adds before what it shares with all others."""
    first_declared = {
        name: place
        for place, base in enumerate(made.__mro__)
        if "__dataclass_fields__" in vars(base)
        for name in vars(base).get("__annotations__", {})
    }
    signature = inspect.signature(made.__init__)
    shown = sorted(
        signature.parameters.values(), key=lambda p: (p.kind, first_declared.get(p.name, 0))
    )
    made.__init__.__signature__ = signature.replace(parameters=shown)


def _name_the_class(made: type[Any]) -> None:
    """Let an argument that is no parameter name the class asked for, and what may be meant."""
    assign = made.__init__
    known = [*inspect.signature(assign).parameters][1:]
    takes = ", ".join(known)

    @functools.wraps(assign)
    def init(self: Any, *given: Any, **parameters: Any) -> None:
        for name in parameters:
            if name not in known:
                kind, alike = type(self).__name__, difflib.get_close_matches(name, known, 3, 0.5)
                hint = f"Did you mean {'= or '.join(alike)}=?" if alike else f"It takes {takes}."
                raise TypeError(f"{kind}() got an unexpected keyword argument {name!r}. {hint}")
        assign(self, *given, **parameters)

    made.__init__ = init
