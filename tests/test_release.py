"""What a release says of itself in several places is the same in all."""

import re
import tomllib
from pathlib import Path

import pytest

import sktransfer

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RECIPE = (ROOT / "conda" / "recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("CITATION.cff", r"^version: (\S+)$"),
        ("conda/recipe.yaml", r'^  version: "(\S+)"$'),
        ("CHANGELOG.md", r"^## (\d+\.\d+\.\d+) \("),
    ],
)
def test_the_version_is_that_of_the_package(file, pattern):
    found = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)
    assert found[1] == sktransfer.__version__


def test_the_release_date_is_that_of_the_changelog():
    cited = re.search(r"^date-released: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert f"## {sktransfer.__version__} ({cited[1]})" in (ROOT / "CHANGELOG.md").read_text()


def test_the_supported_version_is_the_latest():
    minor = ".".join(sktransfer.__version__.split(".")[:2])
    assert f"| {minor} | yes |" in (ROOT / "SECURITY.md").read_text()


def test_conda_asks_for_what_pip_does():
    run = RECIPE.split("  run:\n")[1].split("\n\n")[0]
    of_conda = {line.strip(" -").replace(" ", "") for line in run.splitlines()}
    of_pip = {dependency.replace("torch>=", "pytorch>=") for dependency in PROJECT["dependencies"]}
    assert of_conda == {*of_pip, f"python{PROJECT['requires-python']}"}
