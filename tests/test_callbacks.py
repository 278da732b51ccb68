"""Callbacks: ours and skorch's."""

import numpy as np
import pytest
import scipy.sparse
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, GradientNormClipping

from sktransfer import DANNClassifier
from sktransfer.callbacks import DomainScoring

FAST = {"max_epochs": 4, "random_state": 0}


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
    with pytest.raises(ValueError, match="X_target has 90 rows but y_target 5 labels"):
        DANNClassifier(callbacks=[scoring], **FAST).fit(X, y, X_target)


def test_early_stopping_of_skorch_stops_and_leaves_a_fitted_estimator(domains):
    X, y, X_target = domains
    stopper = EarlyStopping(monitor="label_loss", patience=1, threshold=100, sink=lambda _: None)
    clf = DANNClassifier(callbacks=[stopper], random_state=0).fit(X, y, X_target)
    assert clf.n_iter_ == 2
    assert clf.predict(X).shape == y.shape


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
        self.events.append(("begin", len(batch.X_source), training))

    def on_batch_end(self, net, batch=None, training=False, loss=None, **kwargs):
        self.events.append(("end", len(batch.X_target), float(loss) > 0))

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
