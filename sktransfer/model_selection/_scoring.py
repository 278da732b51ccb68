"""What scorers that hold a target share, and the one that holds its labels too."""

from __future__ import annotations

import inspect
from abc import ABCMeta, abstractmethod
from typing import Any, cast

import numpy as np
from sklearn.base import is_regressor
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.utils.multiclass import check_classification_targets

from .._docs import with_shared_docs
from ..data._target_domain import TargetDomain, is_dataset
from ..validation._arrays import as_array, check_same_length
from ..validation._naming import named
from ..validation._target_labels import find_labelled

# The least probability that a logarithm is taken of.
LEAST_PROBABILITY = np.finfo(np.float64).eps


class ScorerType(ABCMeta):
    """Shows what ``__init__`` of a scorer takes, which its ``__new__`` would hide."""

    @property
    def __signature__(cls) -> inspect.Signature:
        _, *own = inspect.signature(cast(Any, cls).__init__).parameters.values()
        return inspect.Signature(own)


class BaseTargetScorer(metaclass=ScorerType):
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

    def __init__(self, X_target: Any) -> None:
        self.X_target = _check_rows(X_target)

    @abstractmethod
    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Score a fitted estimator."""

    def __sklearn_clone__(self):
        return self  # it never changes, so candidates can share it and its data

    def __repr__(self) -> str:
        shape = TargetDomain(self.X_target).shape
        return f"{type(self).__name__}({type(self.X_target).__name__} of shape {shape})"


def _check_rows(X_target):
    X_target = as_array(X_target, "X_target")
    of_dataset = is_dataset(X_target)  # which is not to be read whole
    if not of_dataset and not hasattr(X_target, "shape"):
        with named("X_target"):
            X_target = np.asarray(X_target)
    shape = TargetDomain(X_target).shape
    if shape[0] < 2 or (len(shape) < 2 and not of_dataset):
        raise ValueError(
            f"X_target has shape {shape}; a scorer needs at least 2 rows of the target, an array "
            "of shape (n_target, n_features) or (n_target, ...)."
        )
    return X_target


def predict_labels(scorer: BaseTargetScorer, estimator, X) -> np.ndarray:
    """Return the labels that an estimator predicts for rows.

    Raises
    ------
    TypeError
        For what predicts none.
    """
    check_predicts(scorer, estimator)
    return np.asarray(estimator.predict(X))


def predicts_numbers(estimator) -> bool:
    """Whether this is a regressor, or says that it predicts numbers."""
    is_estimator = hasattr(estimator, "__sklearn_tags__") and not isinstance(estimator, type)
    of_estimator = is_estimator and is_regressor(estimator)
    return of_estimator or bool(getattr(estimator, "predicts_numbers", False))


def refuse_numbers(what: str, estimator) -> None:
    """Refuse regressors, of which what is asked about classes makes no sense.

    Raises
    ------
    TypeError
        With what to do instead.
    """
    if predicts_numbers(estimator):
        raise TypeError(
            f"{what} looks at classes, and {type(estimator).__name__} predicts numbers. Label some "
            "rows of the target, and compare errors there with those of estimator.source_only(): "
            "scoring=lambda fit, X, y: fit.score(X_target, y_target)."
        )


def check_predicts(scorer: BaseTargetScorer, estimator) -> None:
    """Check that what is to be scored has `predict`.

    Raises
    ------
    TypeError
        Where it has not.
    """
    check_has_predict(type(scorer).__name__, estimator)
    refuse_numbers(type(scorer).__name__, estimator)


def check_has_predict(name: str, estimator) -> None:
    """Check that what is to be scored by the scorer `name` has `predict`.

    Raises
    ------
    TypeError
        Where it has not.
    """
    if not hasattr(estimator, "predict") or isinstance(estimator, type):
        raise TypeError(
            f"{name} scores a fitted estimator, which has predict; got {estimator!r:.80}."
        )


def predict_target_proba(scorer: BaseTargetScorer, estimator) -> np.ndarray:
    """Return the probabilities of the classes for the rows of a scorer's target.

    Raises
    ------
    TypeError
        Where the estimator predicts none.
    """
    refuse_numbers(type(scorer).__name__, estimator)
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(scorer).__name__} scores by predicted probabilities, but "
            f"{type(estimator).__name__} has no predict_proba. Wrap it in "
            "sklearn.calibration.CalibratedClassifierCV, or choose ReverseValidationScorer."
        )
    return np.asarray(estimator.predict_proba(scorer.X_target), dtype=np.float64)


def extract_features(estimator, X) -> np.ndarray:
    """Return what the estimator's `transform` makes of rows of the target.

    That of a pipeline without it is what its last step gets; others have flat rows.
    """
    if not hasattr(estimator, "transform"):
        estimator = getattr(estimator, "best_estimator_", estimator)
        if isinstance(estimator, Pipeline):
            estimator = estimator[:-1]
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
    n_rows = X.shape[0] if getattr(X, "shape", ()) else len(X)
    check_same_length(n_rows, "X", as_array(y, "y"), "y")


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

    def __init__(self, X_target: Any, y_target: Any) -> None:
        super().__init__(X_target)
        self.y_target = np.asarray(as_array(y_target, "y_target"))
        n_rows = TargetDomain(self.X_target).shape[0]
        if self.y_target.shape != (n_rows,):
            raise ValueError(
                f"y_target has shape {self.y_target.shape}, but X_target "
                f"{n_rows} rows: give one label for each row."
            )
        n_missing = int(np.sum(~find_labelled(self.y_target)))
        if n_missing:
            raise ValueError(
                f"{n_missing} of the {n_rows} labels in y_target are missing. Give the labelled "
                "rows alone: keep = pandas.notna(y_target), then X_target[keep], y_target[keep]."
            )
        with named("y_target"):
            check_classification_targets(self.y_target)

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the accuracy; `X` and `y` are not looked at."""
        predicted = predict_labels(self, estimator, self.X_target)
        classes = getattr(estimator, "classes_", predicted)
        of_one_kind = (self.y_target.dtype.kind in "OSU") == (
            np.asarray(classes).dtype.kind in "OSU"
        )
        if not of_one_kind or not np.isin(self.y_target, classes).any():
            raise ValueError(
                f"y_target holds {np.unique(self.y_target)[:5].tolist()}, but the estimator "
                f"predicts {np.unique(classes)[:5].tolist()}: give labels of the same kind."
            )
        with named("y_target"):
            return float(accuracy_score(self.y_target, predicted))
