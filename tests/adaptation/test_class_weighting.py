"""Source classes weigh as the target seems to have them."""

import warnings
from functools import cached_property

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from torch import nn

from sktransfer import (
    CDANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DeepJDOTClassifier,
    DeepMMDClassifier,
    FitCheckpoint,
    MCCClassifier,
)
from sktransfer.adaptation._class_shares import (
    explained_by_shares,
    left_by_shares,
    shares_differ,
    weights_by_target_shares,
)
from sktransfer.adaptation._class_weighting import ClassWeighting
from sktransfer.adaptation._some_rows import Looks, Seen, SomeRows
from sktransfer.datasets import make_shifted_moons
from sktransfer.engine._run import Run


def test_weights_are_those_of_plain_loops():
    P = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]])
    y, weights = [0, 0, 1, 2, 2, 2], [1.0, 3.0, 2.0, 1.0, 0.0, 1.0]
    expected = []
    for label, weight in zip(y, weights, strict=True):
        q = sum(row[label] for row in P) / 2
        p = sum(w for k, w in zip(y, weights, strict=True) if k == label) / sum(weights)
        expected.append(weight * q / p)
    got = weights_by_target_shares(P.mean(axis=0), np.array(y), np.array(weights))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert got.sum() == pytest.approx(sum(weights))


positive = st.floats(0.01, 1)


@given(arrays(float, (5, 3), elements=positive), arrays(float, 9, elements=positive))
def test_shares_of_the_source_become_the_targets(P, weights):
    P, y = P / P.sum(axis=1, keepdims=True), np.arange(9) % 3
    got = weights_by_target_shares(P.mean(axis=0), y, weights)
    shares = np.bincount(y, got) / got.sum()
    np.testing.assert_allclose(shares, P.mean(axis=0), rtol=1e-9)
    again = weights_by_target_shares(P.mean(axis=0), y, got)
    np.testing.assert_allclose(again, got, rtol=1e-9)  # there it stays


def test_a_class_without_rows_in_the_source_is_left_out():
    got = weights_by_target_shares(np.array([0.5, 0.25, 0.25]), np.array([0, 1]), np.ones(2))
    np.testing.assert_allclose(got, [4 / 3, 2 / 3])


def test_a_source_without_classes_of_the_target_is_drawn_as_ever():
    weights = np.array([1.0, 2.0, 0.0])
    got = weights_by_target_shares(np.array([0.5, 0.5, 0.0]), np.array([2, 2, 0]), weights)
    np.testing.assert_array_equal(got, weights)


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
def test_one_of_several_sources_may_hold_what_the_target_lacks_alone():
    X, y, X_target, _ = partial(0, shift=0)
    lacks = y >= 2
    clf = DeepCORALClassifier(max_epochs=40, random_state=0)
    clf.fit(X, y, X_target, domains=np.where(lacks, "b", "a"))
    assert np.isfinite(clf.history_[:, "train_loss"]).all()


def normalising(input_shape):
    return nn.Sequential(nn.Linear(*input_shape, 8), nn.BatchNorm1d(8), nn.ReLU()).double()


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.parametrize("class_weighting", ["auto", "target"])
def test_a_fit_that_is_over_is_read_with_the_same_statistics(class_weighting, tmp_path):
    X, y, X_target, _ = partial(0, shift=0)
    clf = DANNClassifier(
        normalising, class_weighting=class_weighting, max_epochs=40, random_state=0
    )
    clf.set_params(checkpoint=tmp_path / "fit")
    answers = [clf.fit(X, y, X_target).predict_proba(X_target) for _ in range(2)]
    np.testing.assert_array_equal(*answers)


def gap_by_loops(source, y, weights, target, shares):
    """Return the squared distance of the target's mean to class means in these shares."""
    gap = 0.0
    for column in range(source.shape[1]):
        mixed = 0.0
        for label, share in enumerate(shares):
            rows = [i for i in range(len(y)) if y[i] == label]
            total = sum(weights[i] for i in rows)
            mixed += share * sum(weights[i] * source[i, column] for i in rows) / total
        gap += (sum(target[:, column]) / len(target) - mixed) ** 2
    return gap


