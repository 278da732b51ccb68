"""Callbacks for skorch's training loop that know about two domains."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from skorch.callbacks import Callback

from ._warning import warn
from .validation._arguments import check_takes
from .validation._arrays import as_array, check_same_length
from .validation._naming import named
from .validation._torch_rows import check_rows

__all__ = ["DomainScoring", "TargetValidation"]


class DomainScoring(Callback):
    """Record the accuracy on labelled rows of both domains after each epoch.

    Labelled target rows are for looking on, not for training: what is recorded
    here influences nothing. Together with the losses these are the curves that
    show whether adaptation pays: ``history_[:, ("source_accuracy",
    "target_accuracy", "domain_accuracy")]``.

    Parameters
    ----------
    X_source : array-like of shape (n_source, ...)
        Rows of the source, best not those trained on.
    y_source : array-like of shape (n_source,)
        Their labels.
    X_target : array-like of shape (n_target, ...)
        Rows of the target.
    y_target : array-like of shape (n_target,)
        Their labels.

    Raises
    ------
    ValueError
        At the beginning of training, where rows and labels differ in number.

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.callbacks import DomainScoring
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(100, random_state=0)
    >>> scoring = DomainScoring(Xs, ys, Xt, yt)
    >>> clf = DANNClassifier(max_epochs=3, callbacks=[scoring], random_state=0)
    >>> len(clf.fit(Xs, ys, X_target=Xt).history_[:, "target_accuracy"])
    3
    """

    holds_a_domain = True

    def __init__(self, X_source, y_source, X_target, y_target):
        self.X_source = X_source
        self.y_source = y_source
        self.X_target = X_target
        self.y_target = y_target

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Check that each row has a label and the shape of those trained on."""
        for domain in ("source", "target"):
            name, name_of_y = f"X_{domain}", f"y_{domain}"
            X = check_rows(getattr(self, name), name, net.input_shape)
            y = as_array(getattr(self, name_of_y), name_of_y)
            check_same_length(X.shape[0], name, y, name_of_y)
            with named(name_of_y):
                net.score(X[:2], np.asarray(y)[:2])

    def on_epoch_end(self, net, **kwargs):
        """Record ``source_accuracy`` and ``target_accuracy``, or of a regressor ``_r2``."""
        for domain in ("source", "target"):
            X = check_rows(getattr(self, f"X_{domain}"), f"X_{domain}", net.input_shape)
            score = net.score(X, getattr(self, f"y_{domain}"))
            net.history.record(f"{domain}_{net.task.score_name}", score)


