"""The recipes of the page on other tools, run as they stand there, each where its library is."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from sktransfer.datasets import make_shifted_moons

PAGE = (Path(__file__).parents[1] / "docs" / "user_guide" / "tools.rst").read_text()
CODE = r"\.\. code-block:: python\n   :name: ([\w-]+)\n\n((?:   .*\n|\n)+)"
RECIPES = {name: textwrap.dedent(code) for name, code in re.findall(CODE, PAGE)}

# They warn of what is their own affair, such as parts of theirs that are to go.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return what runs a recipe in a folder of its own and returns its names."""
    monkeypatch.chdir(tmp_path)
    Xs, ys, Xt, yt = make_shifted_moons(60, random_state=0)
    shared = {"Xs": Xs, "ys": ys, "Xt": Xt, "yt": yt}

    def run_recipe(name, **names):
        names = {**shared, **names}
        exec(compile(RECIPES[name], f"tools.rst, {name}", "exec"), names)
        return names

    return run_recipe


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_bodies_for_images(run, library):
    # Built for another torch, they raise what not.
    pytest.importorskip(library, exc_type=Exception)
    images = np.random.default_rng(0).normal(size=(6, 3, 32, 32)).astype(np.float32)
    clf = run(library, images=images, labels=np.arange(6) % 2)["clf"]
    assert clf.transform(images).shape == (6, 512)
    assert clf.unfrozen_layers_[0].startswith("layer4.")


def test_bodies_for_texts(run):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16,
    )  # fmt: skip
    ids = np.random.default_rng(0).integers(1, 30, size=(8, 5))
    codes = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    clf = run("transformers", codes=codes, config=config, labels=np.arange(8) % 2)["clf"]
    assert clf.unfrozen_layers_[0].startswith("model.encoder.layer.1.")


def test_optuna_prunes_and_searches(run):
    optuna = pytest.importorskip("optuna")
    pytest.importorskip("optuna_integration")
    study = run("optuna")["study"]
    states = [trial.state for trial in study.trials]
    assert {*states} <= {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED}
    assert all(len(trial.intermediate_values) >= 2 for trial in study.trials)
    search = run("optuna-search")["search"]
    assert 0.1 <= search.best_params_["lambda_"] <= 1.0


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/runs")
    import mlflow

    mlflow.set_tracking_uri(f"file:{tmp_path}/runs")
    return mlflow


def test_mlflow_keeps_losses_parameters_and_the_file(run, mlflow):
    names = run("mlflow")
    recorded = mlflow.get_run(names["run"].info.run_id).data
    assert recorded.metrics["label_loss"] == names["clf"].history_[-1, "label_loss"]
    assert recorded.params["max_epochs"] == "2"
    expected = names["clf"].predict_proba(names["Xt"])
    np.testing.assert_array_equal(names["loaded"].predict_proba(names["Xt"]), expected)


@pytest.mark.parametrize("recipe", ["mlflow-sklearn", "skops"])
def test_what_other_formats_keep_comes_back(run, recipe):
    pytest.importorskip(recipe.partition("-")[0])
    names = run(recipe)
    fitted = names["pipe"] if recipe == "skops" else names["clf"]
    expected = fitted.predict_proba(names["Xt"])
    np.testing.assert_array_equal(names["loaded"].predict_proba(names["Xt"]), expected)


def test_tensorboard_gets_every_figure(run, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    clf = run("tensorboard")["clf"]
    events = EventAccumulator(str(tmp_path / "runs" / "moons"))
    events.Reload()
    values = [event.value for event in events.Scalars("domain_accuracy")]
    np.testing.assert_allclose(values, clf.history_[:, "domain_accuracy"], rtol=1e-6)


def test_weights_and_biases_gets_the_last_losses(run, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    names = run("wandb")
    assert names["summary"]["label_loss"] == names["clf"].history_[-1, "label_loss"]


def test_every_recipe_is_run_here():
    source = Path(__file__).read_text()
    assert len(RECIPES) == PAGE.count(".. code-block:: python") == 10
    assert [name for name in RECIPES if f'"{name}"' not in source] == []
