"""What is imported is what was asked for: torch comes with the first name that needs it."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sktransfer
from sktransfer._exports import EXPORTS, NETWORKS_BESIDE, OF_NETWORKS, PACKAGES
from tests.typing_script import main

TORCH_FREE = (
    "sktransfer",
    "alignment",
    "datasets",
    "displays",
    "instance",
    "metrics",
    "model_selection",
    "multitask",
    "parameters",
    "relations",
    "selftaught",
    "zeroshot",
)

# From the ground up: what stands on a floor imports none of those above.
FLOORS = (
    {"data"},
    {"frozen", "network", "validation"},
    {"engine"},
    {"deep"},
    {"adaptation", "fewshot", "finetuning", "multitask", "selftaught"},
)


def rooms_imported():
    """Return for each folder or file right in the package those that it imports from."""
    package = Path(sktransfer.__file__).parent
    found = {}
    for file in package.rglob("*.py"):
        place = file.relative_to(package).with_suffix("").parts
        if place == ("__init__",):
            continue
        imports = [
            node
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        for node in imports:
            if node.level == len(place):  # from the package's root
                names = [alias.name for alias in node.names]
                rooms = names if node.module is None else [node.module.partition(".")[0]]
                found.setdefault(place[0], set()).update(rooms)
    return found


def test_no_rooms_import_each_other_in_a_circle():
    TopologicalSorter(rooms_imported()).prepare()


def test_imports_point_down():
    imported = rooms_imported()
    for number, floor in enumerate(FLOORS):
        above = set().union(*FLOORS[number + 1 :])
        assert not above & set().union(*(imported[room] for room in floor))


def in_new_process(program):
    """Return what a program prints as JSON in a process that has imported nothing yet."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import json, sys; {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def test_what_needs_no_torch_imports_none():
    # One process for all: a package that brings in something heavy is the first that is named.
    modules = [name if name == "sktransfer" else f"sktransfer.{name}" for name in TORCH_FREE]
    heavy = ("torch", "skorch", "matplotlib")
    program = (
        f"from importlib import import_module; heavy = {heavy}; modules = {modules};"
        "loaded = lambda m: import_module(m) and [m, *(n for n in heavy if n in sys.modules)];"
        "print(json.dumps([loaded(m) for m in modules]))"
    )
    assert in_new_process(program) == [[module] for module in modules]


def test_the_root_shows_all_its_names_before_they_are_imported():
    names = in_new_process("import sktransfer; print(json.dumps(dir(sktransfer)))")
    assert {*sktransfer.__all__, *PACKAGES, "__version__"} <= set(names)


def test_packages_are_attributes_of_the_root_at_once():
    program = (
        f"import sktransfer; modules = [getattr(sktransfer, n).__name__ for n in {PACKAGES}];"
        "print(json.dumps(modules))"
    )
    assert in_new_process(program) == [f"sktransfer.{name}" for name in PACKAGES]


def test_a_wrapped_target_and_a_pipeline_need_no_torch():
    program = (
        "import numpy as np; from sktransfer import TargetDomain, make_transfer_pipeline;"
        "TargetDomain(np.eye(3)); from sklearn.linear_model import LogisticRegression;"
        "print(json.dumps('torch' in sys.modules))"
    )
    assert in_new_process(program) is False


def test_the_names_of_the_root_are_those_of_the_table():
    assert sorted(sktransfer.__all__) == sorted(EXPORTS)
    for name in EXPORTS:
        assert getattr(sktransfer, name) is vars(sktransfer)[name]  # kept, once asked for


def test_saving_looks_for_classifiers_among_the_networks_alone():
    program = (
        "from sktransfer.persistence._estimators import class_names; names = class_names();"
        "shallow = {'sktransfer.' + n for n in ('alignment', 'instance', 'parameters')};"
        "print(json.dumps([names, [*shallow & set(sys.modules)]]))"
    )
    of_networks = [
        name
        for name, package in EXPORTS.items()
        if package in OF_NETWORKS or name in NETWORKS_BESIDE
    ]
    assert in_new_process(program) == [
        [n for n in of_networks if n.endswith(("Classifier", "Regressor", "Pretrainer"))],
        [],
    ]


def test_a_name_that_is_not_there_is_the_usual_error():
    with pytest.raises(AttributeError, match="module 'sktransfer' has no attribute 'DANN'"):
        _ = sktransfer.DANN
    with pytest.raises(ImportError, match="cannot import name 'DANN'"):
        from sktransfer import DANN  # noqa: F401


@pytest.mark.filterwarnings("ignore")  # of how well two epochs adapt
def test_the_script_that_is_checked_for_types_runs(tmp_path):
    *_, share_that_agrees_after_load, n_parts, _ = main(tmp_path)
    assert share_that_agrees_after_load == 1
    assert n_parts == 2
