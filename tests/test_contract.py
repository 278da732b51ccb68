"""The contract of every estimator: what goes in, what comes out, what stays as it was."""

import copy
import io
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from torch import nn

from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    FineTuneClassifier,
    NearestPrototypeClassifier,
    PrototypicalClassifier,
    SHOTClassifier,
    TargetDomain,
    load,
    save,
)
from sktransfer.callbacks import DomainScoring
from sktransfer.finetuning import HeldOut, SourceTraining, Unfreezing
from tests.test_common import batch_norm_body, dropout_body, single_precision_body

FAST = {"max_epochs": 3, "random_state": 0}
ESTIMATORS = [
    DANNClassifier(**FAST),
    DANNClassifier(batch_norm_body, target_loss="entropy", target_loss_weight=0.1, **FAST),
    DANNClassifier(dropout_body, **FAST),
    DeepCORALClassifier(**FAST),
]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
EPOCHS = {
    "source_training": SourceTraining(epochs=30),
    "head_epochs": 3,
    "finetune_epochs": 3,
    "random_state": 0,
}
SURE = {**EPOCHS, "source_training": SourceTraining(epochs=30, pseudo_label_threshold=0)}
FINE_TUNED = [
    FineTuneClassifier(**SURE),
    FineTuneClassifier(batch_norm_body, unfreeze_depth="all", early_stopping=HeldOut(), **SURE),
    FineTuneClassifier(dropout_body, **SURE),
]
each_of_all = pytest.mark.parametrize("estimator", ESTIMATORS + FINE_TUNED)


def fitted(domains, **params):
    return DANNClassifier(**{**FAST, **params}).fit(*domains)


# What goes in


@pytest.mark.parametrize(
    ("kind", "exact"),
    [
        (pd.DataFrame, True),
        (lambda X: pl.DataFrame(X, schema=list("abcd")), True),
        (scipy.sparse.csr_matrix, True),
        (scipy.sparse.csr_array, True),
        (scipy.sparse.coo_array, True),
        (torch.from_numpy, True),
        (lambda X: torch.from_numpy(X).requires_grad_(), True),
        (lambda X: X.tolist(), True),
        (np.asfortranarray, True),
        (lambda X: X[::-1].copy()[::-1], True),
        (lambda X: X.astype(">f8"), True),
        (TargetDomain, True),
        (lambda X: X.astype(np.float32), False),
        (lambda X: X.astype(np.float16), False),
        (lambda X: torch.from_numpy(X).bfloat16(), False),
        (lambda X: X.astype(object), True),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_all_kinds_of_arrays_give_the_same_model(domains, kind, exact):
    X, y, X_target = domains
    expected = fitted(domains).predict_proba(X_target)
    clf = fitted((kind(X), y, kind(X_target)))
    probabilities = clf.predict_proba(kind(X_target))
    np.testing.assert_allclose(probabilities, expected, atol=1e-12 if exact else 0.02)


def test_source_and_target_may_be_of_different_kinds(domains):
    X, y, X_target = domains
    expected = fitted(domains).predict_proba(X)
    csr = scipy.sparse.csr_array
    for source, target in [(csr(X), X_target), (X, csr(X_target)), (X, torch.tensor(X_target))]:
        clf = fitted((source, y, target))
        np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-12)


@pytest.mark.parametrize(
    "kind", [np.asarray, list, pd.Series, lambda y: pd.Series(y, dtype="category"), TargetDomain]
)
def test_all_kinds_of_labels_give_the_same_model(domains, kind):
    X, y, X_target = domains
    clf = fitted((X, kind(y), X_target))
    np.testing.assert_array_equal(clf.predict(X), fitted(domains).predict(X))


@pytest.mark.parametrize("labels", [["a", "b"], [3, 7], [-1, 1], [False, True], [0.0, 1.0]])
def test_labels_come_back_as_they_went_in(domains, labels):
    X, y, X_target = domains
    expected = np.array(labels)[(fitted(domains).predict(X) == "up").astype(int)]
    y = np.array(labels)[(y == "up").astype(int)]
    clf = fitted((X, y, X_target))
    assert clf.classes_.tolist() == labels
    assert clf.predict(X).dtype == y.dtype
    np.testing.assert_array_equal(clf.predict(X), expected)
    assert clf.score(X, y) == np.mean(expected == y)


def bfloat16_body():
    torch.manual_seed(0)
    layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU()]
    return nn.Sequential(*layers).bfloat16()


