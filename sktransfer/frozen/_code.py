"""What Python code is: its bytes, the names that it uses, and whose it is."""

from __future__ import annotations

import dis
import importlib.metadata
import importlib.util
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from ._digests import digest

_INSTALLED = {"site-packages", "dist-packages"}
_STDLIB = Path(sysconfig.get_path("stdlib")).resolve()

_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "LOAD_SPECIAL", "IMPORT_FROM"}


class Scan(NamedTuple):
    """What is found in a function's code and in the functions that it defines.

    Parameters
    ----------
    content : bytes
        A digest of all that the code does by itself.
    names : tuple of str
        Names that it looks up in its module, in order.
    attributes : tuple of str
        Names that it looks up in anything, in order.
    imports : tuple of (str, int, bool)
        Modules that it imports: name, level, and whether names are taken from them.
    """

    content: bytes
    names: tuple[str, ...]
    attributes: tuple[str, ...]
    imports: tuple[tuple[str, int, bool], ...]


@lru_cache(maxsize=4096)
def scan(code: CodeType) -> Scan:
    """Look through a function's code, and that of the functions in it."""
    names: set[str] = set()
    attributes: set[str] = set()
    imports: set[tuple[str, int, bool]] = set()
    before: list[Any] = [0, None]
    for step in dis.get_instructions(code):
        if step.opname in _LOADS:
            names.add(step.argval)
        elif step.opname in _ATTRIBUTES:
            attributes.add(step.argval)
        elif step.opname == "IMPORT_NAME":
            imports.add((step.argval, before[0], before[1] is not None))
        before = [before[1], step.argval]
    inner = [scan(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    for part in inner:
        names.update(part.names)
        attributes.update(part.attributes)
        imports.update(part.imports)
    described = (*_own(code), *(part.content for part in inner))
    found = (tuple(sorted(found)) for found in (names, attributes, imports))
    return Scan(digest(*described), *found)  # type: ignore[arg-type]


def library(module: str | None) -> str | None:
    """Return name and version of the installed package that a module is of; None for others."""
    if not module:
        return None
    root = module.partition(".")[0]
    if root in ("__main__", "__mp_main__"):  # a notebook's is a file of an installed package
        return None
    loaded = sys.modules.get(root)
    if loaded is None:
        try:
            spec = importlib.util.find_spec(root)
        except (ImportError, ValueError):
            return None
        origin = None if spec is None else spec.origin
        if spec is None:
            return None
    else:
        origin = getattr(loaded, "__file__", None)
    return _package(root, origin)


def is_of_library(thing: Any) -> str | None:
    """Return what a function or class of an installed package is called there, with version.

    None where it is the user's, or was made by a package for the user and cannot be
    found by its name.
    """
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    package, found = library(module), sys.modules.get(module)
    if package is None:
        return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{package}: {module}.{name}" if found is thing else None


def imported(
    name: str, level: int, takes_names: bool, namespace: dict[str, Any]
) -> ModuleType | str | None:
    """Return the module that an import within a function binds; of a package its name.

    None where it is not known, as nobody has imported it yet.
    """
    if level > 0:
        package = namespace.get("__package__") or namespace.get("__name__", "").rpartition(".")[0]
        try:
            name = importlib.util.resolve_name("." * level + name, package)
        except ImportError:
            return None
    of_package = library(name)
    if of_package is not None:
        return of_package
    return sys.modules.get(name if takes_names else name.partition(".")[0])


@lru_cache(maxsize=1024)
def _package(root: str, origin: str | None) -> str | None:
    if root in sys.stdlib_module_names or root in sys.builtin_module_names:
        if origin in (None, "frozen", "built-in") or _is_stdlib(Path(str(origin))):
            return f"python {sys.version_info[:3]}"
    if origin is None or _INSTALLED.isdisjoint(Path(origin).parts):
        return None
    version = getattr(sys.modules.get(root), "__version__", None)
    if not isinstance(version, str):
        packages = importlib.metadata.packages_distributions().get(root, [])
        version = " ".join(importlib.metadata.version(package) for package in packages)
    return f"{root} {version}"


def _is_stdlib(origin: Path) -> bool:
    path = origin.resolve()
    return path.is_relative_to(_STDLIB) and _INSTALLED.isdisjoint(path.parts)


def _own(code: CodeType) -> list[bytes]:
    """Return what a code does, but for the functions in it, their place and their names."""
    signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    variables = (code.co_varnames, code.co_freevars, code.co_cellvars, code.co_names)
    constants = [_constant(c) for c in code.co_consts]
    return [
        code.co_code,
        getattr(code, "co_exceptiontable", b""),
        repr((signature, variables, constants)).encode(),
    ]


def _constant(constant: Any) -> str:
    if isinstance(constant, CodeType):
        return "code"
    if isinstance(constant, tuple):
        return f"({' '.join(map(_constant, constant))})"
    if isinstance(constant, frozenset):  # in an order that is another in each process
        return f"{{{' '.join(sorted(map(_constant, constant)))}}}"
    return f"{type(constant).__name__} {constant!r}"