@given(
    arrays(float, 4, elements=positive), arrays(float, 4, elements=positive), st.integers(1, 999)
)
def test_shares_differ_by_more_than_chance_makes_of_them(source, target, n_rows):
    source, target = source / source.sum(), target / target.sum()
    difference = expected = 0.0
    for p, q in zip(source, target, strict=True):
        difference += abs(q - p) / 2
        expected += (2 * p * (1 - p) / (np.pi * n_rows)) ** 0.5 / 2
    assert shares_differ(source, target, n_rows) == (
        difference > 0.12 and difference > 1.5 * expected
    )
    assert not shares_differ(source, source, n_rows)


def test_what_is_expected_of_chance_is_about_what_draws_give():
    shares, n_rows = np.array([0.5, 0.3, 0.2]), 100
    drawn = np.random.default_rng(0).multinomial(n_rows, shares, size=20_000) / n_rows
    expected = np.sqrt(2 * shares * (1 - shares) / (np.pi * n_rows)).sum() / 2
    assert np.abs(drawn - shares).sum(axis=1).mean() / 2 == pytest.approx(expected, rel=0.02)


entries = st.floats(-3, 3)


@given(
    arrays(float, (6, 2), elements=entries),
    arrays(float, (4, 2), elements=entries),
    arrays(float, 6, elements=positive),
    arrays(float, 3, elements=positive),
)
def test_what_shares_explain_is_that_of_plain_loops(source, target, weights, shares):
    y, shares = np.arange(6) % 3, shares / shares.sum()
    own = np.bincount(y, weights) / weights.sum()
    before, after = (gap_by_loops(source, y, weights, target, each) for each in (own, shares))
    explained = explained_by_shares(source, y, weights, target, shares)
    if before > 1e-6:
        assert explained == pytest.approx(1 - after / before, rel=1e-6, abs=1e-6)
        scaled = explained_by_shares(7 * source + 1, y, weights, 7 * target + 1, shares)
        assert scaled == pytest.approx(explained, rel=1e-4, abs=1e-6)


@given(
    arrays(float, (6, 2), elements=entries),
    arrays(float, (4, 2), elements=entries),
    arrays(float, 6, elements=positive),
    arrays(float, 3, elements=positive),
)
def test_what_shares_leave_is_that_of_plain_loops(source, target, weights, shares):
    y, shares = np.arange(6) % 3, shares / shares.sum()
    spread = 0.0
    for column in range(2):
        mean = sum(weights[i] * source[i, column] for i in range(6)) / sum(weights)
        away = [(source[i, column] - mean) ** 2 for i in range(6)]
        spread += sum(weights[i] * away[i] for i in range(6)) / sum(weights)
    left = left_by_shares(source, y, weights, target, shares)
    if spread > 1e-6:
        gap = gap_by_loops(source, y, weights, target, shares)
        assert left == pytest.approx(gap / spread, rel=1e-6, abs=1e-6)
        scaled = left_by_shares(7 * source + 1, y, weights, 7 * target + 1, shares)
        assert scaled == pytest.approx(left, rel=1e-4, abs=1e-6)


def test_what_shares_leave_where_the_rows_of_the_source_are_all_the_same():
    source, y, ones, shares = np.ones((3, 1)), np.arange(3), np.ones(3), np.array([0.5, 0.5, 0.0])
    assert left_by_shares(source, y, ones, np.ones((2, 1)), shares) == 0
    assert left_by_shares(source, y, ones, np.zeros((2, 1)), shares) == np.inf


def test_shares_explain_all_of_a_gap_that_is_theirs_and_nothing_of_another():
    source, y, ones = np.array([[0.0], [1.0], [4.0]]), np.arange(3), np.ones(3)
    shares = np.array([0.5, 0.5, 0.0])
    assert explained_by_shares(source, y, ones, source[:2], shares) == 1
    assert explained_by_shares(source, y, ones, source + 1, np.full(3, 1 / 3)) == 0
    assert explained_by_shares(source, y, ones, source, shares) == 0  # there is no gap
    assert explained_by_shares(source, y, ones, source + 3, shares) < 0