OF_BFLOAT16 = [
    DANNClassifier(bfloat16_body(), target_loss="bnm", **FAST),
    SHOTClassifier(bfloat16_body(), target_epochs=2, **FAST),
    FineTuneClassifier(
        bfloat16_body(),
        early_stopping=HeldOut(),
        head_epochs=2,
        finetune_epochs=2,
        unfreezing=Unfreezing(relational_weight=0.1),
        random_state=0,
    ),
    PrototypicalClassifier(bfloat16_body(), episodes=2, random_state=0),
    NearestPrototypeClassifier(bfloat16_body()),
]


@pytest.mark.parametrize("estimator", OF_BFLOAT16, ids=lambda clf: type(clf).__name__)
@pytest.mark.filterwarnings("ignore:The predicted shares of the target's classes:UserWarning")
@pytest.mark.filterwarnings("ignore:.*does not use X_target without y_target:UserWarning")
def test_bodies_of_bfloat16_learn_and_predict_as_loaded(domains, tmp_path, estimator):
    X, y, X_target = domains
    clf = clone(estimator).fit(X, y, X_target, y)
    probabilities = clf.predict_proba(X_target)
    assert probabilities.dtype == clf.transform(X_target).dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    save(clf, tmp_path / "model")
    name = "feature_extractor" if hasattr(clf, "feature_extractor") else "backbone"
    loaded = load(tmp_path / "model", **{name: bfloat16_body()})
    np.testing.assert_array_equal(loaded.predict_proba(X_target), probabilities)
    if isinstance(clf, (DANNClassifier, SHOTClassifier)):
        assert clf.adapt(X_target).predict_proba(X).dtype == np.float32


class Fourier(nn.Module):
    """A layer whose weights are complex."""

    def __init__(self):
        super().__init__()
        self.layer, self.weight = nn.Linear(4, 4), nn.Parameter(torch.ones(3, dtype=torch.cdouble))

    def forward(self, X):
        return torch.fft.irfft(torch.fft.rfft(self.layer(X)) * self.weight, n=4)


def test_complex_weights_learn(domains):
    X, y, X_target = domains
    torch.manual_seed(0)
    body = Fourier().double()
    clf = DANNClassifier(body, **FAST).fit(X, y, X_target)
    learned = clf.net_.module_.body.weight.detach()
    assert (learned.imag != 0).any()
    assert (learned.real != 1).any()


def test_under_autocast_a_fit_predicts(domains):
    X, y, X_target = domains
    with torch.autocast("cpu", dtype=torch.bfloat16):
        probabilities = fitted((X.astype(np.float32), y, X_target)).predict_proba(X_target)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_labels_may_be_a_tensor(domains):
    X, y, X_target = domains
    clf = fitted((X, torch.from_numpy((y == "up").astype(int)), X_target))
    assert clf.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(clf.predict(X) == 1, fitted(domains).predict(X) == "up")


def test_third_positional_argument_is_the_target(domains):
    X, y, X_target = domains
    by_name = DANNClassifier(**FAST).fit(X, y, X_target=X_target)
    np.testing.assert_array_equal(by_name.predict_proba(X), fitted(domains).predict_proba(X))


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int64, np.uint64, bool]
)
def test_images_of_any_integer_type_are_cast_by_batch(dtype):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, size=(40, 1, 6, 6)).astype(dtype)
    y = rng.integers(0, 2, 40)
    body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())
    clf = DANNClassifier(body, **FAST).fit(images, y, images[:30])
    expected = DANNClassifier(body, **FAST).fit(images.astype("f"), y, images[:30].astype("f"))
    np.testing.assert_array_equal(
        clf.predict_proba(images), expected.predict_proba(images.astype("f"))
    )
    assert clf.input_shape_ == (1, 6, 6)
    assert clf.transform(images).shape == (40, 3 * 4 * 4)


