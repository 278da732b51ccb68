"""A fingerprint sees whatever decides what the user's code computes, and nothing else."""

import os
import re
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from torch import fx, nn

from sktransfer.frozen._code import imported, is_of_library, library, scan
from sktransfer.frozen._fingerprint import Fingerprints

HEAD = """
import collections, contextlib, dataclasses, enum, functools, math, operator, re
import numpy as np, torch
from torch import nn
from torch.nn import functional as F
"""

# A module's source; what is to count stands in it as FACTOR, 1.0 or 5.0.
SOURCES = {
    "constant": """
class Body(nn.Module):
    def forward(self, X): return X * FACTOR
""",
    "method": """
class Body(nn.Module):
    def _scale(self, X): return X * FACTOR
    def forward(self, X): return self._scale(X)
""",
    "method of a base": """
class Base(nn.Module):
    def _scale(self, X): return X * FACTOR
class Body(Base):
    def forward(self, X): return self._scale(X)
""",
    "method by its name": """
class Body(nn.Module):
    def scale(self, X): return X * FACTOR
    def forward(self, X): return getattr(self, "sc" + "ale")(X)
""",
    "property": """
class Body(nn.Module):
    @property
    def factor(self): return FACTOR
    def forward(self, X): return X * self.factor
""",
    "cached property": """
class Body(nn.Module):
    @functools.cached_property
    def factor(self): return FACTOR
    def forward(self, X): return X * self.factor
""",
    "static method": """
class Body(nn.Module):
    @staticmethod
    def scale(X): return X * FACTOR
    def forward(self, X): return self.scale(X)
""",
    "class method": """
class Body(nn.Module):
    @classmethod
    def scale(cls, X): return X * FACTOR
    def forward(self, X): return self.scale(X)
""",
    "partial method": """
class Body(nn.Module):
    def _scale(self, X, factor): return X * factor
    scale = functools.partialmethod(_scale, factor=FACTOR)
    def forward(self, X): return self.scale(X)
""",
    "class attribute": """
class Body(nn.Module):
    factor = FACTOR
    def forward(self, X): return X * self.factor
""",
    "private class attribute": """
class Body(nn.Module):
    __factor = FACTOR
    def forward(self, X): return X * self.__factor
""",
    "nested function": """
class Body(nn.Module):
    def forward(self, X): return (lambda v: (lambda w: w * FACTOR)(v))(X)
""",
    "nested class": """
class Body(nn.Module):
    class Options: factor = FACTOR
    def forward(self, X): return X * self.Options.factor
""",
    "default": """
class Body(nn.Module):
    def forward(self, X, factor=FACTOR): return X * factor
""",
    "keyword default": """
class Body(nn.Module):
    def forward(self, X, *, factor=FACTOR): return X * factor
""",
    "comprehension": """
class Body(nn.Module):
    def forward(self, X): return sum([X * f for f in (FACTOR,)])
""",
    "global": """
SCALE = FACTOR
class Body(nn.Module):
    def forward(self, X): return X * SCALE
""",
    "global in a nested function": """
SCALE = FACTOR
class Body(nn.Module):
    def forward(self, X): return (lambda v: v * SCALE)(X)
""",
    "global array": """
SCALE = np.array([FACTOR])
class Body(nn.Module):
    def forward(self, X): return X * float(SCALE[0])
""",
    "global dict": """
OPTIONS = {"a": [1, {"factor": FACTOR}]}
class Body(nn.Module):
    def forward(self, X): return X * OPTIONS["a"][1]["factor"]
""",
    "function": """
def scale(X): return X * FACTOR
class Body(nn.Module):
    def forward(self, X): return scale(X)
""",
    "function that a function calls": """
def scale(X): return X * FACTOR
def again(X): return scale(X)
class Body(nn.Module):
    def forward(self, X): return again(X)
""",
    "functions that call each other": """
def even(X, n): return X if n == 0 else odd(X, n - 1)
def odd(X, n): return even(X * FACTOR, n - 1)
class Body(nn.Module):
    def forward(self, X): return even(X, 2)
""",
    "decorator": """
def decorated(function):
    @functools.wraps(function)
    def inner(self, X): return function(self, X) * FACTOR
    return inner
class Body(nn.Module):
    @decorated
    def forward(self, X): return X
""",
    "under a decorator of torch": """
class Body(nn.Module):
    @torch.no_grad()
    def forward(self, X): return X * FACTOR
""",
    "cached function": """
@functools.lru_cache
def factor(): return FACTOR
class Body(nn.Module):
    def forward(self, X): return X * factor()
""",
    "partial function": """
def scale(X, factor): return X * factor
by_factor = functools.partial(scale, factor=FACTOR)
class Body(nn.Module):
    def forward(self, X): return by_factor(X)
""",
    "class that code uses": """
class Scaler:
    def __call__(self, X): return X * FACTOR
class Body(nn.Module):
    def forward(self, X): return Scaler()(X)
""",
    "metaclass": """
class Meta(type):
    @property
    def factor(cls): return FACTOR
class Options(metaclass=Meta): pass
class Body(nn.Module):
    def forward(self, X): return X * Options.factor
""",
    "enum": """
class Options(enum.Enum):
    factor = FACTOR
class Body(nn.Module):
    def forward(self, X): return X * Options.factor.value
""",
    "data class": """
@dataclasses.dataclass
class Options:
    factor: float = FACTOR
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.options = Options()
    def forward(self, X): return X * self.options.factor
""",
    "object's class": """
class Scaler:
    def __call__(self, X): return X * FACTOR
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.scaler = Scaler()
    def forward(self, X): return self.scaler(X)
""",
    "what an object does not pickle": """
class Scaler:
    def __init__(self): self.factor = FACTOR
    def __getstate__(self): return {}
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.scaler = Scaler()
    def forward(self, X): return X * self.scaler.factor
""",
    "slots": """
class Scaler:
    __slots__ = ("factor",)
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.scaler = Scaler()
        self.scaler.factor = FACTOR
    def forward(self, X): return X * self.scaler.factor
""",
    "bound method": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = self._scale
    def _scale(self, X): return X * FACTOR
    def forward(self, X): return self.scale(X)
""",
    "forward of its own": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.forward = lambda X: X * FACTOR
""",
    "closure": """
def make(factor):
    class Body(nn.Module):
        def forward(self, X): return X * factor
    return Body
Body = make(FACTOR)
""",
    "array": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = np.array([FACTOR, 1.0])
    def forward(self, X): return X * float(self.factor[0])
""",
    "array of objects": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = np.array([FACTOR, None], dtype=object)
    def forward(self, X): return X * self.factor[0]
""",
    "number of numpy": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = np.float32(FACTOR)
    def forward(self, X): return X * float(self.factor)
""",
    "tensor": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.tensor([FACTOR])
    def forward(self, X): return X * self.factor
""",
    "named tuple": """
Options = collections.namedtuple("Options", "factor")
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.options = Options(FACTOR)
    def forward(self, X): return X * self.options.factor
""",
    "set": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.options = {"a", "b", "c", FACTOR}
    def forward(self, X): return X * max(v for v in self.options if isinstance(v, float))
""",
    "module in a list": """
class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = FACTOR
    def forward(self, X): return X * self.factor
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = [Part()]
    def forward(self, X): return self.parts[0](X)
""",
    "global module": """
class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("factor", torch.tensor(FACTOR))
    def forward(self, X): return X * self.factor
PART = Part()
class Body(nn.Module):
    def forward(self, X): return PART(X)
""",
    "hook of a module in a list": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = [nn.Identity()]
        self.parts[0].register_forward_hook(lambda module, args, output: output * FACTOR)
    def forward(self, X): return self.parts[0](X)
""",
    "pattern": """
PATTERN = re.compile(r"FACTOR")
class Body(nn.Module):
    def forward(self, X): return X * float(PATTERN.pattern)
""",
    "function of torch": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.function = torch.tanh if FACTOR > 3 else torch.relu
    def forward(self, X): return self.function(X)
""",
    "function of Python": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.function = operator.neg if FACTOR > 3 else operator.pos
    def forward(self, X): return self.function(X)
""",
    "method of a string": """
class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.function = "FACTOR".upper
    def forward(self, X): return X * float(self.function())
""",
    "order": """
class Body(nn.Sequential):
    def __init__(self): super().__init__(*[nn.Softsign(), nn.Tanh()][:: 1 if FACTOR > 3 else -1])
""",
    "compiled": """
class Body(nn.Module):
    def forward(self, X): return X * FACTOR
plain = Body
def Body(): return torch.jit.trace(plain(), torch.ones(1, 3))
""",
    "constant of what is compiled": """
class Body(nn.Module):
    def forward(self, X): return X * torch.tensor([FACTOR, 1.0, 2.0])
plain = Body
def Body(): return torch.jit.trace(plain(), torch.ones(1, 3))
""",
    "graph": """
def scale(X): return X * FACTOR
def Body():
    graph = torch.fx.Graph()
    X = graph.placeholder("X")
    graph.output(graph.call_function(scale, (X,)))
    return torch.fx.GraphModule(nn.Module(), graph)
""",
    "parametrization": """
class Scaled(nn.Module):
    def forward(self, X): return X * FACTOR
def Body():
    layer = nn.Linear(3, 3)
    nn.init.ones_(layer.weight), nn.init.ones_(layer.bias)
    nn.utils.parametrize.register_parametrization(layer, "weight", Scaled())
    return layer
""",
}


