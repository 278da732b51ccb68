"""`adapt`: further target rows, without the source's."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from sktransfer import (
    CDANClassifier,
    DANNClassifier,
    DANNRegressor,
    DeepCORALClassifier,
    DeepJDOTClassifier,
    DeepMMDClassifier,
    FineTuneClassifier,
    HeterogeneousTransferClassifier,
    HypothesisTransfer,
    MCCClassifier,
    MCDClassifier,
    OpenSetClassifier,
    SHOTClassifier,
    load,
    save,
)
from sktransfer.fewshot import (
    MatchingClassifier,
    NearestPrototypeClassifier,
    PrototypicalClassifier,
)
from sktransfer.finetuning import FrozenCache, SourceTraining, Unfreezing
from sktransfer.network._batch_norm import SOURCE_PRIOR_ROWS


def body(input_shape):
    return nn.Sequential(nn.Linear(*input_shape, 8), nn.BatchNorm1d(8), nn.ReLU()).double()


FAST = {"max_epochs": 3, "random_state": 0}
STAGES = {
    "source_training": SourceTraining(epochs=3),
    "head_epochs": 2,
    "finetune_epochs": 3,
    "random_state": 0,
}
KINDS = {  # with batch statistics
    "dann": DANNClassifier(body, **FAST),
    "coral": DeepCORALClassifier(body, **FAST),
    "finetune": FineTuneClassifier(body, **STAGES),
    "gradual": FineTuneClassifier(
        body, unfreeze_depth=2, unfreezing=Unfreezing(gradual=True), **STAGES
    ),
    "no cache": FineTuneClassifier(body, frozen_cache=FrozenCache(enabled=False), **STAGES),
}


def fitted(name, domains):
    X, y, X_target = domains
    estimator = clone(KINDS[name])
    if name in ("dann", "coral"):
        return estimator.fit(X, y, X_target)
    return estimator.fit(X, y)


@pytest.fixture
def later():
    """Return rows of another target, and their labels, of which most are missing."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 4)) * 2 + 3
    y = np.where(X.sum(axis=1) > 12, "up", "down").astype(object)
    some = y.copy()
    some[10:] = None
    return X, y, some


def norm_of(estimator):
    return estimator.net_.module_.body[1]


@pytest.mark.parametrize("name", KINDS)
def test_without_labels_only_the_statistics_move_to_those_of_the_rows(name, domains, later):
    clf = fitted(name, domains)
    before = copy.deepcopy(clf.net_.module_.state_dict())
    n_iter = clf.n_iter_
    assert clf.adapt(later[0]) is clf
    share = len(later[0]) / (SOURCE_PRIOR_ROWS + len(later[0]))
    hidden = clf.net_.module_.body[0](torch.from_numpy(later[0]))
    after = clf.net_.module_.state_dict()
    expected = torch.lerp(before["body.1.running_mean"], hidden.mean(dim=0), share)
    torch.testing.assert_close(after["body.1.running_mean"], expected)
    moved = {key for key in after if not torch.equal(after[key], before[key])}
    assert moved == {"body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked"}
    assert clf.n_iter_ == n_iter


@pytest.mark.parametrize("name", KINDS)
def test_labels_are_learned_in_small_steps(name, domains, later):
    X, _, some = later
    clf = fitted(name, domains)
    before = copy.deepcopy(clf.net_.module_.state_dict())
    n_iter = clf.n_iter_
    clf.adapt(X, some)
    losses = clf.history_[-3:, "label_loss"]
    assert losses[0] > losses[1] > losses[2]
    assert len(clf.history_) == clf.n_iter_ == n_iter + 3
    head = clf.net_.module_.state_dict()["label_head.weight"]
    steps = (head - before["label_head.weight"]).abs()
    assert 0 < steps.max() < 0.004
    assert not torch.equal(norm_of(clf).running_mean, before["body.1.running_mean"])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("with_labels", [False, True])
def test_a_loaded_classifier_adapts_to_the_same_bits(name, with_labels, domains, later, tmp_path):
    clf = fitted(name, domains)
    save(clf, tmp_path / "file")
    parameter = "feature_extractor" if name in ("dann", "coral") else "backbone"
    loaded = load(tmp_path / "file", **{parameter: body})
    pickled = pickle.loads(pickle.dumps(clf))
    y = later[2] if with_labels else None
    answers = [c.adapt(later[0], y).predict_proba(later[0]) for c in (clf, pickled, loaded)]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    save(clf, tmp_path / "again")


def test_a_store_of_frozen_values_follows_new_statistics(domains, later, tmp_path):
    clf = FineTuneClassifier(
        body, unfreeze_depth=0, frozen_cache=FrozenCache(memory=tmp_path), **STAGES
    )
    clf.fit(*domains[:2]).predict_proba(later[0])
    clf.adapt(later[0], later[2])
    rows = torch.from_numpy(later[0])
    plain = torch.softmax(clf.net_.module_(rows), dim=1).detach().numpy()
    np.testing.assert_allclose(clf.predict_proba(later[0]), plain, rtol=1e-10)


