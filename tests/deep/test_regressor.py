"""Regressors: numbers in their own units, one for a row or several."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_regressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

import sktransfer
from sktransfer import (
    DANNClassifier,
    DANNRegressor,
    DeepCORALClassifier,
    DeepCORALRegressor,
    LabelShiftClassifier,
    TargetDomain,
    make_transfer_pipeline,
)
from sktransfer.callbacks import DomainScoring, TargetValidation
from sktransfer.model_selection import (
    DEVScorer,
    InfoMaxScorer,
    IWCVScorer,
    NeighborAgreementScorer,
    ReverseValidationScorer,
    TargetAccuracyScorer,
    adaptation_report,
)
from sktransfer.model_selection._importance import density_ratio, make_domain_classifier
from sktransfer.validation._measured import name_regressor

FAST = {"max_epochs": 5, "learning_rate": 0.01, "random_state": 0}
REGRESSORS = [DANNRegressor(**FAST), DeepCORALRegressor(loss="huber", **FAST)]
each_regressor = pytest.mark.parametrize("regressor", REGRESSORS)
pytestmark = pytest.mark.filterwarnings("ignore:The domain classifier still tells")


@pytest.fixture(scope="module")
def shifted():
    """Rows of two domains, and numbers of the source far from mean 0 and variance 1."""
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(120, 4)), rng.normal(0.5, 1, size=(90, 4))
    return X, 1000 + 50 * (X[:, 0] - X[:, 1]), X_target


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@each_regressor
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
def test_predictions_have_the_shape_and_units_of_y(shifted, regressor, n_outputs):
    X, y, X_target = shifted
    if n_outputs is not None:
        y = y[:, None] * np.arange(1, n_outputs + 1)
    reg = clone(regressor).set_params(max_epochs=30).fit(X, y, X_target)
    assert is_regressor(reg)
    assert reg.predict(X_target).shape == (90, *y.shape[1:])
    assert reg.score(X, y) == pytest.approx(r2_score(y, reg.predict(X)))
    assert reg.score(X, y) > 0.5
    np.testing.assert_allclose(reg.y_mean_, y.mean(axis=0))
    np.testing.assert_allclose(reg.y_scale_, y.std(axis=0))


@each_regressor
def test_units_of_y_make_no_difference(shifted, regressor):
    X, y, X_target = shifted
    first = clone(regressor).fit(X, y, X_target)
    other = clone(regressor).fit(X, 3 * y - 7, X_target)
    np.testing.assert_allclose(other.predict(X), 3 * first.predict(X) - 7, rtol=1e-6)


@each_regressor
def test_a_target_makes_a_difference_and_the_twin_sees_none(shifted, regressor):
    X, y, X_target = shifted
    adapted = clone(regressor).fit(X, y, X_target)
    twin = regressor.source_only().fit(X, y, X_target)
    assert not np.allclose(adapted.predict(X), twin.predict(X))
    np.testing.assert_array_equal(twin.predict(X), regressor.source_only().fit(X, y).predict(X))


def test_huber_is_less_moved_by_an_outlier(shifted):
    X, y, _ = shifted
    spoiled = y.copy()
    spoiled[0] += 5000
    errors = []
    for loss in ("squared_error", "huber"):
        reg = DANNRegressor(loss=loss, lambda_=0.0, **{**FAST, "max_epochs": 30}).fit(X, spoiled)
        errors.append(np.median(np.abs(reg.predict(X[1:]) - y[1:])))
    assert errors[1] < errors[0]


@each_regressor
@pytest.mark.parametrize("shape", [(120,), (120, 2)])
def test_a_saved_regressor_comes_back(shifted, regressor, path, shape):
    X, y, X_target = shifted
    y = np.broadcast_to(y.reshape(120, *[1] * (len(shape) - 1)), shape).copy()
    reg = clone(regressor).fit(X, y, X_target)
    sktransfer.save(reg, path)
    for other in (sktransfer.load(path), pickle.loads(pickle.dumps(reg))):
        np.testing.assert_array_equal(other.predict(X_target), reg.predict(X_target))
        np.testing.assert_array_equal(other.y_scale_, reg.y_scale_)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_onnx_predicts_in_the_units_of_y(shifted, tmp_path, n_outputs):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    X, y, X_target = shifted
    y = y if n_outputs is None else np.column_stack([y, -2 * y])
    reg = DeepCORALRegressor(**FAST).fit(X, y, X_target)
    sktransfer.export_onnx(reg, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [output.name for output in session.get_outputs()] == ["prediction"]
    (predicted,) = session.run(None, {"X": X_target.astype(np.float32)})
    np.testing.assert_allclose(predicted, reg.predict(X_target), rtol=1e-4)


def test_warm_start_goes_on_in_the_units_of_the_first_fit(shifted, path):
    X, y, X_target = shifted
    reg = DeepCORALRegressor(warm_start=True, **FAST).fit(X, y, X_target)
    reg.fit(X, 2 * y, X_target)
    np.testing.assert_allclose(reg.y_mean_, y.mean())
    sktransfer.save(reg, path)
    np.testing.assert_array_equal(sktransfer.load(path).predict(X), reg.predict(X))
    with pytest.raises(ValueError, match=r"warm_start=True continues .* with loss='squared_error'"):
        reg.set_params(loss="huber").fit(X, y, X_target)


def test_pipelines_and_searches_take_regressors(shifted):
    X, y, X_target = shifted
    search = GridSearchCV(DeepCORALRegressor(**FAST), {"lambda_": [0.1, 1.0]}, cv=2)
    search.fit(X, y, X_target=TargetDomain(X_target))
    assert search.best_estimator_.predict(X_target).shape == (90,)
    from sklearn.preprocessing import StandardScaler

    pipe = make_transfer_pipeline(StandardScaler(), DANNRegressor(**FAST))
    assert pipe.fit(X, y, X_target=X_target).predict(X_target).shape == (90,)


def test_target_validation_takes_a_scorer_of_numbers(shifted):
    X, y, X_target = shifted

    def closeness(estimator, X, y):
        return -np.square(estimator.predict(X) - y).mean()

    validation = TargetValidation(closeness, X[:30], y[:30])
    reg = DANNRegressor(callbacks=[validation], **FAST).fit(X[30:], y[30:], X_target)
    assert len(reg.history_[:, "target_score"]) == 5


def test_tensors_and_single_precision(shifted):
    X, y, X_target = shifted
    body = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())
    reg = DANNRegressor(body, **FAST).fit(torch.from_numpy(X), torch.from_numpy(y), X_target)
    assert reg.predict(X).dtype == np.float64


@pytest.mark.parametrize("classifier", [DANNClassifier(), DeepCORALClassifier()])
def test_classifiers_name_the_regressor_for_fractions(shifted, classifier):
    X, y, X_target = shifted
    wanted = type(classifier).__name__.replace("Classifier", "Regressor")
    with pytest.raises(ValueError, match=f"measured use {wanted}"):
        classifier.fit(X, y, X_target)


def test_classifiers_warn_of_integers_of_many_values():
    X, y = np.random.default_rng(0).normal(size=(300, 2)), np.arange(300) % 150 + 7
    with pytest.warns(UserWarning, match=r"150 different values.* use DANNRegressor"):
        DANNClassifier(lambda_=0.0, max_epochs=1).fit(X, y)
    assert name_regressor(LabelShiftClassifier()).startswith("a regressor, such as")
    DANNClassifier(lambda_=0.0, max_epochs=1).fit(X, y.astype(str))  # does not warn


def test_regressors_refuse_texts(shifted):
    X, y, X_target = shifted
    with pytest.raises(ValueError, match="could not convert string to float"):
        DANNRegressor(**FAST).fit(X, y.astype(str).astype(object) + "a", X_target)


def test_what_looks_at_classes_refuses_numbers(shifted):
    X, y, X_target = shifted
    reg = DANNRegressor(**FAST).fit(X, y, X_target)
    scorers = [InfoMaxScorer(X_target), NeighborAgreementScorer(X_target)]
    scorers += [ReverseValidationScorer(X_target), TargetAccuracyScorer(X_target, np.ones(90))]
    for scorer in scorers:
        with pytest.raises(TypeError, match=f"{type(scorer).__name__} looks at classes"):
            scorer(reg, X, y)
    with pytest.raises(TypeError, match="adaptation_report looks at classes, and DANNRegressor"):
        adaptation_report(reg, X, y, X_target)
    validation = TargetValidation(NeighborAgreementScorer(X_target), X, y)
    with pytest.raises(TypeError, match="NeighborAgreementScorer looks at classes"):
        reg.set_params(callbacks=[validation]).fit(X, y, X_target)


@pytest.mark.parametrize("kind", [IWCVScorer, DEVScorer])
def test_importance_scorers_name_the_loss_of_numbers(shifted, kind):
    X, y, X_target = shifted
    reg = DANNRegressor(**FAST).fit(X, y, X_target)
    message = rf"{kind.__name__}\(loss='zero_one'\) cannot score DANNRegressor, .* numbers"
    with pytest.raises(TypeError, match=message):
        kind(X_target)(reg, X, y)
    clf = DANNClassifier(max_epochs=1).fit(X, y > 1000, X_target)
    with pytest.raises(TypeError, match=r"predicts classes\. Give .*loss='zero_one'"):
        kind(X_target, loss="squared_error")(clf, X, y > 1000)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_importance_scorers_weigh_squared_errors(shifted, n_outputs):
    X, y, X_target = shifted
    y = y if n_outputs is None else np.column_stack([y, -2 * y])
    reg = DeepCORALRegressor(**FAST).fit(X, y, X_target)
    weights = density_ratio(
        reg.transform(X), reg.transform(X_target), make_domain_classifier(reg.transform(X).shape[1])
    )
    errors = [np.mean((a - b) ** 2) for a, b in zip(reg.predict(X), y, strict=True)]
    expected = -sum(w * e for w, e in zip(weights, errors, strict=True)) / len(X)
    scorer = IWCVScorer(X_target, loss="squared_error")
    assert scorer(reg, X, y) == pytest.approx(expected)
    validation = TargetValidation(scorer, X, y)
    reg = DeepCORALRegressor(callbacks=[validation], **FAST).fit(X, y, X_target)
    assert np.isfinite(reg.history_[:, "target_score"]).all()


def test_domain_scoring_records_what_is_predicted_of_the_variance(shifted):
    X, y, X_target = shifted
    scoring = DomainScoring(X, y, X_target, X_target[:, 0])
    reg = DeepCORALRegressor(callbacks=[scoring], average_weights=0, **FAST).fit(X, y, X_target)
    assert reg.history_[-1, "source_r2"] == pytest.approx(reg.score(X, y))
    assert len(reg.history_[:, "target_r2"]) == 5
