"""Open-set adaptation: a target with classes that the source lacks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from .._docs import with_shared_docs
from .._task import Classification
from .._warning import warn
from ..data._batch import Batch
from ..data._domain import Domain, Domains
from ..data._sampler import DomainRows, Sampler
from ..deep._parameters import parameters
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real
from ._classifier import AdaptationClassifier
from ._separation import Separation, separation_loss
from ._target_losses import class_confusion


def class_mixtures(features: Tensor, labels: Tensor) -> Tensor:
    """Return ``(f_i + f_j) / 2`` of neighbouring rows, ``j = i - 1``, of different classes.

    Before the first row stands the last one. No two rows differ where there is one class.

    Parameters
    ----------
    features : Tensor of shape (n, n_features)
        Of rows in random order.
    labels : Tensor of int of shape (n,)
        Their classes.

    Returns
    -------
    Tensor of shape (n_mixtures, n_features)
    """
    mixtures = (features + features.roll(1, dims=0)) / 2
    return mixtures[labels != labels.roll(1)]


def mixture_loss(logits: Tensor, unknown: int) -> Tensor:
    """Return ``-1/n sum_i log softmax(z_i)_u`` of the logits of mixtures; 0 where there are none.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Of mixtures of classes.
    unknown : int
        The class ``u`` of all that is unknown.
    """
    of_unknown = -logits.log_softmax(dim=1)[:, unknown]
    return of_unknown.sum() / max(1, len(logits))


def label_for_unknown(given: Any, classes: np.ndarray) -> Any:
    """Return the label of what is unknown beside these classes: by default -1 or "unknown".

    Raises
    ------
    ValueError
        Where it is a class, or is no label like theirs.
    """
    is_text = classes.dtype.kind in "OUS"
    label = ("unknown" if is_text else -1) if given is None else given
    if isinstance(label, str) != is_text:
        wanted = "text" if is_text else "a number"
        raise ValueError(
            f"unknown_label={label!r} does not go with the labels {classes[:5].tolist()} of y: "
            f"give {wanted}."
        )
    if label in classes.tolist():
        raise ValueError(
            f"unknown_label={label!r} is a class of y, {classes[:10].tolist()}; give a label that "
            "is none, for rows of the target whose class the source does not have."
        )
    return label


@with_shared_docs
@parameters
class OpenSetClassifier(AdaptationClassifier):
    """Open-set adaptation: target rows of no class of the source are called unknown.

    The label head has one output ``u`` more than the source has classes, for the unknown.
    What stands between two classes of the source is of neither: means of the features of
    two source rows of different classes are examples of the unknown, which so closes each
    class in before any unknown row was seen. The predictions for the target, the unknown one
    of the classes, are to be confused as little as can be (:class:`MCCClassifier`), which
    sends each row to the side where rows like it are.

    Take it where the target may have classes that the source lacks; where it may not,
    `DANNClassifier` is the better choice. It has to be mostly right on the known classes to
    tell what is unknown.

    But rows of the unknown need not look like mixtures. So, when half of the epochs are over
    and only the source has been learned, the target's rows are set apart, once, by a score
    ``s_i = (z_i[k_i] - mean of z_i) / (1 + d_i / mean of d)``: by how much the most likely class
    ``k_i`` of the source leads among the outputs ``z_i`` of the label head, and how near that is
    to the source, ``d_i`` the square of the mean distance of the row's features to the five
    nearest of the source, all scaled to length 1. As rows of one class lie together, outputs and
    distances are first replaced, three times, by their means over a row and the five of the target
    nearest to it, by angle again. Expectation maximisation finds one normal distribution for
    the unknown, and one for the known rows of each class:

    ``p(s_i) = a_k N(s_i; m, v) + (1 - a_k) N(s_i; m_k, v_k)`` with ``k = k_i``.

    Is anything unknown at all? These groups must explain the scores better, by BIC and 0.1
    nats a row more, than one group a class that a power transformation makes normal, as the
    known alone may well be skewed. Otherwise `unknown_share_` is 0 and all rows are known. The
    probabilities found become means over a row and its five neighbours, too.

    The loss is ``L_y + mixture_weight L_m + lambda (L_c + A)`` with ``L_y`` the mean cross-entropy
    on the source, ``L_c`` the class confusion of the predictions for the target, the unknown one
    of the classes (temperature 2.5); over pairs of neighbours in the random order of a batch

    ``L_m = mean over i with y_i != y_(i-1) of -log softmax(h((f_i + f_(i-1)) / 2))_u``,

    ``f`` the features and ``h`` the label head; and over the ``m`` target rows that are unknown
    (``U``) or known (``K``) with a probability of 0.9, ``p_iu`` the network's for the unknown,

    ``A = -1/m (sum over U of log p_iu + sum over K of log(1 - p_iu))``.

    ``L_c`` and ``A`` begin once rows are set apart; those of which it is not sure are left to
    ``L_c``. What scores as the known do is not found, and a class of the source that has become
    another in the target may be taken for the unknown. Where you know how many rows are unknown,
    `unknown_share` says so, and as many are taken that are most likely it.

    `predict` answers `unknown_label` for what is unknown; it is one of `classes_`, and
    `predict_proba` has a column for it. Without `X_target` nothing is unknown, and it
    is a plain classifier of the source's classes.
    :func:`sktransfer.metrics.open_set_score` measures both kinds of rows alike.

    Parameters
    ----------
    {body_parameters}
    unknown_label : str, int, float or None, default=None
        What `predict` answers for rows of no class of the source. None is -1 for
        numbers and "unknown" for text.
    mixture_weight : float, default={mixture_weight}
        Weight of the mixtures. Higher values call more rows unknown.
    unknown_share : float in [0, 1] or None, default=None
        Share of the target's rows that are unknown. None finds out, and whether any are.
    {label_classifier_parameter}
    {target_loss_parameters}
    {adaptation_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    unknown_label_ : str, int, float or None
        The label of what is unknown; None where there was no `X_target`.
    unknown_share_ : float or None
        Share of the target's rows that are unknown, as it was told or estimated: the mean of
        their probabilities. None where they were not looked at.
    {classes_attribute}
    {fitted_attributes}

    Raises
    ------
    ValueError
        In `fit`, for an `unknown_label` that is a class of `y` or of another kind.

    Warns
    -----
    UserWarning
        Where there is no `X_target`, where one epoch leaves none for it, and where the domain
        loss, here ``L_c``, has not moved or sends no gradient to the features.

    See Also
    --------
    MCCClassifier : Where both domains have the same classes.

    References
    ----------
    Zhou, Ye and Zhan, "Learning Placeholders for Open-Set Recognition", CVPR 2021, eqs. 5-6
    (mixtures of features as the unknown; there of intermediate layers, with random shares).
    https://arxiv.org/abs/2103.15086
    Jin et al., "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020.
    https://arxiv.org/abs/1912.03699
    Liu et al., "Separate to Adapt: Open Set Domain Adaptation via Progressive Separation", CVPR
    2019 (rows set apart by a source model; there by binary classifiers and a game).
    Vaze et al., "Open-Set Recognition: A Good Closed-Set Classifier Is All You Need?", ICLR 2022
    (logits instead of probabilities). https://arxiv.org/abs/2110.06207
    Yeo and Johnson, "A New Family of Power Transformations to Improve Normality or Symmetry",
    Biometrika 87 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import OpenSetClassifier
    >>> rng = np.random.default_rng(0)
    >>> centres = np.array([[-4, 0], [4, 0], [0, 6]])
    >>> X, y = centres.repeat(50, axis=0) + rng.normal(size=(150, 2)), np.repeat([0, 1, 2], 50)
    >>> clf = OpenSetClassifier(max_epochs=30, random_state=0)
    >>> clf = clf.fit(X[y < 2], y[y < 2], X_target=X + 0.5)
    >>> clf.classes_
    array([-1,  0,  1])
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "unknown_label": [str, Real, None],
        "mixture_weight": [Interval(Real, 0, None, closed="left")],
        "unknown_share": [Interval(Real, 0, 1, closed="both"), None],
    }

    unknown_label: Any = None
    mixture_weight: float = 1.0
    unknown_share: float | None = None

    def _fit(self, domains: Domains) -> None:
        classes = np.unique(domains.source.labels)
        self.unknown_label_: Any = None
        self.unknown_share_: float | None = None
        if domains.target is not None:
            self.unknown_label_ = label_for_unknown(self.unknown_label, classes)
        super()._fit(domains)

    def _task_of(self, domain: Domain, name: str) -> Classification:
        if self.unknown_label_ is None:
            return super()._task_of(domain, name)
        # One class of the source will do: the unknown is the second.
        return Classification(np.unique([*domain.labels.tolist(), self.unknown_label_]))

    def _target_rows(self, target: Domain) -> DomainRows:
        rows = super()._target_rows(target)
        nothing_said = torch.full((len(rows),), torch.nan, device=self.net_.engine.device)
        return replace(rows, y=nothing_said)

    def _before_epochs(self, sampler: Sampler) -> list[tuple[str, Callback]]:
        unknown = self._unknown_class()
        if sampler.target is None or unknown is None:
            return []
        return [("separation", Separation(sampler, unknown, self.unknown_share))]

    def _supposes_equal_shares(self) -> bool:
        return False  # of rows that may be unknown it does not

    def _unknown_class(self) -> int | None:
        if self.unknown_label_ is None:
            return None
        classes: list[Any] = cast(Classification, self.net_.task).classes.tolist()
        return classes.index(self.unknown_label_)

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the losses that teach the unknown; what the target adds is weighed by lambda."""
        unknown, target = self._unknown_class(), batch.target
        assert unknown is not None
        assert target is not None
        assert target.y is not None
        is_apart = not bool(target.y[0].isnan())  # all rows are set apart at once
        logits = scale_gradient(network.target_outputs(batch), batch.lambda_ if is_apart else 0.0)
        return {
            "domain_loss": class_confusion(logits),
            "separation_loss": separation_loss(logits, unknown, target.y),
            "mixture_loss": self.mixture_weight * self._mixture_loss(network, batch, unknown),
        }

    def _mixture_loss(self, network: TransferNetwork, batch: Batch, unknown: int) -> Tensor:
        """Return the loss of mixtures of the source's classes."""
        source = batch.source
        assert source.y is not None
        mixtures = class_mixtures(source.features, source.y)
        # Beside the source, for heads with batch statistics: there may be one mixture alone.
        of_both = network.label_head(torch.cat([source.features, mixtures]))
        return mixture_loss(of_both[len(source) :], unknown)

    def _warn_of_failure(self, network: TransferNetwork, sampler: Sampler) -> None:
        """Say how many rows are unknown, and where they were not looked at."""
        assert sampler.target is not None
        assert sampler.target.y is not None
        share = float(sampler.target.y.mean())
        if not math.isnan(share):
            self.unknown_share_ = share
        elif self._transfers():
            warn(
                "OpenSetClassifier never set rows of X_target apart, as it does after half of the "
                f"epochs and one at least: of max_epochs={self.max_epochs} none was left. What is "
                "unknown it knows of the source's mixtures alone; raise max_epochs."
            )
            return
        super()._warn_of_failure(network, sampler)
