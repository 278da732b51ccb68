"""The body and its heads as one module, and how a step passes both domains through it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..data._batch import Batch, View
from ._batch_norm import (
    batch_norms,
    estimate_statistics,
    move_statistics,
    untouched_statistics,
)
from ._probe import Probe


class TransferNetwork(nn.Module):
    """A body that turns rows into features, and heads upon it.

    Parameters
    ----------
    body : Module
        ``(n, *input_shape) -> (n, ...)``; its output is flattened to features.
    label_head : Module
        ``(n, n_features) -> (n, n_outputs)``.
    heads : dict of Module
        What else the method puts on the features, kept under these names.
    probed : Probe
        What a pass of a few rows showed of the body.
    """

    def __init__(
        self,
        body: nn.Module,
        label_head: nn.Module,
        heads: dict[str, nn.Module],
        probed: Probe,
    ):
        super().__init__()
        self.n_features = probed.output.flatten(1).shape[1]
        self.body_work = probed.work
        self.row_type = probed.dtype
        self.feature_type = probed.output.dtype
        self.draws = probed.draws
        self.body = body
        self.label_head = label_head
        for name, head in heads.items():
            self.add_module(name, head)
        self._passes_apart = {
            name: bool(batch_norms(module)) for name, module in self.named_children()
        }

    def row_flops(self, layers: Collection[str] | None = None) -> float:
        """Return the FLOPs of a row's forward pass through these layers (or all) and the heads."""
        names = self.body_work if layers is None else self.body_work.keys() & set(layers)
        body = sum(self.body_work[name] for name in names)
        heads = [child for name, child in self.named_children() if name != "body"]
        return body + 2.0 * sum(p.numel() for head in heads for p in head.parameters())

    def structure(self) -> dict[str, Any]:
        """Return what training has made of the structure, beyond what the parameters say."""
        return {}

    def restore_structure(self, structure: dict[str, Any]) -> None:
        """Bring the structure to what `structure` told of another network."""

    def features(self, X: Tensor) -> Tensor:
        """Return the body's features, shape (n, n_features)."""
        features: Tensor = self.body(X)
        return features.flatten(1)

    def source_features(self, X: Tensor) -> Tensor:
        """Return the features of rows of the source."""
        return self.features(X)

    def forward(self, X: Tensor) -> Tensor:
        """Return what the label head says of rows, shape (n, n_outputs)."""
        outputs: Tensor = self.label_head(self.features(X))
        return outputs

    def forward_source(self, X: Tensor) -> Tensor:
        """Return what the label head says of rows of the source."""
        return self.forward(X)

    def forward_domains(self, batch: Batch) -> None:
        """Fill the batch's features of all views and the label head's outputs for the source.

        A body with batch statistics sees each domain by itself (every one of several
        sources, too), and its running statistics follow the target, for which it will
        predict; any other body sees all in one pass, which is faster.
        """
        source, target, labelled = batch.source, batch.target, batch.labelled
        if target is None:
            source.features = self.features(source.X)
        elif self._passes_apart["body"]:
            with untouched_statistics(self.body):
                source.features = pass_each(self.features, source, source.X)
            target.features = self._features_of_target(batch)
        else:
            views = [source, target] if labelled is None else [source, target, labelled]
            features = self.features(torch.cat([view.X for view in views]))
            # Not `split`, whose Python side costs as much as a small layer.
            sizes = [len(source), len(target)]
            if labelled is not None:
                both = [sum(sizes), len(labelled)]
                features, labelled.features = features.split_with_sizes(both)
            batch.joint_features = features
            source.features, target.features = features.split_with_sizes(sizes)
        apart = self._passes_apart["label_head"] and target is not None
        head = self.label_head
        batch.source_outputs = (
            pass_each(head, source, source.features) if apart else head(source.features)
        )
        batch.target_outputs = None  # those of an earlier pass

    def target_outputs(self, batch: Batch) -> Tensor:
        """Return the label head's outputs for the target's features, computed once a step."""
        if batch.target_outputs is None:
            assert batch.target is not None
            batch.target_outputs = self.label_head(batch.target.features)
        return batch.target_outputs

    def _features_of_target(self, batch: Batch) -> Tensor:
        """Normalise target and labelled rows together, as few labelled ones would be unlike it."""
        target, labelled = batch.target, batch.labelled
        assert target is not None
        if labelled is None:
            return self.features(target.X)
        features = self.features(torch.cat([target.X, labelled.X]))
        of_target, labelled.features = features.split_with_sizes([len(target), len(labelled)])
        return of_target

    def forward_labelled(self, batch: Batch, name: str = "label_head") -> Tensor:
        """Pass the features of the target's labelled rows through the head `name`."""
        head, labelled = getattr(self, name), batch.labelled
        assert labelled is not None
        if not self._passes_apart[name]:
            outputs: Tensor = head(labelled.features)
            return outputs
        assert batch.target is not None
        outputs = head(torch.cat([batch.target.features, labelled.features]))
        return outputs[len(batch.target) :]

    def forward_head(self, name: str, batch: Batch) -> tuple[Tensor, Tensor]:
        """Pass the features of both domains through the head `name`: one pass, if it can be."""
        head = getattr(self, name)
        assert batch.target is not None
        source, target = batch.source.features, batch.target.features
        if self._passes_apart[name]:
            return pass_each(head, batch.source, source), head(target)
        outputs: Tensor = head(joint_features(batch))
        of_source, of_target = outputs.split_with_sizes([len(source), len(target)])
        return of_source, of_target

    def has_statistics(self) -> bool:
        """Whether batch statistics, kept while training, decide what is predicted."""
        return any(norm.track_running_stats for norm in self._predicting_norms())

    def move_statistics(self, target: Iterable[Any], n_target: int) -> None:
        """Move the batch statistics of what predicts to those of a target of so many rows."""
        move_statistics(self, self._predicting_norms(), target, n_target)

    def estimate_statistics(
        self, source: Iterable[Any], target: Iterable[Any] | None, n_target: int
    ) -> None:
        """Estimate the batch statistics of what predicts anew, as the target's if there is one."""
        estimate_statistics(self, self._predicting_norms(), source, target, n_target)

    def _predicting_norms(self) -> list[_BatchNorm]:
        return batch_norms(nn.ModuleList([self.body, self.label_head]))


def pass_each(module: Callable[[Tensor], Tensor], view: View, values: Tensor) -> Tensor:
    """Pass what belongs to each source of a view through a module by itself."""
    if view.n_domains == 1:
        return module(values)
    return torch.cat([module(part) for part in view.split(values)])


def joint_features(batch: Batch) -> Tensor:
    """Return the features of both domains, the source's first."""
    if batch.joint_features is not None:
        return batch.joint_features
    assert batch.target is not None
    return torch.cat([batch.source.features, batch.target.features])
