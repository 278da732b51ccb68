"""What scorers that hold a target share, and the one that holds its labels too."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score
from torch.utils.data import Dataset

from .._docs import with_shared_docs
from .._old_checks import as_array
from .._target_domain import TargetDomain

# The least probability that a logarithm is taken of.
LEAST_PROBABILITY = np.finfo(np.float64).eps


class BaseTargetScorer(metaclass=ABCMeta):
    """A callable ``(estimator, X, y) -> float``, greater is better, that holds a target.

    `X` and `y` are what scikit-learn hands a scorer: labelled rows of the source
    that were held out. Most scorers do not look at them.
    """

    def __new__(cls, *args, **kwargs):
        """Tell those who pass the class as ``scoring``, and have a search call it, what to do."""
        if len(args) > 1 and hasattr(args[0], "predict"):
            raise TypeError(
                f"{cls.__name__} was called with an estimator, but holds no target yet: give "
                f"scoring={cls.__name__}(X_target), not the class."
            )
        return super().__new__(cls)

    def __init__(self, X_target):
        self.X_target = _check_rows(X_target)

    @abstractmethod
    def __call__(self, estimator, X=None, y=None) -> float:
        """Score a fitted estimator."""

    def __sklearn_clone__(self):
        return self  # it never changes, so candidates can share it and its data

    def __repr__(self) -> str:
        shape = TargetDomain(self.X_target).shape
        return f"{type(self).__name__}({type(self.X_target).__name__} of shape {shape})"


def _check_rows(X_target):
    X_target = as_array(X_target, "X_target")
    is_dataset = isinstance(X_target, Dataset)  # which is not to be read whole
    if not is_dataset and not hasattr(X_target, "shape"):
        X_target = np.asarray(X_target)
    shape = TargetDomain(X_target).shape
    if shape[0] < 2 or (len(shape) < 2 and not is_dataset):
        raise ValueError(
            f"X_target has shape {shape}; a scorer needs at least 2 rows of the target, an array "
            "of shape (n_target, n_features) or (n_target, ...)."
        )
    return X_target


def predict_target_proba(scorer: BaseTargetScorer, estimator) -> np.ndarray:
    """Return the probabilities of the classes for the rows of a scorer's target.

    Raises
    ------
    TypeError
        Where the estimator predicts none.
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(scorer).__name__} scores by predicted probabilities, but "
            f"{type(estimator).__name__} has no predict_proba. Wrap it in "
            "sklearn.calibration.CalibratedClassifierCV, or choose ReverseValidationScorer."
        )
    return np.asarray(estimator.predict_proba(scorer.X_target), dtype=np.float64)


def extract_features(estimator, X) -> np.ndarray:
    """Return what the estimator's `transform` makes of rows, or flat rows if it has none."""
    features: Any = estimator.transform(X) if hasattr(estimator, "transform") else as_array(X, "X")
    features = features.toarray() if hasattr(features, "toarray") else np.asarray(features)
    return features.reshape(len(features), -1)


def check_labelled_rows(scorer: BaseTargetScorer, X, y) -> None:
    """Check that labelled rows of the source came along.

    Raises
    ------
    ValueError
        Where they did not.
    """
    if X is None or y is None:
        raise ValueError(
            f"{type(scorer).__name__} needs labelled rows of the source that were not trained on: "
            "scorer(estimator, X, y); a search gives it those of the fold, and "
            "TargetValidation(scorer, X, y) those you give."
        )


@with_shared_docs
class TargetAccuracyScorer(BaseTargetScorer):
    """Accuracy on labelled rows of the target, for those who have some.

    The score is ``1/n sum_i 1[predict(x_i) = y_i]``. A few labelled rows often
    choose better than any score without labels: 100 of them tell an accuracy
    with a standard error of at most 0.05.

    Parameters
    ----------
    {target_scorer_parameters}
    y_target : array-like of shape (n_target,)
        Their labels.

    Raises
    ------
    ValueError
        Where rows and labels differ in number.

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import TargetAccuracyScorer
    >>> Xs, ys, Xt, yt = make_shifted_moons(100, random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> TargetAccuracyScorer(Xt[:20], yt[:20])(clf) == clf.score(Xt[:20], yt[:20])
    True
    """

    def __init__(self, X_target, y_target):
        super().__init__(X_target)
        self.y_target = np.asarray(as_array(y_target, "y_target"))
        n_rows = TargetDomain(self.X_target).shape[0]
        if self.y_target.shape != (n_rows,):
            raise ValueError(
                f"y_target has shape {self.y_target.shape}, but X_target "
                f"{n_rows} rows: give one label for each row."
            )

    def __call__(self, estimator, X=None, y=None) -> float:
        """Return the accuracy; `X` and `y` are not looked at."""
        return float(accuracy_score(self.y_target, estimator.predict(self.X_target)))