def test_a_failed_adapt_leaves_the_estimator_as_it_was(domains, later):
    clf = fitted("dann", domains)
    before, proba = dict(vars(clf)), clf.predict_proba(later[0])
    for X, y, error in [
        (later[0][:, :3], None, "features"),
        (later[0], np.full(40, "left"), "no classes here"),
        (later[0], later[1][:5], "5 labels for the 40 rows of X_target"),
        (later[0] * np.nan, None, "X_target: .*NaN"),
    ]:
        with pytest.raises(ValueError, match=error):
            clf.adapt(X, y)
    with pytest.raises(ValueError, match=r"became nan|became inf|NaN or infinite"):
        clf.set_params(learning_rate=1e300).adapt(later[0], later[2])
    assert {k: v for k, v in vars(clf).items() if k != "learning_rate"} == {
        k: v for k, v in before.items() if k != "learning_rate"
    }
    np.testing.assert_array_equal(clf.predict_proba(later[0]), proba)


def test_one_row_is_enough(domains, later):
    clf = fitted("coral", domains)
    before = norm_of(clf).running_mean.clone()
    clf.adapt(later[0][:1])
    hidden = clf.net_.module_.body[0](torch.from_numpy(later[0][:1]))[0]
    torch.testing.assert_close(norm_of(clf).running_mean, torch.lerp(before, hidden, 1 / 17))


def plain_body(input_shape):
    return nn.Sequential(nn.Linear(*input_shape, 8), nn.ReLU()).double()


WITHOUT_STATISTICS = [
    DANNClassifier(**FAST),
    DeepCORALClassifier(**FAST),
    CDANClassifier(**FAST),
    DeepMMDClassifier(**FAST),
    DeepJDOTClassifier(**FAST),
    MCCClassifier(**FAST),
    MCDClassifier(**FAST),
    OpenSetClassifier(**FAST),
    SHOTClassifier(target_epochs=2, **FAST),
    FineTuneClassifier(plain_body, **STAGES),
    MatchingClassifier(plain_body, episodes=2, random_state=0),
    PrototypicalClassifier(plain_body, episodes=2, random_state=0),
    HeterogeneousTransferClassifier(max_epochs=2, random_state=0),
]


@pytest.mark.parametrize("estimator", WITHOUT_STATISTICS, ids=lambda one: type(one).__name__)
def test_without_statistics_the_body_learns_under_a_head_that_stays(estimator, domains, later):
    X, y, X_target = domains
    clf = clone(estimator)
    if isinstance(clf, HeterogeneousTransferClassifier):
        clf.fit(X[:, :3], y, X_target, y)
    elif isinstance(clf, (FineTuneClassifier, MatchingClassifier, PrototypicalClassifier)):
        clf.fit(X, y)
    else:
        clf.fit(X, y, X_target)
    before, n_before = copy.deepcopy(clf.net_.module_.state_dict()), clf.n_iter_
    twin = pickle.loads(pickle.dumps(clf))
    proba = clf.adapt(later[0]).predict_proba(later[0])
    for name, value in clf.net_.module_.state_dict().items():
        if not name.startswith("body."):
            assert torch.equal(value, before[name]), name
    assert any(
        not torch.equal(value, before[name])
        for name, value in clf.net_.module_.state_dict().items()
    )
    epochs = 2 if isinstance(clf, SHOTClassifier) else 30
    assert len(clf.history_) == clf.n_iter_ == n_before + epochs
    assert clf.history_[n_before:, "stage"] == ["target"] * epochs
    np.testing.assert_array_equal(twin.adapt(later[0]).predict_proba(later[0]), proba)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_every_classifier_adapts_as_shot_does_from_the_same_weights(domains, later):
    X, y, X_target = domains
    coral = DeepCORALClassifier(**FAST).fit(X, y, X_target)
    shot = SHOTClassifier(max_epochs=1, random_state=0).source_only().fit(X, y)
    shot.net_.module_.load_state_dict(coral.net_.module_.state_dict())
    shot.random_state = coral.random_state = 3
    answers = [clf.adapt(later[0]).predict_proba(later[0]) for clf in (coral, shot)]
    np.testing.assert_array_equal(*answers)


def test_diversity_can_be_switched_off(domains):
    X, y, X_target = domains
    one_class = X_target[X_target[:, 0] > 0.5]
    shares = {}
    for diversity in (True, False):
        clf = DeepCORALClassifier(max_epochs=30, random_state=0).source_only().fit(X, y)
        method = HypothesisTransfer(diversity=diversity, learning_rate=0.01, epochs=60)
        shares[diversity] = clf.adapt(one_class, method=method).predict(one_class)
    largest = {d: max(np.unique(s, return_counts=True)[1]) / len(s) for d, s in shares.items()}
    assert largest[True] < 0.7
    assert largest[False] > 0.9


def test_with_statistics_the_method_is_chosen_by_the_argument(domains, later):
    clf = fitted("dann", domains)
    before = copy.deepcopy(clf.net_.module_.state_dict())
    clf.adapt(later[0], method=HypothesisTransfer(epochs=2))
    after = clf.net_.module_.state_dict()
    assert not torch.equal(after["body.0.weight"], before["body.0.weight"])
    assert torch.equal(after["label_head.weight"], before["label_head.weight"])
    hidden = clf.net_.module_.body[0](torch.from_numpy(later[0])).mean(dim=0)
    torch.testing.assert_close(after["body.1.running_mean"], hidden)


