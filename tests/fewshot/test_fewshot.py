"""Classes come from the support; what is trained comes from episodes."""

import copy
import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktransfer import load, make_transfer_pipeline, save
from sktransfer.fewshot import (
    MatchingClassifier,
    NearestPrototypeClassifier,
    PrototypicalClassifier,
    few_shot_score,
)

ALL = [
    PrototypicalClassifier(episodes=20, random_state=0),
    MatchingClassifier(episodes=20, random_state=0),
    NearestPrototypeClassifier(),
]
by_class = pytest.mark.parametrize("clf", ALL, ids=lambda clf: type(clf).__name__)


def make_classes(n_classes, n_rows=12, seed=0):
    """Return rows in which two of eight columns tell the classes and six are noise."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), n_rows)
    angle = 2 * np.pi * y / n_classes
    X = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.15 * rng.normal(size=(len(y), 2))
    return np.column_stack([X, rng.normal(size=(len(y), 6))]), y


X, y = make_classes(12)
OLD = y % 2 == 0
X_OLD, Y_OLD, X_NEW, Y_NEW = X[OLD], y[OLD], X[~OLD], y[~OLD]
NAMES = np.array(["twelve", *"abcdefghijk"])[Y_NEW]


@by_class
def test_a_target_says_the_classes(clf):
    fitted = clone(clf).fit(X_OLD, Y_OLD, X_target=X_NEW, y_target=NAMES)
    np.testing.assert_array_equal(fitted.classes_, np.unique(NAMES))
    shown = clone(clf).fit(X_OLD, Y_OLD).set_support(X_NEW, NAMES)
    np.testing.assert_allclose(shown.predict_proba(X_NEW), fitted.predict_proba(X_NEW))


@by_class
def test_missing_labels_of_the_target_are_no_part_of_the_support(clf):
    some = NAMES.astype(object)
    some[::3] = None
    fitted = clone(clf).fit(X_OLD, Y_OLD, X_target=X_NEW, y_target=some)
    known = np.arange(len(some)) % 3 > 0
    again = clone(clf).fit(X_OLD, Y_OLD, X_target=X_NEW[known], y_target=NAMES[known])
    np.testing.assert_allclose(fitted.predict_proba(X), again.predict_proba(X))


def test_prototypes_are_where_the_classes_are():
    clf = clone(ALL[0]).fit(X_OLD, Y_OLD).set_support(X_NEW, Y_NEW)
    features = clf.transform(X_NEW)
    means = np.array([features[Y_NEW == k].mean(axis=0) for k in clf.classes_])
    nearest = ((features[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(clf.predict(X_NEW), clf.classes_[nearest])


def test_a_support_shown_after_adapting_has_the_features_of_then():
    def body(shape):
        return nn.Sequential(nn.Linear(*shape, 6), nn.BatchNorm1d(6), nn.ReLU()).double()

    clf = PrototypicalClassifier(body, episodes=5, random_state=0).fit(X_OLD, Y_OLD)
    moved = 3 * X_NEW + 1
    before = clf.set_support(moved, Y_NEW).net_.module_.label_head.prototypes.clone()
    clf.adapt(moved)
    assert torch.equal(clf.net_.module_.label_head.prototypes, before)
    features = clf.set_support(moved, Y_NEW).transform(moved)
    means = np.array([features[Y_NEW == k].mean(axis=0) for k in clf.classes_])
    np.testing.assert_allclose(clf.net_.module_.label_head.prototypes, means)
    assert not np.allclose(means, before)


def test_simple_shot_is_the_nearest_mean_of_centred_rows_of_length_one():
    clf = NearestPrototypeClassifier().fit(X_OLD, Y_OLD).set_support(X_NEW, Y_NEW)
    placed = X_NEW - X_OLD.mean(axis=0)
    placed /= np.linalg.norm(placed, axis=1, keepdims=True)
    means = np.array([placed[Y_NEW == k].mean(axis=0) for k in clf.classes_])
    logits = -((placed[:, None] - means) ** 2).sum(axis=2)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(X_NEW), expected)


@by_class
def test_weights_of_the_support_are_copies(clf):
    weights = np.arange(len(Y_NEW)) % 3 + 1
    clf = clone(clf).fit(X_OLD, Y_OLD)
    weighted = clf.set_support(X_NEW, Y_NEW, weights).predict_proba(X)
    copies = clf.set_support(X_NEW.repeat(weights, axis=0), Y_NEW.repeat(weights))
    np.testing.assert_allclose(weighted, copies.predict_proba(X), rtol=1e-6)


@by_class
def test_a_copy_takes_other_classes_and_the_original_keeps_its_own(clf):
    clf = clone(clf).fit(X_OLD, Y_OLD)
    before = clf.predict_proba(X)
    other = copy.copy(clf).set_support(X_NEW, Y_NEW)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    assert set(other.classes_).isdisjoint(clf.classes_)
    assert other.net_.module_.body is clf.net_.module_.body


@by_class
def test_saved_and_pickled_it_keeps_the_support(clf, tmp_path):
    clf = clone(clf).fit(X_OLD, Y_OLD).set_support(X_NEW[:-5], NAMES[:-5])
    expected = clf.predict_proba(X)
    shown = copy.copy(clf).set_support(X_OLD, Y_OLD).predict_proba(X)
    save(clf, tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(again.predict_proba(X), expected)
        np.testing.assert_array_equal(again.set_support(X_OLD, Y_OLD).predict_proba(X), shown)


def test_training_changes_the_body_and_nothing_else_learns():
    drawn = PrototypicalClassifier(episodes=0, random_state=0).fit(X_OLD, Y_OLD)
    trained = PrototypicalClassifier(episodes=120, random_state=0).fit(X_OLD, Y_OLD)
    assert drawn.n_iter_ == 0
    assert trained.n_iter_ == 3
    assert [*trained.net_.module_.label_head.parameters()] == []
    assert trained.history_[-1, "label_loss"] < trained.history_[0, "label_loss"]
    before = drawn.net_.module_.body.state_dict()
    after = trained.net_.module_.body.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.accuracy
def test_episodes_on_old_classes_help_with_new_ones():
    def mean(episodes):
        settings = {"episodes": episodes, "n_way": 6, "n_shot": 1, "learning_rate": 0.005}
        fits = [
            PrototypicalClassifier(random_state=seed, **settings).fit(X_OLD, Y_OLD)
            for seed in range(3)
        ]
        scores = [few_shot_score(f, X_NEW, Y_NEW, n_episodes=100, random_state=0) for f in fits]
        return np.mean([score.mean for score in scores])

    assert mean(150) > mean(0) + 0.1


def test_images_pass_a_convolution_and_flat_pixels_none():
    images = np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32)
    labels = np.arange(40) % 4
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    for clf in (PrototypicalClassifier(body, episodes=5), NearestPrototypeClassifier(body)):
        assert clf.fit(images, labels).transform(images).shape == (40, 36)
    flat = images.reshape(40, -1)
    plain = NearestPrototypeClassifier().fit(flat, labels)
    np.testing.assert_array_equal(plain.transform(flat), flat)


def test_pipelines_pass_the_target_and_searches_hold_out_classes():
    pipe = make_transfer_pipeline(StandardScaler(), clone(ALL[0]))
    pipe.fit(X_OLD, Y_OLD, X_target=X_NEW, y_target=Y_NEW)
    assert set(pipe.predict(X_NEW)) <= set(Y_NEW)

    def scoring(estimator, X, y):
        return few_shot_score(estimator, X, y, n_way=3, n_episodes=20, random_state=0).mean

    grid = {"distance": ["euclidean", "cosine"]}
    search = GridSearchCV(clone(ALL[0]), grid, scoring=scoring, cv=GroupKFold(2))
    search.fit(X_OLD, Y_OLD, groups=Y_OLD)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_the_score_is_the_mean_with_its_interval():
    clf = clone(ALL[2]).fit(X_OLD, Y_OLD)
    before = clf.predict_proba(X)
    score = few_shot_score(clf, X_NEW, Y_NEW, n_way=3, n_episodes=50, random_state=0)
    assert score.mean == score.scores.mean()
    assert score.half_width == pytest.approx(1.96 * score.scores.std(ddof=1) / 50**0.5)
    assert str(score) == f"{score.mean:.3f} +- {score.half_width:.3f}"
    again = few_shot_score(clf, X_NEW, Y_NEW, n_way=3, n_episodes=50, random_state=0)
    np.testing.assert_array_equal(score.scores, again.scores)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


class Watching(LogisticRegression):
    """Tells which classes it was fitted on."""

    seen: ClassVar = []

    def fit(self, X, y):
        self.seen.append(set(y))
        return super().fit(X, y)


def test_other_classifiers_are_fitted_on_each_support_of_one_group():
    far, groups = 100.0 * Y_NEW[:, None], np.where(Y_NEW < 6, "low", "high")
    score = few_shot_score(Watching(), far, Y_NEW, groups=groups, n_way=2, n_episodes=20)
    assert score.mean == 1
    assert len(Watching.seen) == 20
    assert all(max(classes) < 6 or min(classes) > 6 for classes in Watching.seen)


@pytest.mark.parametrize("kind", [pd.DataFrame, scipy.sparse.csr_array, scipy.sparse.coo_array])
def test_rows_of_an_episode_are_taken_from_any_container(kind):
    shots = {"n_way": 3, "n_episodes": 20, "random_state": 0}
    expected = few_shot_score(LogisticRegression(), X_NEW, Y_NEW, **shots)
    score = few_shot_score(LogisticRegression(), kind(X_NEW), Y_NEW, **shots)
    np.testing.assert_allclose(score.scores, expected.scores)


ONE_EACH = X_OLD[::12], Y_OLD[::12]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda clf: clf.fit(*ONE_EACH), "Each class of y has one row.*\n?.*episodes=0"),
        (lambda clf: clf.fit(X_OLD, Y_OLD).set_support(X, y[:-1]), "y has 143 labels"),
        (lambda clf: clf.fit(X_OLD, Y_OLD).set_support(X[:3], y[:3]), "y holds one class"),
        (lambda clf: clf.fit(X_OLD, Y_OLD).set_support(X[:, :3], y), "3 features"),
        (
            lambda clf: clf.fit(X_OLD, Y_OLD).set_support(X, y, y > 0),
            r"sample_weight is 0 for every row of the classes \[0\]",
        ),
        (lambda clf: few_shot_score(clf.fit(X, y), X, y, n_way=13), "the most is 12. Lower n_way"),
        (lambda clf: few_shot_score(clf.fit(X, y), X, y, n_shot=0), "n_shot must be an integer"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_way_out(act, message):
    with pytest.raises(ValueError, match=message):
        act(PrototypicalClassifier(episodes=1))


def test_a_target_without_labels_is_said_to_be_of_no_use():
    with pytest.warns(UserWarning, match="does not use X_target without y_target"):
        NearestPrototypeClassifier().fit(X_OLD, Y_OLD, X_target=X_NEW)


def test_rows_of_episodes_are_augmented_in_training_alone():
    seen = []

    def noted(X):
        seen.append(X.shape)
        return X + 0.01 * torch.randn_like(X)

    settings = {"n_way": 3, "n_shot": 2, "n_query": 2, "episodes": 4, "random_state": 0}
    clf = PrototypicalClassifier(augment=noted, **settings).fit(X_OLD, Y_OLD)
    assert seen == [(12, 8)] * 4
    clf.predict(X_OLD)
    assert len(seen) == 4
    plain = PrototypicalClassifier(**settings).fit(X_OLD, Y_OLD)
    same = PrototypicalClassifier(augment=lambda X: X, **settings).fit(X_OLD, Y_OLD)
    np.testing.assert_array_equal(same.transform(X), plain.transform(X))
    assert not np.array_equal(clf.transform(X), plain.transform(X))


def test_augmenting_draws_by_the_random_state_and_leaves_torchs_generator_alone():
    clf = MatchingClassifier(
        augment=lambda X: X + torch.randn_like(X), episodes=3, n_way=3, random_state=0
    )
    before = torch.get_rng_state()
    first = clone(clf).fit(X_OLD, Y_OLD).transform(X)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(clone(clf).fit(X_OLD, Y_OLD).transform(X), first)


def test_an_augment_that_takes_or_gives_something_else_is_refused_by_name():
    for augment, message in ((lambda: None, "augment is called as"), (len, "augment made")):
        clf = PrototypicalClassifier(augment=augment, episodes=1)
        with pytest.raises((TypeError, ValueError), match=message):
            clf.fit(X_OLD, Y_OLD)


def test_a_score_of_what_was_not_fitted_says_what_to_fit_it_on():
    with pytest.raises(NotFittedError, match=r"Fit it first on rows of other classes than these"):
        few_shot_score(NearestPrototypeClassifier(), X_NEW, Y_NEW, n_way=3)
