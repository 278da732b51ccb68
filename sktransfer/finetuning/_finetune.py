"""Fine-tuning in five steps."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from .._classifier import DeepClassifierMixin
from .._deep import BaseDeepEstimator
from .._docs import with_shared_docs
from .._validation import Integral, Interval, Real, StrOptions
from ..data._domain import Domain, Domains
from ..network._build import make_body, make_head
from ._base import BaseFineTuning
from ._lora import add_lora
from ._network import FineTuneNetwork
from ._settings import FrozenCache, HeldOut, LoRA, SourceTraining, Unfreezing
from ._stages import plan_five_steps
from ._summary import FineTuneSummary, check_shape, summarize, untouched_generators


@with_shared_docs
class FineTuneClassifier(DeepClassifierMixin, BaseFineTuning):
    """Fine-tuning: a new head on a pretrained body, of which the last layers learn on.

    The five steps: (1) put a new head on the body, (2) freeze the body, (3) train
    the head, (4) unfreeze the body's last layers, (5) train head and unfrozen
    layers with a small learning rate. What a layer before them makes of a row is
    computed once and used in all epochs.

    - ``fit(X, y)`` fine-tunes a pretrained `backbone` on labelled rows.
    - ``fit(X, y, X_target=Xt, y_target=yt)`` first trains body and head on the
      source, then takes the five steps on the labelled target, whose classes may
      be others.
    - ``fit(X, y, X_target=Xt)`` trains on the source and then, with the same
      head, on those rows of the target of whose class it is sure.

    The loss is ``1/n sum_i w[y_i] (-log p_i[y_i]) + l2_sp/2 sum (theta - theta_0)^2``
    with class weights ``w`` and, in step 5, the body's unfrozen weights ``theta``
    and what they were before, ``theta_0``.

    Parameters
    ----------
    {finetuning_parameters}
    {optimizer_parameters}
    batch_size : int, default=32
        Most rows in a training step.
    {training_parameters}

    Attributes
    ----------
    {classes_attribute}
    {fitted_attributes}
    backbone_ : torch.nn.Module
        The trained body, for example to be the `backbone` of another fit.
    head_ : torch.nn.Module
        The trained head.
    unfrozen_layers_ : list of str
        The layers that learned in step 5, in forward order.
    n_pseudo_labels_ : int
        Rows of the target of whose class the model was sure, where it had no labels.

    Warns
    -----
    UserWarning
        Where there is neither a pretrained body nor a target, and where too few
        rows of the target have a sure class: the model is then the source's.

    See Also
    --------
    DANNClassifier : Adapts to a target without labels.

    References
    ----------
    Yosinski et al., "How transferable are features in deep neural networks?",
    NeurIPS 2014. Howard and Ruder, "Universal Language Model Fine-tuning", ACL
    2018 (`unfreezing`). Li et al., "Explicit Inductive Bias
    for Transfer Learning with Convolutional Networks", ICML 2018, eq. 3 (``l2_sp``;
    the head, which the paper shrinks as well, is left free here). Hu et al.,
    "LoRA", ICLR 2022. Lee, "Pseudo-Label", ICML workshops 2013.

    Examples
    --------
    >>> from sktransfer import FineTuneClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = FineTuneClassifier(random_state=0)
    >>> clf.fit(Xs, ys, X_target=Xt[:20], y_target=yt[:20]).predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        **BaseDeepEstimator._parameter_constraints,
        "backbone": [callable, None],
        "head": [callable, None],
        "unfreeze_depth": [Interval(Integral, 0, None, closed="left"), str],
        "unfreezing": [Unfreezing, None],
        "source_training": [SourceTraining, None],
        "head_epochs": [Interval(Integral, 0, None, closed="left")],
        "finetune_epochs": [Interval(Integral, 0, None, closed="left")],
        "finetune_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": [HeldOut, None],
        "augment": [callable, None],
        "adapter": [LoRA, None],
        "frozen_cache": [FrozenCache, None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
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
        class_weight: Any = None,
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
        self.backbone = backbone
        self.head = head
        self.unfreeze_depth = unfreeze_depth
        self.unfreezing = unfreezing
        self.source_training = source_training
        self.head_epochs = head_epochs
        self.learning_rate = learning_rate
        self.finetune_epochs = finetune_epochs
        self.finetune_learning_rate = finetune_learning_rate
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.augment = augment
        self.adapter = adapter
        self.frozen_cache = frozen_cache
        self.hidden_layer_sizes = hidden_layer_sizes
        self.optimizer = optimizer
        self.learning_rate_schedule = learning_rate_schedule
        self.batch_size = batch_size
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.device = device
        self.random_state = random_state
        self.warm_start = warm_start
        self.data_parallel = data_parallel
        self.num_workers = num_workers
        self.verbose = verbose

    def summary(self, input_shape=None) -> FineTuneSummary:
        """Print the layers and how many parameters learn in each stage of training.

        Parameters
        ----------
        input_shape : tuple of int or None, default=None
            Shape of one row. Needed before `fit`, unless the backbone is a module
            with an attribute ``input_shape``.

        Returns
        -------
        FineTuneSummary
            What was printed, which is its ``str``: ``layers`` (each with ``name``,
            ``type``, ``output_shape`` of one row, ``n_parameters``) in forward
            order, ``stages`` (each with ``name``, ``n_trainable``, ``n_frozen``)
            and ``n_parameters`` in all, without running statistics. Before `fit` it
            knows no head (``has_head``). The stages are steps 3 and 5 (its last
            part, where it unfreezes gradually), or the one on the source where
            that was all.

        Raises
        ------
        NotFittedError
            Where nothing tells the shape of a row.
        ValueError
            For a shape that the backbone does not take, or that is not the fitted one.

        Examples
        --------
        >>> from torch import nn
        >>> from sktransfer import FineTuneClassifier
        >>> body = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 5))
        >>> summary = FineTuneClassifier(body).summary(input_shape=(30,))
        layer    type    output shape      parameters
        -------  ------  --------------  ------------
        0        Linear  (20,)                    620
        1        ReLU    (20,)                      0
        2        Linear  (5,)                     105
        <BLANKLINE>
        stage       trainable    frozen
        --------  -----------  --------
        head                0       725
        finetune          105       620
        <BLANKLINE>
        725 parameters without the head, whose size depends on the classes
        >>> summary.stages[1].n_trainable
        105
        """
        describe = self._summarize_fit if hasattr(self, "net_") else self._summarize_plan
        summary = describe(input_shape)
        print(summary)
        return summary

    def _summarize_fit(self, input_shape) -> FineTuneSummary:
        shape = self.input_shape_
        if input_shape is not None and check_shape(input_shape, "input_shape") != shape:
            raise ValueError(
                f"input_shape={input_shape!r}, but {type(self).__name__} was fitted on rows of "
                f"shape {shape}. Leave input_shape out, or ask "
                "sklearn.base.clone(estimator).summary(input_shape=...)."
            )
        row = self.net_.engine.rows(np.zeros((1, *shape))).slice(0, 1)
        trained = {epoch.get("stage") for epoch in self.history_}
        stages = [name for name in ("head", "finetune") if name in trained]
        if not stages and "source" in trained:
            stages = ["source"]
        unfrozen = self.unfrozen_layers_ if "finetune" in stages else []
        return summarize(self.net_.module_, row, stages, unfrozen, has_head=True)

    def _summarize_plan(self, input_shape) -> FineTuneSummary:
        self._validate_params()
        shape = getattr(self.backbone, "input_shape", None) if input_shape is None else input_shape
        if shape is None:
            raise NotFittedError(
                f"This {type(self).__name__} is not fitted yet, and its backbone has no attribute "
                "input_shape to tell the shape of a row. Call fit first, or give the shape: "
                "summary(input_shape=(3, 150, 150))."
            )
        name = "input_shape" if input_shape is not None else "backbone.input_shape"
        row = torch.zeros(1, *check_shape(shape, name))
        with untouched_generators(torch.device("cpu")):
            sizes = self.hidden_layer_sizes
            body, probed = make_body(self.backbone, "backbone", row, torch.float32, sizes)
            network = FineTuneNetwork(body, nn.Identity(), probed)
            unfrozen = self._layers_to_unfreeze(network)
            if self.adapter is not None:
                add_lora(network, unfrozen, self.adapter.rank)
        epochs = {"head": self.head_epochs, "finetune": self.finetune_epochs}
        stages = [name for name, n in epochs.items() if n > 0 and (unfrozen or name == "head")]
        row = row.to(network.row_type)
        return summarize(network, row, stages, unfrozen, has_head=False)

    @property
    def backbone_(self) -> nn.Module:
        """The trained body."""
        network: FineTuneNetwork = self.net_.module_
        return network.body

    @property
    def head_(self) -> nn.Module:
        """The trained head."""
        network: FineTuneNetwork = self.net_.module_
        return network.label_head

    def _domain_to_predict(self, domains: Domains) -> tuple[Domain, str]:
        if domains.target is None or domains.target.y is None:
            return super()._domain_to_predict(domains)
        return domains.target.labelled(), "y_target"

    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> FineTuneNetwork:
        l2_sp = Unfreezing.of(self.unfreezing, "unfreezing").l2_sp
        if self.adapter is not None and l2_sp > 0:
            raise ValueError(
                f"unfreezing=Unfreezing(l2_sp={l2_sp}) pulls weights of the body back, but "
                f"adapter={self.adapter!r} leaves them as they are: set l2_sp=0 or adapter=None."
            )
        body, probed = make_body(self.backbone, "backbone", X, default, self.hidden_layer_sizes)
        features = probed.output.flatten(1)
        shape = features.shape[1], n_outputs
        head = make_head(self.head, "head", features, n_outputs, shape, nn.Linear)
        network = FineTuneNetwork(body, head, probed)
        if not plan_five_steps(self, self._layers_to_unfreeze(network), head):
            raise ValueError(
                f"head_epochs={self.head_epochs}, finetune_epochs={self.finetune_epochs} and "
                f"unfreeze_depth={self.unfreeze_depth!r} leave the new head as it was drawn. Set "
                "head_epochs above 0."
            )
        return network
