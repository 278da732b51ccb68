"""Prototypical networks: features in which a class is where its mean is."""

from __future__ import annotations

from torch import Tensor

from .._docs import with_shared_docs
from ._base import BaseEpisodic
from ._heads import PrototypeHead, class_means, similarities


@with_shared_docs
class PrototypicalClassifier(BaseEpisodic):
    """Prototypical network: features in which a row is nearest to the mean of its class.

    The body learns from episodes: some classes of `y`, a few rows of each to take
    means of, others to be told apart by these. What it has learned serves for classes
    it has never seen, of which a few rows are shown, the support: their means are the
    prototypes, and nothing more is trained.

    Take it where new classes keep coming, with one to ten rows of each, and many old classes of
    the same kind are there to learn from. Not with a handful of old classes, or with a hundred
    rows of each new one: then `NearestPrototypeClassifier` or `FineTuneClassifier` do more.

    - ``fit(X, y, X_target=support, y_target=labels)`` learns from episodes of the
      classes of `y`, then takes the support's classes, which may be new.
    - ``fit(X, y)`` takes the classes of `y`, with all their rows as the support.
    - ``set_support(support, labels)`` takes other classes later. One row a class is
      one-shot learning.

    The probability of class ``k`` is

    ``p(k | x) = softmax_k(-||f(x) - c_k||^2)``

    with ``c_k`` the (weighted) mean of ``f`` over the support's rows of ``k``, or
    ``softmax_k(10 cos(f(x), c_k))``; the loss is the mean of ``-log p`` over an episode's queries.

    Parameters
    ----------
    {backbone_parameter}
    distance : {"euclidean", "cosine"}, default="euclidean"
        What near means. The squared Euclidean distance is the paper's and makes means
        the best prototypes.
    {episode_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    {classes_attribute}
    {fitted_attributes}

    Raises
    ------
    ValueError
        Where each class of `y` has one row, so that an episode has nothing to ask.

    Warns
    -----
    UserWarning
        For an `X_target` without labels, of which no use is made.

    See Also
    --------
    NearestPrototypeClassifier : The same without training: the baseline to beat.
    MatchingClassifier : Attends to the support's rows, not to their means.
    few_shot_score : Accuracy on episodes of new classes.

    References
    ----------
    Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS
    2017, eqs. 1-2 and algorithm 1. https://arxiv.org/abs/1703.05175

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktransfer.fewshot import PrototypicalClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, old = X / 16, y < 5
    >>> clf = PrototypicalClassifier(episodes=100, random_state=0).fit(X[old], y[old])
    >>> clf.classes_
    array([0, 1, 2, 3, 4])
    >>> support = X[~old][:50], y[~old][:50]
    >>> clf.set_support(*support).classes_
    array([5, 6, 7, 8, 9])
    >>> bool(clf.score(X[~old][50:], y[~old][50:]) > 0.7)
    True
    """

    def _make_head(self, n_features: int, n_classes: int) -> PrototypeHead:
        return PrototypeHead(n_features, n_classes, self.distance)

    def _logits(self, queries: Tensor, support: Tensor, codes: Tensor, n_way: int) -> Tensor:
        return similarities(queries, class_means(support, codes, n_way), self.distance)
