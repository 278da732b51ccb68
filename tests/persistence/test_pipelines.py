"""A whole pipeline in one file, and as one ONNX model."""

import io
import json
import zipfile

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sktransfer import (
    CORAL,
    TCA,
    DANNClassifier,
    DANNRegressor,
    DomainStandardScaler,
    MarginalizedDenoisingAutoencoder,
    OptimalTransport,
    export_onnx,
    load,
    make_transfer_pipeline,
    save,
)
from sktransfer.persistence._pipelines import DESCRIPTION, ESTIMATOR, STEPS

pytest.importorskip("skops")

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 3)) * [1, 5, 20]
X[:, 0] = rng.integers(0, 3, 30)
X_target, y = X + np.array([0, 4, 1]), np.array(["no", "yes"] * 15)
FAST = {"max_epochs": 1, "random_state": 0}
CODES = ColumnTransformer([("codes", OneHotEncoder(), [0])], remainder=StandardScaler())

PIPELINES = {
    "scaler": make_transfer_pipeline(StandardScaler(), DANNClassifier(**FAST)),
    "scaler and components": make_transfer_pipeline(
        StandardScaler(), PCA(2), DANNClassifier(**FAST)
    ),
    "codes": make_transfer_pipeline(CODES, DANNClassifier(**FAST)),
    "nothing before": make_transfer_pipeline(DANNClassifier(**FAST)),
    "passed through": make_transfer_pipeline("passthrough", DANNClassifier(**FAST)),
}
OURS = {
    "domain scaler": make_transfer_pipeline(DomainStandardScaler(), DANNClassifier(**FAST)),
    "CORAL": make_transfer_pipeline(CORAL(), DANNClassifier(**FAST)),
    "kernel": make_transfer_pipeline(TCA(), DANNClassifier(**FAST)),
    "transport": make_transfer_pipeline(OptimalTransport(), DANNClassifier(**FAST)),
    "autoencoder": make_transfer_pipeline(
        MarginalizedDenoisingAutoencoder(), DANNClassifier(**FAST)
    ),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pipeline.zip"


@pytest.mark.parametrize("name", [*PIPELINES, *OURS])
def test_a_pipeline_comes_back_with_the_same_bits(name, path):
    pipe = {**PIPELINES, **OURS}[name].fit(X, y, X_target=X_target)
    save(pipe, path)
    loaded = load(path)
    assert type(loaded) is type(pipe)
    assert list(loaded.named_steps) == list(pipe.named_steps)
    np.testing.assert_array_equal(loaded.predict_proba(X_target), pipe.predict_proba(X_target))
    again = loaded.fit(X, y, X_target=X_target).predict_proba(X_target)
    np.testing.assert_array_equal(again, pipe.fit(X, y, X_target=X_target).predict_proba(X_target))


def test_a_pipeline_of_scikit_learn_comes_back(path):
    pipe = Pipeline([("scale", StandardScaler()), ("learn", DANNClassifier(lambda_=0.0, **FAST))])
    save(pipe.set_output(transform="pandas").fit(X, y), path)
    loaded = load(path, device="cpu", trusted=())
    assert type(loaded) is Pipeline
    assert loaded["learn"].device == "cpu"
    assert list(loaded[:-1].transform(X).columns) == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(loaded.predict_proba(X), pipe.predict_proba(X))


def test_an_unfitted_pipeline_is_refused(path):
    with pytest.raises(NotFittedError):
        save(make_transfer_pipeline(StandardScaler(), DANNClassifier()), path)


def test_steps_of_unknown_types_are_named_and_made_only_if_trusted(path):
    pipe = make_transfer_pipeline(FunctionTransformer(np.vander), DANNClassifier(**FAST))
    pipe[0].set_params(func=halved)
    save(pipe.fit(X, y, X_target=X_target), path)
    with pytest.raises(ValueError, match=r"could run code: \['.*halved'\].*load\(path, trusted="):
        load(path)
    name = f"{halved.__module__}.halved"
    np.testing.assert_array_equal(load(path, trusted=[name]).predict(X), pipe.predict(X))


def halved(X):
    return X / 2


def rewritten(path, **entries):
    """Write a pipeline's file with other entries."""
    with zipfile.ZipFile(path) as file:
        found = {name: file.read(name) for name in file.namelist()}
    found |= {name.replace("_", "."): content for name, content in entries.items()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in found.items():
            if content is not None:
                file.writestr(name, content)


def described(path, **values):
    with zipfile.ZipFile(path) as file:
        description = json.loads(file.read(DESCRIPTION))
    return json.dumps({**description, **values})


@pytest.fixture
def saved(path):
    save(PIPELINES["scaler"].fit(X, y, X_target=X_target), path)
    return path


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"steps_skops": b"PK"}, "its steps are not those of their checksum"),
        ({"steps_skops": None}, "it holds"),
        ({"more": b""}, "it holds"),
        ({"pipeline_json": b"[]"}, "is damaged"),
        ({"pipeline_json": b"{}"}, "is damaged"),
        ({"estimator_safetensors": b"nothing"}, r"pipeline.zip is no file that sktransfer.save"),
    ],
)
def test_damaged_files_are_refused_with_the_path(saved, entries, message):
    rewritten(saved, **entries)
    with pytest.raises(ValueError, match=message) as error:
        load(saved)
    assert str(saved) in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format_version": 2}, "format version 2; this sktransfer reads 1"),
        ({"class": "FeatureUnion"}, "holds a 'FeatureUnion', not one of"),
        ({"names": ["a", "b", "c"]}, "names 3 steps, and holds 2"),
        ({"names": [1, 2]}, "its steps have no names"),
    ],
)
def test_descriptions_that_are_not_ours_are_refused(saved, values, message):
    rewritten(saved, pipeline_json=described(saved, **values))
    with pytest.raises(ValueError, match=message):
        load(saved)