def unequal(seed):
    """Return two classes, as frequent in the source, of which the target, moved, has 9 to 1."""
    rng = np.random.default_rng(seed)
    y, y_target = np.arange(200) % 2, (np.arange(100) % 10 == 0).astype(int)
    X, X_target = (rng.normal(size=(len(each), 2)) + 6 * each[:, None] for each in (y, y_target))
    return X, y, X_target + np.array([0, 4]), y_target


def partial(seed, shift=1.5, spread=1.0):
    """Return four classes in the source, of which the target, moved, has two."""
    rng = np.random.default_rng(seed)
    centres = np.array([[-3, -3], [-3, 3], [3, -3], [3, 3]])
    y, y_target = np.arange(400) % 4, np.arange(200) % 2
    X = centres[y] + spread * rng.normal(size=(400, 2))
    noise = spread * rng.normal(size=(200, 2))
    return X, y, centres[y_target] + noise + [shift, 0], y_target


@pytest.mark.accuracy
def test_an_adversary_on_a_target_without_some_classes_does_less_harm():
    gains, n_warned = [], 0
    for seed in range(3):
        X, y, X_target, y_target = partial(seed)
        clf = DANNClassifier(max_epochs=40, class_weighting=None, random_state=seed)
        weighted = clone(clf).set_params(class_weighting="target")
        for fitted, advice in ((weighted, "were drawn by what is predicted"), (clf, "gone astray")):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fitted.fit(X, y, X_target)
            assert all("The predicted shares of the target" in str(one.message) for one in caught)
            assert all(advice in str(one.message) for one in caught)
        n_warned += len(caught)
        gains.append(weighted.score(X_target, y_target) - clf.score(X_target, y_target))
    assert n_warned >= 1  # two of these three
    assert np.mean(gains) > 0.05  # three draws gave 0.09 to 0.18


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.accuracy
def test_missing_classes_that_are_all_of_the_gap_are_made_use_of_by_default():
    scores = []
    for seed in range(3):
        X, y, X_target, y_target = partial(seed, shift=0, spread=2.0)
        clf = DANNClassifier(max_epochs=40, random_state=seed)
        as_they_are = clone(clf).set_params(class_weighting=None)
        fits = (clf, as_they_are, clf.source_only())
        scores.append([c.fit(X, y, X_target).score(X_target, y_target) for c in fits])
    by_default, unweighted, source_only = np.mean(scores, axis=0)
    assert by_default > source_only + 0.02  # by 0.05; single gains are 0.04 to 0.07
    assert by_default > unweighted + 0.02