def made(source, factor, name="a_users_module"):
    source = HEAD + source.replace("FACTOR", str(factor))
    module = types.ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), vars(module))
    return module.Body()


@pytest.mark.parametrize("name", ["a_users_module", "__main__", "builtins"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_whatever_decides_a_value_counts_and_equal_code_is_equal(source, name):
    X = torch.tensor([[1.0, -2.0, 3.0]])
    bodies = [made(source, factor, name) for factor in (1.0, 5.0, 1.0)]
    values = [body(X) for body in bodies]
    assert not torch.equal(values[0], values[1])
    fingerprints = [Fingerprints().of(body) for body in bodies]
    assert fingerprints[0] != fingerprints[1]
    assert fingerprints[0] == fingerprints[2]
    assert Fingerprints().of(bodies[0]) == fingerprints[0]


def test_fingerprints_are_the_same_in_another_process():
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from tests.frozen.test_users_code import *\n"
        "print([Fingerprints().of(made(source, 1.0)) for source in SOURCES.values()])"
    )
    runs = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
        assert run.returncode == 0, run.stderr
        runs.add(run.stdout)
    assert len(runs) == 1
    assert "[" in runs.pop()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes a module of the user's and imports it anew."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "user_pack").mkdir()
    (tmp_path / "user_pack" / "__init__.py").write_text("")

    def write(factor, unused=0):
        source = f"def scale(X): return X * {factor}\ndef unused(): return {unused}\n"
        (tmp_path / "user_pack" / "helpers.py").write_text(source)
        for name in ("user_pack", "user_pack.helpers"):
            sys.modules.pop(name, None)

    yield write
    for name in ("user_pack", "user_pack.helpers"):
        sys.modules.pop(name, None)


IMPORTS = {
    "module": "import user_pack.helpers as h\nclass Body(nn.Module):\n"
    "    def forward(self, X): return h.scale(X)",
    "package": "import user_pack.helpers\nclass Body(nn.Module):\n"
    "    def forward(self, X): return user_pack.helpers.scale(X)",
    "by name": "import user_pack.helpers as h\nclass Body(nn.Module):\n"
    "    def forward(self, X): return getattr(h, 'sca' + 'le')(X)",
    "within": "class Body(nn.Module):\n    def forward(self, X):\n"
    "        from user_pack.helpers import scale\n        return scale(X)",
    "within, whole": "class Body(nn.Module):\n    def forward(self, X):\n"
    "        import user_pack.helpers\n        return user_pack.helpers.scale(X)",
    "within, submodule": "class Body(nn.Module):\n    def forward(self, X):\n"
    "        from user_pack import helpers\n        return helpers.scale(X)",
    "attribute": "import user_pack.helpers as h\nclass Body(nn.Module):\n"
    "    def __init__(self):\n        super().__init__()\n        self.h = h\n"
    "    def forward(self, X): return self.h.scale(X)",
    "closure": "def make():\n    import user_pack.helpers as h\n    class Body(nn.Module):\n"
    "        def forward(self, X): return h.scale(X)\n    return Body\nBody = make()",
}


@pytest.mark.parametrize("source", IMPORTS.values(), ids=IMPORTS.keys())
def test_functions_of_the_users_modules_count(package, source):
    X = torch.ones(1, 3)
    fingerprints = []
    for factor in (1.0, 5.0, 1.0):
        package(factor)
        body = made(source, factor)
        assert body(X)[0, 0] == factor
        fingerprints.append(Fingerprints().of(body))
    assert fingerprints[0] != fingerprints[1]
    assert fingerprints[0] == fingerprints[2]


def test_functions_that_are_not_named_do_not_count(package):
    fingerprints = []
    for unused in (1, 2):
        package(1.0, unused)
        fingerprints.append(Fingerprints().of(made(IMPORTS["module"], 1.0)))
    assert fingerprints[0] == fingerprints[1]


UNKNOWN = {
    "globals": "class Body(nn.Module):\n    def forward(self, X): return globals()['f'](X)",
    "eval": "class Body(nn.Module):\n    def forward(self, X): return eval('X * 2')",
    "import by name": "import importlib\nclass Body(nn.Module):\n"
    "    def forward(self, X): return importlib.import_module('x').scale(X)",
    "never imported": "class Body(nn.Module):\n    def forward(self, X):\n"
    "        import no_module_of_this_name\n        return X",
    "lock": "import threading\nLOCK = threading.Lock()\nclass Body(nn.Module):\n"
    "    def forward(self, X):\n        with LOCK: return X",
    "generator": "NUMBERS = (i for i in range(3))\nclass Body(nn.Module):\n"
    "    def forward(self, X): return X * next(NUMBERS)",
    "object of no known kind": "class Odd:\n    def __reduce__(self): return 'ODD'\nODD = Odd()\n"
    "class Body(nn.Module):\n    def forward(self, X): return X * ODD.factor",
    "tensor without values": "class Body(nn.Module):\n    def __init__(self):\n"
    "        super().__init__()\n        self.a = torch.ones(2, device='meta')",
}


@pytest.mark.parametrize("source", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_cannot_be_compared_is_never_equal(source):
    body = made(source, 1.0)
    assert Fingerprints().of(body) != Fingerprints().of(body)


def test_a_thing_that_leads_to_too_much_is_never_equal(monkeypatch):
    body = made(SOURCES["function that a function calls"], 1.0)
    assert Fingerprints().of(body) == Fingerprints().of(body)
    monkeypatch.setattr("sktransfer.frozen._fingerprint.MOST_NODES", 1)
    assert Fingerprints().of(body) != Fingerprints().of(body)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_values_of_all_kinds_are_told_apart():
    values = [None, True, 1, 1.0, 1j, "1", b"1", "", (), [], {}, set(), frozenset(), ...]
    values += [0.0, -0.0, float("nan"), float("inf"), 2**70, (1,), [1], {1: 1}, {1}, (1, 1)]
    values += [((1,), 1), (1, (1,)), [[1], 1], {1: 2, 2: 1}, {2: 1, 1: 2}, slice(1), range(1)]
    values += [np.float64(1), np.float32(1), np.ones(1), np.ones(1, int), np.ones((1, 1)), np.add]
    values += [np.ones(1, [("a", float)]), np.ones(1, [("b", float)]), np.dtype(int), np.multiply]
    values += [torch.ones(1), torch.ones(1, 1), torch.ones(1, dtype=int), torch.Size([1]), len]
    values += [nn.Parameter(torch.ones(1)), torch.float32, torch.device("cpu"), int, nn.Linear]
    values += [torch.tanh, torch.sin, torch.Tensor.add, torch.Tensor.sub, [].append, [1].append]
    values += [nn.functional.relu, torch, np, types.ModuleType("a_users"), np.str_("a")]
    values += ["a", "b", ("a", "b"), ("ab",), re.compile("a"), re.compile("a", re.DOTALL)]
    values += [torch.jit.script(plus_one), torch.jit.script(plus_two), {}.keys]
    fingerprints = [Fingerprints().of(value) for value in values]
    assert len(set(fingerprints)) == len(values)
    assert fingerprints == [Fingerprints().of(value) for value in values]


def plus_one(X: torch.Tensor) -> torch.Tensor:
    return X + 1


def plus_two(X: torch.Tensor) -> torch.Tensor:
    return X + 2


def test_an_object_that_holds_itself_can_be_described():
    a, b = [1], [2]
    a.append(a)
    b.append(b)
    fingerprints = [Fingerprints().of(value) for value in (a, b, a, [1, [1]])]
    assert fingerprints[0] == fingerprints[2]
    assert len(set(fingerprints)) == 3


def test_of_a_whole_and_its_parts_only_the_arrangement_tells():
    layer, other = nn.Linear(3, 3), nn.Linear(3, 3)
    other.load_state_dict(layer.state_dict())
    bodies = [nn.Sequential(*layers) for layers in ([layer], [layer] * 2, [layer, None])]
    within = nn.Sequential(layer)
    bodies += [nn.Sequential(within, layer), nn.Sequential(layer, within)]
    assert len({Fingerprints().of(body) for body in bodies}) == len(bodies)
    assert Fingerprints().of(layer) == Fingerprints().of(other)
    assert Fingerprints().of(layer) != Fingerprints().of(layer.weight)


def test_the_mode_counts_where_nobody_sets_it():
    whole = nn.Sequential(nn.Dropout())
    whole[0].parts = [nn.Dropout()]
    fingerprints = [Fingerprints().of(whole), Fingerprints().of(whole.eval())]
    assert fingerprints[0] == fingerprints[1]
    whole[0].parts[0].eval()
    assert Fingerprints().of(whole) != fingerprints[0]


def test_a_class_is_looked_at_once(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "sktransfer.frozen._fingerprint.scan", lambda code: seen.append(code) or scan(code)
    )
    kind = type(made(SOURCES["function"], 1.0))
    fingerprints = Fingerprints()
    for _ in range(2):
        fingerprints.of(nn.Sequential(kind(), kind()))
    assert [code.co_name for code in seen] == ["forward", "scale"]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("torch.nn.functional", f"torch {torch.__version__}"),
        ("numpy", f"numpy {np.__version__}"),
        ("json.decoder", f"python {sys.version_info[:3]}"),
        ("sys", f"python {sys.version_info[:3]}"),
        ("tests.frozen.bodies", None),
        ("sktransfer.frozen", None),
        ("__main__", None),
        ("no_module_of_this_name", None),
        ("", None),
        (None, None),
    ],
)
def test_a_module_is_a_packages_or_the_users(module, expected):
    assert library(module) == expected


