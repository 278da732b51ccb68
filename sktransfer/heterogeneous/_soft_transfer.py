"""Soft transfer network: two domains with features of their own, brought to common ones."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._docs import with_shared_docs
from .._warning import quiet, warn
from ..adaptation._own_bodies import OwnBodiesClassifier
from ..data._batch import Batch
from ..data._domain import Domain, Domains
from ..deep._parameters import parameters
from ..deep._resuming import checkpoint_of_part
from ..layers import scale_gradient
from ..network._build import check_layer_sizes
from ..network._network import TransferNetwork
from ..network._probe import Probe, probe
from ..validation._constraints import Integral, Interval
from ._inner_validation import describe_no_gain, hold_out, predict_plainly
from ._shared_columns import find_positions, find_shared, make_shared_bodies


def class_means(features: Tensor, shares: Tensor) -> Tensor:
    """Return ``sum_i s_ik f_i / sum_i s_ik`` for each class k; zero where no row has a share."""
    total = shares.sum(dim=0)
    return shares.T @ features / total.clamp(min=torch.finfo(shares.dtype).tiny)[:, None]


def soft_transfer_loss(
    source: Tensor, source_shares: Tensor, target: Tensor, target_shares: Tensor
) -> Tensor:
    """Return ``||m_S - m_T||^2 + sum_k ||m_S^k - m_T^k||^2`` of features of two domains.

    ``m`` is the mean of a domain's rows, ``m^k`` that of the rows of class k, each row
    with its share of the class. Classes of which a domain has no share are passed over;
    shares have no gradient.

    Parameters
    ----------
    source, target : Tensor of shape (n, n_features)
    source_shares, target_shares : Tensor of shape (n, n_classes)
        One-hot where the class is known; else probabilities, which may sum to less.
    """
    source_shares, target_shares = source_shares.detach(), target_shares.detach()
    gap = (source.mean(dim=0) - target.mean(dim=0)).square().sum()
    both = (source_shares.sum(dim=0) > 0) & (target_shares.sum(dim=0) > 0)
    means = class_means(source, source_shares) - class_means(target, target_shares)
    return gap + (means[both]).square().sum()


@with_shared_docs
@parameters
class HeterogeneousTransferClassifier(OwnBodiesClassifier):
    """Soft transfer network: source and target have other features, and the same classes.

    Another device, another spectrum, another language: rows of the two domains cannot be
    compared. Each domain gets a body of its own, and both lead to common features on which
    one label head decides; the classes, of few labelled target rows and of what the others
    are taken for, bring them together.

    The loss is

    ``L_S + target_weight L_T + lambda D``,
    ``D = ||m_S - m_T||^2 + sum_k ||m_S^k - m_T^k||^2``,

    with the mean cross-entropies ``L_S`` of the source and ``L_T`` of the target's labelled
    rows and, of the features of a batch, ``m`` a domain's mean and ``m^k`` that of its class
    ``k``. In the target a labelled row counts for its class, and every row for class k with
    ``a p_k``, its predicted probability times the share ``a`` of the training that is done
    (the paper's it/I); no gradient flows through ``p``.

    `predict` and `score` take rows of the target; with ``domain="source"`` those of the
    source. Without `X_target` it is a plain classifier of the source.

    Parameters
    ----------
    feature_extractor : torch.nn.Module, callable or None, default=None
        The body for rows of the source, ``(n, *source_shape) -> (n, ...)``, flattened to
        features. A module is copied, never changed; a callable gets the shape of one row and
        returns a module. None builds an MLP with ReLU by `hidden_layer_sizes`.
    target_feature_extractor : torch.nn.Module, callable or None, default=None
        The body for rows of the target, with as many features.
    shared : bool or array-like of str, default=False
        Columns that mean the same in both domains, matched by name in frames: a list of
        them, or True for all names that both have. The first layers of the two MLPs then
        have one weight in common for each of these columns, and their own for the rest,
        of which a domain may have none. The shared columns are to be scaled alike.
    {label_classifier_parameter}
    lambda_ : float, default={lambda_}
        Weight of ``D``.
    target_loss : {"entropy", "mcc", "bnm"}, callable or None, default={target_loss}
        A loss of the predictions on target batches, weighed by `lambda_` and its schedule
        as ``D`` is, as in `DANNClassifier`. None is the method as published.
    target_loss_weight : float, default={target_loss_weight}
        Its weight beside ``D``.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the label losses, scaled to mean 1 over the rows of each
        domain.
    target_weight : float, default=1.0
        Weight of the labelled target rows' loss.
    lambda_schedule : {"ramp", "constant"} or callable, default="ramp"
        Factor of `lambda_` over the training progress ``p`` in [0, 1]: "ramp" is
        ``2 / (1 + exp(-10 p)) - 1``, a callable gets ``p``.
    average_weights : float in [0, 1], default={average_weights}
        Share of the training steps, the last ones, over which the weights are averaged.
    hidden_layer_sizes : int or sequence of int, default={hidden_layer_sizes}
        Widths of the MLPs.
    learning_rate : float, default={learning_rate}
        Step size of the optimizer for modules of yours; default layers learn at
        ``learning_rate * sqrt(100 / n_inputs)``.
    batch_size : int, default=64
        Most rows of each domain in a training step.
    max_epochs : int, default=100
        Passes over the longer domain; the shorter one cycles meanwhile.
    inner_folds : int, default={inner_folds}
        Parts of the target's labelled rows, each held out once, over which `fit` compares
        the method with logistic regression on the other labelled rows alone, and warns
        where that is right as often. It costs as many further fits; 0 leaves it out. With
        two labelled rows or one class there is nothing to compare. With `checkpoint` these
        fits go on, too: the file of each stands beside that of `fit`, ending in ``.fold1``.
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    source_shape_ : tuple of int or None
        Shape of one row of the source; None where there was no target.
    source_feature_names_in_ : ndarray of str of shape (n_source_features,)
        Column names of `X`, where it has string names; ``feature_names_in_`` are those of
        `X_target`.
    shared_ : ndarray of str or None
        The columns that were taken for the same.
    inner_scores_ : dict or None
        Accuracies on the held-out labelled rows of the target, of this method as
        ``transfer`` and of logistic regression as ``target_alone``, and their number
        ``n_rows``.
    {classes_attribute}
    {fitted_attributes}

    Raises
    ------
    ValueError
        In `fit`, where no row of the target has a label: nothing would tie features of one
        domain to those of the other. For `shared` with columns that a frame lacks.

    Warns
    -----
    UserWarning
        Where labelled target rows alone do as well, by `inner_folds`. Of few rows this
        is a hint and no proof.

    See Also
    --------
    DANNClassifier : Where both domains have the same features.
    sktransfer.alignment.FeatureAugmentation : Likewise, with some labels.

    Notes
    -----
    Compare with a classifier of the labelled target rows alone (`inner_scores_`), and with
    self-training on all target rows: what helps where nothing but the classes ties the
    domains are mostly the target's own unlabelled rows, drawn to one place a class.
    Columns that are the same in both (`shared`) are another matter.

    References
    ----------
    Yao et al., "Heterogeneous Domain Adaptation via Soft Transfer Network", ACM MM 2019,
    eqs. 2-6. https://arxiv.org/abs/1908.10552 (by batches here, with ReLU, with as much
    weight on the target's labels as on the source's, with the entropy, and without a
    penalty on the weights or rows and features of length one).

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import HeterogeneousTransferClassifier
    >>> rng = np.random.default_rng(0)
    >>> y, y_target = rng.integers(0, 3, 90), rng.integers(0, 3, 60)
    >>> X = np.eye(3)[y] + rng.normal(scale=0.2, size=(90, 3))
    >>> X_target = np.eye(3)[y_target] @ rng.normal(size=(3, 8))
    >>> X_target += rng.normal(scale=0.2, size=(60, 8))
    >>> few = [label if row < 9 else None for row, label in enumerate(y_target)]
    >>> clf = HeterogeneousTransferClassifier(max_epochs=20, inner_folds=0, random_state=0)
    >>> clf.fit(X, y, X_target=X_target, y_target=few).predict(X_target).shape
    (60,)
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": True, "domains": False}

    _uses_domains = False

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "shared": ["boolean", "array-like"],
        "inner_folds": [
            Interval(Integral, 0, 1, closed="left"),
            Interval(Integral, 2, None, closed="left"),
        ],
    }

    shared: Any = False
    inner_folds: int = 3
    lambda_: float = 0.01
    target_loss: Any = "entropy"
    target_loss_weight: float = 30.0
    hidden_layer_sizes: Any = (256,)
    learning_rate: float = 1e-3

    def _has_own_bodies(self) -> bool:
        return True

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        domains = super()._check(fitted, X, y, X_target, y_target, sample_weight)
        if domains.target is None:
            return domains
        if domains.target.y is None:
            raise ValueError(
                f"{type(self).__name__} got no label of a target row: nothing ties the target's "
                "features to the source's. Give y_target, with None where a label is not known."
            )
        names = (vars(fitted).get(f"{one}feature_names_in_") for one in ("source_", ""))
        fitted.shared_ = find_shared(self.shared, *names)
        return domains

    def _fit(self, domains: Domains) -> None:
        super()._fit(domains)
        self.inner_scores_: dict[str, Any] | None = None
        if domains.target is not None and self.inner_folds > 0:
            self._compare_with_target_alone(domains.source, domains.target)

    def _compare_with_target_alone(self, source: Domain, target: Domain) -> None:
        """Set `inner_scores_`, and warn where the source seems not to help."""
        if len(np.unique(target.labelled().labels)) < 2 or len(target.labelled()) < 3:
            return
        twin = copy.copy(self)
        twin.callbacks, twin.inner_folds, twin.verbose = None, 0, 0
        right = np.zeros((2, 0), dtype=bool)
        for number, (left, held) in enumerate(hold_out(target, self.inner_folds), start=1):
            twin.checkpoint = checkpoint_of_part(self.checkpoint, f"fold{number}")
            twin.__dict__.pop("net_", None)  # whatever `warm_start` says
            twin.random_state = copy.deepcopy(self.random_state)
            with quiet():  # what is to be told of the method is told of the fit on all labels
                twin._fit(Domains(source, left))
            answers = twin.net_.predict(target.X[held]), predict_plainly(left, held)
            right = np.hstack([right, [one == target.labels[held] for one in answers]])
        ours, alone = right.sum(axis=1).tolist()
        n_rows = right.shape[1]
        self.inner_scores_ = {
            "transfer": ours / n_rows,
            "target_alone": alone / n_rows,
            "n_rows": n_rows,
        }
        warning = describe_no_gain(ours, alone, n_rows)
        if warning is not None:
            warn(warning)

    def _make_bodies(
        self, source_rows: Tensor, target_rows: Tensor, default: torch.dtype
    ) -> tuple[nn.Module, Probe, nn.Module, Probe]:
        if self.shared_ is None:
            return super()._make_bodies(source_rows, target_rows, default)
        if self.feature_extractor is not None or self.target_feature_extractor is not None:
            raise ValueError(
                "shared= is of the bodies that are built by default, by hidden_layer_sizes: leave "
                "feature_extractor and target_feature_extractor out, or shared=False."
            )
        sizes = check_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        names = self.source_feature_names_in_, self.feature_names_in_
        places = [find_positions(one, self.shared_) for one in names]
        source_body, target_body = make_shared_bodies(places, sizes, default)
        wanted = "a float tensor of shape (n, n_features)"
        probes = [
            probe(body, "shared", rows.to(default), wanted)
            for body, rows in ((source_body, source_rows), (target_body, target_rows))
        ]
        return source_body, probes[0], target_body, probes[1]

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the gap between the domains' means and class means, weighed by lambda."""
        assert batch.target is not None
        assert batch.source.y is not None
        n_classes = batch.source_outputs.shape[1]
        source = scale_gradient(batch.source.features, batch.lambda_)
        target = scale_gradient(batch.target.features, batch.lambda_)
        shares = batch.progress * network.target_outputs(batch).softmax(dim=1)
        if batch.labelled is not None:
            assert batch.labelled.y is not None
            labelled = scale_gradient(batch.labelled.features, batch.lambda_)
            target = torch.cat([target, labelled])
            known = F.one_hot(batch.labelled.y, n_classes).to(shares.dtype)
            shares = torch.cat([shares, known])
        source_shares = F.one_hot(batch.source.y, n_classes).to(shares.dtype)
        return {"domain_loss": soft_transfer_loss(source, source_shares, target, shares)}
