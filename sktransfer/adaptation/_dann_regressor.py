"""Domain-adversarial training for numbers."""

from __future__ import annotations

from typing import Any

from .._docs import with_shared_docs
from ..deep._parameters import parameters
from ._dann import DANNMixin
from ._regressor import AdaptationRegressor


@with_shared_docs
@parameters
class DANNRegressor(DANNMixin, AdaptationRegressor):
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
    {weight_decay_parameter}
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

    optimizer: Any = "game_adam"
