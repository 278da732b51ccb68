"""Matching networks: attention over the rows of the support."""

from __future__ import annotations

from torch import Tensor

from .._docs import with_shared_docs
from ._base import BaseEpisodic
from ._heads import AttentionHead, attention, similarities


@with_shared_docs
class MatchingClassifier(BaseEpisodic):
    """Matching network: the classes of the support's rows, weighed by how near each is.

    Learns from episodes as `PrototypicalClassifier` does, and takes its arguments.
    Where that compares with the means of classes, this compares with every row of the
    support, so that a class may lie in several places. With one row a class both do
    the same.

    The probability of class ``k`` is

    ``p(k | x) = sum_{i: y_i = k} w_i a_i / sum_i w_i a_i``

    with ``a_i = exp(-||f(x) - f(x_i)||^2)``, or ``exp(10 cos(f(x), f(x_i)))``, over the
    support's rows and their weights ``w``; the loss is the mean of ``-log p`` over an
    episode's queries. The paper's attention has no factor 10, without which no
    class could be sure, and embeds rows by the whole support (its LSTM), which is left
    out.

    Parameters
    ----------
    {backbone_parameter}
    distance : {"euclidean", "cosine"}, default="euclidean"
        What near means. The cosine is the paper's; Snell et al. (2017) found the squared
        Euclidean distance better here, too.
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
    PrototypicalClassifier : Compares with the means of classes.
    few_shot_score : Accuracy on episodes of new classes.

    References
    ----------
    Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016, eq. 1 and
    section 2.1.1. https://arxiv.org/abs/1606.04080

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktransfer.fewshot import MatchingClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, old = X / 16, y < 5
    >>> clf = MatchingClassifier(episodes=100, random_state=0).fit(X[old], y[old])
    >>> clf.set_support(X[~old][:50], y[~old][:50]).classes_
    array([5, 6, 7, 8, 9])
    """

    def _make_head(self, n_features: int, n_classes: int) -> AttentionHead:
        return AttentionHead(n_features, n_classes, self.distance)

    def _logits(self, queries: Tensor, support: Tensor, codes: Tensor, n_way: int) -> Tensor:
        return attention(similarities(queries, support, self.distance), codes, n_way)
