"""Scorers that look at nothing but the predicted probabilities of the target."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from scipy.special import entr
from sklearn import get_config
from sklearn.utils import gen_batches

from .._docs import with_shared_docs
from ._scoring import BaseTargetScorer, predict_target_proba

# Similarities that are computed together: more leave the processor's cache.
NUMBERS_AT_ONCE = 2**18


def mean_entropy(probabilities: np.ndarray) -> float:
    """Return ``-1/n sum_i sum_k p_ik log p_ik`` of probabilities of shape (n, n_classes)."""
    return float(entr(probabilities).sum(axis=1).mean())


def mutual_information(probabilities: np.ndarray) -> float:
    """Return ``H(1/n sum_i p_i) - 1/n sum_i H(p_i)`` of probabilities of shape (n, n_classes)."""
    return float(entr(probabilities.mean(axis=0)).sum()) - mean_entropy(probabilities)


def batch_nuclear_norm(probabilities: np.ndarray) -> float:
    """Return ``||P||_* / sqrt(n K)`` of probabilities of shape (n, K)."""
    return float(np.linalg.norm(probabilities, "nuc") / np.sqrt(probabilities.size))


def soft_neighborhood_density(probabilities: np.ndarray, temperature: float) -> float:
    """Return the mean entropy of each row's softmax similarity to all other rows."""
    rows = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
    n_rows = len(rows)
    # A chunk's rows against all are held twice: as logits and as their exponentials.
    at_once = int(min(get_config()["working_memory"] * 2**20 / (8 * 2), NUMBERS_AT_ONCE) // n_rows)
    total = 0.0
    for part in gen_batches(n_rows, max(1, at_once)):
        logits = rows[part] @ rows.T
        logits /= temperature
        itself = np.arange(part.stop - part.start), np.arange(part.start, part.stop)
        logits[itself] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        weights = np.exp(logits)
        logits[itself] = 0.0  # 0 log 0 counts nothing
        sums = weights.sum(axis=1)
        # With s = e^l / Z, the entropy -sum s log s is log Z - sum e^l l / Z.
        total += float((np.log(sums) - (weights * logits).sum(axis=1) / sums).sum())
    return total / n_rows


@with_shared_docs
class EntropyScorer(BaseTargetScorer):
    """Confidence on the target: the negative mean entropy of the predictions.

    The score is ``1/n sum_i sum_k p_ik log p_ik`` with ``p_ik`` the predicted
    probability of class ``k`` for target row ``i``, between ``-log n_classes``
    and 0. A model that is sure of one class for all rows gets the best score:
    `InfoMaxScorer` and `BNMScorer` ask for diverse classes as well.

    Parameters
    ----------
    {target_scorer_parameters}

    References
    ----------
    Morerio, Cavazza and Murino, "Minimal-entropy correlation alignment for
    unsupervised deep domain adaptation", ICLR 2018, section 3.2.
    https://arxiv.org/abs/1711.10288

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import EntropyScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> -0.694 < EntropyScorer(Xt)(clf) < 0
    True
    """

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score; `X` and `y` are not looked at."""
        return -mean_entropy(predict_target_proba(self, estimator))


@with_shared_docs
class InfoMaxScorer(BaseTargetScorer):
    """Information that predictions carry: each row sure, all classes in use.

    The score is ``H(1/n sum_i p_i) - 1/n sum_i H(p_i)`` with ``p_i`` the predicted
    probabilities of target row ``i`` and ``H(p) = -sum_k p_k log p_k``: the mutual
    information of row and predicted class, between 0 and ``log n_classes``. It
    takes for granted that no class is rare in the target.

    Parameters
    ----------
    {target_scorer_parameters}

    References
    ----------
    Shi and Sha, "Information-theoretical learning of discriminative clusters
    for unsupervised domain adaptation", ICML 2012, eq. 5.
    https://arxiv.org/abs/1206.6438

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sktransfer import DANNClassifier, TargetDomain
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import InfoMaxScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> search = GridSearchCV(
    ...     DANNClassifier(max_epochs=20, random_state=0),
    ...     {"lambda_": [0.1, 1.0]},
    ...     scoring=InfoMaxScorer(Xt),
    ...     cv=2,
    ... )
    >>> search.fit(Xs, ys, X_target=TargetDomain(Xt)).best_params_.keys()
    dict_keys(['lambda_'])
    """

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score; `X` and `y` are not looked at."""
        return mutual_information(predict_target_proba(self, estimator))


@with_shared_docs
class BNMScorer(BaseTargetScorer):
    """Batch nuclear norm: predictions both sure and diverse, by their singular values.

    The score is ``||P||_* / sqrt(n K)``, the sum of the singular values of the
    matrix ``P`` (n, K) of the probabilities predicted for ``n`` target rows and ``K``
    classes. It is 1 where each row is sure and all classes are as frequent, and
    ``1 / K`` where all rows get the uniform distribution. The paper divides by
    ``n`` (eq. 9); this scale does not depend on the number of rows, and the
    order is the same.

    Parameters
    ----------
    {target_scorer_parameters}

    References
    ----------
    Cui et al., "Towards discriminability and diversity: batch nuclear-norm
    maximization under label insufficient situations", CVPR 2020.
    https://arxiv.org/abs/2003.12237. As a validator: Musgrave et al., 2022,
    https://arxiv.org/abs/2208.07360

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import BNMScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> 0.5 < BNMScorer(Xt)(clf) < 1
    True
    """

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score; `X` and `y` are not looked at."""
        return batch_nuclear_norm(predict_target_proba(self, estimator))


@with_shared_docs
class SNDScorer(BaseTargetScorer):
    """Soft neighbourhood density: rows predicted alike form dense neighbourhoods.

    With ``f_i`` the predicted probabilities of target row ``i`` scaled to length
    1, ``s_ij`` is the softmax over ``j != i`` of ``f_i . f_j / temperature``, and the
    score is ``-1/n sum_i sum_j s_ij log s_ij``, at most ``log(n - 1)``. It is highest
    where all rows are predicted alike, so it tells apart only models that have
    not collapsed. Takes n^2 operations, and some megabytes; less where
    scikit-learn's `working_memory` is less.

    Parameters
    ----------
    {target_scorer_parameters}
    temperature : float, default=0.05
        Scale of the similarities; the default is the paper's.

    References
    ----------
    Saito et al., "Tune it the right way: unsupervised validation of domain
    adaptation via soft neighborhood density", ICCV 2021, eqs. 1-3.
    https://arxiv.org/abs/2108.10860

    Examples
    --------
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.model_selection import SNDScorer
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> 0 < SNDScorer(Xt)(clf) < 4.6
    True
    """

    def __init__(self, X_target: Any, *, temperature: float = 0.05) -> None:
        super().__init__(X_target)
        if not isinstance(temperature, Real) or not 0 < float(temperature) < np.inf:
            raise ValueError(f"temperature must be a finite number above 0; got {temperature!r}.")
        self.temperature: float = float(temperature)

    def __call__(self, estimator: Any, X: Any = None, y: Any = None) -> float:
        """Return the score; `X` and `y` are not looked at."""
        probabilities = predict_target_proba(self, estimator)
        return soft_neighborhood_density(probabilities, self.temperature)