@pytest.mark.parametrize("kind", [DANNClassifier, DeepCORALClassifier])
def test_shares_that_explain_the_gap_draw_the_source_from_then_on(kind):
    X, y, X_target, _ = partial(0, shift=0)
    clf = kind(max_epochs=20, random_state=0)
    with pytest.warns(UserWarning, match="These shares explain what is between the domains"):
        clf.fit(X, y, X_target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        unweighted = clone(clf).set_params(class_weighting=None).fit(X, y, X_target)
    drawn, as_they_are = (fitted.history_[:, "label_loss"] for fitted in (clf, unweighted))
    assert drawn[:3] == as_they_are[:3]  # it looks after three epochs
    assert drawn[3] != as_they_are[3]


def test_where_shares_do_not_explain_the_gap_nothing_is_weighed():
    X, y, _, _ = partial(0)
    shift = np.array([1.5, 0])
    clf = DANNClassifier(max_epochs=10, random_state=0)
    fits = [
        clone(clf).set_params(class_weighting=each).fit(X, y, X + shift).predict_proba(X)
        for each in ("auto", None)
    ]
    np.testing.assert_array_equal(*fits)


def label_losses(y, answers, monkeypatch, learned=None, sure=0.7, features=None, **params):
    """Return those of six epochs, of which the target is looked at after one and after three.

    The source's rows are told as ``learned``; ``features`` are those of both domains.
    """
    given, learned = iter(answers), y if learned is None else learned
    of_source, of_target = (np.ones((len(y), 1)),) * 2 if features is None else features

    def target(_):
        probabilities = (1 - sure) / 3 + (sure - (1 - sure) / 3) * np.eye(4)[next(given)]
        return Seen(of_target, np.log(probabilities))

    seen = {"source": lambda _: Seen(of_source, np.eye(4)[learned]), "target": target}
    for name, make in seen.items():
        seen_once = cached_property(make)
        seen_once.__set_name__(Looks, name)
        monkeypatch.setattr(Looks, name, seen_once)
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    clf = DANNClassifier(max_epochs=6, random_state=0, **params)
    return clf.fit(X, y, X).history_[:, "label_loss"]


FEW, MANY = [0] * 35 + [1] * 3 + [2, 3], [0] * 31 + [1] * 6 + [2] * 2 + [3]  # of 40 rows 5 differ


@pytest.mark.parametrize(
    ("early", "later"),
    [
        ([0, 1, 2, 3] * 10, [0, 1, 2, 3] * 10),  # as in the source
        (FEW, [0, 1, 2, 3] * 10),
        ([0, 1, 2, 3] * 10, FEW),
        ([1, *FEW[1:]], MANY),  # 6 of 40 rows differ
        ([0] * 35 + [1] * 3 + [2] * 2, [0] * 35 + [1] * 3 + [2] * 2),  # none of the fourth class
    ],
)
def test_the_source_stays_where_answers_tell_of_nothing_or_are_not_borne_out(
    early, later, monkeypatch
):
    y = np.arange(40) % 4
    drawn = label_losses(y, [early, later], monkeypatch)
    as_they_are = label_losses(y, [], monkeypatch, class_weighting=None)
    assert drawn == as_they_are
    assert label_losses(y, [FEW, FEW], monkeypatch, sure=0.66) == as_they_are
    assert label_losses(y, [FEW, FEW, FEW, FEW], monkeypatch) != as_they_are


@pytest.mark.parametrize(("n_wrong", "is_followed"), [(5, True), (6, False)])
def test_answers_of_a_network_that_confuses_the_sources_classes_are_not_followed(
    n_wrong, is_followed, monkeypatch
):
    y = np.arange(40) % 4
    learned = np.where(np.arange(40) < n_wrong, (y + 1) % 4, y)
    drawn = label_losses(y, [FEW] * 4, monkeypatch, learned)
    as_they_are = label_losses(y, [], monkeypatch, class_weighting=None)
    assert (drawn != as_they_are) == is_followed


@pytest.mark.parametrize(("away", "is_followed"), [(0.645, True), (0.646, False)])
def test_answers_for_rows_that_lie_far_from_the_source_are_not_followed(
    away, is_followed, monkeypatch
):
    y = np.arange(40) % 4
    # Of variance 1, and 0 in the mean of each class: away^2 is left of 2/3 * .625.
    feature = np.repeat([-1.0, 1.0], 20)[:, None]
    drawn = label_losses(y, [FEW] * 4, monkeypatch, features=(feature, feature + away))
    as_they_are = label_losses(y, [], monkeypatch, class_weighting=None)
    assert (drawn != as_they_are) == is_followed


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.parametrize(("n_wrong", "is_drawn"), [(10, True), (11, False)])
def test_shares_explain_nothing_to_a_network_that_confuses_the_sources_classes(
    n_wrong, is_drawn, monkeypatch
):
    y = np.arange(40) % 4
    learned = np.where(np.arange(40) < n_wrong, (y + 1) % 4, y)
    features = np.eye(4)[y], np.eye(4)[FEW]
    drawn = label_losses(y, [FEW] * 4, monkeypatch, learned, features=features)
    as_they_are = label_losses(y, [], monkeypatch, class_weighting=None)
    assert (drawn != as_they_are) == is_drawn


@pytest.mark.parametrize("is_learned", [True, False])
def test_a_class_that_is_not_learned_yet_is_not_taken_for_a_rare_one(is_learned, monkeypatch):
    y = np.repeat(np.arange(4), [28, 4, 4, 4])
    learned = y if is_learned else np.repeat([0, 1, 0, 2, 0, 3], [28, 4, 2, 2, 3, 1])
    drawn = label_losses(y, [FEW] * 4, monkeypatch, learned)
    as_they_are = label_losses(y, [], monkeypatch, class_weighting=None)
    assert (drawn != as_they_are) == is_learned


def test_from_the_second_look_on_the_source_has_the_shares_of_answers(monkeypatch):
    y, present = np.arange(40) % 4, [0] * 30 + [1] * 10
    seen, train = [], Run._train_epoch

    def train_epoch(run, done, share):
        weights = run.stage.sampler.streams["source"].each[0].weights
        seen.append(None if weights is None else np.bincount(y, weights) / weights.sum())
        train(run, done, share)

    monkeypatch.setattr(Run, "_train_epoch", train_epoch)
    label_losses(y, [FEW, MANY, present, present], monkeypatch)
    assert [each is None for each in seen] == [True] * 3 + [False] * 3
    for epoch, answers in ((3, MANY), (4, present), (5, present)):
        ramp = 2 / (1 + np.exp(-10 * epoch / 6)) - 1
        expected = [
            (1 - ramp) * (FEW.count(k) + 1) / 44 + ramp * (answers.count(k) + 1) / 44
            for k in range(4)
        ]
        np.testing.assert_allclose(seen[epoch], expected)


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.accuracy
def test_a_target_with_far_fewer_rows_of_a_class_is_adapted_to_by_default():
    scores = []
    for seed in range(3):
        Xs, ys, Xt, yt = make_shifted_moons(rotation=20, random_state=seed)
        kept = (yt == 0) | (np.random.default_rng(seed).random(len(yt)) < 0.1)
        clf = DANNClassifier(random_state=seed)
        fits = (clf, clone(clf).set_params(class_weighting=None), clf.source_only())
        scores.append([c.fit(Xs, ys, Xt[kept]).score(Xt[kept], yt[kept]) for c in fits])
    by_default, unweighted, source_only = np.mean(scores, axis=0)
    assert by_default > unweighted + 0.05
    assert by_default > source_only


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.parametrize("make_domains", [partial, unequal])
@pytest.mark.parametrize("class_weighting", ["auto", "target"])
def test_a_fit_that_was_ended_goes_on_with_the_same_weights(
    class_weighting, make_domains, tmp_path, monkeypatch
):
    X, y, X_target, _ = make_domains(0)
    clf = DANNClassifier(class_weighting=class_weighting, max_epochs=20, random_state=0)
    undisturbed = clone(clf).fit(X, y, X_target).predict_proba(X_target)
    checkpoint = FitCheckpoint(tmp_path / "fit", every_epochs=1, every_seconds=None)
    clf.set_params(checkpoint=checkpoint)
    train, seen = Run._train_epoch, []

    def train_epoch(run, done, share):
        seen.append(done)
        if len(seen) == 8:
            raise RuntimeError("ended")
        train(run, done, share)

    monkeypatch.setattr(Run, "_train_epoch", train_epoch)
    with pytest.raises(RuntimeError, match="ended"):
        clf.fit(X, y, X_target)
    resumed = clf.fit(X, y, X_target).predict_proba(X_target)
    assert len(seen) == 8 + 13
    np.testing.assert_array_equal(resumed, undisturbed)


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.parametrize(
    "kind",
    [
        CDANClassifier,
        DANNClassifier,
        DeepCORALClassifier,
        DeepJDOTClassifier,
        DeepMMDClassifier,
        MCCClassifier,
    ],
)
def test_weights_of_rows_and_repeated_fits_are_honoured(kind):
    X, y, X_target, _ = partial(0)
    weights = np.arange(400) % 3  # the rows of weight 0 are never drawn
    clf = kind(class_weighting="target", max_epochs=3, random_state=0)
    noise = np.where((weights == 0)[:, np.newaxis], 9.0, X)
    first = clone(clf).fit(X, y, X_target, sample_weight=weights).predict_proba(X_target)
    second = clone(clf).fit(noise, y, X_target, sample_weight=weights).predict_proba(X_target)
    np.testing.assert_array_equal(first, second)


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
def test_before_an_epoch_the_source_has_the_shares_that_were_predicted_then(monkeypatch):
    X, y, X_target, _ = partial(0)
    seen, train = [], Run._train_epoch

    def train_epoch(run, done, share):
        weights = run.stage.sampler.streams["source"].each[0].weights
        weights = np.ones(len(y)) if weights is None else weights  # before the first epoch
        drawn = np.bincount(y, weights) / weights.sum()
        network = run.net.module_.eval()
        rows = torch.as_tensor(X_target, dtype=next(network.parameters()).dtype)
        with torch.no_grad():
            probabilities = network(rows).double().softmax(dim=1).numpy()
        network.train()
        seen.append((drawn, [sum(row[k] for row in probabilities) / 200 for k in range(4)]))
        train(run, done, share)

    monkeypatch.setattr(Run, "_train_epoch", train_epoch)
    DANNClassifier(class_weighting="target", max_epochs=10, random_state=0).fit(X, y, X_target)
    own = np.bincount(y) / len(y)
    for epoch, (drawn, predicted) in enumerate(seen):
        ramp = 2 / (1 + np.exp(-10 * epoch / 10)) - 1
        np.testing.assert_allclose(drawn, (1 - ramp) * own + ramp * np.array(predicted), rtol=1e-5)
    assert np.abs(seen[-1][0] - own).max() > 0.05


def test_the_twin_and_a_fit_without_target_draw_as_ever():
    X, y, X_target, _ = partial(0)
    clf = DANNClassifier(class_weighting="target", max_epochs=2, random_state=0)
    plain = clone(clf).set_params(class_weighting=None)
    probabilities = [c.source_only().fit(X, y).predict_proba(X_target) for c in (clf, plain)]
    np.testing.assert_array_equal(*probabilities)


def test_another_word_is_refused():
    X, y, X_target, _ = partial(0)
    with pytest.raises(ValueError, match="'class_weighting' parameter of DANNClassifier must be"):
        DANNClassifier(class_weighting="source").fit(X, y, X_target)


def test_a_fit_that_diverges_at_the_end_of_an_epoch_is_told_by_its_loss():
    X, y, X_target, _ = partial(0)
    clf = MCCClassifier(
        class_weighting="target", optimizer="sgd", learning_rate=1e200, batch_size=400, max_epochs=9
    )
    with pytest.raises(ValueError, match=r"became (nan|inf) in .*Try a smaller learning_rate"):
        clf.fit(X, y, X_target)


@pytest.mark.filterwarnings("ignore:The predicted shares of the target:UserWarning")
@pytest.mark.parametrize("class_weighting", ["auto", "target"])
def test_no_domain_is_passed_twice_before_an_epoch(class_weighting, monkeypatch):
    passed, by_epoch = SomeRows.passed, []
    begin, train = ClassWeighting.on_epoch_begin, []

    def record(rows, *arguments):
        train.append(len(rows))
        return passed(rows, *arguments)

    def on_epoch_begin(self, net, **kwargs):
        train.clear()
        begin(self, net, **kwargs)
        by_epoch.append(sorted(train))

    monkeypatch.setattr(SomeRows, "passed", record)
    monkeypatch.setattr(ClassWeighting, "on_epoch_begin", on_epoch_begin)
    X, y, X_target, _ = unequal(0)
    clf = DANNClassifier(class_weighting=class_weighting, max_epochs=40, random_state=0)
    clf.fit(X, y, X_target)
    both, target = [100, 200], [100]
    later = target if class_weighting == "target" else []
    # It looks from the fourth epoch to the seventh; "auto" after two epochs, too.
    first = [[], target, target] if class_weighting == "target" else [[], [], target]
    assert by_epoch == [*first, *[both] * 4, *[later] * 33]
