"""Bad input gets an error that names the parameter, what came, what is wanted and the way out."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from sktransfer import DANNClassifier, DeepCORALClassifier
from sktransfer.callbacks import DomainScoring
from sktransfer.parameters import BalancedWeightingClassifier
from sktransfer.validation._domains import check_domains
from tests.test_common import batch_norm_body


def fit(X, y, X_target=None, y_target=None, sample_weight=None, **params):
    params = {"max_epochs": 1, "random_state": 0, **params}
    return DANNClassifier(**params).fit(X, y, X_target, y_target, sample_weight)


def with_value(X, value):
    X = X.copy()
    X[3, 1] = value
    return X


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y, Z: (with_value(X, np.nan), y, Z), "Input X contains NaN"),
        (lambda X, y, Z: (with_value(X, np.inf), y, Z), "Input X contains infinity"),
        (lambda X, y, Z: (X, y, with_value(Z, np.nan)), "Input X_target contains NaN"),
        (lambda X, y, Z: (X, y, with_value(Z, -np.inf)), "Input X_target contains infinity"),
        (
            lambda X, y, Z: (X, y, scipy.sparse.csr_matrix(with_value(Z, np.nan))),
            "Input X_target contains NaN",
        ),
        (lambda X, y, Z: (X, y, Z[:, :3]), r"X_target has rows of shape \(3,\), but X .* \(4,\)"),
        (lambda X, y, Z: (X[:, 0], y, Z), "Expected 2D array, got 1D array"),
        (lambda X, y, Z: (X, y, Z[:, 0]), r"X_target has one dimension, .*\(n_target, 4\)"),
        (lambda X, y, Z: (X[:0], y[:0], Z), r"0 sample\(s\)"),
        (lambda X, y, Z: (X, y, Z[:0]), "X_target has no rows"),
        (lambda X, y, Z: (X, y[:5], Z), "inconsistent numbers of samples"),
        (lambda X, y, Z: (X, np.full(90, "up"), Z), "y holds one class, .*up.*at least 2 classes"),
        (lambda X, y, Z: (X, None, Z), "requires y to be passed"),
        (lambda X, y, Z: (X, X[:, 0], Z), "Unknown label type: continuous"),
        (lambda X, y, Z: (X.astype(str), y, Z), "X holds strings, such as"),
        (lambda X, y, Z: (X.astype("M8[s]"), y, Z), "X holds dates or times"),
        (
            lambda X, y, Z: (X.reshape(90, 2, 2), y, Z.reshape(90, 2, 2)),
            r"feature_extractor=None builds an MLP, which takes 2-D X.*\(2, 2\).*reshape",
        ),
        (
            lambda X, y, Z: (
                pd.DataFrame(X, columns=list("abcd")),
                y,
                pd.DataFrame(Z, columns=list("abdc")),
            ),
            r"X_target has the columns \['a', 'b', 'd', 'c'\], but X has",
        ),
        (lambda X, y, Z: (X, y, Z, y[:5]), "y_target has 5 labels for the 90 rows of X_target"),
        (lambda X, y, Z: (X, y, None, y), "y_target was given without X_target"),
        (lambda X, y, Z: (X, y, Z, None, np.ones(3)), r"sample_weight has shape \(3,\)"),
        (lambda X, y, Z: (X, y, Z, None, -np.ones(90)), "sample_weight must be non-negative"),
        (lambda X, y, Z: (X, y, Z, None, np.zeros(90)), "at least one weight above zero"),
        (lambda X, y, Z: (X, y, Z, None, np.full(90, np.nan)), "sample_weight contains NaN"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*fitted without X_target")
def test_bad_data_is_refused_by_name(domains, change, message):
    with pytest.raises(ValueError, match=message):
        fit(*change(*domains))


class RefusesFunctions:
    """An array-like that refuses NumPy's functions (NEP 18), as scikit-learn's checks have one."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"no {func.__name__} here")


