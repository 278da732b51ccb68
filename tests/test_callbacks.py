"""Callbacks: ours and skorch's."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
)

from sktransfer import DANNClassifier, FineTuneClassifier, make_transfer_pipeline
from sktransfer.callbacks import DomainScoring, TargetValidation
from sktransfer.finetuning import SourceTraining
from sktransfer.model_selection import (
    DEVScorer,
    InfoMaxScorer,
    ReverseValidationScorer,
    TargetAccuracyScorer,
)

# Without the mean of the last weights, as a callback sees those of each epoch.
FAST = {"max_epochs": 4, "average_weights": 0.0, "random_state": 0}


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix])
def test_domain_scoring_records_the_accuracy_of_both_domains(domains, kind):
    X, y, X_target = domains
    y_target = np.where(X_target[:, 0] > 0, "up", "down")
    scoring = DomainScoring(kind(X), y, kind(X_target), y_target)
    clf = DANNClassifier(callbacks=[scoring], **FAST).fit(X, y, X_target)
    assert clf.history_[-1, "source_accuracy"] == clf.score(X, y)
    assert clf.history_[-1, "target_accuracy"] == clf.score(X_target, y_target)
    assert len(clf.history_[:, "target_accuracy"]) == 4


def test_domain_scoring_does_not_change_training(domains):
    X, y, X_target = domains
    scoring = DomainScoring(X, y, X_target, y)
    plain = DANNClassifier(**FAST).fit(X, y, X_target)
    scored = DANNClassifier(callbacks=[scoring], **FAST).fit(X, y, X_target)
    np.testing.assert_array_equal(plain.predict_proba(X), scored.predict_proba(X))


def test_domain_scoring_says_which_labels_are_missing(domains):
    X, y, X_target = domains
    scoring = DomainScoring(X, y, X_target, y[:5])
    with pytest.raises(ValueError, match="y_target has 5 labels for the 90 rows of X_target"):
        DANNClassifier(callbacks=[scoring], **FAST).fit(X, y, X_target)


def test_early_stopping_of_skorch_stops_and_leaves_a_fitted_estimator(domains):
    X, y, X_target = domains
    stopper = EarlyStopping(monitor="label_loss", patience=1, threshold=100, sink=lambda _: None)
    clf = DANNClassifier(callbacks=[stopper], random_state=0).fit(X, y, X_target)
    assert clf.n_iter_ == 2
    assert clf.predict(X).shape == y.shape


@pytest.mark.filterwarnings("ignore:The domain loss went between")  # as the rate is high
def test_history_says_which_epochs_were_the_best_so_far(domains):
    X, y, X_target = domains
    history = DANNClassifier(learning_rate=0.1, **FAST).fit(X, y, X_target).history_
    losses = history[:, "train_loss"]
    best = [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]
    assert history[:, "train_loss_best"] == best


@pytest.mark.filterwarnings("ignore:The domain loss stood still")
def test_gradient_clipping_of_skorch_is_applied(domains):
    X, y, X_target = domains
    plain = DANNClassifier(optimizer="sgd", **FAST).fit(X, y, X_target)
    clipped = DANNClassifier(optimizer="sgd", callbacks=[GradientNormClipping(1e-9)], **FAST).fit(
        X, y, X_target
    )
    fresh = DANNClassifier(optimizer="sgd", learning_rate=1e-300, **FAST).fit(X, y, X_target)
    assert not np.allclose(plain.predict_proba(X), fresh.predict_proba(X))
    np.testing.assert_allclose(clipped.predict_proba(X), fresh.predict_proba(X), atol=1e-6)


def test_epoch_scoring_of_skorch_sees_the_source(domains):
    X, y, X_target = domains

    scoring = EpochScoring("accuracy", name="train_accuracy", on_train=True)
    clf = DANNClassifier(callbacks=[scoring], **FAST).fit(X, y, X_target)
    assert clf.history_[-1, "train_accuracy"] == clf.score(X, y)


class BatchListener(Callback):
    def __init__(self):
        self.events = []

    def initialize(self):
        self.events = []
        return self

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        self.events.append(("begin", len(batch.source), training))

    def on_batch_end(self, net, batch=None, training=False, loss=None, **kwargs):
        self.events.append(("end", len(batch.target), float(loss) > 0))

    def on_grad_computed(self, net, named_parameters, batch=None, training=False, **kwargs):
        names = [name for name, p in named_parameters if p.grad is not None]
        self.events.append(("grad", len(names), "body.0.weight" in names))


def test_batch_events_reach_callbacks_that_listen(domains):
    X, y, X_target = domains
    listener = BatchListener()
    clf = DANNClassifier(callbacks=[("listener", listener)], batch_size=45, **FAST)
    clf.fit(X, y, X_target)
    heard = dict(clf.net_.callbacks_)["listener"].events
    assert heard[:3] == [("begin", 45, True), ("grad", 8, True), ("end", 45, True)]
    assert len(heard) == 3 * 2 * 4
    assert clf.history_[-1, "batches", :, "train_batch_size"] == [45, 45]
    assert listener.events == []  # the user's own is not touched


def test_batch_listeners_do_not_change_training(domains):
    X, y, X_target = domains
    plain = DANNClassifier(**FAST).fit(X, y, X_target)
    heard = DANNClassifier(callbacks=[BatchListener()], **FAST).fit(X, y, X_target)
    np.testing.assert_array_equal(plain.predict_proba(X), heard.predict_proba(X))


def test_verbose_shows_a_progress_bar_with_losses_and_domain_accuracy(domains, capsys):
    X, y, X_target = domains
    DANNClassifier(verbose=1, **FAST).fit(X, y, X_target)
    shown = capsys.readouterr().err
    for word in ("4/4", "label_loss=", "domain_loss=", "domain_accuracy="):
        assert word in shown
    DANNClassifier(**FAST).fit(X, y, X_target)
    assert capsys.readouterr().err == ""


class Replay:
    """Give these scores, one an epoch, and keep what the estimator predicted then."""

    def __init__(self, scores, X):
        self.scores, self.X, self.predicted = iter(scores), X, []

    def __call__(self, estimator, X, y):
        self.predicted.append(estimator.predict_proba(self.X))
        return next(self.scores)

    def __sklearn_clone__(self):
        return self


def test_the_best_epoch_is_restored_and_recorded(domains):
    X, y, X_target = domains
    replay = Replay([1.0, 3.0, 2.0, 3.0], X)
    clf = DANNClassifier(callbacks=[TargetValidation(replay)], **FAST).fit(X, y, X_target)
    assert clf.history_[:, "target_score"] == [1.0, 3.0, 2.0, 3.0]
    assert clf.history_[:, "target_score_best"] == [True, True, False, False]
    np.testing.assert_array_equal(clf.predict_proba(X), replay.predicted[1])
    short = DANNClassifier(**{**FAST, "max_epochs": 4}).fit(X, y, X_target)
    np.testing.assert_array_equal(short.predict_proba(X), replay.predicted[3])  # the last one
    assert not np.allclose(short.predict_proba(X), clf.predict_proba(X))


def test_no_epoch_is_kept_before_the_first_that_may_be(domains):
    X, y, X_target = domains
    replay = Replay([9.0, 8.0, 1.0, 2.0, 0.0, 0.0, 0.0], X)
    validation = TargetValidation(replay, patience=2, min_epochs=3)
    clf = DANNClassifier(callbacks=[validation], max_epochs=7, random_state=0)
    clf.fit(X, y, X_target)
    assert clf.history_[:, "target_score_best"] == [False, False, True, True, False, False]
    np.testing.assert_array_equal(clf.predict_proba(X), replay.predicted[3])
    with pytest.raises(ValueError, match="min_epochs must be an integer of at least 1; got 0"):
        TargetValidation(replay, min_epochs=0)


def test_training_ends_when_patience_does(domains):
    X, y, X_target = domains
    replay = Replay([1.0, 2.0, 0.0, 2.0, 9.0], X)
    validation = TargetValidation(replay, patience=2)
    clf = DANNClassifier(callbacks=[validation], max_epochs=9, random_state=0)
    clf.fit(X, y, X_target)
    assert clf.n_iter_ == 4
    np.testing.assert_array_equal(clf.predict_proba(X), replay.predicted[1])


def test_scoring_each_epoch_does_not_change_training(domains):
    X, y, X_target = domains
    plain = DANNClassifier(**FAST).fit(X, y, X_target)
    validation = TargetValidation(Replay([1.0, 2.0, 3.0, 4.0], X))
    scored = DANNClassifier(callbacks=[validation], **FAST).fit(X, y, X_target)
    np.testing.assert_array_equal(plain.predict_proba(X), scored.predict_proba(X))


def test_the_best_epoch_takes_the_place_of_the_mean_of_the_last_weights(domains):
    X, y, X_target = domains
    last = DANNClassifier(**FAST).fit(X, y, X_target).predict_proba(X)
    averaging = DANNClassifier(**{**FAST, "average_weights": 0.5})
    assert not np.allclose(clone(averaging).fit(X, y, X_target).predict_proba(X), last)
    validation = TargetValidation(Replay([1.0, 2.0, 3.0, 4.0], X))
    scored = averaging.set_params(callbacks=[validation]).fit(X, y, X_target)
    np.testing.assert_array_equal(scored.predict_proba(X), last)


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix, torch.tensor, pd.DataFrame])
def test_scorers_see_the_estimator_of_that_epoch(domains, kind):
    X, y, X_target = domains
    scorer = InfoMaxScorer(kind(X_target))
    clf = DANNClassifier(callbacks=[TargetValidation(scorer)], **FAST).fit(X, y, X_target)
    assert max(clf.history_[:, "target_score"]) == pytest.approx(scorer(clf), rel=1e-5)


def test_scorers_get_the_labelled_rows_of_the_source(domains):
    X, y, X_target = domains
    scorer = DEVScorer(X_target)
    validation = TargetValidation(scorer, X[60:], y[60:])
    clf = DANNClassifier(callbacks=[validation], **FAST).fit(X[:60], y[:60], X_target)
    scores = clf.history_[:, "target_score"]
    assert max(scores) == pytest.approx(scorer(clf, X[60:], y[60:]), rel=1e-5)
    assert len(set(scores)) > 1


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix])
def test_a_class_of_scorers_scores_on_the_target_in_training(domains, kind):
    X, y, X_target = domains
    validation = TargetValidation(InfoMaxScorer)
    scaler = StandardScaler(with_mean=False)
    pipe = make_transfer_pipeline(scaler, DANNClassifier(callbacks=[validation], **FAST))
    pipe.fit(kind(X), y, X_target=kind(X_target))
    best = max(pipe[-1].history_[:, "target_score"])
    assert InfoMaxScorer(kind(X_target))(pipe) == pytest.approx(best, rel=1e-5)
    assert validation.scorer is InfoMaxScorer
    pickle.dumps(pipe)


def test_batch_statistics_are_those_of_the_restored_weights(domains):
    X, y, X_target = domains
    body = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU())
    validation = TargetValidation(Replay([2.0, 1.0, 1.0, 1.0], X))
    clf = DANNClassifier(body, callbacks=[validation], **FAST).fit(X, y, X_target)
    linear, norm = clf.net_.module_.body[:2]
    rows = linear(torch.tensor(X_target, dtype=torch.float32)).detach().mean(dim=0)
    prior = linear(torch.tensor(X, dtype=torch.float32)).detach().mean(dim=0)
    expected = (16 * prior + 90 * rows) / (16 + 90)
    np.testing.assert_allclose(norm.running_mean, expected, atol=0.02)


def test_each_stage_of_fine_tuning_keeps_its_best_epoch(domains):
    X, y, X_target = domains
    replay = Replay([1.0, 2.0, 0.0, 5.0, 4.0], X)
    clf = FineTuneClassifier(
        source_training=SourceTraining(epochs=2),
        head_epochs=3,
        finetune_epochs=2,
        callbacks=[TargetValidation(replay)],
        random_state=0,
    ).fit(X, y, X_target, y)
    stages = clf.history_[:, "stage"]
    scored = ["target_score" in epoch for epoch in clf.history_]
    assert scored == [stage != "source" for stage in stages]  # its head is another
    best = [epoch.get("target_score_best") for epoch in clf.history_]
    assert best == [None, None, True, True, False, True, False]
    np.testing.assert_array_equal(clf.predict_proba(X), replay.predicted[3])


def test_a_warm_start_forgets_what_was_best_before(domains):
    X, y, X_target = domains
    replay = Replay([9.0, 8.0, 1.0, 2.0], X)
    validation = TargetValidation(replay)
    clf = DANNClassifier(callbacks=[validation], warm_start=True, max_epochs=2, random_state=0)
    clf.fit(X, y, X_target).fit(X, y, X_target)
    assert clf.history_[:, "target_score_best"] == [True, False, True, True]
    np.testing.assert_array_equal(clf.predict_proba(X), replay.predicted[3])


def test_estimators_with_a_validation_are_cloned_and_pickled_alike(domains):
    X, y, X_target = domains
    validation = TargetValidation(TargetAccuracyScorer(X_target, y), patience=2)
    clf = clone(DANNClassifier(callbacks=[validation], **FAST)).fit(X, y, X_target)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    again = clone(loaded).fit(X, y, X_target)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


@pytest.mark.filterwarnings("ignore:The domain loss went between")  # as the rate is high
def test_validation_chooses_the_epoch_of_the_best_target_accuracy(domains):
    X, y, X_target = domains
    y_target = np.where(X_target[:, 0] > 0, "up", "down")
    scorer = TargetAccuracyScorer(X_target, y_target)
    params = {"max_epochs": 40, "learning_rate": 0.05, "random_state": 0}
    clf = DANNClassifier(callbacks=[TargetValidation(scorer)], **params).fit(X, y, X_target)
    scores = clf.history_[:, "target_score"]
    assert any(after < before for before, after in pairwise(scores))  # there is a choice
    assert clf.score(X_target, y_target) == max(scores)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_cannot_validate_is_refused_with_a_way_out(domains):
    X, y, X_target = domains

    def fit(scorer, **params):
        validation = TargetValidation(scorer, **params)
        DANNClassifier(callbacks=[validation], **FAST).fit(X, y, X_target)

    with pytest.raises(TypeError, match=r"scorer must be a callable .* such as InfoMaxScorer"):
        TargetValidation("accuracy")
    with pytest.raises(ValueError, match=r"scores on the target's rows, but training is without"):
        DANNClassifier(lambda_=0.0, callbacks=[TargetValidation(InfoMaxScorer)], **FAST).fit(X, y)
    for patience in (0, -1, 2.5):
        with pytest.raises(ValueError, match="patience must be an integer of at least 1 or None"):
            TargetValidation(InfoMaxScorer(X_target), patience=patience)
    with pytest.raises(ValueError, match=r"scored nan in epoch 1; it must return a finite"):
        fit(lambda *_: float("nan"))
    with pytest.raises(ValueError, match=r"X has rows of shape \(3,\), but training is on rows"):
        fit(InfoMaxScorer(X_target[:, :3]))
    with pytest.raises(ValueError, match=r"TargetValidation\(scorer, X, y\)"):
        fit(DEVScorer(X_target))
    with pytest.raises(TypeError, match="ReverseValidationScorer fits a clone"):
        fit(ReverseValidationScorer(X_target), X=X, y=y)


@pytest.mark.parametrize("callback", [EarlyStopping(), Checkpoint(sink=lambda _: None)])
def test_monitors_of_rows_held_out_are_told_what_to_use(callback, domains):
    X, y, X_target = domains
    clf = DANNClassifier(max_epochs=2, callbacks=[callback], random_state=0)
    best = "_best" if isinstance(callback, Checkpoint) else ""
    with pytest.raises(ValueError, match=r"TargetValidation.*HeldOut") as caught:
        clf.fit(X, y, X_target)
    assert f"monitor='train_loss{best}'" in str(caught.value)
    assert "'domain_loss'" in str(caught.value)


def test_other_unknown_monitors_are_told_what_is_recorded(domains):
    X, y, X_target = domains
    clf = DANNClassifier(max_epochs=2, callbacks=[EarlyStopping("valid_acc")], random_state=0)
    with pytest.raises(ValueError, match=r"monitors 'valid_acc'.*'label_loss'.*'train_loss'"):
        clf.fit(X, y, X_target)


def test_checkpoint_of_skorch_writes_the_epoch_of_the_least_loss(domains, tmp_path):
    X, y, X_target = domains
    kept = Checkpoint(monitor="train_loss_best", dirname=tmp_path)
    clf = DANNClassifier(callbacks=[kept], **FAST).fit(X, y, X_target)
    best = int(np.argmin(clf.history_[:, "train_loss"]))
    events = [epoch["event_cp"] for epoch in clf.history_]
    assert [number for number, wrote in enumerate(events) if wrote][-1] == best
    written = torch.load(tmp_path / "params.pt")
    assert written.keys() == clf.net_.module_.state_dict().keys()
