"""Parameters of an estimator that inherits most of them: fields of its classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

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
    return made