class SizedRefusal(RefusesFunctions):
    """One that tells its shape and length."""

    def __init__(self, values):
        super().__init__(values)
        self.shape = self.values.shape

    def __len__(self):
        return len(self.values)


@pytest.mark.parametrize("kind", [RefusesFunctions, SizedRefusal])
@pytest.mark.parametrize("wrapped", [(0,), (1,), (2,), (3,), (4,), (0, 1, 2, 3, 4)])
def test_arguments_may_refuse_the_functions_of_numpy(domains, kind, wrapped):
    X, y, X_target = domains
    plain = [X, y, X_target, np.where(np.arange(90) < 5, y, None), np.arange(90.0)]
    given = [kind(part) if i in wrapped else part for i, part in enumerate(plain)]
    expected = fit(*plain).predict_proba(X_target)
    np.testing.assert_array_equal(fit(*given).predict_proba(kind(X_target)), expected)
    given[1] = kind(y[:5])
    with pytest.raises(ValueError, match="y has 5 labels for the 90 rows of X"):
        fit(*given)


class NoTensor(nn.Module):
    def forward(self, X):
        return X, X


class OneNumberARow(nn.Module):
    def forward(self, X):
        return X[:, 0]


class OneRow(nn.Module):
    def forward(self, X):
        return X[:1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lambda_": -1}, "'lambda_' parameter of DANNClassifier must be a float in the range"),
        ({"lambda_schedule": "rampe"}, "'lambda_schedule' parameter .*'ramp'.* Got 'rampe'"),
        ({"lambda_schedule": lambda p: None}, r"lambda_schedule\(0.0\) returned None; .* number"),
        (
            {"learning_rate_schedule": lambda p: 1 / (1.0 - p) if p < 1 else np.nan},
            r"learning_rate_schedule\(1.0\) returned nan; it must return a finite number",
        ),
        ({"target_loss_weight": -0.1}, "'target_loss_weight' parameter"),
        ({"max_epochs": 0}, "'max_epochs' parameter .* Got 0 instead"),
        ({"batch_size": 1.5}, "'batch_size' parameter"),
        ({"learning_rate": 0}, "'learning_rate' parameter"),
        ({"optimizer": "lbfgs"}, "'optimizer' parameter .* Got 'lbfgs'"),
        ({"hidden_layer_sizes": (10, 0)}, r"hidden_layer_sizes must hold positive integers.*10, 0"),
        ({"hidden_layer_sizes": 2.5}, "'hidden_layer_sizes' parameter"),
        ({"domain_layer_sizes": (1.5,)}, "domain_layer_sizes must hold positive integers"),
        ({"feature_extractor": 3}, "'feature_extractor' parameter"),
        ({"random_state": "seed"}, "'random_state' parameter"),
        ({"device": "gpu0"}, r"device='gpu0' cannot be used here .*Give one of \['auto', 'cpu'"),
        ({"feature_extractor": nn.Linear(7, 3)}, r"feature_extractor failed on .*\(2, 4\).*shape"),
        ({"feature_extractor": NoTensor()}, "feature_extractor made of .* tuple"),
        ({"feature_extractor": OneNumberARow()}, r"feature_extractor made of .* shape \(2,\)"),
        ({"feature_extractor": OneRow()}, r"feature_extractor made of .* shape \(1, 4\)"),
        (
            {"domain_classifier": nn.Linear(100, 2)},
            r"domain_classifier gave shape \(2, 2\).*\(n, 1",
        ),
        ({"domain_classifier": nn.Linear(7, 1)}, "domain_classifier failed on"),
        ({"label_classifier": nn.Linear(100, 3)}, r"label_classifier gave shape .*\(n, 2\)"),
        ({"batch_size": 1, "feature_extractor": batch_norm_body}, "batch_size=1 .* at least 2"),
    ],
)
def test_bad_parameters_are_refused_by_name(domains, params, message):
    with pytest.raises(ValueError, match=message):
        fit(*domains, **params)


