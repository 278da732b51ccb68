"""What pretraining without labels shares: a body to learn, a head that is dropped, one loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import field
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor, nn

from .._task import Task
from ..data._batch import Batch, View
from ..data._domain import Domain, Domains
from ..deep._base import BaseDeepEstimator
from ..deep._parameters import parameters
from ..deep._training import TrainingParameters
from ..engine._stage import GradientStep, Stage
from ..network._build import make_body, rates_by_width
from ..network._network import TransferNetwork
from ..validation._arguments import refuse_unknown
from ..validation._constraints import Integral, Interval
from ..validation._domains import check_domains, refuse_rows_as_labels
from ..validation._torch_rows import TorchRows


class Representation(Task):
    """Numbers that stand for themselves: what the head gives is the answer.

    Parameters
    ----------
    n_outputs : int
        Numbers for a row.
    """

    is_stratified = False
    score_name = "r2"
    shown_as = "outputs"

    def __init__(self, n_outputs: int):
        self.n_outputs = n_outputs

    def __repr__(self) -> str:
        return f"a representation by {self.n_outputs} outputs"

    def check(self) -> None:
        """Check that there is an output."""
        if self.n_outputs < 1:
            raise ValueError(f"{self.n_outputs} outputs represent nothing")

    def equals(self, other: Task) -> bool:
        """Whether there are as many outputs."""
        return isinstance(other, Representation) and other.n_outputs == self.n_outputs

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the numbers as they are."""
        return y

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return for each row the mean of squared differences."""
        return (outputs - y).square().mean(dim=1)

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return the outputs."""
        return outputs

    def shown(self, outputs: Tensor) -> Tensor:
        """Return the outputs."""
        return outputs

    def score(
        self, y: np.ndarray, outputs: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        """Return the coefficient of determination."""
        return float(r2_score(y, outputs, sample_weight=sample_weight))


@parameters
class BasePretraining(TrainingParameters, BaseDeepEstimator):
    """Trains a body by rows of one domain or two, in which nothing is labelled.

    Where there are two, a step sees as many rows of each, and its loss is the mean of
    the domains'. A method gives the head, which is dropped at the end, and the loss of
    one domain's rows.
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": False}

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "backbone": [callable, None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
    }

    backbone: Any = field(default=None, kw_only=False)
    hidden_layer_sizes: Any = (256, 256)
    batch_size: int = 128
    max_epochs: int = 100

    # What ``history_`` calls the loss.
    _loss_name: ClassVar[str]

    def fit(  # type: ignore[override]
        self, X: Any, y: Any = None, X_target: Any = None, **unknown: Any
    ) -> Self:
        """Learn from the rows of one domain, or of two.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_source, n_features) or (n_source, ...)
            Rows; of the source, where there are two domains.
        y : ignored
            Labels are not looked at.
        X_target : like X, default=None
            Rows of the target.
        **unknown : never
            Any other name is refused, and the one that may have been meant is told.

        Returns
        -------
        self : object
            The fitted pretrainer.

        Raises
        ------
        ValueError, TypeError
            For parameters or data that cannot be used, among them rows of a target that stand
            where `y` does.

        Notes
        -----
        Rows have no weights: what is changed in them is drawn, so that a row twice as heavy
        is not a row that comes twice.
        """
        refuse_unknown(unknown, ("X", "y", "X_target"), self)
        if X_target is None and y is not None:
            refuse_rows_as_labels(self, X, y)
        return super().fit(X, None, X_target)

    @property
    def backbone_(self) -> nn.Module:
        """The trained body: what `FineTuneClassifier` takes as its `backbone`."""
        body: nn.Module = self.net_.module_.body
        return body

    @abstractmethod
    def _n_outputs(self, shape: tuple[int, ...]) -> int:
        """Return how many numbers the head gives for rows of this shape."""

    @abstractmethod
    def _make_head(self, features: Tensor, X: Tensor) -> nn.Module:
        """Return the head on features like these, of rows like `X`."""

    @abstractmethod
    def _loss(self, network: TransferNetwork, X: Tensor, outputs: Tensor) -> Tensor:
        """Return the loss of rows of one domain, with the head's outputs for them."""

    def _losses(self, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
        network.forward_domains(batch)
        domains: list[tuple[View, Tensor]] = [(batch.source, batch.source_outputs)]
        if batch.target is not None:
            domains.append((batch.target, network.target_outputs(batch)))
        losses = [self._loss(network, view.X, outputs) for view, outputs in domains]
        return {self._loss_name: torch.stack(losses).mean()}

    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> TransferNetwork:
        body, probed = make_body(self.backbone, "backbone", X, default, self.hidden_layer_sizes)
        head = self._make_head(probed.output.flatten(1), X)
        return TransferNetwork(body, head, {}, probed)

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        target = None if domains.target is None else self._domain_rows(domains.target)
        yield self._stage(self._sampler(self._domain_rows(domains.source), target, seed))

    def _plan_adaptation(self, target: Domain, seed: int, method: Any) -> Iterator[Stage]:
        """Go on learning, from the target's rows."""
        groups = self._parameter_groups_of(self.net_.module_)
        yield self._stage(self._target_sampler(target, seed), groups)

    def _stage(self, sampler: Any, groups: list[dict[str, Any]] | None = None) -> Stage:
        network = self.net_.module_
        step = GradientStep(partial(self._losses, network))
        return Stage(sampler, step, self.max_epochs, network.row_flops(), groups=groups)

    def _parameter_groups_of(self, network: TransferNetwork) -> list[dict[str, Any]]:
        return rates_by_width(network, self.learning_rate)

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        rows = TorchRows(self.num_workers)
        return check_domains(fitted, X, None, X_target, None, sample_weight, rows=rows)

    def _check_target(self, X_target: Any, y_target: Any) -> Domain:
        if y_target is not None:
            raise ValueError(
                f"{type(self).__name__} learns from rows without labels: leave y_target out, and "
                "fine-tune on labelled rows, FineTuneClassifier(pretrainer.backbone_)."
            )
        return super()._check_target(X_target, None)

    def _task_of(self, domain: Domain, name: str) -> Task:
        return Representation(self._n_outputs(domain.X.shape[1:]))

    def _set_task(self, task: Task) -> None:
        pass  # parameters and the shape of rows tell it

    def _fitted_task(self) -> Task:
        return Representation(self._n_outputs(self.input_shape_))
