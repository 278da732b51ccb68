"""The network of a fine-tuning estimator: how it is made, what of it learns, its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn

from ..engine._net import TransferNet
from ..engine._progress import is_in_notebook
from ..network._build import make_body, make_head
from ._blocks import idle_modules
from ._freezing import unfrozen_layers
from ._lora import adaptable_layers, add_lora
from ._network import FineTuneNetwork
from ._settings import LoRA, Unfreezing
from ._stages import plan_five_steps
from ._summary import FineTuneSummary, check_shape, summarize, untouched_generators


class FineTunedParts:
    """Makes body and head and tells of them; stands before a deep base."""

    # Of the estimator that this is mixed into.
    backbone: Any
    head: Any
    hidden_layer_sizes: Any
    unfreeze_depth: int | str
    unfreezing: Any
    head_epochs: int
    finetune_epochs: int
    adapter: Any
    net_: TransferNet
    history_: Any
    input_shape_: tuple[int, ...]
    _validate_params: Callable[[], None]

    def summary(self, input_shape=None) -> FineTuneSummary:
        """Print the layers and how many parameters learn in each stage of training.

        In a notebook what is returned shows itself, as tables, and nothing is printed.

        Parameters
        ----------
        input_shape : tuple of int or None, default=None
            Shape of one row. Needed before `fit`, unless the backbone is a module
            with an attribute ``input_shape``.

        Returns
        -------
        FineTuneSummary
            What is printed, which is its ``str``: ``layers`` (each with ``name``,
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
        725 parameters without the head, whose size depends on the labels
        >>> summary.stages[1].n_trainable
        105
        """
        describe = self._summarize_fit if hasattr(self, "net_") else self._summarize_plan
        summary = describe(input_shape)
        if not is_in_notebook():
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
            idle = idle_modules(body, row.to(probed.dtype))
            network = FineTuneNetwork(body, nn.Identity(), probed, idle)
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
        idle = idle_modules(body, X[:1].to(probed.dtype))
        network = FineTuneNetwork(body, head, probed, idle)
        if not plan_five_steps(self, self._layers_to_unfreeze(network), head):
            raise ValueError(
                f"head_epochs={self.head_epochs}, finetune_epochs={self.finetune_epochs} and "
                f"unfreeze_depth={self.unfreeze_depth!r} leave the new head as it was drawn. Set "
                "head_epochs above 0."
            )
        return network

    def _find_unfrozen(self, network: FineTuneNetwork) -> None:
        """Set which layers learn after the head, and give them adapters where asked to."""
        self.unfrozen_layers_ = self._layers_to_unfreeze(network)
        if self.adapter is not None:
            rank = LoRA.of(self.adapter, "adapter").rank
            with self.net_.engine.generators.lent():
                add_lora(network, self.unfrozen_layers_, rank)

    def _layers_to_unfreeze(self, network: FineTuneNetwork) -> list[str]:
        layers = unfrozen_layers(
            self.unfreeze_depth,
            network.layers,
            network.body,
            freeze_batch_norm=Unfreezing.of(self.unfreezing, "unfreezing").freeze_batch_norm,
        )
        return layers if self.adapter is None else adaptable_layers(network.body, layers)