@pytest.mark.parametrize("n_target", [1, 2, 3])
@pytest.mark.parametrize("n_source", [2, 3])
@each_estimator
@pytest.mark.filterwarnings("ignore:The domain classifier still tells")
@pytest.mark.filterwarnings("ignore:The domain loss stood still")
@pytest.mark.filterwarnings("ignore:No adaptation took place")
def test_tiny_domains_can_be_fitted(domains, estimator, n_source, n_target):
    X, _, X_target = domains
    clf = clone(estimator).fit(X[:n_source], np.arange(n_source), X_target[:n_target])
    probabilities = clf.predict_proba(X)
    assert probabilities.shape == (90, n_source)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert clf.n_iter_ == 3
    untrained = clone(clf).set_params(learning_rate=1e-300)
    untrained.fit(X[:n_source], np.arange(n_source), X_target[:n_target])
    assert not np.allclose(probabilities, untrained.predict_proba(X))


@pytest.mark.filterwarnings("ignore:The domain loss went")  # what a single row makes it do
@pytest.mark.accuracy  # 0.90 to 0.93 with six seeds
@each_estimator
def test_a_single_target_row_does_not_spoil_predictions(domains, estimator):
    X, y, X_target = domains
    clf = clone(estimator).set_params(max_epochs=60, learning_rate=0.01)
    assert clf.fit(X, y, X_target[:1]).score(X, y) > 0.8


@pytest.mark.accuracy  # 0.98 to 0.99 with six seeds
@pytest.mark.parametrize(("n_source", "n_target"), [(20, 20_000), (20_000, 20)])
def test_domains_of_very_different_size_can_be_fitted(n_source, n_target):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_source, 3))
    y = (X[:, 0] > 0).astype(int)
    clf = DANNClassifier(max_epochs=1, random_state=0)
    clf.fit(X, y, rng.normal(size=(n_target, 3)))
    assert clf.score(X, y) > 0.8


@pytest.mark.accuracy  # 0.97 to 0.98 with six seeds
def test_sparse_input_with_many_columns_is_fitted_batch_by_batch():
    X = scipy.sparse.random(2000, 5000, density=0.01, format="csr", random_state=0)
    y = np.asarray(X[:, :2500].sum(axis=1) > X[:, 2500:].sum(axis=1)).ravel().astype(int)
    clf = DANNClassifier(max_epochs=3, random_state=0, hidden_layer_sizes=20).fit(X, y, X[::-1])
    assert clf.score(X, y) > 0.9


# What comes out


@each_estimator
def test_fitted_attributes_are_there(domains, estimator):
    X, y, _ = domains
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = clone(estimator).fit(frame, y, frame + 0.5)
    assert clf.n_features_in_ == 4
    assert clf.feature_names_in_.tolist() == list("abcd")
    assert clf.classes_.tolist() == ["down", "up"]
    assert clf.n_iter_ == len(clf.history_) == 3
    assert clf.net_.module_.n_features == clf.transform(frame).shape[1]
    for name in ("label_loss", "domain_loss", "lambda", "learning_rate", "train_loss", "dur"):
        assert len(clf.history_[:, name]) == 3


def test_history_of_dann_holds_the_domain_accuracy(domains):
    X, _, X_target = domains
    still = {"learning_rate": 1e-300, "batch_size": 100, "max_epochs": 1}
    clf = fitted(domains, **still)  # one batch, so what it recorded can be asked again
    of_source, of_target = (
        clf.net_.module_.domain_classifier(torch.from_numpy(clf.transform(Z))).detach()
        for Z in (X, X_target)
    )
    right = [(of_source <= 0).double().mean().item(), (of_target > 0).double().mean().item()]
    assert clf.history_[0, "domain_accuracy"] == pytest.approx(np.mean(right))


def test_recorded_loss_is_the_sum_of_the_losses(domains):
    clf = fitted(domains, target_loss="entropy", target_loss_weight=0.3)
    for epoch in clf.history_:
        names = ("label_loss", "domain_loss", "gradient_penalty_loss", "target_loss")
        parts = sum(epoch[name] for name in names)
        assert epoch["train_loss"] == pytest.approx(parts)


