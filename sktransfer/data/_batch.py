"""What a training step sees: a view of each domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor


@dataclass(slots=True)
class View:
    """What a step sees of one domain, or of several sources together.

    Parameters
    ----------
    X : Tensor, or tuple of what a frozen part has made of the rows
        The rows.
    y : Tensor of shape (n, ...) or None
        What is known of them, as the task has encoded it.
    rows : Tensor of int of shape (n,)
        Their numbers in the domain.
    weight : Tensor of shape (n,) or None
        What their label losses are multiplied by (class weights).
    n_domains : int
        Sources in the view: as many rows of each, one source after the other in the
        order of their sorted names. `split` takes them apart.
    features : Tensor of shape (n, n_features)
        What the body made of them; the network sets it.
    """

    X: Any
    y: Tensor | None
    rows: Tensor
    weight: Tensor | None = None
    n_domains: int = 1
    features: Tensor = field(init=False, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, values: Tensor) -> tuple[Tensor, ...]:
        """Return what belongs to each source, of values with a row for each of the view's."""
        if self.n_domains == 1:
            return (values,)
        return values.split_with_sizes([len(self) // self.n_domains] * self.n_domains)

    def numbers(self) -> Tensor:
        """Return the number of each row's source, shape (n,)."""
        each = torch.arange(self.n_domains, device=self.rows.device)
        return each.repeat_interleave(len(self) // self.n_domains)


class RowMetric(NamedTuple):
    """A metric of a step's rows that is worked out later, for the rows of many steps at once.

    `function` gets each of `tensors`, the rows of all steps joined, and returns a scalar.
    """

    function: Callable[..., Tensor]
    tensors: tuple[Tensor, ...]


@dataclass(slots=True)
class Batch:
    """What one training step sees: a view of each domain, and what the network made of them.

    Parameters
    ----------
    source : View
        Of the labelled domain. Several sources (`domains`) are in it together, as many
        rows of each: a method that takes them for one need not know, one that does not
        has ``source.split``.
    target : View or None
        Of the domain to adapt to, whether its rows have labels or not.
    progress : float in [0, 1]
        Share of the training steps already taken.
    labelled : View or None
        Rows of the target whose labels are known, up to a batch of them at every step, be
        they few. The base adds their loss; rows of them are in `target` too.
    source_outputs : Tensor of shape (n, n_outputs)
        The label head's, for the source; the network sets it.
    target_outputs : Tensor or None
        The label head's for the target, once the network was asked for them.
    joint_features : Tensor or None
        Of both domains, where they went through the body in one pass.
    lambda_ : float
        Weight of the adaptation in this step.
    metrics : dict
        What ``history_`` is to show of the step, by name.
    """

    source: View
    target: View | None
    progress: float
    labelled: View | None = None
    source_outputs: Tensor = field(init=False, repr=False)
    target_outputs: Tensor | None = field(init=False, default=None, repr=False)
    joint_features: Tensor | None = field(init=False, default=None)
    lambda_: float = field(init=False, default=0.0)
    metrics: dict[str, float | str | RowMetric] = field(init=False, default_factory=dict)
