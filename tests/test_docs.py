"""The documentation names all that is public, and its method and figures are true.

Code after a prompt in `docs/**/*.rst` runs as doctests.
"""

import importlib
import inspect
import pkgutil
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmd_method import MMDClassifier, mmd_loss
from sklearn.utils.estimator_checks import parametrize_with_checks

import sktransfer
from sktransfer._exports import PACKAGES
from sktransfer.metrics import mmd

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
API = (ROOT / "docs" / "api.rst").read_text()
ENTRIES = re.findall(r"^   ([a-zA-Z_][\w.]*)$", API, re.MULTILINE)
GUIDE = sorted((ROOT / "docs" / "user_guide").glob("*.rst"))


def public_modules():
    """Yield the package, what its root shows, and below it what has no underscore."""
    yield sktransfer
    for info in pkgutil.walk_packages(sktransfer.__path__, "sktransfer."):
        parts = info.name.split(".")[1:]
        if parts[0] in PACKAGES and not any(part.startswith("_") for part in parts):
            yield importlib.import_module(info.name)


def find(entry):
    module, _, name = f"sktransfer.{entry}".rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_is_a_public_name(entry):
    module, _, name = f"sktransfer.{entry}".rpartition(".")
    assert name in importlib.import_module(module).__all__


def test_nothing_is_entered_twice():
    assert len({id(find(entry)) for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("module", list(public_modules()), ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_documentation(module):
    documented = {id(find(entry)) for entry in ENTRIES}
    names = getattr(module, "__all__", None)
    assert names is not None, "a public module says in __all__ what is public"
    missing = [name for name in names if id(getattr(module, name)) not in documented]
    assert missing == []


def test_every_page_of_the_guide_is_in_its_index():
    index = (ROOT / "docs" / "user_guide" / "index.rst").read_text()
    pages = {page.stem for page in GUIDE} - {"index", "scorers_table"}
    assert set(re.findall(r"^   (\w+)$", index, re.MULTILINE)) == pages


@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_means_and_deviations_in_the_guide_are_those_of_the_readme(page):
    for figure in re.findall(r"\.\d{3} \(\.\d{3}\)", page.read_text()):
        assert figure in README


def test_the_family_gains_and_fails_alike_in_readme_and_guide():
    rows = [line.split(" | ") for line in README.splitlines() if line.startswith("| `")]
    in_readme = {
        re.search(r"`(\w+)`", row[0])[1]: [cell.rstrip(" |") for cell in row[3:]]
        for row in rows
        if len(row) == 5
    }
    page = (ROOT / "docs" / "user_guide" / "family.rst").read_text()
    in_guide = re.findall(r"\* - :class:`~sktransfer\.(\w+)`\n.*\n     - (.*)\n     - (.*)\n", page)
    assert len(in_guide) >= 10
    for name, *cells in in_guide:
        assert in_readme[name] == cells


@parametrize_with_checks([MMDClassifier(max_epochs=20, learning_rate=0.01)])
@pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning")
@pytest.mark.filterwarnings("ignore:The columns (lie far from zero|vary by):UserWarning")
def test_method_of_the_guide_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def test_loss_of_the_guide_is_the_metric():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 1
    pooled = np.concatenate([source, target])
    v = np.mean([((a - b) ** 2).sum() for a in pooled for b in pooled])
    expected = mmd(
        source, target, kernel="gaussian_mixture", bandwidth=np.sqrt(v / 2), unbiased=False
    )
    assert mmd_loss(torch.tensor(source), torch.tensor(target)).item() == pytest.approx(expected)
    assert mmd_loss(torch.tensor(source), torch.tensor(source)).item() == pytest.approx(0)


def test_loss_of_the_guide_is_finite_where_all_rows_are_equal():
    rows = torch.ones(4, 3, requires_grad=True)
    mmd_loss(rows, rows).backward()
    assert torch.equal(rows.grad, torch.zeros(4, 3))


def test_method_of_the_guide_is_one_file_without_a_fit():
    assert "fit" not in vars(MMDClassifier)
    assert len(inspect.getsource(inspect.getmodule(MMDClassifier)).splitlines()) < 100


def test_the_decision_tree_names_what_is_exported():
    tree = runpy.run_path(str(ROOT / "docs" / "draw_which_method.py"))
    answers = [answer for _, answer, _ in tree["QUESTIONS"]] + [tree["LAST"][0]]
    named = {name for answer in answers for name in re.findall(r"[A-Z]\w+Classifier", answer)}
    assert len(named) >= 5
    assert named <= set(sktransfer.__all__)