def test_predictions_are_of_one_kind(domains):
    X, _, _ = domains
    clf = fitted(domains)
    probabilities = clf.predict_proba(X)
    assert probabilities.shape == (90, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[probabilities.argmax(axis=1)])
    head = clf.net_.module_.label_head
    logits = head(torch.from_numpy(clf.transform(X))).detach().numpy()
    exponentials = np.exp(logits)
    np.testing.assert_allclose(
        probabilities, exponentials / exponentials.sum(axis=1, keepdims=True), rtol=1e-9
    )


def test_features_have_names_and_any_output_container(domains):
    X, _, _ = domains
    clf = fitted(domains, hidden_layer_sizes=(8, 3))
    assert clf.get_feature_names_out().tolist() == [f"dannclassifier{i}" for i in range(3)]
    frame = clf.set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == clf.get_feature_names_out().tolist()
    assert isinstance(clf.set_output(transform="polars").transform(X), pl.DataFrame)


def test_computation_follows_the_type_of_the_data_or_of_the_users_module(domains):
    X, y, X_target = domains
    assert fitted(domains).predict_proba(X).dtype == np.float64
    single = fitted((X.astype("f"), y, X_target.astype("f")))
    assert single.predict_proba(X.astype("f")).dtype == np.float32
    body = single_precision_body((4,))
    assert fitted(domains, feature_extractor=body).predict_proba(X).dtype == np.float32


# What stays as it was, and what repeats


@each_of_all
def test_same_seed_same_bits(domains, estimator):
    X, y, X_target = domains
    a, b = clone(estimator).fit(X, y, X_target), clone(estimator).fit(X, y, X_target)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    a.fit(X[:50] + 1, y[:50], X_target)  # a second fit starts afresh
    np.testing.assert_array_equal(a.fit(X, y, X_target).predict_proba(X), b.predict_proba(X))
    other = clone(estimator).set_params(random_state=1).fit(X, y, X_target)
    assert not np.array_equal(other.predict_proba(X), b.predict_proba(X))


def test_random_state_may_be_a_generator(domains):
    X, _, _ = domains
    a = fitted(domains, random_state=np.random.RandomState(3))
    b = fitted(domains, random_state=np.random.RandomState(3))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_nothing_of_the_users_is_changed(domains):
    X, y, X_target = domains
    body, domain_classifier = batch_norm_body((4,)), nn.Linear(20, 1).double()
    label_classifier = nn.Linear(20, 2).double()
    weights = np.arange(90.0)
    mine = [X, y, X_target, weights]
    modules = [body, domain_classifier, label_classifier]
    copies = copy.deepcopy((mine, [m.state_dict() for m in modules]))
    clf = DANNClassifier(
        body, domain_classifier=domain_classifier, label_classifier=label_classifier, **FAST
    ).fit(X, y, X_target, sample_weight=weights)
    clf.predict(X)
    for now, before in zip(mine, copies[0], strict=True):
        np.testing.assert_array_equal(now, before)
    for module, before in zip(modules, copies[1], strict=True):
        assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
        assert module.training
    assert clf.feature_extractor is body


def through_joblib(clf):
    file = io.BytesIO()
    joblib.dump(clf, file)
    file.seek(0)
    return joblib.load(file)


@each_of_all
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c)), through_joblib]
)
def test_copies_before_and_after_fit_are_equal(domains, estimator, duplicate):
    X, y, X_target = domains
    clf = clone(estimator).fit(X, y, X_target)
    np.testing.assert_array_equal(
        duplicate(clone(estimator)).fit(X, y, X_target).predict_proba(X), clf.predict_proba(X)
    )
    twin = duplicate(clf)
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    twin.fit(X, y, X_target)
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    assert not hasattr(clone(clf), "net_")


def test_warm_start_goes_on_where_training_stopped(domains):
    X, y, X_target = domains
    clf = fitted(domains, warm_start=True, max_epochs=20)
    loss = clf.history_[-1, "label_loss"]
    clf.set_params(max_epochs=5).fit(X, y, X_target)
    assert clf.n_iter_ == 25
    started_anew = fitted(domains, max_epochs=1).history_[0, "label_loss"]
    assert clf.history_[20, "label_loss"] < loss * 1.1 < started_anew


