"""Fine-tuning in five steps, for numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from .._docs import with_shared_docs
from .._regressor import DeepRegressorMixin
from ..data._domain import Domain
from ..engine._stage import Stage
from ._base import BaseFineTuning
from ._settings import FrozenCache, HeldOut, LoRA, SourceTraining, Unfreezing


@with_shared_docs
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

    The loss is ``1/n sum_i L(y_i) + l2_sp/2 sum (theta - theta_0)^2`` with the `loss`
    ``L`` of a row and, in step 5, the body's unfrozen weights ``theta`` and what they
    were before, ``theta_0``, and there, with ``relational_weight``, the loss of relations
    of `FineTuneClassifier`.

    Parameters
    ----------
    {finetuning_body_parameters}
    {finetuning_regression_head_parameter}
    {finetuning_parameters}
    {loss_parameter}
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
        **BaseFineTuning._parameter_constraints,
        **DeepRegressorMixin._parameter_constraints,
    }

    def __init__(
        self,
        backbone: Any = None,
        *,
        head: Any = None,
        unfreeze_depth: int | str = 1,
        unfreezing: Unfreezing | None = None,
        source_training: SourceTraining | None = None,
        head_epochs: int = 100,
        learning_rate: float = 3e-3,
        finetune_epochs: int = 50,
        finetune_learning_rate: float = 3e-4,
        loss: str = "squared_error",
        early_stopping: HeldOut | None = None,
        augment: Any = None,
        adapter: LoRA | None = None,
        frozen_cache: FrozenCache | None = None,
        hidden_layer_sizes: Any = (100,),
        optimizer: Any = "adam",
        learning_rate_schedule: Any = "constant",
        batch_size: int = 32,
        callbacks: Any = None,
        checkpoint: Any = None,
        device: Any = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        data_parallel: bool = False,
        num_workers: int = 0,
        verbose: Any = 0,
    ) -> None:
        super().__init__(
            backbone,
            head=head,
            unfreeze_depth=unfreeze_depth,
            unfreezing=unfreezing,
            source_training=source_training,
            head_epochs=head_epochs,
            learning_rate=learning_rate,
            finetune_epochs=finetune_epochs,
            finetune_learning_rate=finetune_learning_rate,
            early_stopping=early_stopping,
            augment=augment,
            adapter=adapter,
            frozen_cache=frozen_cache,
            hidden_layer_sizes=hidden_layer_sizes,
            optimizer=optimizer,
            learning_rate_schedule=learning_rate_schedule,
            batch_size=batch_size,
            callbacks=callbacks,
            checkpoint=checkpoint,
            device=device,
            random_state=random_state,
            warm_start=warm_start,
            data_parallel=data_parallel,
            num_workers=num_workers,
            verbose=verbose,
        )
        self.loss = loss

    def _transfers(self) -> bool:
        return False  # of a target without labels

    def _plan_without_labels(
        self, source: Domain, target: Domain, seeds: np.ndarray
    ) -> Iterator[Stage]:
        warnings.warn(
            "FineTuneRegressor learns nothing from a target without labels: without classes there "
            "is none to be sure of. It was fitted on X and y alone. Give y_target, with NaN for "
            "rows whose number is not known, or take DeepCORALRegressor or DANNRegressor.",
            UserWarning,
            stacklevel=6,
        )
        return self._plan_source(source, seeds)
