"""Callbacks for skorch's training loop that know about two domains."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score
from skorch.callbacks import Callback

from ._validation import as_array

__all__ = ["DomainScoring"]


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

    def __init__(self, X_source, y_source, X_target, y_target):
        self.X_source = X_source
        self.y_source = y_source
        self.X_target = X_target
        self.y_target = y_target

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Check that each row has a label and the shape of those trained on."""
        for domain in ("source", "target"):
            n_rows = np.shape(getattr(self, f"X_{domain}"))[0]
            n_labels = np.shape(getattr(self, f"y_{domain}"))[0]
            if n_rows != n_labels:
                raise ValueError(
                    f"DomainScoring: X_{domain} has {n_rows} rows but y_{domain} {n_labels} "
                    "labels; give one label for each row."
                )
            row, trained_on = np.shape(getattr(self, f"X_{domain}"))[1:], net.input_shape
            if row != tuple(trained_on):
                raise ValueError(
                    f"DomainScoring: X_{domain} has rows of shape {row}, but training is on rows "
                    f"of shape {tuple(trained_on)}. In a pipeline, give transformed rows."
                )

    def on_epoch_end(self, net, **kwargs):
        """Record ``source_accuracy`` and ``target_accuracy``."""
        for domain in ("source", "target"):
            X = as_array(getattr(self, f"X_{domain}"), f"X_{domain}")
            X = X if hasattr(X, "toarray") else np.asarray(X)
            accuracy = accuracy_score(getattr(self, f"y_{domain}"), net.predict(X))
            net.history.record(f"{domain}_accuracy", float(accuracy))


class EpochProgressBar(Callback):
    """Show the epochs as a progress bar with the latest losses and domain accuracy."""

    shown = ("label_loss", "domain_loss", "domain_accuracy", "target_accuracy", "valid_accuracy")

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Open the bar."""
        from tqdm.auto import tqdm

        self.bar_ = tqdm(total=net.max_epochs, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Advance the bar by one epoch."""
        epoch = net.history[-1]
        self.bar_.set_description(epoch.get("stage"), refresh=False)
        self.bar_.set_postfix({k: f"{epoch[k]:.3f}" for k in self.shown if k in epoch})
        self.bar_.update()

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Close the bar; an open one could not be pickled."""
        self.bar_.close()
        del self.bar_
