"""Correlation alignment for deep domain adaptation, for numbers."""

from __future__ import annotations

from .._docs import with_shared_docs
from ..deep._parameters import parameters
from ._coral import CORALMixin
from ._regressor import AdaptationRegressor


@with_shared_docs
@parameters
class DeepCORALRegressor(CORALMixin, AdaptationRegressor):
    """Deep CORAL for numbers: features whose covariance is the same in both domains.

    The body learns to predict numbers on the source while the second-order statistics
    of its features on both domains are pulled together, as in `DeepCORALClassifier`.
    It supposes that the same features go with the same numbers in both domains.

    The loss is

    ``L_y + lambda/(4 d^2) ||C_S - C_T||_F^2``

    with ``L_y`` the mean over the source rows of their `loss`, and ``C_S``, ``C_T`` the
    unbiased covariances of the ``d`` features in the source and target rows of a batch. Weight
    decay makes features small, and the covariances of 100 of them weigh little: hence
    `lambda_`.

    Parameters
    ----------
    {body_parameters}
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

    lambda_: float = 1000.0