def test_what_was_compressed_is_refused(saved):
    with zipfile.ZipFile(saved) as file:
        found = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in found.items():
            file.writestr(name, content)
    with pytest.raises(ValueError, match="is compressed"):
        load(saved)


@pytest.mark.parametrize(
    "name", ["sktransfer.alignment._base.sparse", "sktransfer.alignment._coral.AtomicFitMixin",
             "sktransfer.alignment._none.CORAL", "sktransfer.callbacks.DomainScoring"]
)  # fmt: skip
def test_what_our_modules_have_imported_is_not_trusted(saved, name, monkeypatch):
    skops_io = pytest.importorskip("skops.io")
    monkeypatch.setattr(skops_io, "get_untrusted_types", lambda data: [name])
    with pytest.raises(ValueError, match="types that could run code"):
        load(saved)


def test_the_file_holds_weights_and_steps_and_no_pickle(saved):
    with zipfile.ZipFile(saved) as file:
        assert sorted(file.namelist()) == sorted([DESCRIPTION, STEPS, ESTIMATOR])
        with zipfile.ZipFile(io.BytesIO(file.read(STEPS))) as inner:
            kinds = {name.rpartition(".")[2] for name in inner.namelist()}
    assert kinds == {"json", "npy"}


def with_onnx(estimator, path, rows):
    """Return what a runtime makes of rows with the exported model."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    export_onnx(estimator, path)
    session = onnxruntime.InferenceSession(path)
    assert [entry.name for entry in session.get_inputs()] == ["X"]
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": rows.astype(np.float32)}), strict=True))


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_one_onnx_model(name, tmp_path):
    pytest.importorskip("skl2onnx")
    pipe = PIPELINES[name].fit(X, y, X_target=X_target)
    found = with_onnx(pipe, tmp_path / "pipeline.onnx", X_target)
    np.testing.assert_allclose(found["probabilities"], pipe.predict_proba(X_target), atol=1e-4)
    assert found["label"].tolist() == pipe.predict(X_target).tolist()


def test_a_regressors_pipeline_is_one_onnx_model(tmp_path):
    pytest.importorskip("skl2onnx")
    pipe = make_pipeline(StandardScaler(), DANNRegressor(lambda_=0.0, **FAST)).fit(X, X[:, 1])
    found = with_onnx(pipe, tmp_path / "pipeline.onnx", X)
    np.testing.assert_allclose(found["prediction"], pipe.predict(X), rtol=1e-3)


def test_steps_that_have_no_onnx_are_refused_by_name(tmp_path):
    pytest.importorskip("skl2onnx")
    pytest.importorskip("onnxscript")
    pipe = OURS["CORAL"].fit(X, y, X_target=X_target)
    with pytest.raises(ValueError, match=r"the steps \['CORAL'\] as ONNX: .*pipe\[-1\]"):
        export_onnx(pipe, tmp_path / "pipeline.onnx")