class TargetValidation(Callback):
    """Keep the epoch that a scorer likes best, and stop where none better comes.

    After each epoch the scorer's score is recorded in ``history_`` as
    ``target_score``, and whether it is the best so far as ``target_score_best``.
    At the end of training the weights of the best epoch are restored, also in the
    place of a mean of weights (`average_weights`); of two equal scores the earlier
    one counts. Batch statistics are then estimated for
    the restored weights. A stage of fine-tuning in which the label head does not
    learn (pretraining on a source) is passed by, and each other stage keeps its
    own best epoch.

    Parameters
    ----------
    scorer : callable or class of scorers
        ``(estimator, X, y) -> float``, greater is better, such as those of
        `sktransfer.model_selection`. The estimator it gets has `predict`,
        `predict_proba`, `transform` and `classes_`, and cannot be fitted. A class,
        such as `InfoMaxScorer`, scores on the very rows of the target that are
        trained on; in a pipeline, where these have been transformed, that is the
        simple way, as a scorer that holds rows must hold transformed ones.
    X, y : array-like of shape (n_source, ...) and (n_source,), default=None
        Labelled rows of the source, not trained on, for scorers that need them;
        in a pipeline, transformed ones.
    patience : int or None, default=None
        Epochs without a better score after which training (the stage, in
        fine-tuning) ends. None trains all epochs.
    min_epochs : int, default=1
        The first epoch that may be kept. Scores of the first epochs, when `lambda_`
        is still small and the network has learned little, can be high for no good
        reason: a third of the epochs is a fair share to pass by.

    Raises
    ------
    TypeError, ValueError
        When made, for a scorer that cannot be called or a patience below 1; in
        training, for a score that is not finite, rows of another shape, and a class
        of scorers where there is no target.

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.callbacks import TargetValidation
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import InfoMaxScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> validation = TargetValidation(InfoMaxScorer(Xt), patience=5)
    >>> clf = DANNClassifier(max_epochs=20, callbacks=[validation], random_state=0)
    >>> history = clf.fit(Xs, ys, X_target=Xt).history_
    >>> bool(InfoMaxScorer(Xt)(clf) == max(history[:, "target_score"]))
    True
    """

    holds_a_domain = True

    def __init__(self, scorer, X=None, y=None, *, patience=None, min_epochs=1):
        if not callable(scorer):
            raise TypeError(
                "scorer must be a callable (estimator, X, y) -> float such as "
                f"InfoMaxScorer(X_target), or a class of such; got {scorer!r}."
            )
        if not isinstance(scorer, type):
            check_takes(scorer, "scorer", "estimator", "X", "y")
        if X is not None and y is not None:
            check_same_length(np.shape(X)[0] if hasattr(X, "shape") else len(X), "X", y, "y")
        if patience is not None and not (isinstance(patience, Integral) and int(patience) >= 1):
            raise ValueError(
                f"patience must be an integer of at least 1 or None; got {patience!r}."
            )
        if not isinstance(min_epochs, Integral) or int(min_epochs) < 1:
            raise ValueError(f"min_epochs must be an integer of at least 1; got {min_epochs!r}.")
        self.scorer = scorer
        self.X = X
        self.y = y
        self.patience = patience
        self.min_epochs = min_epochs

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Forget what was best before."""
        self.best_score_, self.best_weights_ = -np.inf, None
        self.n_scored_ = self.n_worse_ = 0
        self.scorer_ = self.scorer
        if isinstance(self.scorer, type):
            if net.domains_.target is None:
                raise ValueError(
                    f"TargetValidation({self.scorer.__name__}) scores on the target's rows, but "
                    "training is without any: pass X_target to fit, or a scorer that holds some, "
                    f"{self.scorer.__name__}(X_target)."
                )
            self.scorer_ = self.scorer(net.domains_.target.X)

    def on_epoch_end(self, net, **kwargs):
        """Record the score, keep the weights if it is the best, or stop."""
        if not _learns(net, net.module_.label_head):
            return
        score = float(self.scorer_(TrainedSoFar(net), self.X, self.y))
        if not np.isfinite(score):
            raise ValueError(
                f"{self.scorer_!r} scored {score} in epoch {len(net.history)}; it must return a "
                "finite number."
            )
        self.n_scored_ += 1
        counts = self.n_scored_ >= self.min_epochs
        is_best = counts and score > self.best_score_
        net.history.record("target_score", score)
        net.history.record("target_score_best", is_best)
        if is_best:
            self.best_score_, self.n_worse_ = score, 0
            self.best_weights_ = copy.deepcopy(net.module_.state_dict())
            return
        self.n_worse_ += counts
        if self.n_worse_ == self.patience:
            raise KeyboardInterrupt  # as skorch's callbacks end training

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Restore the weights of the best epoch."""
        if self.best_weights_ is not None:
            net.module_.load_state_dict(self.best_weights_)
        elif 0 < self.n_scored_ < int(self.min_epochs):
            warn(
                f"TargetValidation kept no epoch: min_epochs={self.min_epochs}, but training ended "
                f"after {self.n_scored_}. The weights are those of the last one."
            )
        self.best_weights_ = self.scorer_ = None


class TrainedSoFar:
    """What a net predicts in the middle of training, in the shape of an estimator."""

    def __init__(self, net):
        self._net = net
        if hasattr(net, "classes"):
            self.classes_ = net.classes
        self.predicts_numbers = not hasattr(net, "classes")

    def predict(self, X):
        """Return the most probable class of each row, or the number predicted."""
        return self._net.predict(self._rows(X))

    @available_if(lambda self: hasattr(self, "classes_"))
    def predict_proba(self, X):
        """Return the probabilities of the classes, shape (n, n_classes)."""
        return self._net.predict_proba(self._rows(X))

    def transform(self, X):
        """Return the features, shape (n, n_features_out)."""
        return self._net.forward_rows(self._rows(X), "features")

    def score(self, X, y):
        """Return the accuracy on labelled rows, or how much of their variance is predicted."""
        return self._net.score(self._rows(X), y)

    def _rows(self, X):
        return check_rows(X, "X", self._net.input_shape)


def holds_a_domain(given: Any) -> bool:
    """Whether a callback, or a pair of name and callback, says so by ``holds_a_domain``."""
    callback = given[1] if isinstance(given, tuple) else given
    return getattr(callback, "holds_a_domain", False)


def _learns(net, module) -> bool:
    learning = {id(p) for group in net.optimizer_.param_groups for p in group["params"]}
    return any(id(parameter) in learning for parameter in module.parameters())
