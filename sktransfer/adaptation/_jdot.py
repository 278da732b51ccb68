"""Deep joint distribution optimal transport."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from .._docs import with_shared_docs
from ..data._batch import Batch
from ..deep._distances import squared_distances
from ..deep._parameters import parameters
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real
from ._class_weighting import ClassWeightingMixin
from ._classifier import AdaptationClassifier


def transport_cost(
    source: Tensor,
    y: Tensor,
    target: Tensor,
    logits: Tensor,
    feature_cost: float,
    label_cost: float | Tensor,
) -> Tensor:
    """Return ``M_ij = a/d ||f_i - f_j||^2 - b_i log p_j[y_i]``, shape (n_source, n_target).

    ``f`` are features of width ``d``, ``p = softmax(logits)`` of the target rows, ``a`` is
    `feature_cost` and ``b`` is `label_cost`, one for all source rows or of shape (n_source, 1).
    """
    distances = squared_distances(source, target)
    surprise = -F.log_softmax(logits, dim=1).T[y]
    return feature_cost / source.shape[1] * distances + label_cost * surprise


def cheapest_pairs(cost: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the rows and columns of the pairs that carry a share of both sides most cheaply.

    Of the ``n`` rows of the longer side ``round(share n)`` pairs, at least one, are made such that
    none makes their total cost less; no row and no column is in two of them. The shorter side
    is filled up to ``n`` with its own members from the first on before. The rest is paired with
    rows and columns that cost nothing, of which no two may be paired.
    """
    n_rows, n_columns = cost.shape
    n = max(n_rows, n_columns)
    rows, columns = np.arange(n) % n_rows, np.arange(n) % n_columns
    values = np.nan_to_num(cost.detach().cpu().double().numpy())  # what diverged is told later
    n_left = n - max(1, round(share * n))
    padded = np.zeros((n + n_left, n + n_left))
    padded[:n, :n] = values[np.ix_(rows, columns)]
    padded[n:, n:] = np.inf
    of_rows, of_columns = linear_sum_assignment(padded)
    are_pairs = (of_rows < n) & (of_columns < n)
    pairs = rows[of_rows[are_pairs]], columns[of_columns[are_pairs]]
    first, second = (torch.from_numpy(side).to(cost.device) for side in pairs)
    return first, second


@with_shared_docs
@parameters
class DeepJDOTClassifier(ClassWeightingMixin, AdaptationClassifier):
    """Optimal transport of features and labels: each target row learns of a source row near it.

    In each batch target rows are paired with source rows such that the features of a
    pair are near and the source's label is likely for the target row; body and label
    head then learn to make the pairs cheaper. Classes that lie apart stay apart, as a row is
    not drawn to the mean of a domain but to one place.

    Take it where the shift carries rows over the source's borders, as on moons, where it gains
    most. Not where the target lacks classes or has other shares of them, unless by
    ``class_weighting="target"``: pairs then have to cross classes.

    The loss is, over source rows ``i`` and target rows ``j``,

    ``L_y + lambda <gamma, M>``,
    ``M_ij = feature_cost/d ||f_i - f_j||^2 - label_cost log p_j[y_i]``,

    with ``L_y`` the mean cross-entropy on the source, of the ``d`` features ``f`` and the
    predictions ``p``. The plan ``gamma`` pairs rows of the one domain with rows of the other,
    each at most once and the share `transported_share` of them in all, in the way that is
    cheapest; all pairs have the same weight, which sums to 1, and the plan is held fixed: an
    assignment problem, solved by scipy. Where a batch has fewer rows of one domain, these are
    repeated in turn. `class_weight` multiplies ``label_cost`` by the weight of the source
    row's class.

    A batch by chance has more rows of a class in one domain than in the other, and a plan of all
    rows (``transported_share=1``, as published in 2018) pairs what is left over across
    classes, whose labels the target then learns: at ten classes in batches of 64 that is a
    quarter of them. Leaving the dearest rows out is the cure of Nguyen et al. (2022). The
    paper of 2018 has squared distances that are not divided by ``d``, and class-balanced batches
    of the source, which cure the one half of it.

    Parameters
    ----------
    {body_parameters}
    feature_cost : float, default={feature_cost}
        Weight of the squared distance of features, a mean over their number.
    label_cost : float, default={label_cost}
        Weight of the cross-entropy between the source's label and the target's prediction.
    transported_share : float in (0, 1], default={transported_share}
        Share of a batch's rows that are paired; 1 pairs all, as published, and with them what
        chance has brought into the batch (see above).
    {label_classifier_parameter}
    {target_loss_parameters}
    {class_weighting_parameter}
    {adaptation_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    {classes_attribute}
    {fitted_attributes}

    Warns
    -----
    UserWarning
        Where there is no `X_target`, and where the domain loss, the cost of the plan, has
        not moved or sends no gradient to the features.

    See Also
    --------
    sktransfer.alignment.OptimalTransport : Carries rows, before any estimator.

    References
    ----------
    Damodaran et al., "DeepJDOT: Deep Joint Distribution Optimal Transport for
    Unsupervised Domain Adaptation", ECCV 2018, eqs. 5-8. https://arxiv.org/abs/1803.10081

    Nguyen et al., "Improving Mini-batch Optimal Transport via Partial Transportation", ICML
    2022, eqs. 4-6. https://arxiv.org/abs/2108.09645

    Examples
    --------
    >>> from sktransfer import DeepJDOTClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = DeepJDOTClassifier(max_epochs=20, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> clf.predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "feature_cost": [Interval(Real, 0, None, closed="left")],
        "label_cost": [Interval(Real, 0, None, closed="left")],
        "transported_share": [Interval(Real, 0, 1, closed="right")],
    }

    feature_cost: float = 1.0
    label_cost: float = 0.1
    transported_share: float = 0.7

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the cost of the cheapest plan, its gradient weighed by lambda."""
        assert batch.target is not None
        assert batch.source.y is not None
        weight = batch.source.weight
        cost = transport_cost(
            scale_gradient(batch.source.features, batch.lambda_),
            batch.source.y,
            scale_gradient(batch.target.features, batch.lambda_),
            scale_gradient(network.target_outputs(batch), batch.lambda_),
            self.feature_cost,
            self.label_cost if weight is None else self.label_cost * weight[:, None],
        )
        return {"domain_loss": cost[cheapest_pairs(cost, self.transported_share)].mean()}
