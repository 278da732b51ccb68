"""The example of the displays runs; here on a part of its data and for few epochs."""

import importlib.util
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

EXAMPLE = Path(__file__).parents[1] / "examples" / "plot_displays.py"


@pytest.fixture
def example(monkeypatch, tmp_path):
    """Return the example as a module, shortened."""
    mpl.use("agg")
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "N_TRAIN", 160)
    monkeypatch.setattr(module, "N_TEST", 80)
    monkeypatch.setattr(module, "N_LABELS", 120)
    monkeypatch.setattr(module, "DEPTHS", [0, 1, "all"])
    monkeypatch.setattr(
        module, "EPOCHS", {"DANN": 2, "pretraining": 1, "head": 2, "fine-tuning": 2}
    )
    monkeypatch.setattr(module, "PICTURE", tmp_path / "displays.png")
    yield module
    plt.close("all")


def test_digits_of_all_domains_have_one_shape(example):
    domains = example.load_domains()
    assert list(domains) == ["MNIST", "MNIST-M", "load_digits"]
    for X, y in domains.values():
        assert X.shape == (240, 1, 16, 16)
        assert X.dtype == np.float32
        assert set(y) == set(range(10))


@pytest.mark.filterwarnings("ignore:The domain classifier still tells")
def test_example_draws_four_displays_and_its_picture(example, capsys):
    with pytest.warns(UserWarning, match="The predicted shares of the target"):  # of few rows
        example.main()
    assert capsys.readouterr().out.splitlines()[1] == f"picture: {example.PICTURE}"
    assert example.PICTURE.stat().st_size > 50_000

    history, features, depths, matrix = (part.axes for part in plt.gcf().subfigs)
    assert [ax.get_ylabel() for ax in history] == ["loss", "share"]
    titles = [f"{name}, by {what}" for name in ("before", "after") for what in ("domain", "class")]
    assert [ax.get_title() for ax in features] == titles
    drawn = [len(points.get_offsets()) for ax in features for points in ax.collections]
    assert drawn == [80] * 8  # those held out
    ticks = [tick.get_text() for tick in depths[0].get_xticklabels()]
    assert ticks == ["0", "1", "all"]
    cells = [float(text.get_text()) for text in matrix[0].texts]
    assert len(cells) == 9
    assert all(0 <= accuracy <= 1 for accuracy in cells)