def test_known_labels_stand_in_for_pseudo_labels(domains, later):
    X, y, X_target = domains
    wanted = np.array(["down"] * 20 + [None] * 20, dtype=object)
    method = HypothesisTransfer(
        epochs=60, learning_rate=0.03, diversity=False, pseudo_label_weight=50.0
    )
    clf = DANNClassifier(**FAST).fit(X, y, X_target).adapt(later[0], wanted, method=method)
    assert (clf.predict(later[0][:20]) == "down").mean() > 0.9
    assert "pseudo_label_loss" in clf.history_[-1]


@pytest.mark.parametrize("depth", [1, 2])
def test_fine_tuning_adapts_its_unfrozen_layers(domains, later, depth):
    def deep(input_shape):
        first = nn.Linear(*input_shape, 8), nn.ReLU()
        return nn.Sequential(*first, nn.Linear(8, 8), nn.ReLU()).double()

    clf = FineTuneClassifier(deep, unfreeze_depth=depth, **STAGES).fit(*domains[:2])
    before = copy.deepcopy(clf.net_.module_.state_dict())
    after = clf.adapt(later[0], method=HypothesisTransfer(epochs=3)).net_.module_.state_dict()
    moved = {
        name.rpartition(".")[0] for name in after if not torch.equal(after[name], before[name])
    }
    assert moved == {"body.2"} | ({"body.0"} if depth == 2 else set())


def test_what_cannot_adapt_says_what_can(domains, later):
    X, y, X_target = domains
    clf = DANNRegressor(**FAST).fit(X, X[:, 0], X_target)
    with pytest.raises(ValueError, match=r"has none\. Give y_target"):
        clf.adapt(later[0])
    with pytest.raises(TypeError, match=r"method=HypothesisTransfer.* is for classifiers"):
        clf.adapt(later[0], method=HypothesisTransfer())
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    with pytest.raises(TypeError, match="method must be a HypothesisTransfer or None; got 'tent'"):
        clf.adapt(later[0], method="tent")
    with pytest.raises(ValueError, match="'epochs' parameter of HypothesisTransfer"):
        clf.adapt(later[0], method=HypothesisTransfer(epochs=0))
    for few_shot in (NearestPrototypeClassifier(), MatchingClassifier(episodes=0)):
        with pytest.raises(ValueError, match=r"set_support\(X_target, y_target\) takes them"):
            few_shot.fit(X, y).adapt(X_target, y)
    with pytest.raises(ValueError, match="NearestPrototypeClassifier trains nothing"):
        NearestPrototypeClassifier().fit(X, y).adapt(X_target)
    frozen = FineTuneClassifier(plain_body, unfreeze_depth=0, **STAGES).fit(X, y)
    with pytest.raises(ValueError, match=r"are frozen: .* set_params\(unfreeze_depth=1\)"):
        frozen.adapt(later[0])
    with pytest.raises(NotFittedError):
        DANNClassifier().adapt(later[0])
    with pytest.raises(ValueError, match="finetune_epochs=0 leaves adapt"):
        fitted("finetune", domains).set_params(finetune_epochs=0).adapt(later[0], later[2])


def test_the_seed_decides_and_the_global_generators_are_left(domains, later):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    clf = fitted("dann", domains)
    twin = copy.deepcopy(clf)
    for one in (clf, twin):
        one.adapt(later[0], later[2])
    np.testing.assert_array_equal(clf.predict_proba(later[0]), twin.predict_proba(later[0]))
    assert torch.equal(torch.get_rng_state(), state)
    order = np.random.default_rng(0).permutation(40)
    shuffled = fitted("dann", domains).adapt(later[0][order]).predict_proba(later[0])
    straight = fitted("dann", domains).adapt(later[0]).predict_proba(later[0])
    np.testing.assert_allclose(shuffled, straight, atol=0.02)  # other batches, no more


def test_labels_weigh_by_their_classes(domains, later):
    X, y, _ = later
    clf = DANNClassifier(class_weight={"down": 0.0, "up": 2.0}, **FAST).fit(*domains)
    noise = np.where((y == "down")[:, None], 7.0, X)  # of rows that weigh nothing
    answers = [
        pickle.loads(pickle.dumps(clf)).adapt(rows, y).predict_proba(X) for rows in (X, noise)
    ]
    np.testing.assert_array_equal(*answers)


class Fixed(nn.Linear):
    """A layer that learns nothing."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.requires_grad_(False)


@pytest.mark.parametrize("fixed", [Fixed(4, 3), nn.Identity()])
def test_a_body_that_learns_nothing_is_named(fixed, domains, later):
    clf = DANNClassifier(fixed, lambda_=0.0, **FAST).fit(*domains)
    with pytest.raises(ValueError, match=r"are frozen: .* with requires_grad=True"):
        clf.adapt(later[0])