def test_a_module_named_like_one_of_pythons_is_the_users(tmp_path, monkeypatch):
    own = types.ModuleType("colorsys")
    own.__file__ = str(tmp_path / "colorsys.py")
    monkeypatch.setitem(sys.modules, "colorsys", own)
    assert library("colorsys") is None


def test_a_package_without_a_version_of_its_own_has_the_installed_ones():
    assert library("hypothesis_like_missing") is None
    assert library("filelock").startswith("filelock ")
    assert library("threadpoolctl.x").split()[0] == "threadpoolctl"
    assert library("_pytest").split()[0] == "_pytest"


def test_what_a_package_made_for_the_user_is_not_the_packages():
    assert is_of_library(nn.Linear).endswith("torch.nn.modules.linear.Linear")
    assert is_of_library(nn.Linear.forward).endswith("linear.Linear.forward")
    assert is_of_library(fx.GraphModule(nn.Module(), fx.Graph()).__class__) is None
    assert is_of_library(torch.no_grad()(lambda: 1)) is None
    assert is_of_library(3) is None


def test_a_relative_import_is_resolved_in_its_package():
    namespace = {"__name__": "sktransfer.frozen._code", "__package__": "sktransfer.frozen"}
    assert imported("_graph", 1, True, namespace).__name__ == "sktransfer.frozen._graph"
    assert imported("frozen._graph", 2, True, namespace).__name__ == "sktransfer.frozen._graph"
    del namespace["__package__"]
    assert imported("_graph", 1, True, namespace).__name__ == "sktransfer.frozen._graph"
    assert imported("tests.frozen", 0, False, namespace).__name__ == "tests"
    assert imported("tests.frozen", 0, True, namespace).__name__ == "tests.frozen"
    assert imported("numpy.linalg", 0, True, namespace) == f"numpy {np.__version__}"
    assert imported("x", 5, True, namespace) is None


def test_imports_within_a_function_are_found_with_their_level():
    imports = ["import a.b, c", "from d import e", "from ..g import h", "from . import i"]
    source = "\n    ".join(["def f():", *imports])
    namespace = {}
    exec(source, namespace)
    found = scan(namespace["f"].__code__)
    expected = {("a.b", 0, False), ("c", 0, False), ("d", 0, True), ("g", 2, True), ("", 1, True)}
    assert set(found.imports) == expected
    assert found.attributes == ("e", "h", "i")
