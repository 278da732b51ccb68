"""README's example runs and gives the figures that README claims; its table is complete."""

import re
from pathlib import Path

import pytest
from sklearn.base import clone

import sktransfer

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_example_gives_the_figures_it_claims(capsys):
    # Other processors round otherwise, so figures may differ a little.
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    adapted, plain = map(float, re.search(r"# (0\.\d+); .* (0\.\d+)", code).groups())
    names = {}
    exec(code, names)
    assert float(capsys.readouterr().out) == pytest.approx(adapted, abs=0.05)
    without = clone(names["pipe"]).set_params(dannclassifier__lambda_=0.0)
    without.fit(names["Xs"], names["ys"], X_target=names["Xt"])
    assert without.score(names["Xt"], names["yt"]) == pytest.approx(plain, abs=0.05)
    assert names["search"].best_params_.keys() == {"dannclassifier__lambda_"}


@pytest.mark.parametrize("name", [n for n in sktransfer.__all__ if n.endswith("Classifier")])
def test_every_estimator_has_its_row(name):
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}`"))
    file = re.search(r"\((sktransfer/.*?\.py)\)", row)[1]
    assert f"class {name}" in (Path(__file__).parents[1] / file).read_text()
