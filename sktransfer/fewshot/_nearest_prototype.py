"""SimpleShot: the nearest mean on centred, normalised features of a pretrained body."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from .._docs import with_shared_docs
from ..data._domain import Domain
from ..deep._base import BaseDeepEstimator
from ..deep._parameters import parameters
from ..deep._training import TrainingParameters
from ..engine._stage import Stage
from ._heads import PrototypeHead
from ._support import SupportMixin


def idle_optimizer(parameters: Any, lr: float) -> torch.optim.Optimizer:
    """Return an optimizer of nothing: a body may have no weights, and none are trained."""
    return torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=lr)


@with_shared_docs
@parameters
class NearestPrototypeClassifier(SupportMixin, BaseDeepEstimator):
    """SimpleShot: the nearest class mean, on the features of a pretrained body.

    Nothing is trained. Features are centred by their mean over the rows of `X` and
    brought to length 1; classes are where the means of the support's are. What trains
    for few-shot learning has to beat this.

    - ``fit(X, y, X_target=support, y_target=labels)`` takes the centre from `X` and the
      support's classes, which may be new.
    - ``fit(X, y)`` takes the classes of `y`.
    - ``set_support(support, labels)`` takes other classes later, and keeps the centre.

    The logit of class ``k`` is

    ``-||g(x) - c_k||^2``, ``g(x) = (f(x) - m) / ||f(x) - m||``

    with ``m`` the (weighted) mean of ``f`` over the rows of `X`, and ``c_k`` that of
    ``g`` over the support's rows of ``k``.

    Parameters
    ----------
    backbone : torch.nn.Module, callable or None, default=None
        The pretrained body, ``(n, *input_shape) -> (n, ...)``, for example the
        ``backbone_`` of a `FineTuneClassifier` that was fitted on other classes. A module
        is copied, never changed; a callable gets the shape of one row and returns a
        module. None takes the rows themselves for features.
    device : str or torch.device, default="auto"
        "auto" is CUDA where there is one, else the CPU.
    num_workers : int, default=0
        Processes that read ahead the rows of a torch Dataset; 0 reads them here.
    batch_size : int, default=64
        Least rows that pass through the body at once.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels that `predict` answers with.
    n_features_in_ : int
        Size of the second axis of `X`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of `X`, where it has string names.
    input_shape_ : tuple of int
        Shape of one row.
    net_ : skorch NeuralNet
        The net; ``net_.module_`` is the network.

    Warns
    -----
    UserWarning
        For an `X_target` without labels, of which no use is made.

    See Also
    --------
    PrototypicalClassifier : Trains the body for this by episodes.
    few_shot_score : Accuracy on episodes of new classes.

    References
    ----------
    Wang, Chao, Weinberger and van der Maaten, "SimpleShot: Revisiting Nearest-Neighbor
    Classification for Few-Shot Learning", 2019, section 3 (CL2N).
    https://arxiv.org/abs/1911.04623

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktransfer.fewshot import NearestPrototypeClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> old = y < 5
    >>> clf = NearestPrototypeClassifier().fit(X[old], y[old])
    >>> clf.set_support(X[~old][:50], y[~old][:50]).predict(X[~old][1:4])
    array([6, 7, 8])
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "backbone": [callable, None],
        "device": TrainingParameters._parameter_constraints["device"],
        "num_workers": TrainingParameters._parameter_constraints["num_workers"],
    }

    # What a net that is not trained has of training.
    hidden_layer_sizes = ()
    optimizer = staticmethod(idle_optimizer)
    learning_rate = 1.0
    learning_rate_schedule = "constant"
    callbacks = None
    checkpoint = None
    data_parallel = False
    random_state = 0
    warm_start = False
    verbose = 0

    backbone: Any = field(default=None, kw_only=False)
    device: Any = "auto"
    num_workers: int = 0
    batch_size: int = 64

    def _make_head(self, n_features: int, n_classes: int) -> PrototypeHead:
        head = PrototypeHead(n_features, n_classes, "euclidean", centred=True)
        if hasattr(self, "net_"):  # the centre stays while classes come and go
            head.centre = self.net_.module_.label_head.centre
        return head

    def _plan_adaptation(self, target: Domain, seed: int, method: Any) -> Iterator[Stage]:
        if method is not None:
            raise ValueError(
                "NearestPrototypeClassifier trains nothing: adapt can but move the statistics of "
                "batch normalisation. Give a backbone that has it and leave method out, or give "
                "labelled rows of the target to set_support."
            )
        yield from ()

    def _train(self, source: Domain, seed: int) -> Iterator[Stage]:
        """Take the centre; there is nothing to train."""
        engine, network = self.net_.engine, self.net_.module_
        features = engine.forward(network, network.features, engine.rows(source.X))
        centre = np.average(features, axis=0, weights=source.sample_weight)
        head = network.label_head
        head.centre = torch.from_numpy(centre).to(head.centre)
        return iter(())
