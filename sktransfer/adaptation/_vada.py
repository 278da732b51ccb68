"""Virtual adversarial domain adaptation, and its refinement on the target alone (DIRT-T)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._docs import with_shared_docs
from ..data._batch import Batch
from ..data._domain import Domain, Domains
from ..deep._parameters import parameters
from ..engine._average import MovingAverage, WeightAverage
from ..engine._runtime import limited_threads
from ..engine._stage import GradientStep, Stage
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ..validation._constraints import Integral, Interval, Real
from ._class_weighting import ClassWeightingMixin
from ._classifier import AdaptationClassifier
from ._dann import DANNMixin
from ._virtual_adversary import divergences, virtual_adversarial_logits


@with_shared_docs
@parameters
class VADAClassifier(DANNMixin, ClassWeightingMixin, AdaptationClassifier):
    """Virtual adversarial domain adaptation: borders between classes that keep off all rows.

    Beside the adversary of `DANNClassifier`, which may move a target row into any class,
    predictions are to be sure on the target and not to change where a row of either domain moves
    a little in the direction that changes them most: classes end where there are few
    rows. With `dirt_t_epochs` a second stage (DIRT-T) then leaves the source, whose
    borders need not be the target's, and goes on with the target alone, held by a teacher.

    Take it where `DANNClassifier` gains and three times the work is no matter: it is ahead on
    raw signals and pixels, level on moons, behind on words.

    The first stage minimises ::

        L_y + lambda (L_d + R)
        R = target_loss_weight H
            + source_vat_weight V_source + target_vat_weight V_target

    with the mean cross-entropy ``L_y`` on the source, the domain classifier's loss ``L_d``
    behind a gradient reversal as in `DANNClassifier`, the mean entropy ``H`` of the predictions
    on the target (`target_loss`), and in each domain

    ``V = 1/n sum_i KL(p(x_i) || p(x_i + r_i))``,

    with ``p(x_i)`` and ``r_i`` held fixed. The perturbation ``r_i`` has the norm
    ``perturbation_radius * sqrt(1/n sum_j ||x_j - mean||^2)`` over the rows of the batch, so that
    it is a share of how far rows are from each other whatever their unit and number of
    features; its direction is that of the gradient of the divergence at a small random
    step (one power iteration). The second stage minimises ::

        target_loss_weight H + target_vat_weight V_target
        + teacher_weight/n sum_i KL(t(x_i) || p(x_i))

    over target rows, with the predictions ``t`` of a network whose weights are the moving average
    ``theta_t <- d theta_t + (1 - d) theta`` after every step, ``d = teacher_decay``. Labels
    of target rows (`y_target`) count in both stages; in the second, where there are no source rows
    to count beside, `target_weight` times the mean loss of theirs is added.

    For images of normalised pixels the published radius, 3.5 at 3,072 pixels, is a
    `perturbation_radius` of 0.06. The published weights are ``lambda_=0.01`` with 1 for the
    target's terms and 100 or 0 for the source's. A batch takes about three times the
    work of `DANNClassifier`.

    Parameters
    ----------
    {body_parameters}
    {domain_classifier_parameters}
    perturbation_radius : float, default={perturbation_radius}
        Norm of the perturbations, as a share of the rows' root mean square distance from
        their mean, in each domain and batch.
    source_vat_weight, target_vat_weight : float, default={source_vat_weight}
        Weights of ``V``; 0 leaves it out. With 1 each moons turned by 35 degrees read .97, with
        the published weights .77.
    dirt_t_epochs : int, default={dirt_t_epochs}
        Passes over the target in the second stage; 0 leaves it out.
    teacher_weight : float, default={teacher_weight}
        Weight of the divergence from the teacher.
    teacher_decay : float in [0, 1), default={teacher_decay}
        What the teacher keeps of itself at every step.
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

    Raises
    ------
    ValueError
        In `fit`, for a body that takes whole numbers, which cannot move a little.

    Warns
    -----
    UserWarning
        As `DANNClassifier` does, of the first stage.

    See Also
    --------
    DANNClassifier : The adversary alone.

    References
    ----------
    Shu et al., "A DIRT-T Approach to Unsupervised Domain Adaptation", ICLR 2018, eqs. 5-13.
    https://arxiv.org/abs/1802.08735

    Miyato et al., "Virtual Adversarial Training", TPAMI 2018, eqs. 5-12.
    https://arxiv.org/abs/1704.03976

    Examples
    --------
    >>> from sktransfer import VADAClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = VADAClassifier(max_epochs=10, dirt_t_epochs=5, random_state=0)
    >>> clf.fit(Xs, ys, X_target=Xt).predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "perturbation_radius": [Interval(Real, 0, None, closed="neither")],
        "source_vat_weight": [Interval(Real, 0, None, closed="left")],
        "target_vat_weight": [Interval(Real, 0, None, closed="left")],
        "dirt_t_epochs": [Interval(Integral, 0, None, closed="left")],
        "teacher_weight": [Interval(Real, 0, None, closed="left")],
        "teacher_decay": [Interval(Real, 0, 1, closed="left")],
    }

    perturbation_radius: float = 0.06
    source_vat_weight: float = 1.0
    target_vat_weight: float = 1.0
    dirt_t_epochs: int = 0
    teacher_weight: float = 1.0
    teacher_decay: float = 0.998
    target_loss: Any = "entropy"
    target_loss_weight: float = 0.03
    optimizer: Any = "game_adam"

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        if not self.net_.engine.dtype.is_floating_point:
            raise ValueError(
                "VADAClassifier moves rows by a little, and feature_extractor takes whole numbers "
                f"({self.net_.engine.dtype}), which cannot be. Give rows that were embedded "
                "before, or another estimator, such as DANNClassifier."
            )
        yield from super()._plan(domains, seed)
        if domains.target is not None and self.dirt_t_epochs > 0 and self._transfers():
            yield from self._plan_dirt_t(domains, seed + 1)

    def _plan_dirt_t(self, domains: Domains, seed: int) -> Iterator[Stage]:
        """Yield the stage that goes on with the target alone (DIRT-T)."""
        assert domains.target is not None
        network: TransferNetwork = self.net_.module_
        rows, learned = self._domain_rows(Domain(domains.target.X)), self._learned_target(domains)
        labelled = None if learned is None else self._labelled_rows(learned, rows)
        sampler = self._sampler(rows, None, seed, labelled)
        teacher = MovingAverage(network, self.teacher_decay)
        average = WeightAverage(network, self.average_weights)
        yield Stage(
            sampler,
            GradientStep(partial(self._refinement_losses, network, teacher.network)),
            self.dirt_t_epochs,
            network.row_flops(),
            groups=self._parameter_groups_of(network),
            followers=[teacher, average] if self.average_weights > 0 else [teacher],
        )
        with limited_threads(network.row_flops() * self.batch_size):
            self._estimate_statistics(network, sampler)

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return DANN's losses, and by how much predictions change where rows are moved."""
        assert batch.target is not None
        losses = super()._domain_losses(network, batch)
        parts = {
            "source": (batch.source, batch.source_outputs, self.source_vat_weight),
            "target": (batch.target, network.target_outputs(batch), self.target_vat_weight),
        }
        for name, (view, logits, weight) in parts.items():
            if weight > 0:
                pairs = zip(view.split(view.X), view.split(logits), strict=True)
                changes = [self._change(network, *of, weight * batch.lambda_) for of in pairs]
                losses[f"{name}_vat_loss"] = torch.stack(changes).mean()
        return losses

    def _change(self, network: TransferNetwork, X: Tensor, logits: Tensor, weight: float) -> Tensor:
        """Return ``V`` of the rows of one domain, its gradient weighed."""
        fixed, moved = virtual_adversarial_logits(network, X, logits, self.perturbation_radius)
        return divergences(fixed, scale_gradient(moved, weight)).mean()

    def _refinement_losses(
        self, network: TransferNetwork, teacher: nn.Module, batch: Batch
    ) -> dict[str, Tensor]:
        """Return the losses of target rows, which are the batch's source here."""
        view, labelled = batch.source, batch.labelled
        batch.metrics["stage"] = "dirt_t"
        X = view.X if labelled is None else torch.cat([view.X, labelled.X])
        outputs: Tensor = network(X)  # normalised together, as few labelled rows are unlike all
        batch.source_outputs = batch.target_outputs = logits = outputs[: len(view)]
        batch.lambda_ = 1.0
        with torch.no_grad():
            taught = teacher(view.X)
        losses = {
            "teacher_loss": divergences(taught, scale_gradient(logits, self.teacher_weight)).mean()
        }
        if labelled is not None:
            assert labelled.y is not None
            of_labelled = self.net_.task.loss(outputs[len(view) :], labelled.y, labelled.weight)
            losses["target_label_loss"] = self.target_weight * of_labelled
        if self.target_vat_weight > 0:
            change = self._change(network, view.X, logits, self.target_vat_weight)
            losses["target_vat_loss"] = change
        return losses | self._target_losses(network, batch)
