"""What is saved comes back with the same bits, and needs no code of the file's."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktransfer import (
    CDANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DeepJDOTClassifier,
    DeepMMDClassifier,
    DomainConfusionClassifier,
    FineTuneClassifier,
    MCCClassifier,
    VADAClassifier,
    load,
    make_transfer_pipeline,
    save,
)
from sktransfer.finetuning import HeldOut, LoRA, SourceTraining, Unfreezing
from tests.test_common import batch_norm_body, deep_body

FAST = {"max_epochs": 2, "random_state": 0}
EPOCHS = {
    "source_training": SourceTraining(epochs=2),
    "head_epochs": 2,
    "finetune_epochs": 2,
    "random_state": 0,
}


def plain_head(n_features, n_classes=1):
    return nn.Linear(n_features, n_classes)


def linear(progress):
    return progress


def linear_loss(logits):
    return logits.mean()


# An estimator, and what `load` must be given for it.
VARIANTS = [
    (DANNClassifier(**FAST), ()),
    (DANNClassifier(hidden_layer_sizes=np.array([7, 5]), domain_layer_sizes=(), **FAST), ()),
    (DANNClassifier(hidden_layer_sizes=(), domain_layer_sizes=6, optimizer="sgd", **FAST), ()),
    (
        DANNClassifier(batch_norm_body, target_loss="entropy", target_loss_weight=0.1, **FAST),
        ("feature_extractor",),
    ),
    (
        DANNClassifier(label_classifier=plain_head, domain_classifier=plain_head, **FAST),
        ("domain_classifier", "label_classifier"),
    ),
    (
        DANNClassifier(lambda_schedule=linear, optimizer=torch.optim.SGD, **FAST),
        ("lambda_schedule", "optimizer"),
    ),
    (DeepCORALClassifier(**{**FAST, "random_state": None}, device=torch.device("cpu")), ()),
    (DeepCORALClassifier(nn.Flatten(), **FAST), ("feature_extractor",)),
    (CDANClassifier(entropy_conditioning=False, **FAST), ()),
    (DeepMMDClassifier(joint=True, **FAST), ()),
    (DeepJDOTClassifier(feature_cost=0.1, **FAST), ()),
    (DomainConfusionClassifier(soft_label_weight=0.2, **FAST), ()),
    (VADAClassifier(dirt_t_epochs=1, **FAST), ()),
    (MCCClassifier(temperature=1.5, **FAST), ()),
    (MCCClassifier(target_loss=linear_loss, **FAST), ("target_loss",)),
    (FineTuneClassifier(class_weight={"up": 2, "down": 1.5}, **EPOCHS), ()),
    (FineTuneClassifier(deep_body, unfreeze_depth=2, **EPOCHS), ("backbone",)),
    (
        FineTuneClassifier(
            deep_body, head=plain_head, unfreeze_depth="2*", early_stopping=HeldOut(), **EPOCHS
        ),
        ("backbone", "head"),
    ),
]
each_variant = pytest.mark.parametrize(("estimator", "custom"), VARIANTS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def fit(estimator, domains):
    return fit_again(clone(estimator), domains)


def fit_again(clf, domains):
    X, y, X_target = domains
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how well two epochs adapt
        return clf.fit(X, y, X_target, y_target=y)


def through_file(clf, path, *custom):
    save(clf, path)
    return load(path, **{name: getattr(clf, name) for name in custom})


def assert_same_bits(a, b, X):
    for method in ("predict", "predict_proba", "transform"):
        one, other = getattr(a, method)(X), getattr(b, method)(X)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@each_variant
def test_loaded_estimator_is_the_saved_one(domains, path, estimator, custom):
    X, _, X_target = domains
    clf = fit(estimator, domains)
    loaded = through_file(clf, path, *custom)
    assert type(loaded) is type(clf)
    assert_same_bits(loaded, clf, X_target)
    assert_same_bits(loaded, clf, X[:1])
    assert loaded.history_ == clf.history_ == loaded.net_.history
    assert vars(loaded).keys() == vars(clf).keys()
    for name, value in clf.get_params().items():
        again = loaded.get_params()[name]
        if isinstance(value, BaseEstimator):  # a group, of which the deep names tell the rest
            assert type(again) is type(value)
        else:
            np.testing.assert_equal(again, str(value) if name == "device" else value)
    of_fit = [name for name in vars(clf) if name.endswith("_") and name != "net_"]
    for name in of_fit:
        assert type(getattr(loaded, name)) is type(getattr(clf, name))
        np.testing.assert_equal(getattr(loaded, name), getattr(clf, name))


@each_variant
def test_loaded_estimator_does_what_the_saved_one_does(domains, path, estimator, custom):
    X, _, _ = domains
    clf = fit(estimator, domains)
    loaded = through_file(clf, path, *custom)
    twin = through_file(loaded, path, *custom)
    assert_same_bits(twin, clf, X)
    assert_same_bits(pickle.loads(pickle.dumps(loaded)), clf, X)
    assert_same_bits(copy.deepcopy(loaded), clf, X)
    if clf.random_state is not None:
        assert_same_bits(fit(loaded, domains), clf, X)  # of a clone
        assert_same_bits(fit_again(loaded, domains), clf, X)


@each_variant
def test_warm_start_goes_on_from_the_loaded_weights(domains, path, estimator, custom):
    clf = fit(clone(estimator).set_params(warm_start=True), domains)
    loaded = fit_again(through_file(clf, path, *custom), domains)
    assert loaded.n_iter_ > clf.n_iter_
    assert loaded.history_[: clf.n_iter_] == clf.history_
    before, after = (c.net_.module_.state_dict() for c in (clf, loaded))
    largest_step = max((after[n] - before[n]).abs().max() for n in before if "weight" in n)
    assert 0 < largest_step < 0.5


def test_fine_tuned_layers_stay_frozen_and_unfrozen(domains, path):
    clf = fit(
        FineTuneClassifier(
            deep_body, unfreeze_depth=2, unfreezing=Unfreezing(freeze_batch_norm=True), **EPOCHS
        ),
        domains,
    )
    network, loaded = clf.net_.module_, through_file(clf, path, "backbone").net_.module_

    def learns(network):
        network.train()
        trains = {name for name, module in network.named_modules() if module.training}
        return trains, {name for name, p in network.named_parameters() if p.requires_grad}

    assert learns(loaded) == learns(network)
    assert loaded.unfrozen == clf.unfrozen_layers_


def test_low_rank_adapters_come_back(domains, path):
    pytest.importorskip("peft")
    clf = FineTuneClassifier(adapter=LoRA(rank=3), unfreeze_depth="all", **EPOCHS)
    clf = fit(clf, domains)
    clf.set_params(adapter=LoRA(rank=5))  # of a further fit
    assert any("lora" in name for name in clf.net_.module_.state_dict())
    assert_same_bits(through_file(clf, path), clf, domains[0])


@pytest.mark.parametrize(
    "labels",
    [["a", "bé\n"], [3, 7], [-1, 1], [False, True], [0.0, 3.0], [np.uint8(1), np.uint8(200)]],
)
@pytest.mark.parametrize("as_objects", [False, True])
def test_labels_come_back_as_they_went_in(domains, path, labels, as_objects):
    X, y, X_target = domains
    y = np.array(labels)[(y == "up").astype(int)]
    if as_objects and isinstance(labels[0], str):
        y = y.astype(object)
    clf = fit(DANNClassifier(**FAST), (X, y, X_target))
    loaded = through_file(clf, path)
    assert loaded.classes_.dtype == clf.classes_.dtype
    assert_same_bits(loaded, clf, X)


def test_names_of_columns_output_and_single_precision_come_back(domains, path):
    X, y, _ = domains
    frame = pd.DataFrame(X.astype("f"), columns=["a", "b", "c", "ü"])
    clf = DANNClassifier(**FAST).fit(frame, y, frame + 0.25).set_output(transform="pandas")
    loaded = through_file(clf, path)
    pd.testing.assert_frame_equal(loaded.transform(frame), clf.transform(frame))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[["b", "a", "c", "ü"]])
    assert loaded.predict_proba(frame).dtype == np.float32


class TiedTokens(nn.Module):
    """Integers to features, with weights that two layers share and that lie in gaps."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 6)
        self.back = nn.Linear(6, 5, bias=False)
        self.back.weight = self.table.weight
        self.mix = nn.Parameter(torch.randn(6, 3).T)

    def forward(self, tokens):
        return self.back(self.table(tokens).mean(1) @ self.mix.T @ self.mix)


