"""Pretraining by contrast and by restoring: losses by loops, gradients, use in fine-tuning."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import sktransfer
from sktransfer import (
    AutoencoderPretrainer,
    ContrastivePretrainer,
    FineTuneClassifier,
    FitCheckpoint,
    MarginalizedDenoisingAutoencoder,
)
from sktransfer.engine._run import Run
from sktransfer.selftaught._autoencoder import delete_at_random, reconstruction_loss
from sktransfer.selftaught._contrastive import corrupt_by_marginals, info_nce_loss, nt_xent_loss

FAST = {"max_epochs": 3, "hidden_layer_sizes": (20, 10)}


class BatchNormBody:
    def __call__(self, input_shape):
        layers = nn.Linear(*input_shape, 20), nn.BatchNorm1d(20), nn.ReLU()
        return nn.Sequential(*layers).double()

    def __repr__(self):
        return type(self).__name__


@pytest.mark.filterwarnings("ignore:The columns (lie far from zero|vary by):UserWarning")
@parametrize_with_checks(
    [
        ContrastivePretrainer(**FAST),
        ContrastivePretrainer(BatchNormBody(), projection_layer_sizes=8, max_epochs=3),
        AutoencoderPretrainer(**FAST),
        AutoencoderPretrainer(BatchNormBody(), corruption=0.0, max_epochs=3),
    ]
)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@given(st.integers(0, 1000), st.floats(0.2, 3.0))
def test_the_loss_of_tables_is_that_of_loops(seed, t):
    rng = np.random.default_rng(seed)
    A, V = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    expected = 0.0
    for i in range(5):
        among = [np.exp(cosine(A[i], V[k]) / t) for k in range(5)]
        expected -= np.log(among[i] / sum(among)) / 5
    found = info_nce_loss(torch.tensor(A), torch.tensor(V), t)
    assert found.item() == pytest.approx(expected)


@given(st.integers(0, 1000), st.floats(0.2, 3.0))
def test_the_loss_of_two_views_is_that_of_loops_and_symmetric(seed, t):
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    views, expected = [*A, *B], 0.0
    for i in range(8):
        among = {k: np.exp(cosine(views[i], views[k]) / t) for k in range(8) if k != i}
        expected -= np.log(among[(i + 4) % 8] / sum(among.values())) / 8
    A, B = torch.tensor(A), torch.tensor(B)
    assert nt_xent_loss(A, B, t).item() == pytest.approx(expected)
    assert nt_xent_loss(B, A, t).item() == pytest.approx(expected)


def test_losses_of_projections_send_gradients_to_both_views():
    A, B = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    for loss in (info_nce_loss, nt_xent_loss):
        gradients = torch.autograd.grad(loss(A, B, 0.5), (A, B))
        assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_changed_features_are_those_of_other_rows_and_as_many_as_asked_for(share):
    X = torch.arange(200.0).reshape(50, 4)
    torch.manual_seed(0)
    changed = corrupt_by_marginals(X, share)
    assert all(set(changed[:, j].tolist()) <= set(X[:, j].tolist()) for j in range(4))
    differing = (changed != X).sum(dim=1)  # a feature may get its own value
    assert differing.max() <= round(4 * share)
    assert (differing.float().mean() > 0.8 * 4 * share) or share == 0.0


def test_deleted_numbers_are_zero_at_the_rate_asked_for():
    torch.manual_seed(0)
    X = torch.ones(200, 50)
    left = delete_at_random(X, 0.3)
    assert set(left.unique().tolist()) == {0.0, 1.0}
    assert abs(left.mean().item() - 0.7) < 0.03  # six standard errors
    assert torch.equal(delete_at_random(X, 0.0), X)


def test_restoring_is_measured_on_whole_rows():
    restored, X = torch.zeros(2, 4), torch.tensor([[[1.0, 2], [3, 4]], [[0, 0], [0, 0]]])
    assert reconstruction_loss(restored, X).item() == pytest.approx(30 / 8)


@pytest.mark.parametrize("kind", [ContrastivePretrainer, AutoencoderPretrainer])
def test_learns_from_both_domains_and_labels_do_not_matter(kind):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(40, 6)), rng.normal(size=(30, 6)) + 1
    model = kind(**FAST, random_state=0).fit(X, X_target=X_target)
    again = kind(**FAST, random_state=0).fit(X, np.arange(40) % 2, X_target=X_target)
    alone = kind(**FAST, random_state=0).fit(X)
    twin = model.source_only().fit(X, X_target=X_target)
    np.testing.assert_array_equal(model.transform(X), again.transform(X))
    np.testing.assert_array_equal(twin.transform(X), alone.transform(X))
    assert not np.allclose(model.transform(X), alone.transform(X))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.transform(X), model.transform(X))


def test_the_loss_falls_and_the_history_names_it():
    X = load_digits().data[:300] / 16
    for kind, name in (
        (ContrastivePretrainer, "contrastive_loss"),
        (AutoencoderPretrainer, "reconstruction_loss"),
    ):
        losses = kind(max_epochs=15, random_state=0).fit(X).history_[:, name]
        assert losses[-1] < 0.9 * losses[0]


def test_a_wide_autoencoder_without_noise_restores_its_rows():
    X = np.random.default_rng(0).normal(size=(60, 4))
    model = AutoencoderPretrainer(
        corruption=0.0, hidden_layer_sizes=(64,), max_epochs=300, learning_rate=5e-3, random_state=0
    ).fit(X)
    assert model.history_[-1, "reconstruction_loss"] < 0.05


def test_images_want_augmentation_and_learn_with_it():
    X = load_digits().images[:60, None].astype(np.float32) / 16
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten())
    with pytest.raises(ValueError, match="augment=None exchanges the features of a table"):
        ContrastivePretrainer(body, max_epochs=1).fit(X)

    def shifted(X):
        return X.roll(int(torch.randint(-1, 2, ())), dims=3)

    model = ContrastivePretrainer(body, augment=shifted, max_epochs=2, random_state=0).fit(X)
    assert model.transform(X).shape == (60, 4 * 36)
    views = iter([torch.from_numpy(X[:9]), torch.from_numpy(X[9:18])])
    model.augment, network = (lambda rows: next(views)), model.net_.module_
    loss = model._loss(network, torch.zeros(9, 1, 8, 8), network(torch.zeros(9, 1, 8, 8)))
    both = network(torch.from_numpy(X[:9])), network(torch.from_numpy(X[9:18]))
    torch.testing.assert_close(loss, nt_xent_loss(*both, model.temperature))
    assert torch.equal(body[0].weight, clone(model).backbone[0].weight)  # the user's own stays


def test_the_body_goes_into_fine_tuning_a_pipeline_and_a_search():
    X, y = load_digits(return_X_y=True)
    X = X[:200] / 16
    pretrainer = AutoencoderPretrainer(**FAST, random_state=0).fit(X)
    tuned = FineTuneClassifier(pretrainer.backbone_, head_epochs=2, finetune_epochs=2)
    search = GridSearchCV(tuned, {"unfreeze_depth": [0, 1]}, cv=2).fit(X, y[:200])
    assert search.predict(X).shape == (200,)
    pipe = make_pipeline(StandardScaler(), FineTuneClassifier(pretrainer.backbone_, head_epochs=2))
    pipe.set_params(finetuneclassifier__finetune_epochs=2)
    search = GridSearchCV(pipe, {"finetuneclassifier__unfreeze_depth": [0, "all"]}, cv=2)
    before = pretrainer.transform(X)
    assert search.fit(X, y[:200]).predict(X).shape == (200,)
    np.testing.assert_array_equal(pretrainer.transform(X), before)  # copies are tuned
    pipe = make_pipeline(AutoencoderPretrainer(**FAST, random_state=0), LogisticRegression())
    search = GridSearchCV(pipe, {"autoencoderpretrainer__corruption": [0.0, 0.3]}, cv=2)
    assert search.fit(X, y[:200]).predict(X).shape == (200,)


def test_goes_on_from_further_rows_and_refuses_labels():
    X = load_digits().data[:200] / 16
    model = ContrastivePretrainer(**FAST, random_state=0).fit(X[:100])
    before = model.transform(X)
    assert model.adapt(X[100:]).n_iter_ == 6
    assert not np.allclose(before, model.transform(X))
    with pytest.raises(ValueError, match="leave y_target out"):
        model.adapt(X, np.zeros(200))


def test_a_decoder_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="decoder"):
        AutoencoderPretrainer(decoder=nn.Linear(3, 3)).fit(np.ones((10, 6)))


FILED = [
    (ContrastivePretrainer(**FAST, projection_layer_sizes=(8, 6)), ()),
    (ContrastivePretrainer(BatchNormBody(), projection_layer_sizes=8, max_epochs=2), ("backbone",)),
    (AutoencoderPretrainer(**FAST), ()),
    (AutoencoderPretrainer(BatchNormBody(), max_epochs=2), ("backbone",)),
    (AutoencoderPretrainer(decoder=nn.Linear, **FAST), ("decoder",)),
]


@pytest.mark.parametrize(("pretrainer", "custom"), FILED)
def test_a_file_holds_all_of_it_but_code(pretrainer, custom, tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 6))
    model = clone(pretrainer).set_params(random_state=0)
    if custom == ("decoder",):
        model.set_params(decoder=lambda n_in, n_out: nn.Linear(n_in, n_out).double())
    model.fit(X, X_target=X[::-1] + 1)
    path = tmp_path / "pretrainer.safetensors"
    sktransfer.save(model, path)
    if custom:
        with pytest.raises(ValueError, match=custom[0]):
            sktransfer.load(path)
    loaded = sktransfer.load(path, **{name: getattr(model, name) for name in custom})
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    assert loaded.history_ == model.history_
    again = [one.adapt(X + 2).transform(X) for one in (model, loaded)]
    np.testing.assert_array_equal(*again)
    tuned = FineTuneClassifier(loaded.backbone_, head_epochs=1, finetune_epochs=1)
    assert tuned.fit(X, np.arange(40) % 2).predict(X).shape == (40,)


def test_no_model_of_predictions_is_made_of_it(tmp_path):
    model = AutoencoderPretrainer(**FAST).fit(np.ones((10, 6)))
    with pytest.raises(TypeError, match=r"FineTuneClassifier\(pretrainer.backbone_\)"):
        sktransfer.export_onnx(model, tmp_path / "a.onnx")


@pytest.mark.parametrize("kind", [ContrastivePretrainer, AutoencoderPretrainer])
def test_a_fit_that_was_interrupted_goes_on_to_the_same_bits(kind, tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(size=(40, 6))
    whole = kind(**FAST, random_state=0).fit(X)
    given = FitCheckpoint(tmp_path / "fit.checkpoint", every_epochs=1, every_seconds=None)
    train = Run._train_epoch
    begun = []

    def train_two_epochs(self, done, share):
        begun.append(done)
        if len(begun) == 3:
            raise InterruptedError
        train(self, done, share)

    monkeypatch.setattr(Run, "_train_epoch", train_two_epochs)
    with pytest.raises(InterruptedError):
        kind(**FAST, random_state=0, checkpoint=given).fit(X)
    resumed = kind(**FAST, random_state=0, checkpoint=given).fit(X)
    assert len(begun) == 4  # of three epochs the last alone was trained anew
    np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))


@pytest.mark.parametrize(
    "pretrainer",
    [ContrastivePretrainer(), AutoencoderPretrainer(), MarginalizedDenoisingAutoencoder()],
    ids=lambda pretrainer: type(pretrainer).__name__,
)
def test_rows_of_a_target_are_given_by_name(pretrainer):
    X, X_target = np.random.default_rng(0).normal(size=(2, 20, 3))
    with pytest.raises(ValueError, match=r"that of rows: .* by name, fit\(X, X_target="):
        pretrainer.fit(X, X_target)
    with pytest.raises(TypeError, match=r"argument 'Xt'\. Did you mean X_target="):
        pretrainer.fit(X, Xt=X_target)
