"""Correlation alignment for deep domain adaptation, for numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from .._docs import with_shared_docs
from .._regressor import DeepRegressorMixin
from ._base import BaseAdaptation
from ._coral import CORALMixin


@with_shared_docs
class DeepCORALRegressor(CORALMixin, DeepRegressorMixin, BaseAdaptation):
    """Deep CORAL for numbers: features whose covariance is the same in both domains.

    The body learns to predict numbers on the source while the second-order statistics
    of its features on both domains are pulled together, as in `DeepCORALClassifier`.
    It supposes that the same features go with the same numbers in both domains.

    The loss is ``L_y + lambda / (4 d^2) ||C_S - C_T||_F^2`` with ``L_y`` the mean
    over the source rows of their `loss`, and ``C_S``, ``C_T`` the unbiased covariances
    of the ``d`` features in the source and target rows of a batch.

    Parameters
    ----------
    {body_parameters}
    {regression_head_parameter}
    {loss_parameter}
    {adaptation_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    {regression_attributes}
    {fitted_attributes}

    Warns
    -----
    UserWarning
        Where there is no `X_target`, and where the domain loss has not moved or
        sends no gradient to the features.

    See Also
    --------
    DANNRegressor : Lets a classifier find what differs between the domains.

    References
    ----------
    Sun and Saenko, "Deep CORAL: Correlation Alignment for Deep Domain
    Adaptation", ECCV workshops 2016, eqs. 1-3. https://arxiv.org/abs/1607.01719

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import DeepCORALRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(size=(100, 3)), rng.normal(2, 1, size=(80, 3))
    >>> reg = DeepCORALRegressor(max_epochs=5, random_state=0)
    >>> reg.fit(X, X[:, 0] + 1, X_target=X_target).predict(X_target).shape
    (80,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        **BaseAdaptation._parameter_constraints,
        **DeepRegressorMixin._parameter_constraints,
    }

    def __init__(
        self,
        feature_extractor: Any = None,
        *,
        label_head: Any = None,
        loss: str = "squared_error",
        lambda_: float = 1.0,
        lambda_schedule: Any = "ramp",
        target_weight: float = 1.0,
        average_weights: float = 0.25,
        hidden_layer_sizes: Any = (100,),
        optimizer: Any = "adam",
        learning_rate: float = 2e-3,
        learning_rate_schedule: Any = "constant",
        batch_size: int = 64,
        max_epochs: int = 100,
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
            feature_extractor,
            label_head=label_head,
            lambda_=lambda_,
            lambda_schedule=lambda_schedule,
            target_weight=target_weight,
            average_weights=average_weights,
            hidden_layer_sizes=hidden_layer_sizes,
            optimizer=optimizer,
            learning_rate=learning_rate,
            learning_rate_schedule=learning_rate_schedule,
            batch_size=batch_size,
            max_epochs=max_epochs,
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
