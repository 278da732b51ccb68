"""Adaptation by the maximum mean discrepancy of the features."""

import torch
from torch import Tensor

from sktransfer._docs import with_shared_docs
from sktransfer.adaptation._classifier import AdaptationClassifier
from sktransfer.data._sampler import Batch
from sktransfer.deep._distances import squared_distances
from sktransfer.layers import scale_gradient
from sktransfer.network._network import TransferNetwork

# Bandwidths of several scales see differences of several scales.
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


def mmd_loss(source: Tensor, target: Tensor) -> Tensor:
    """Return ``mean k(s, s') + mean k(t, t') - 2 mean k(s, t)`` over all pairs of rows.

    ``k(a, b)`` is the mean over `SCALES` of ``exp(-||a - b||^2 / (scale v))``, with ``v``
    the mean of all squared distances.
    """
    rows = torch.cat([source, target])
    distances = squared_distances(rows, rows)
    v = distances.detach().mean().clamp(min=torch.finfo(rows.dtype).eps)
    kernels = [torch.exp(-distances / (scale * v)) for scale in SCALES]
    kernel = torch.stack(kernels).mean(dim=0)
    n = len(source)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


@with_shared_docs
class MMDClassifier(AdaptationClassifier):
    """Features of which a kernel sees the same mean in both domains.

    The loss is ``L_y + lambda MMD^2`` with ``L_y`` the mean cross-entropy on the
    source and ``MMD^2`` that of `mmd_loss` on the features of a batch.

    Parameters
    ----------
    {body_parameters}
    {label_classifier_parameter}
    {target_loss_parameters}
    {adaptation_parameters}
    {optimizer_parameters}
    {training_parameters}

    Attributes
    ----------
    {classes_attribute}
    {fitted_attributes}

    References
    ----------
    Long et al., "Learning Transferable Features with Deep Adaptation Networks",
    ICML 2015.

    Examples
    --------
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(100, random_state=0)
    >>> clf = MMDClassifier(max_epochs=5, random_state=0)
    >>> clf.fit(Xs, ys, X_target=Xt).predict(Xt).shape
    (100,)
    """

    def _domain_losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        """Return the squared discrepancy, its gradient weighed by lambda."""
        assert batch.target is not None
        loss = mmd_loss(
            scale_gradient(batch.source.features, batch.lambda_),
            scale_gradient(batch.target.features, batch.lambda_),
        )
        return {"domain_loss": loss}
