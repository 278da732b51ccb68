"""Open-set adaptation: a target with classes that the source lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from .._docs import with_shared_docs
from .._parameters import parameters
from .._task import Classification
from .._validation import Interval, Real, StrOptions
from ..data._batch import Batch
from ..data._domain import Domain, Domains
from ..data._sampler import DomainRows, Sampler
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ._classifier import AdaptationClassifier
from ._separation import UNDECIDED, UNKNOWN, Separation
from ._target_losses import class_confusion


def unknown_loss(logits: Tensor, unknown: int, share: float | Tensor = 0.5) -> Tensor:
    """Return ``-1/n sum_i (t log p_iu + (1 - t) log(1 - p_iu))``, of logits with softmax ``p``.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Of target rows.
    unknown : int
        The class ``u`` of all that is unknown.
    share : float, or Tensor of shape (n,), in [0, 1]
        ``t``, or that of each row: least is the loss where each ``p_iu`` is that.
    """
    log_probabilities = logits.log_softmax(dim=1)
    of_known = [log_probabilities[:, :unknown], log_probabilities[:, unknown + 1 :]]
    known = torch.cat(of_known, dim=1).logsumexp(dim=1)
    return -(share * log_probabilities[:, unknown] + (1 - share) * known).mean()


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

    But rows of the unknown need not look like mixtures. So, when a quarter of the epochs are
    over, the target's rows are set apart before each epoch into two groups (k-means in one
    dimension) by how sure the network is of a class of the source; those of the less sure
    group are to be unknown and those of the other are not.

    The loss is ``L_y + mixture_weight L_m + lambda (L_c + A)`` with ``L_y`` the mean cross-entropy
    on the source, ``L_c`` the class confusion of the predictions for the target, the unknown one
    of the classes (temperature 2.5); over pairs of neighbours in the random order of a batch

    ``L_m = mean over i with y_i != y_(i-1) of -log softmax(h((f_i + f_(i-1)) / 2))_u``,

    ``f`` the features and ``h`` the label head; and with ``t_i = 1`` for a target row of the less
    sure group, 0 for one of the other, and ``p_iu`` its probability of being unknown

    ``A = -1/n' sum_target (t_i log p_iu + (1 - t_i) log(1 - p_iu))``.

    ``L_c`` and ``A`` begin with the groups. A row is as sure as the largest of its probabilities
    of the source's classes, of which that of the unknown takes its share.
    ``unknown_from="mixtures"`` leaves out the groups and ``A``, and ``L_c`` acts from the
    beginning. With thousands of images and `lambda_` 0.3 it told unknown digits best; on
    tables of some hundred rows it ended with nothing unknown. The groups, in turn, are found
    where all rows are known, too: they suppose that some are not.

    ``unknown_from="border"`` is open-set back-propagation as it was published: the head learns to
    give every target row the probability ``t`` of being unknown, while the body, behind
    a gradient reversal, learns to move each row away from that border: to the classes that it
    resembles, or to the unknown. With one ``t`` for all rows in ``A``, in one step the label head
    goes down ``L_y + A`` and the body down ``L_y - lambda A`` (``optimizer="game_adam"`` suits
    the two players). Within some hundred steps on digits the pull of all rows to one border
    tore known classes apart: it takes long training on many rows.

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
    unknown_from : {"groups", "mixtures", "border"}, default={unknown_from}
        What teaches the unknown: mixtures of classes and groups of target rows, the
        mixtures alone, or the game about a border.
    mixture_weight : float, default={mixture_weight}
        Weight of the mixtures. Higher values call more rows unknown.
    unknown_share : float in (0, 1), default={unknown_share}
        The border ``t`` of the game. Higher values call more rows unknown.
    {label_classifier_parameter}
    {target_loss_parameters}
    {adaptation_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    unknown_label_ : str, int, float or None
        The label of what is unknown; None where there was no `X_target`.
    {classes_attribute}
    {fitted_attributes}

    Raises
    ------
    ValueError
        In `fit`, for an `unknown_label` that is a class of `y` or of another kind.

    Warns
    -----
    UserWarning
        Where there is no `X_target`, and where the domain loss, here ``L_c`` or ``A``, has
        not moved or sends no gradient to the features.

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
    Saito et al., "Open Set Domain Adaptation by Backpropagation", ECCV 2018, eqs. 2-6
    (the border). https://arxiv.org/abs/1804.10427

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
        "unknown_from": [StrOptions({"groups", "mixtures", "border"})],
        "mixture_weight": [Interval(Real, 0, None, closed="left")],
        "unknown_share": [Interval(Real, 0, 1, closed="neither")],
    }

    unknown_label: Any = None
    unknown_from: str = "groups"
    mixture_weight: float = 1.0
    unknown_share: float = 0.5

    def _fit(self, domains: Domains) -> None:
        classes, self.unknown_label_ = np.unique(domains.source.labels), None
        if domains.target is not None:
            self.unknown_label_ = label_for_unknown(self.unknown_label, classes)
        super()._fit(domains)

    def _task_of(self, domain: Domain, name: str) -> Classification:
        task = super()._task_of(domain, name)
        if self.unknown_label_ is None:
            return task
        return Classification(np.unique([*task.classes.tolist(), self.unknown_label_]))

    def _target_rows(self, target: Domain) -> DomainRows:
        rows = super()._target_rows(target)
        groups = torch.full((len(rows),), UNDECIDED, device=self.net_.engine.device)
        return replace(rows, y=groups)

    def _before_epochs(self, sampler: Sampler) -> list[tuple[str, Callback]]:
        unknown = self._unknown_class()
        if sampler.target is None or unknown is None or self.unknown_from != "groups":
            return []
        return [("separation", Separation(sampler.target, unknown))]

    def _unknown_class(self) -> int | None:
        if self.unknown_label_ is None:
            return None
        classes: list[Any] = cast(Classification, self.net_.task).classes.tolist()
        return classes.index(self.unknown_label_)

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the losses that teach the unknown, weighed for the body by lambda."""
        unknown = self._unknown_class()
        assert unknown is not None
        if self.unknown_from == "border":
            return self._border_losses(network, batch, unknown)
        mixture_loss = self._mixture_loss(network, batch, unknown)
        if self.unknown_from == "groups":
            of_target = self._group_losses(network, batch, unknown)
        else:
            logits = scale_gradient(network.target_outputs(batch), batch.lambda_)
            of_target = {"domain_loss": class_confusion(logits)}
        return {**of_target, "mixture_loss": self.mixture_weight * mixture_loss}

    def _mixture_loss(self, network: TransferNetwork, batch: Batch, unknown: int) -> Tensor:
        """Return the loss of mixtures of the source's classes."""
        source = batch.source
        assert source.y is not None
        mixtures = class_mixtures(source.features, source.y)
        # Beside the source, for heads with batch statistics: there may be one mixture alone.
        of_both = network.label_head(torch.cat([source.features, mixtures]))
        return mixture_loss(of_both[len(source) :], unknown)

    def _group_losses(
        self, network: TransferNetwork, batch: Batch, unknown: int
    ) -> dict[str, Tensor]:
        """Return the class confusion, and the loss of groups, which say what is unknown."""
        assert batch.target is not None
        groups, outputs = batch.target.y, network.target_outputs(batch)
        assert groups is not None
        is_apart = bool(groups[0] != UNDECIDED)  # all rows are set apart at once
        logits = scale_gradient(outputs, batch.lambda_ if is_apart else 0.0)
        shares = (groups == UNKNOWN).to(outputs.dtype)
        return {
            "domain_loss": class_confusion(logits),
            "separation_loss": unknown_loss(logits, unknown, shares),
        }

    def _border_losses(
        self, network: TransferNetwork, batch: Batch, unknown: int
    ) -> dict[str, Tensor]:
        """Return the loss at the border of the unknown, its gradient reversed for the body."""
        assert batch.target is not None
        features = scale_gradient(batch.target.features, -batch.lambda_)
        logits = network.label_head(features)
        return {"domain_loss": unknown_loss(logits, unknown, self.unknown_share)}