def test_callables_must_return_modules(domains):
    with pytest.raises(TypeError, match=r"feature_extractor\(\(4,\)\) returned 3; .*Module"):
        fit(*domains, feature_extractor=lambda shape: 3)


def test_callables_must_take_what_they_are_given(domains):
    with pytest.raises(ValueError, match=r"label_classifier\(100, 2\) failed: .* positional arg"):
        fit(*domains, label_classifier=lambda n: nn.Linear(n, 2))


@pytest.mark.parametrize("given", [3, ("name", 3), "EarlyStopping", int])
def test_callbacks_must_be_callbacks(domains, given):
    with pytest.raises(TypeError, match=r"callbacks holds .*; give skorch callbacks or pairs"):
        fit(*domains, callbacks=[given])


def test_rows_to_score_on_must_fit(domains):
    X, y, X_target = domains
    scoring = DomainScoring(X, y, X_target[:, :2], y)
    with pytest.raises(ValueError, match=r"X_target has rows of shape \(2,\), but training is on"):
        fit(*domains, callbacks=[scoring])


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_a_missing_gpu_is_said(domains):
    with pytest.raises(ValueError, match="device='cuda' cannot be used here"):
        fit(*domains, device="cuda")


def test_images_with_channels_last_get_the_torch_message_and_the_shape(domains):
    images = np.zeros((10, 28, 28, 3), dtype=np.uint8)
    body = nn.Conv2d(3, 4, 3)
    with pytest.raises(ValueError, match=r"feature_extractor failed on a batch of shape \(2, 28"):
        fit(images, np.arange(10) % 2, images, feature_extractor=body)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
def test_rows_to_predict_for_are_checked(domains, method):
    X, y, X_target = domains
    with pytest.raises(NotFittedError):
        getattr(DANNClassifier(), method)(X)
    clf = fit(X, y, X_target)
    for bad, message in [
        (X[:, :3], "X has 3 features, but DANNClassifier is expecting 4"),
        (with_value(X, np.nan), "Input X contains NaN"),
        (X[0], "Expected 2D array"),
        (X[:0], r"0 sample\(s\)"),
        (X.reshape(90, 4, 1), r"X has rows of shape \(4, 1\), but .* fitted on .* \(4,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            getattr(clf, method)(bad)


@pytest.mark.parametrize("cls", [DANNClassifier, DeepCORALClassifier])
def test_without_a_target_no_adaptation_is_announced(domains, cls):
    X, y, _ = domains
    with pytest.warns(UserWarning, match=f"{cls.__name__} was fitted without X_target: no adapt"):
        cls(max_epochs=1).fit(X, y)


def test_without_a_target_lambda_zero_is_quiet(domains, recwarn):
    X, y, _ = domains
    fit(X, y, lambda_=0.0)
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore:.*fitted without X_target")
@pytest.mark.filterwarnings("ignore:The columns vary by:UserWarning")
def test_a_loss_that_is_no_longer_finite_stops_training(domains):
    X, y, _ = domains
    with pytest.raises(
        ValueError, match=r"label_loss became (nan|inf) in epoch 1, batch [2-9].*learning_rate"
    ):
        fit(X * 1e50, y, learning_rate=1e200, optimizer=torch.optim.SGD, batch_size=10)


def test_a_dict_of_arrays_is_told_to_be_stacked():
    arrays = {"input_ids": np.zeros((4, 3)), "attention_mask": np.ones((4, 3))}
    with pytest.raises(TypeError, match=r"X is a dict of \['input_ids', 'attention_mask'\]; give"):
        DANNClassifier().fit(arrays, [0, 1, 0, 1])


def test_labels_of_the_target_keep_their_length(domains):
    X, y, X_target = domains
    given = np.array(["up", None, "down", "a label far longer than the first"] + [None] * 86)
    target = check_domains(BalancedWeightingClassifier(), X, y, X_target, given).target
    assert target.labelled().y.tolist() == ["up", "down", "a label far longer than the first"]
    assert target.has_label.tolist() == [True, False, True, True] + [False] * 86
