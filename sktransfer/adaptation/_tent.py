"""Tent: a stream of small target batches, each predicted and then learned from."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from ..deep._classifier import DeepClassifierMixin
from ..engine._engine import to_numpy
from ..engine._runtime import limited_threads, own_modes
from ..network._batch_norm import batch_norms, untouched_statistics
from ..network._network import TransferNetwork
from ..validation._constraints import Interval, Real
from ..validation._domains import check_rows_to_predict
from ..validation._torch_rows import TorchRows
from ._target_losses import entropy

NORMALISATIONS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, _InstanceNorm)


def affine_parameters(*modules: nn.Module) -> list[nn.Parameter]:
    """List the scales and shifts of all normalisation layers in the modules."""
    layers = (layer for module in modules for layer in module.modules())
    normalising = (layer for layer in layers if isinstance(layer, NORMALISATIONS))
    return [parameter for layer in normalising for parameter in layer.parameters(recurse=False)]


class TentAdapter(BaseEstimator):
    """Test-time entropy minimisation: answers for a batch of the target, and learns from it.

    Each call takes the next batch of a stream. It is predicted with the batch's own
    statistics in batch normalisation; then the scales and shifts of all normalisation
    layers take one step of Adam (``betas=(0.9, 0.999)``) down the mean entropy

    ``-1/n sum_i sum_k p_ik log p_ik``

    of these predictions, which are returned as they were before it. Nothing else moves: other
    weights, running statistics and the given estimator stay. Dropout is off, unlike in the
    authors' code.

    Parameters
    ----------
    estimator : fitted deep classifier
        With normalisation layers that have weights in its body or label head.
    learning_rate : float, default=1e-3
        Step size of Adam.

    Attributes
    ----------
    network_ : Module
        The copy of the estimator's network that learns; there from the first batch on.
    optimizer_ : torch.optim.Adam
        What moves its scales and shifts.
    n_batches_ : int
        Batches so far.

    See Also
    --------
    HypothesisTransfer : Learns from a target that is there as a whole, in many passes.

    References
    ----------
    Wang, Shelhamer, Liu, Olshausen and Darrell, "Tent: Fully Test-Time Adaptation by Entropy
    Minimization", ICLR 2021, section 3. https://openreview.net/forum?id=uXl3bZLkr3c

    Examples
    --------
    >>> from torch import nn
    >>> from sktransfer import DANNClassifier, TentAdapter
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> def body(shape):
    ...     return nn.Sequential(nn.Linear(*shape, 20), nn.BatchNorm1d(20), nn.ReLU()).double()
    >>> clf = DANNClassifier(body, max_epochs=20, random_state=0).source_only().fit(Xs, ys)
    >>> tent = TentAdapter(clf)
    >>> answers = [tent.adapt_predict(Xt[start : start + 50]) for start in range(0, 300, 50)]
    >>> tent.n_batches_
    6
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "estimator": "no_validation",  # type: ignore[dict-item]
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, estimator: Any, *, learning_rate: float = 1e-3) -> None:
        self.estimator = estimator
        self.learning_rate = learning_rate

    def adapt_predict(self, X: Any) -> np.ndarray:
        """Predict the labels of the next batch, and then learn from it.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_rows, n_features) or (n_rows, ...)
            The batch, as the estimator's `predict` takes it. With batch normalisation it needs
            two rows, and is better with dozens.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels out of the estimator's `classes_`.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            For an estimator that is not fitted, no deep classifier, or has nothing to adapt;
            for rows unlike those of its `fit`; where the entropy is no longer finite.
        """
        logits = self._next(X)
        answers: np.ndarray = self.estimator.net_.task.answers(logits)
        return answers

    def adapt_predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probabilities of the next batch, and then learn from it.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_rows, n_features) or (n_rows, ...)
            As for `adapt_predict`, of which one or the other is to be called for a batch.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of the estimator's `classes_`.
        """
        probabilities: np.ndarray = softmax(self._next(X), axis=1)
        return probabilities

    def reset(self) -> Self:
        """Forget the stream: the next batch meets the network as the estimator has it.

        Returns
        -------
        self : object
        """
        for name in ("network_", "optimizer_", "n_batches_"):
            self.__dict__.pop(name, None)
        return self

    @own_modes()
    def _next(self, X: Any) -> np.ndarray:
        """Return the logits of a batch, and take the step."""
        estimator = self._checked_estimator()
        X = check_rows_to_predict(estimator, X, rows=TorchRows())
        estimator._check_row_shape(X, "X")
        if not hasattr(self, "network_"):
            self._begin(estimator)
        network: TransferNetwork = self.network_
        if X.shape[0] == 1 and batch_norms(network):
            raise ValueError(
                "X has one row, by which batch normalisation cannot normalise; give batches of at "
                "least 2 rows, or an estimator whose body has LayerNorm."
            )
        batch = estimator.net_.engine.rows(X).slice(0, X.shape[0])
        for norm in batch_norms(network):
            norm.train()
        with limited_threads(network.row_flops() * X.shape[0]), untouched_statistics(network):
            logits: Tensor = network(batch)
            self._step(entropy(logits))
        self.n_batches_ += 1
        return to_numpy(logits.detach())

    def _step(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise ValueError(
                f"the mean entropy became {loss.item()} in batch {self.n_batches_}: call reset(), "
                f"and lower learning_rate ({self.learning_rate})."
            )
        self.optimizer_.zero_grad()
        loss.backward()
        self.optimizer_.step()

    def _begin(self, estimator: Any) -> None:
        network = copy.deepcopy(estimator.net_.module_).eval().requires_grad_(False)
        learning = affine_parameters(network.body, network.label_head)
        if not learning:
            raise ValueError(
                f"The network of this {type(estimator).__name__} has no normalisation layer with "
                "weights, and Tent moves no others. Give it a body with batch normalisation (or "
                "LayerNorm, GroupNorm), or adapt(X_target), which moves the whole body."
            )
        for parameter in learning:
            parameter.requires_grad_(True)
        self.network_ = network
        self.optimizer_ = torch.optim.Adam(learning, lr=self.learning_rate)
        self.n_batches_ = 0

    def _checked_estimator(self) -> Any:
        self._validate_params()
        if not isinstance(self.estimator, DeepClassifierMixin):
            raise TypeError(
                f"estimator must be a deep classifier of sktransfer, fitted; got "
                f"{self.estimator!r:.80}, which has no network whose entropy could be lowered."
            )
        check_is_fitted(self.estimator)
        return self.estimator