def test_tied_weights_and_integer_rows_come_back(path):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 5, (40, 7)), rng.integers(0, 2, 40)
    clf = DeepCORALClassifier(TiedTokens(), **FAST).fit(X, y, X)
    save(clf, path)
    loaded = load(path, feature_extractor=TiedTokens())
    assert_same_bits(loaded, clf, X)
    assert loaded.net_.module_.body.back.weight is loaded.net_.module_.body.table.weight


def test_images_come_back(path):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (30, 1, 6, 6)).astype(np.uint8), rng.integers(0, 2, 30)
    body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
    clf = DANNClassifier(body, **FAST).fit(X, y, X[:20])
    assert_same_bits(through_file(clf, path, "feature_extractor"), clf, X)


def test_numbers_that_are_not_finite_stay_in_the_history(domains, path):
    clf = fit(DANNClassifier(**FAST), domains)
    clf.history_.record("score", float("nan"))
    clf.history_.record("best", np.float32("-inf"))
    last = through_file(clf, path).history_[-1]
    assert np.isnan(last["score"])
    assert last["best"] == -np.inf


def test_saving_and_loading_leave_the_generators_as_they_were(domains, path):
    pytest.importorskip("peft")
    clf = fit(FineTuneClassifier(adapter=LoRA(), unfreeze_depth="all", **EPOCHS), domains)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    through_file(clf, path)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


