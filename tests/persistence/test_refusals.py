"""What a file cannot hold is asked for or refused, with the way out."""

import copy

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktransfer import (
    CORAL,
    DANNClassifier,
    FineTuneClassifier,
    LabelShiftClassifier,
    load,
    make_transfer_pipeline,
    save,
)
from sktransfer.callbacks import DomainScoring
from sktransfer.finetuning import FrozenCache
from tests.persistence.test_saving import (
    EPOCHS,
    FAST,
    assert_same_bits,
    fit,
    fit_again,
    through_file,
)
from tests.test_common import deep_body, single_precision_body


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# What cannot be in the file


def test_parameters_that_no_file_holds_are_asked_for_by_name(domains, path):
    X, y, X_target = domains
    scoring = [DomainScoring(X, y, X_target, y)]
    clf = DANNClassifier(
        single_precision_body, callbacks=scoring, random_state=np.random.RandomState(0)
    )
    save(fit(clf.set_params(max_epochs=2), domains), path)
    with pytest.raises(ValueError, match=r"feature_extractor .was SinglePrecisionBody.") as error:
        load(path, random_state=0)
    assert "load(path, callbacks=..., feature_extractor=...)" in str(error.value)
    assert str(error.value).endswith("the defaults will do: callbacks=None.")
    loaded = load(path, feature_extractor=single_precision_body, callbacks=None, random_state=0)
    assert loaded.random_state == 0


def test_modules_of_another_structure_are_refused_with_both_shapes(domains, path):
    body = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
    save(fit(DANNClassifier(body, **FAST), domains), path)
    wide = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    for module, message in [
        (wide, r"has '0.weight' of shape \(8, 4\) .* the file has it of shape \(6, 4\)"),
        (copy.deepcopy(body).double(), r"of shape \(6, 4\) and type torch.float64, the file"),
        (nn.Sequential(nn.ReLU(), body), r"feature_extractor has '1.0.weight' .* file has none"),
        (nn.Linear(9, 6), "feature_extractor failed on a batch of shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            load(path, feature_extractor=module)
    with pytest.raises(ValueError, match=r"label_classifier has no 'bias', the file has it"):
        load(path, feature_extractor=body, label_classifier=nn.Linear(6, 2, bias=False))
    save(fit(DANNClassifier(**FAST), domains), path)
    with pytest.raises(ValueError, match=r"feature_extractor has '0.weight' of shape \(5, 4\)"):
        load(path, hidden_layer_sizes=5)


def test_the_folder_of_memory_is_not_in_the_file(domains, path, tmp_path):
    clf = FineTuneClassifier(
        deep_body, frozen_cache=FrozenCache(memory=tmp_path / "memory"), **EPOCHS
    )
    clf = fit(clf, domains)
    loaded = through_file(clf, path, "backbone")
    assert loaded.frozen_cache is None
    again = load(path, backbone=deep_body, frozen_cache=clf.frozen_cache)
    assert_same_bits(again, clf, domains[0])
    np.testing.assert_allclose(loaded.predict_proba(domains[0]), clf.predict_proba(domains[0]))


def test_unknown_parameters_are_refused(domains, path):
    save(fit(DANNClassifier(**FAST), domains), path)
    with pytest.raises(TypeError, match=r"load got \['backbone'\]; the parameters of DANN"):
        load(path, backbone=None)
    with pytest.raises(ValueError, match=r"model.safetensors: The 'optimizer' parameter"):
        load(path, optimizer="adamm")


def test_parameters_given_take_the_place_of_saved_ones(domains, path):
    clf = fit(DANNClassifier(**FAST), domains)
    save(clf, path)
    loaded = load(path, learning_rate=0.5, max_epochs=1)
    assert_same_bits(loaded, clf, domains[0])
    assert fit_again(loaded, domains).history_[:, "learning_rate"] == [0.5]


# What is refused


@pytest.mark.parametrize(
    "change",
    [{"hidden_layer_sizes": 7}, {"feature_extractor": deep_body}, {"domain_layer_sizes": ()}],
)
def test_parameters_that_make_another_network_than_in_fit_are_refused(domains, path, change):
    clf = fit(DANNClassifier(**FAST), domains).set_params(**change)
    with pytest.raises(ValueError, match="cannot be saved, as its parameters do not make the"):
        save(clf, path)
    assert not path.exists()


def test_parameters_that_cannot_be_are_refused(domains, path):
    clf = fit(FineTuneClassifier(deep_body, **EPOCHS), domains)
    with pytest.raises(ValueError, match=r"cannot be saved.* unfreeze_depth=77, but the backbone"):
        save(clf.set_params(unfreeze_depth=77), path)
    with pytest.raises(ValueError, match="The 'batch_size' parameter"):
        save(clf.set_params(batch_size=0), path)


class Subclass(DANNClassifier):
    """Code of the user's."""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (lambda: Subclass(**FAST), "got a Subclass. The code of a subclass"),
        (lambda: make_transfer_pipeline(CORAL(), LogisticRegression()), "skops.io.dump, or"),
        (lambda: make_transfer_pipeline(Subclass(**FAST)), "got a Subclass. The code of a subcl"),
        (lambda: GridSearchCV(DANNClassifier(**FAST), {"lambda_": [1]}, cv=2), "best_estimator_"),
        (StandardScaler, "got a StandardScaler. Pickle it"),
        (CORAL, r"one of \[.*'DANNClassifier', .*; got a CORAL. Pickle it, or use skops."),
        (LabelShiftClassifier, "got a LabelShiftClassifier. Pickle it, or use skops."),
    ],
)
@pytest.mark.filterwarnings("ignore:.*fitted without X_target")
def test_other_estimators_are_refused_with_the_way_out(domains, path, kind, message):
    X, y, _ = domains
    with pytest.raises(TypeError, match=message):
        save(kind().fit(X, y), path)


def test_an_unfitted_estimator_is_refused(path):
    with pytest.raises(NotFittedError):
        save(DANNClassifier(), path)


class Remembering(nn.Linear):
    """Keeps an object, not a tensor."""

    def get_extra_state(self):
        return {"rows": 3}

    def set_extra_state(self, state):
        pass


def test_state_that_is_neither_tensor_nor_json_is_refused(domains, path):
    clf = fit(DANNClassifier(Remembering(4, 3), **FAST), domains)
    with pytest.raises(ValueError, match=r"'body._extra_state' is a dict, which no file without"):
        save(clf, path)
    clf = fit(DANNClassifier(**FAST), domains)
    clf.history_.record("model", object())
    with pytest.raises(ValueError, match=r"history_ holds .*object object.* object is no value"):
        save(clf, path)
