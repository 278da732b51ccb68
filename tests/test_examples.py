"""Every example runs; here on a part of its data and for one epoch."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def demo(monkeypatch, tmp_path):
    """Return the demo as a module, shortened."""
    mpl.use("agg")
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "plot_dann_mnist_m.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    load_whole = module.load_domains
    monkeypatch.setattr(module, "load_domains", lambda: [part(d) for d in load_whole()])
    monkeypatch.setattr(module, "EPOCHS", {"source only": 1, "DANN": 2})
    monkeypatch.setattr(module, "PICTURE", tmp_path / "demo.png")
    yield module
    plt.close("all")


def part(domain):
    return SimpleNamespace(**{name: rows[:300] for name, rows in vars(domain).items()})


def test_domains_of_the_demo_are_the_same_digits(demo):
    source, target = demo.load_domains()
    assert source.X_train.shape == target.X_train.shape == (300, 3, 28, 28)
    np.testing.assert_array_equal(source.y_test, target.y_test)


@pytest.mark.filterwarnings("ignore:The domain classifier still tells")
def test_demo_prints_its_table_and_draws_its_picture(demo, capsys):
    demo.main()
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[0].split("  ")[-1].strip() == "seconds"
    assert lines[1].startswith("source only")
    assert lines[2].startswith("DANN")
    assert all(0 <= float(cell) <= 1 for cell in lines[2].split()[1:4])
    assert demo.PICTURE.stat().st_size > 50_000


def test_picture_shows_curves_and_features_of_both_domains(demo):
    source, target = demo.load_domains()
    fits = {name: demo.fit(source, target, name) for name in ("source only", "DANN")}
    figure = demo.plot(fits, source, target)
    axes = [ax for part in figure.subfigs for ax in part.axes]
    curves = {line.get_label(): line.get_ydata() for line in axes[1].lines}
    history = fits["DANN"][0].history_
    assert list(curves["target accuracy"]) == history[:, "target_accuracy"]
    assert list(curves["domain loss"]) == history[:, "domain_loss"]
    titles = [ax.get_title() for ax in axes[2:]]
    assert titles[0].startswith("source only")
    assert titles[2].startswith("DANN")
    assert [len(c.get_offsets()) for ax in axes[2:] for c in ax.collections] == [300] * 8
