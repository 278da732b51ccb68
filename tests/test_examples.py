"""Every example runs; here on a part of its data and for one epoch."""

import importlib.util
import io
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

EXAMPLES = Path(__file__).parents[1] / "examples"


def load_example(name):
    mpl.use("agg")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Return the demo as a module, shortened."""
    module = load_example("plot_dann_mnist_m")
    domains = [part(domain) for domain in module.load_domains()]
    module.load_domains = lambda: domains
    module.EPOCHS = {"source only": 1, "DANN": 2}
    module.PICTURE = tmp_path_factory.mktemp("demo") / "demo.png"
    yield module
    plt.close("all")


@pytest.fixture(scope="module")
def shown_by_demo(demo):
    """Return the printed lines, the fits by name and the figure of one run of the demo."""
    given, plot = [], demo.plot
    demo.plot = lambda fits, *domains: given.append((fits, plot(fits, *domains))) or given[0][1]
    with redirect_stdout(io.StringIO()) as printed:
        demo.main()
    ((fits, figure),) = given
    return printed.getvalue().splitlines(), fits, figure


def part(domain):
    return SimpleNamespace(**{name: rows[:300] for name, rows in vars(domain).items()})


def test_domains_of_the_demo_are_the_same_digits(demo):
    source, target = demo.load_domains()
    assert source.X_train.shape == target.X_train.shape == (300, 3, 28, 28)
    np.testing.assert_array_equal(source.y_test, target.y_test)


@pytest.mark.filterwarnings("ignore:The domain classifier still tells")
def test_demo_prints_its_table_and_draws_its_picture(demo, shown_by_demo):
    lines, fits, _ = shown_by_demo
    assert lines[0].split("  ")[-1].strip() == "seconds"
    for line, (name, (clf, _)) in zip(lines[1:3], fits.items(), strict=True):
        assert line.startswith(name)
        cells = [f"{clf.score(d.X_test, d.y_test):.3f}" for d in demo.load_domains()]
        share = f"{clf.history_[-1, 'domain_accuracy']:.3f}" if name == "DANN" else "-"
        assert line.split()[-4:-1] == [*cells, share]
    assert demo.PICTURE.stat().st_size > 50_000


@pytest.mark.filterwarnings("ignore:The domain classifier still tells")
def test_picture_shows_curves_and_features_of_both_domains(shown_by_demo):
    _, fits, figure = shown_by_demo
    axes = [ax for part in figure.subfigs for ax in part.axes]
    curves = {line.get_label(): line.get_ydata() for ax in axes[1:3] for line in ax.lines}
    history = fits["DANN"][0].history_
    assert list(curves["target accuracy"]) == history[:, "target_accuracy"]
    assert list(curves["domain loss"]) == history[:, "domain_loss"]
    titles = [ax.get_title() for ax in axes[3:]]
    assert titles[0].startswith("source only")
    assert titles[2].startswith("DANN")
    assert [len(c.get_offsets()) for ax in axes[3:] for c in ax.collections] == [300] * 8


@pytest.fixture
def digits(monkeypatch, tmp_path):
    """Return the example of fine-tuning as a module, shortened."""
    module = load_example("plot_finetune_digits")
    load_whole = module.load_domains
    epochs = {"pretraining": 2, "head": 20, "fine-tuning": 2, "from scratch": 2}
    monkeypatch.setattr(
        module, "load_domains", lambda: [(X[:500], y[:500]) for X, y in load_whole()]
    )
    monkeypatch.setattr(module, "EPOCHS", epochs)
    monkeypatch.setattr(module, "LABELS_PER_CLASS", [5])
    monkeypatch.setattr(module, "SEEDS", [0, 1])
    monkeypatch.setattr(module, "DEPTHS", [0, 1])
    monkeypatch.setattr(module, "PICTURE", tmp_path / "digits.png")
    n_threads = torch.get_num_threads()
    yield module
    torch.set_num_threads(n_threads)
    plt.close("all")


def test_digits_of_both_domains_have_one_shape_and_one_scale(digits):
    for X, y in digits.load_domains():
        assert X.shape == (500, 1, 16, 16)
        assert X.dtype == np.float32
        assert X.min() == 0
        assert 0.95 < X.max() <= 1
        assert set(y) == set(range(10))


def test_table_and_lines_of_fine_tuning_hold_its_accuracies(digits, monkeypatch, capsys):
    run, found = digits.run, []
    monkeypatch.setattr(digits, "run", lambda *domains: found.append(run(*domains)) or found[0])
    digits.main()
    shown = capsys.readouterr().out.splitlines()
    ((scores, chosen),) = found
    assert digits.PICTURE.stat().st_size > 30_000

    tuned = ["features only", "unfreeze_depth=1", "grid search"]
    assert list(scores) == ["not fine-tuned", "from scratch", *tuned]
    for line, (name, rows) in zip(shown[2:], scores.items(), strict=False):
        assert rows.shape == (1, 2)
        assert line.split("  ")[0] == name
        assert line.endswith(f"{rows.mean():.3f} ({rows.std():.3f})")
    assert shown[7].split() == ["depths", "chosen", *map(str, chosen[0])]

    of_depth = [scores[digits.name_of(depth)][0, seed] for seed, depth in enumerate(chosen[0])]
    assert scores["grid search"][0].tolist() == of_depth  # it is one of the fits above it

    axes = {ax.get_title(): ax for ax in plt.gcf().axes}
    lines = {line.get_label(): line for line in axes["what pretraining is worth"].lines}
    assert {name: line.get_ydata()[0] for name, line in lines.items()} == {
        name: rows.mean() for name, rows in scores.items()
    }
    (by_depth,) = axes["what unfreezing adds"].lines
    assert list(by_depth.get_ydata()) == [scores[name].mean() for name in tuned[:2]]
