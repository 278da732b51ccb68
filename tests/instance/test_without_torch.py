"""Methods for any scikit-learn estimator do not import torch."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "sktransfer"


@pytest.mark.parametrize("name", ["instance", "parameters"])
def test_imports_no_torch(name):
    # The root package is stood in for by an empty one: what it imports is its own matter.
    program = f"""
        import sys, types
        root = types.ModuleType("sktransfer")
        root.__path__ = [{str(PACKAGE)!r}]
        sys.modules["sktransfer"] = root
        import sktransfer.{name}
        heavy = {{"torch", "skorch", "matplotlib"}} & set(sys.modules)
        sys.exit(f"imported {{heavy}}" if heavy else 0)
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
