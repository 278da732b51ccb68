"""A fit that fails, is refused or interrupted leaves the estimator as it was."""

import copy
import pickle
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sktransfer import DANNClassifier, DeepCORALClassifier, FineTuneClassifier, TargetDomain
from sktransfer._estimator import BaseTransferEstimator
from sktransfer.finetuning import SourceTraining
from sktransfer.validation._domains import check_rows_to_predict

FAST = {"max_epochs": 2, "random_state": 0}
ESTIMATORS = [
    DANNClassifier(**FAST),
    DANNClassifier(warm_start=True, **FAST),
    DeepCORALClassifier(**FAST),
    FineTuneClassifier(
        source_training=SourceTraining(epochs=2), head_epochs=2, finetune_epochs=2, random_state=0
    ),
]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


class Majority(ClassifierMixin, BaseTransferEstimator):
    """Answers with the most frequent label; fails where it is told to."""

    def __init__(self, fails=False):
        self.fails = fails

    def _fit(self, domains):
        self.classes_, counts = np.unique(domains.source.y, return_counts=True)
        self.target_ = domains.target
        if self.fails:
            raise RuntimeError("told to")
        self.answer_ = self.classes_[counts.argmax()]

    def predict(self, X):
        return np.full(len(check_rows_to_predict(self, X)), self.answer_)


class Raises(Callback):
    """Raises in the middle of training."""

    def __init__(self, error):
        self.error = error

    def on_epoch_begin(self, net, **kwargs):
        raise self.error


def spoil(estimator, how, X, y, X_target):
    """Call `fit` in a way that fails."""
    if how == "refused data":
        with pytest.raises(ValueError, match="features"):
            estimator.fit(X[:, :2], y, X_target)
        return
    if how == "refused parameter":
        estimator.set_params(batch_size=-1)
        with pytest.raises(ValueError, match="batch_size"):
            estimator.fit(X, y, X_target)
        return
    error = KeyboardInterrupt if how == "interrupt" else RuntimeError
    estimator.set_params(callbacks=[Raises(error())])
    with pytest.raises(error):
        estimator.fit(X, y, X_target)


@pytest.mark.parametrize("how", ["refused data", "refused parameter", "interrupt", "error"])
@each_estimator
@pytest.mark.filterwarnings("ignore:.*rows of X_target have a class of")
def test_a_fit_that_fails_leaves_the_old_model(domains, estimator, how):
    X, y, X_target = domains
    clf = clone(estimator).fit(X, y, X_target)
    before, names = clf.predict_proba(X_target), {n for n in vars(clf) if n.endswith("_")}
    spoil(clf, how, X, y, X_target)
    np.testing.assert_array_equal(clf.predict_proba(X_target), before)
    assert {n for n in vars(clf) if n.endswith("_")} == names
    assert clf.n_features_in_ == X.shape[1]


@pytest.mark.parametrize("how", ["refused data", "interrupt", "error"])
@each_estimator
def test_a_first_fit_that_fails_leaves_the_estimator_unfitted(domains, estimator, how):
    X, y, X_target = domains
    clf = clone(estimator)
    spoil(clf, how, X, y, X_target)
    assert not [name for name in vars(clf) if name.endswith("_") and name != "lambda_"]
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_every_estimator_has_the_same_fit():
    for estimator in [*ESTIMATORS, Majority()]:
        assert type(estimator).fit is BaseTransferEstimator.fit


def test_what_a_failing_fit_had_set_is_gone(domains):
    X, y, X_target = domains
    clf = Majority().fit(X, y)
    with pytest.raises(RuntimeError):
        clf.set_params(fails=True).fit(X[:, :2], y, X_target[:, :2])
    assert clf.target_ is None
    assert clf.n_features_in_ == X.shape[1]
    assert clf.predict(X).shape == (len(X),)


def test_attributes_of_an_earlier_fit_do_not_survive_the_next(domains):
    pd = pytest.importorskip("pandas")
    X, y, _ = domains
    clf = Majority().fit(pd.DataFrame(X, columns=list("abcd")), y)
    assert clf.feature_names_in_.tolist() == list("abcd")
    clf.fit(X, y)
    assert not hasattr(clf, "feature_names_in_")


def test_what_the_user_has_set_survives_a_fit(domains):
    X, y, _ = domains
    clf = Majority()
    clf.note = "of mine"
    assert clf.fit(X, y).note == "of mine"


class SendsSignal(Callback):
    """Presses Ctrl-C in the middle of training."""

    fits = 0

    def on_epoch_end(self, net, **kwargs):
        SendsSignal.fits += 1
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals reach it alone"
)
def test_ctrl_c_stops_a_search(domains):
    X, y, X_target = domains
    SendsSignal.fits = 0
    clf = DANNClassifier(callbacks=[SendsSignal()], **FAST)
    search = GridSearchCV(clf, {"lambda_": [0.0, 1.0]}, cv=2, refit=False)
    # A process that was started in the background may ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            search.fit(X, y, X_target=TargetDomain(X_target))
    finally:
        signal.signal(signal.SIGINT, before)
    assert SendsSignal.fits == 1


class EndsTraining(Callback):
    """Ends training after the first epoch, as skorch's callbacks do."""

    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_a_callback_may_end_training_and_what_was_learned_stays(domains):
    X, y, X_target = domains
    clf = DANNClassifier(max_epochs=9, callbacks=[EndsTraining()], random_state=0)
    assert clf.fit(X, y, X_target).n_iter_ == 1


class PoisonsLastStep(Callback):
    """Makes the gradient of the very last step infinite."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if len(net.history) == net.max_epochs:
            for _, parameter in named_parameters:
                parameter.grad.fill_(np.inf)


def test_weights_that_the_last_step_made_nan_are_an_error(domains):
    X, y, X_target = domains
    X, y, X_target = X[:20], y[:20], X_target[:20]
    clf = DANNClassifier(callbacks=[PoisonsLastStep()], **FAST)
    with pytest.raises(ValueError, match=r"A weight became NaN .* last step of training"):
        clf.fit(X, y, X_target)


def test_warm_start_goes_on_from_a_copy(domains):
    X, y, X_target = domains
    clf = DANNClassifier(nn.Linear(4, 5).double(), warm_start=True, **FAST).fit(X, y, X_target)
    net, weights = clf.net_, clf.net_.module_.body.weight.detach().clone()
    clf.fit(X, y, X_target)
    assert clf.net_ is not net
    np.testing.assert_array_equal(net.module_.body.weight.detach(), weights)
    assert clf.n_iter_ == 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU is there")
def test_a_model_of_a_machine_with_a_gpu_predicts_and_goes_on_here(domains):
    X, y, X_target = domains
    clf = DANNClassifier(warm_start=True, **FAST).fit(X, y, X_target)
    expected = clf.predict_proba(X)
    engine = clf.net_.engine  # as it is where a GPU is
    engine.generators.device = torch.device("cuda", 0)
    engine.processes = replace(engine.processes, device=engine.generators.device)
    engine.generators.states.append(torch.zeros(16, dtype=torch.uint8))
    for copied in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        np.testing.assert_array_equal(copied.predict_proba(X), expected)
        assert copied.fit(X, y, X_target).n_iter_ == 4