@pytest.mark.parametrize("change", ["classes", "features"])
def test_warm_start_with_other_data_is_refused(domains, change):
    X, y, X_target = domains
    clf = fitted(domains, warm_start=True)
    if change == "classes":
        y = np.where(y == "up", "left", "right")
    else:
        X, X_target = X[:, :3], X_target[:, :3]
    with pytest.raises(ValueError, match="warm_start=True continues a fit on rows of shape"):
        clf.fit(X, y, X_target)


def test_weights_of_zero_leave_rows_out_of_both_losses(domains):
    X, y, X_target = domains
    weights = np.r_[np.ones(60), np.zeros(30)]
    weighted = DANNClassifier(**FAST, batch_size=100).fit(X, y, X_target, sample_weight=weights)
    X[60:] = 1e6
    changed = DANNClassifier(**FAST, batch_size=100).fit(X, y, X_target, sample_weight=weights)
    np.testing.assert_array_equal(weighted.transform(X_target), changed.transform(X_target))


def test_scale_of_weights_does_not_matter(domains):
    X, y, X_target = domains
    weights = np.random.default_rng(0).random(90)
    a = DANNClassifier(**FAST).fit(X, y, X_target, sample_weight=weights)
    b = DANNClassifier(**FAST).fit(X, y, X_target, sample_weight=64 * weights)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


class Interruption(nn.Module):
    def __init__(self, after):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear = nn.Linear(4, 5).double()
        self.after = after

    def forward(self, X):
        if self.training:
            self.after -= 1
            if self.after == 0:
                raise KeyboardInterrupt
        return torch.tanh(self.linear(X))


@pytest.mark.parametrize("after", [1, 2, 4, 7])
def test_interrupted_fit_raises_and_leaves_the_estimator_as_it_was(domains, after):
    X, y, X_target = domains
    clf = DANNClassifier(Interruption(0), batch_size=30, **FAST).fit(X, y, X_target)
    fitted_before, expected = vars(clf).copy(), clf.predict_proba(X)
    clf.feature_extractor = Interruption(after)
    before = torch.get_num_threads(), torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y, X_target)
    assert before[0] == torch.get_num_threads()
    assert torch.equal(before[1], torch.get_rng_state())
    assert vars(clf) == {**fitted_before, "feature_extractor": clf.feature_extractor}
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), expected)


def test_an_interrupted_first_fit_leaves_nothing_fitted(domains):
    clf = DANNClassifier(Interruption(2), **FAST)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*domains)
    assert vars(clf) == DANNClassifier(clf.feature_extractor, **FAST).get_params()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_model_fitted_on_a_gpu_predicts_the_same_after_moving_to_the_cpu(domains):
    X, _, _ = domains
    clf = fitted(domains, device="cuda")
    assert next(clf.net_.module_.parameters()).is_cuda
    on_cpu = pickle.loads(pickle.dumps(clf))
    on_cpu.net_.set_params(device="cpu")
    np.testing.assert_allclose(on_cpu.predict_proba(X), clf.predict_proba(X), rtol=1e-6)


def test_warm_start_starts_the_schedules_anew(domains):
    X, y, X_target = domains
    clf = fitted(
        domains, warm_start=True, learning_rate=0.01, learning_rate_schedule=lambda p: 1 - p
    )
    rates = clf.fit(X, y, X_target).history_[:, "learning_rate"]
    assert rates[:3] == rates[3:]
    assert clf.history_[:, "lambda"][:3] == clf.history_[:, "lambda"][3:]


def test_warm_start_takes_up_what_was_changed(domains, capsys):
    X, y, X_target = domains
    clf = fitted(domains, warm_start=True)
    scoring = DomainScoring(X, y, X_target, y)
    clf.set_params(learning_rate=0.5, batch_size=7, callbacks=[scoring]).fit(X, y, X_target)
    assert clf.history_[:, "learning_rate"] == [2e-3] * 3 + [0.5] * 3
    assert clf.net_.batch_size == 7
    assert "source_accuracy" in clf.history_[-1]
    assert "source_accuracy" not in clf.history_[0]
    assert capsys.readouterr().out == ""


def test_warm_start_moves_no_further_than_its_learning_rate(domains):
    X, y, X_target = domains
    clf = fitted(domains, warm_start=True)
    before = clf.predict_proba(X)
    clf.set_params(learning_rate=1e-300).fit(X, y, X_target)
    np.testing.assert_allclose(clf.predict_proba(X), before)
