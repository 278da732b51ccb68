"""The ONNX model predicts as the classifier does, for any number of rows."""

import builtins

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    FineTuneClassifier,
    MatchingClassifier,
    export_onnx,
)
from sktransfer.finetuning import LoRA, Unfreezing
from sktransfer.multitask import MultiTaskClassifier, MultiTaskRegressor
from sktransfer.persistence._onnx import Predictor, to_onnx
from tests.persistence.test_saving import EPOCHS, FAST, fit
from tests.test_common import batch_norm_body, deep_body

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def assert_predicts_the_same(path, clf, X):
    session = onnxruntime.InferenceSession(path)
    (given,) = session.get_inputs()
    assert given.shape == ["n", *X.shape[1:]]
    for n_rows in (1, 2, 17):
        probabilities, labels = session.run(None, {given.name: X[:n_rows]})
        np.testing.assert_allclose(probabilities, clf.predict_proba(X[:n_rows]), atol=1e-5)
        np.testing.assert_array_equal(labels, clf.predict(X[:n_rows]))


@pytest.mark.parametrize(
    "estimator",
    [
        DANNClassifier(hidden_layer_sizes=(9, 5), **FAST),
        DeepCORALClassifier(batch_norm_body, **FAST),
        FineTuneClassifier(deep_body, unfreeze_depth=2, **EPOCHS),
        FineTuneClassifier(
            deep_body, unfreeze_depth="all", unfreezing=Unfreezing(freeze_batch_norm=True), **EPOCHS
        ),
    ],
)
def test_model_predicts_as_the_classifier(domains, path, estimator):
    clf = fit(estimator, domains)
    export_onnx(clf, path)
    assert_predicts_the_same(path, clf, domains[2].astype(np.float32))
    assert clf.net_.module_.label_head.weight.dtype == torch.float64  # is left as it was


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_matching_with_a_support_takes_any_number_of_rows(path, distance):
    X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    clf = MatchingClassifier(distance=distance, episodes=2, n_way=2, random_state=0)
    clf.fit(X, X[:, 0] > 0)
    export_onnx(clf, path)
    assert_predicts_the_same(path, clf, X)


class TwoRows(nn.Module):
    """Knows how many rows it will get."""

    def forward(self, X):
        return X.reshape(len(X), -1)


def test_a_body_that_keeps_the_number_of_rows_is_refused(domains, path):
    clf = fit(DANNClassifier(TwoRows(), **FAST), domains)
    with pytest.raises(ValueError, match="takes the number of rows for a constant"):
        export_onnx(clf, path)
    assert not path.exists()


def test_several_tasks_stand_side_by_side(path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4)).astype(np.float32)
    reg = MultiTaskRegressor(**FAST).fit(X, rng.normal(size=(30, 2)))
    export_onnx(reg, path)
    (shown,) = onnxruntime.InferenceSession(path).run(None, {"X": X[:7]})
    np.testing.assert_allclose(shown, reg.predict(X[:7]), atol=1e-5)
    clf = MultiTaskClassifier(**FAST).fit(X, np.column_stack([X[:, 0] > 0, X[:, 1].round() % 3]))
    export_onnx(clf, path)
    (shown,) = onnxruntime.InferenceSession(path).run(None, {"X": X[:7]})
    np.testing.assert_allclose(shown, np.column_stack(clf.predict_proba(X[:7])), atol=1e-5)


def test_convolutions_with_batch_norm_predict_the_same(path):
    rng = np.random.default_rng(0)
    X, y = rng.random((30, 2, 8, 8), dtype=np.float32), rng.integers(0, 3, 30)
    body = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d()
    )
    clf = DANNClassifier(body, **FAST).fit(X, y, X[:20] + 0.5)
    export_onnx(clf, path)
    assert_predicts_the_same(path, clf, X)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 6)

    def forward(self, tokens):
        return self.table(tokens).mean(dim=1)


def test_rows_of_integers_arrive_as_such(path):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 10, (30, 5)), rng.integers(0, 2, 30)
    clf = DeepCORALClassifier(Tokens(), **FAST).fit(X, y, X)
    export_onnx(clf, path)
    assert_predicts_the_same(path, clf, X)


def test_low_rank_adapters_predict_the_same(domains, path):
    pytest.importorskip("peft")
    clf = fit(FineTuneClassifier(adapter=LoRA(), unfreeze_depth="all", **EPOCHS), domains)
    export_onnx(clf, path)
    assert_predicts_the_same(path, clf, domains[2].astype(np.float32))


@pytest.mark.parametrize("labels", [["a", "bé"], [3, 7], [False, True], [0.0, 2.0]])
def test_labels_are_of_the_classes_type(domains, path, labels):
    X, y, X_target = domains
    y = np.array(labels)[(y == "up").astype(int)]
    clf = fit(DANNClassifier(**FAST), (X, y, X_target))
    export_onnx(clf, path)
    assert_predicts_the_same(path, clf, X.astype(np.float32))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_way_of_older_torch_gives_the_same_model(domains, path):
    clf = fit(DANNClassifier(batch_norm_body, **FAST), domains)
    X = domains[0].astype(np.float32)
    network = Predictor(clf.net_.module_.float(), clf.net_.task).eval()
    model = to_onnx(onnx, network, torch.ones(2, 4), "probabilities", by_tracing=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for n_rows in (1, 5):
        (probabilities,) = session.run(None, {"X": X[:n_rows]})
        with torch.no_grad():
            expected = network(torch.from_numpy(X[:n_rows])).numpy()
        np.testing.assert_allclose(probabilities, expected, atol=1e-6)


class Deciding(nn.Module):
    """Takes one way or another by the values of the rows."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, X):
        return self.linear(X) if X.sum() > 0 else self.linear(-X)


def test_what_onnx_has_not_is_refused_and_an_existing_file_stays(domains, path):
    path.write_text("before")
    clf = fit(DANNClassifier(Deciding(), **FAST), domains)
    with pytest.raises(ValueError, match=r"cannot write this DANNClassifier as ONNX"):
        export_onnx(clf, path)
    assert path.read_text() == "before"


def test_other_estimators_are_refused(path):
    with pytest.raises(NotFittedError):
        export_onnx(DANNClassifier(), path)
    with pytest.raises(TypeError, match="export_onnx takes a classifier of sktransfer"):
        export_onnx(nn.Linear(2, 2), path)


def test_the_missing_library_is_named_with_its_extra(domains, path, monkeypatch):
    clf = fit(DANNClassifier(**FAST), domains)
    real_import = builtins.__import__

    def without_onnx(name, *args, **kwargs):
        if name == "onnxscript":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(ImportError, match=r"pip install 'sktransfer\[onnx\]'"):
        export_onnx(clf, path)
