"""Domain-adversarial training for numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from .._docs import with_shared_docs
from .._regressor import DeepRegressorMixin
from ._base import BaseAdaptation
from ._dann import DANNMixin


@with_shared_docs
class DANNRegressor(DANNMixin, DeepRegressorMixin, BaseAdaptation):
    """Domain-adversarial training for numbers: features that do not tell the domains apart.

    The body learns to predict numbers on the source while a second head tries to
    tell source from target by its features and the body learns to make it fail, as in
    `DANNClassifier`. It supposes that the numbers are about as high in both domains:
    features that are alike are predicted alike.

    The saddle point is that of `DANNClassifier` with ``L_y`` the `loss` of a row:

    ``E = 1/n sum_source L_y - lambda (1/n sum_source L_d + 1/n' sum_target L_d)``

    Parameters
    ----------
    {body_parameters}
    {domain_classifier_parameters}
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
        Where there is no `X_target`, and where at the end the domain loss has
        not moved, sends no gradient to the features, or the domain classifier
        is right in 99.5% of the rows.

    See Also
    --------
    DeepCORALRegressor : Matches covariances instead; no second player.

    References
    ----------
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17
    (2016), eqs. 9, 13-18. https://jmlr.org/papers/v17/15-239.html

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import DANNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(size=(100, 3)), rng.normal(0.5, 1, size=(80, 3))
    >>> reg = DANNRegressor(max_epochs=5, random_state=0)
    >>> reg.fit(X, X[:, 0] + 1, X_target=X_target).predict(X_target).shape
    (80,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        **BaseAdaptation._parameter_constraints,
        **DANNMixin._parameter_constraints,
        **DeepRegressorMixin._parameter_constraints,
    }

    def __init__(
        self,
        feature_extractor: Any = None,
        *,
        domain_classifier: Any = None,
        domain_layer_sizes: Any = (100,),
        label_head: Any = None,
        loss: str = "squared_error",
        lambda_: float = 1.0,
        lambda_schedule: Any = "ramp",
        target_weight: float = 1.0,
        gradient_penalty: float = 5.0,
        average_weights: float = 0.25,
        hidden_layer_sizes: Any = (100,),
        optimizer: Any = "game_adam",
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
        self.domain_classifier = domain_classifier
        self.domain_layer_sizes = domain_layer_sizes
        self.gradient_penalty = gradient_penalty
        self.loss = loss
