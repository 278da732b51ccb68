"""The linear examples run, shortened, and what their texts say holds."""

import ast
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run_example(tmp_path):
    """Return a function that runs an example, some constants replaced, and returns its names."""
    mpl.use("agg")

    def run(name, **constants):
        source = (EXAMPLES / f"{name}.py").read_text()
        for constant, value in constants.items():
            source, n_found = re.subn(rf"(?m)^{constant} = .*$", f"{constant} = {value}", source)
            assert n_found == 1
        path = tmp_path / f"{name}.py"
        names = {"__name__": "__main__", "__file__": str(path)}
        exec(compile(source, path, "exec"), names)
        assert path.with_suffix(".png").stat().st_size > 20_000
        return names

    yield run
    plt.close("all")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("plot_*.py")), ids=lambda path: path.stem)
def test_example_opens_with_a_title_and_is_run_by_a_test(path):
    title, rule, blank, *text = ast.get_docstring(ast.parse(path.read_text())).splitlines()
    assert len(title) <= len(rule)
    assert set(rule) == {"="}
    assert blank == ""
    assert any(text)
    tests = "".join(test.read_text() for test in EXAMPLES.parent.glob("tests/test_*.py"))
    assert re.search(rf'"{path.stem}(\.py)?"', tests)


def test_dann_moves_the_boundary_off_the_target(run_example, capsys):
    names = run_example("plot_dann_moons", SEEDS="range(1)")
    before, after = names["accuracy"].mean(axis=0)
    assert before < 0.75
    assert after > 0.9
    assert f"adapted {after:.3f}" in capsys.readouterr().out
    assert [ax.get_title().split(":")[0] for ax in names["axes"][:2]] == ["source only", "DANN"]


def test_aligners_bring_two_instruments_to_one_scale(run_example, capsys):
    accuracy = run_example("plot_alignment", SEEDS="range(3)")["accuracy"]
    for name, (equal_shares, unequal) in accuracy.items():
        assert (equal_shares > 0.9) == (name != "none")
        assert unequal < equal_shares - 0.1
    assert "OptimalTransport" in capsys.readouterr().out


def test_only_the_transfer_pipeline_scales_the_target(run_example, capsys):
    names = run_example("plot_transfer_pipeline", SEEDS="range(1)")
    (source_only,), (plain,), (transfer,) = names["accuracy"].values()
    assert plain < source_only + 0.05
    assert transfer > source_only + 0.1
    assert [len(messages) for messages in names["warned"].values()] == [0, 1, 0]
    assert "Pipeline warned: " in capsys.readouterr().out
    given = [ax.collections[1].get_offsets() for ax in names["axes"][:2]]  # the target's rows
    assert given[0].max() > 1000
    assert np.abs(given[1]).max() < 5


def test_search_asks_every_scorer_and_reports_what_each_chose(run_example, capsys):
    names = run_example("plot_search_without_labels", SEEDS="range(1)", LAMBDAS="[0.0, 0.3]")
    table = {name: values for name, *values in names["table"]}
    assert list(table) == [*names["scoring"], "without adaptation"]
    for column, problem in enumerate(names["PROBLEMS"]):
        (accuracies,) = names["truth"][problem]
        assert table["target accuracy"][column] == accuracies.max()
        assert table["without adaptation"][column] == accuracies[0]
        assert all(values[column] in accuracies for values in table.values())
    assert names["truth"]["classes as in the source"][0][1] > table["without adaptation"][0] + 0.05
    assert len(capsys.readouterr().out.splitlines()) == len(table) + 3


def test_alignment_without_labels_can_do_harm(run_example, capsys):
    names = run_example("plot_when_adaptation_fails", SEEDS="range(1)")
    assert "The domain classifier still tells source from target" in capsys.readouterr().out
    helped, harmed = names["measured"].values()
    (far, near), (before, after) = helped[0]
    assert near < far - 0.5
    assert after >= before
    (far, near), (before, after) = harmed[0]
    assert near < far - 0.1
    assert after < before - 0.1
    assert names["informed"].verdict == "harm"
    assert names["blind"].verdict != "harm"


def test_sparse_text_learns_the_words_of_the_target(run_example, capsys):
    names = run_example("plot_sparse_text", SEEDS="range(2)")
    before, after = np.mean(names["accuracy"], axis=0)
    assert after > before + 0.05
    assert names["Xs"].format == names["Xt"].format == "csr"
    _, adapted = names["mean"]
    assert (adapted[:10] > 0.5).all()
    assert (adapted[10:] < 0.5).all()
    assert "negative: with dialogue its rambling" in capsys.readouterr().out


def test_own_body_and_callbacks_adapt_to_the_humming_machine(run_example, capsys):
    names = run_example("plot_sensor_signals", SEEDS="range(1)")
    ((_, before, _, after),) = names["table"]
    assert after > before + 0.1
    assert "DANN" in capsys.readouterr().out
    dann = names["dann"]
    history = dann.history_
    assert history[:, "event_lr"][::10] == pytest.approx([1e-3, 5e-4, 2.5e-4])
    best = [epoch["target_accuracy"] for epoch in history if epoch["target_score_best"]][-1]
    assert best == pytest.approx(after)


def test_scores_without_training_find_the_bodies_that_know_digits(run_example, capsys):
    names = run_example("plot_rank_backbones", SEEDS="range(1)")
    accuracy, *scores = names["figures"][:, 0]
    best = set(np.argsort(accuracy)[-2:])
    assert [list(names["sources"])[i] for i in sorted(best)] == ["digits", "digits on photos"]
    for values in scores:
        assert set(np.argsort(values)[-2:]) == best
    leep_tau, _, h_tau = names["taus"]
    assert leep_tau < h_tau
    assert "H-score: rank correlation (Kendall)" in capsys.readouterr().out
    assert [len(ax.collections) for ax in names["axes"]] == [6, 6, 6]