def test_a_device_that_is_not_there_gives_way_to_the_cpu(domains, path):
    clf = fit(DANNClassifier(**FAST), domains).set_params(device="cuda:77")
    save(clf, path)
    with pytest.warns(UserWarning, match="'cuda:77' cannot be used .* loaded with device='cpu'"):
        loaded = load(path)
    assert loaded.device == "cpu"
    assert_same_bits(loaded, clf, domains[0])
    assert_same_bits(load(path, device="cpu"), clf, domains[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_model_moves_from_gpu_to_cpu_and_back(domains, path):
    X, _, _ = domains
    clf = fit(DANNClassifier(device="cuda", **FAST), domains)
    save(clf, path)
    assert_same_bits(load(path), clf, X)
    on_cpu = load(path, device="cpu")
    assert not next(on_cpu.net_.module_.parameters()).is_cuda
    np.testing.assert_allclose(on_cpu.predict_proba(X), clf.predict_proba(X), rtol=1e-6)
    save(on_cpu, path)
    assert_same_bits(load(path, device="cuda"), clf, X)


# Pipelines, and other ways to save


def test_a_pipeline_comes_back_from_skops_and_a_file(domains, path):
    skops_io = pytest.importorskip("skops.io")
    X, y, X_target = domains
    pipe = fit(make_transfer_pipeline(StandardScaler(), DANNClassifier(**FAST)), (X, y, X_target))
    save(pipe[-1], path)
    transformers = skops_io.dumps(list(pipe[:-1]))
    assert skops_io.get_untrusted_types(data=transformers) == []
    joined = make_transfer_pipeline(*skops_io.loads(transformers), load(path))
    assert_same_bits(joined, pipe, X)
    assert_same_bits(fit(joined, (X, y, X_target)), pipe, X)
