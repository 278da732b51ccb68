"""Minimum class confusion."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from .._docs import with_shared_docs
from ..data._batch import Batch
from ..deep._parameters import parameters
from ..layers import scale_gradient
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real
from ._class_weighting import ClassWeightingMixin
from ._classifier import AdaptationClassifier
from ._target_losses import TEMPERATURE, class_confusion


@with_shared_docs
@parameters
class MCCClassifier(ClassWeightingMixin, AdaptationClassifier):
    """Minimum class confusion: predictions on the target that do not mix classes.

    Where a batch of the target is predicted as half this class and half that one,
    the two are confused; body and label head learn to leave as little of that as
    they can. Nothing pulls the domains' features together, so that the target may
    well have other shares of the classes, but the source's classes must be told
    from each other in the target to begin with: what is confused wholly is
    sharpened wrongly.

    Take it where classes still lie apart in the target, such as digits of another script, raw
    signals or features of a pretrained network. Digits on photos gain .33 by `DANNClassifier`
    and nothing by this.

    The loss is, of ``n`` target rows with predictions ``P = softmax(logits / temperature)``,

    ``L_y + lambda L_c``,
    ``L_c = 1/K sum_k (sum_(j != k) C_kj / sum_l C_kl)``, ``C = P^T diag(w) P``,
    ``w_i = n (1 + exp(-H_i)) / sum_j (1 + exp(-H_j))``,

    where ``L_y`` is the mean cross-entropy on the source, ``H_i`` the entropy of row ``i``, and
    ``w`` is held fixed. It is a matter of
    batches: give a `batch_size` of several rows for each class.

    The paper has ``lambda`` 1 for pretrained bodies. Where the source's border cuts through
    a class of the target (moons turned by 35 degrees), and where there is no shift, that costs
    more accuracy than 0.3 does, and 0.3 gives nearly as much where the method helps.

    Parameters
    ----------
    {body_parameters}
    temperature : float, default={temperature}
        What logits are divided by; predictions that are softer show more of what is
        confused.
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
        Where there is no `X_target`, and where the domain loss, here ``L_c``, has not
        moved or sends no gradient to the features.

    See Also
    --------
    DANNClassifier : Has features from which the domains cannot be told.

    References
    ----------
    Jin et al., "Minimum Class Confusion for Versatile Domain Adaptation", ECCV 2020,
    eqs. 2-8. https://arxiv.org/abs/1912.03699

    Examples
    --------
    >>> from sktransfer import MCCClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = MCCClassifier(random_state=0).fit(Xs, ys, X_target=Xt)
    >>> clf.predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    _domain_loss_needs: ClassVar[str | None] = (
        "X_target and batch_size give batches of several rows of the target, as a single one has "
        "the same class confusion whatever is predicted for it"
    )

    temperature: float = TEMPERATURE
    lambda_: float = 0.3

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the class confusion on the target, its gradient weighed by lambda."""
        logits = scale_gradient(network.target_outputs(batch), batch.lambda_)
        return {"domain_loss": class_confusion(logits, self.temperature)}
