"""Fine-tuning in five steps, for numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from .._docs import with_shared_docs
from .._warning import warn
from ..data._domain import Domain
from ..data._sampler import Sampler
from ..deep._parameters import parameters
from ..deep._regressor import DeepRegressorMixin
from ..engine._decay import WeightDecay, decay_rate, default_weights
from ..engine._stage import Follower, Stage
from ..validation._constraints import Interval, Real
from ._base import BaseFineTuning
from ._stages import Part


@with_shared_docs
@parameters
class FineTuneRegressor(DeepRegressorMixin, BaseFineTuning):
    """Fine-tuning for numbers: a new head on a pretrained body, of which the last layers learn on.

    The five steps are those of `FineTuneClassifier`: (1) put a new head on the body,
    (2) freeze the body, (3) train the head, (4) unfreeze the body's last layers, (5)
    train head and unfrozen layers with a small learning rate.

    - ``fit(X, y)`` fine-tunes a pretrained `backbone` on labelled rows.
    - ``fit(X, y, X_target=Xt, y_target=yt)`` first trains body and a head on the
      source, then takes the five steps on the labelled rows of the target, whose
      numbers may be of another kind, in other units, or more or fewer for a row.

    A target without labels is of no use to it: there are no classes of which a model
    could be sure.

    The loss is

    ``1/n sum_i L(y_i) + l2_sp/2 sum (theta - theta_0)^2``

    with the `loss`
    ``L`` of a row and, in step 5, the body's unfrozen weights ``theta`` and what they
    were before, ``theta_0``, and there, with ``relational_weight``, the loss of relations
    of `FineTuneClassifier`.

    Parameters
    ----------
    {finetuning_body_parameters}
    {finetuning_regression_head_parameter}
    {finetuning_parameters}
    {loss_parameter}
    {finetuning_weight_decay_parameter}
    {optimizer_parameters}
    batch_size : int, default=32
        Most rows in a training step.
    {training_parameters}

    Attributes
    ----------
    {regression_attributes}
    {fitted_attributes}
    backbone_ : torch.nn.Module
        The trained body, for example to be the `backbone` of another fit.
    head_ : torch.nn.Module
        The trained head.
    unfrozen_layers_ : list of str
        The layers that learned in step 5, in forward order.

    Warns
    -----
    UserWarning
        Where there is neither a pretrained body nor a target, and where no row of the
        target has a label: the model is then the source's.

    See Also
    --------
    FineTuneClassifier : For classes.
    DeepCORALRegressor : Adapts to a target without labels.

    References
    ----------
    Those of `FineTuneClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import FineTuneRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(size=(100, 3)), rng.normal(0.5, 1, size=(80, 3))
    >>> reg = FineTuneRegressor(random_state=0)
    >>> reg.fit(X, X[:, 0], X_target=X_target[:20], y_target=X_target[:20, 0] + 1)
    FineTuneRegressor(random_state=0)
    >>> reg.predict(X_target).shape
    (80,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    weight_decay: float = 50.0

    def _followers(self, part: Part, sampler: Sampler) -> list[Follower]:
        if self.weight_decay == 0:
            return []
        weights = list(default_weights(part.head))
        if part.name == "source":
            weights += default_weights(self.net_.module_.body)
        n_rows = sampler.streams["source"].n_rows
        rate = decay_rate(part.learning_rate, self.weight_decay, n_rows)
        return [WeightDecay(weights, rate, self.net_.learning_rate_schedule)]

    def _transfers(self) -> bool:
        return False  # of a target without labels

    def _plan_without_labels(
        self, source: Domain, target: Domain, seeds: np.ndarray
    ) -> Iterator[Stage]:
        warn(
            "FineTuneRegressor learns nothing from a target without labels: without classes there "
            "is none to be sure of. It was fitted on X and y alone. Give y_target, with NaN for "
            "rows whose number is not known, or take DeepCORALRegressor or DANNRegressor."
        )
        return self._plan_source(source, seeds)
