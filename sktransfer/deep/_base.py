"""What all deep transfer estimators share: encode, build, plan, run, transform."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from torch import Tensor

from .._estimator import BaseTransferEstimator
from .._task import Task, encoded
from ..callbacks import holds_a_domain
from ..data._domain import Domain, Domains
from ..data._rows import Rows
from ..data._sampler import DomainRows, Sampler
from ..data._spread import warn_where_numbers_are_unscaled
from ..engine._checks import check_device
from ..engine._processes import draw_seeds, join_processes
from ..engine._run import Run
from ..engine._runtime import own_modes
from ..engine._stage import Stage
from ..validation._constraints import Integral, Interval
from ..validation._domains import check_domains, check_rows_to_predict
from ..validation._torch_rows import TorchRows
from ._adapting import LaterAdaptation
from ._resuming import open_journal


class BaseDeepEstimator(
    LaterAdaptation, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseTransferEstimator
):
    """Holds a skorch net and gives it the shape of a scikit-learn estimator.

    A kind of task (a mixin below) says what is learned; a family of methods says
    how its network is made and by which stages it is trained.
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    # What is read here; families have it by `TrainingParameters` and fields of their own.
    checkpoint: Any
    warm_start: bool

    def transform(self, X: Any) -> np.ndarray:
        """Return the features on which the label head decides.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows of either domain.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The body's output, flattened.
        """
        return self._forward(X, "features")

    @property
    def _n_features_out(self) -> int:
        return int(self.net_.module_.n_features)

    @abstractmethod
    def _task_of(self, domain: Domain, name: str) -> Task:
        """Return the task of predicting labels like those that the argument `name` has given."""

    @abstractmethod
    def _set_task(self, task: Task) -> None:
        """Set what `fit` tells of the task."""

    @abstractmethod
    def _fitted_task(self) -> Task:
        """Return the task by what `_set_task` has set."""

    def _domain_to_predict(self, domains: Domains) -> tuple[Domain, str]:
        """Return the domain with labels as `predict` answers, and the argument that holds them."""
        return domains.source, "y"

    def _make_task(self, domains: Domains) -> Task:
        """Say what is learned."""
        return self._task_of(*self._domain_to_predict(domains))

    def _rows_to_predict(self, domains: Domains) -> Any:
        """Return rows of such a shape as `predict` is to get."""
        return domains.source.X

    @abstractmethod
    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        """Yield the stages that train `net_`; what is to happen between them stands between."""

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        rows = TorchRows(self.num_workers)
        return check_domains(fitted, X, y, X_target, y_target, sample_weight, rows=rows)

    @own_modes()
    def _fit(self, domains: Domains) -> None:
        task = self._make_task(domains)
        processes = join_processes(self.data_parallel, check_device(self.device))
        before = self.__dict__.pop("net_", None)
        journal = open_journal(self, domains, before, processes)
        seeds = processes.agree(draw_seeds(check_random_state(self.random_state), 2))
        network_seed, order_seed = seeds if journal is None else journal.first_seeds(seeds)
        if before is None:
            self._build(self._rows_to_predict(domains), task, network_seed, processes)
            if getattr(self.net_.module_.body, "is_default", False):
                warn_where_numbers_are_unscaled(domains.source.weighted().X)
        else:
            self._continue(before, self._rows_to_predict(domains), task, processes)
        self.net_.domains_ = domains  # for callbacks, in training
        for stage in self._plan(domains, order_seed):
            Run(self.net_, stage, journal).train()
        if journal is not None:
            journal.complete(self.net_.history)
        del self.net_.domains_
        self._set_task(self.net_.task)
        self.history_ = self.net_.history
        self.n_iter_ = len(self.history_)

    def _sampler(
        self,
        source: DomainRows,
        target: DomainRows | None,
        seed: int,
        labelled: DomainRows | None = None,
    ) -> Sampler:
        engine = self.net_.engine
        share = engine.processes.rank, engine.processes.size
        return Sampler(source, target, self.batch_size, seed, engine.device, share, labelled)

    def _domain_rows(self, domain: Domain) -> DomainRows:
        """Put a domain on the device; of its labels only those of a wholly labelled one."""
        engine, y, loss_weight = self.net_.engine, None, None
        if domain.y is not None and domain.has_label is None:
            y = encoded(self.net_.task, domain.y, engine.device)
            loss_weight = self._loss_weight(domain)
        return DomainRows(
            engine.rows(domain.X), y, domain.sample_weight, loss_weight, domain.domains
        )

    def _labelled_rows(self, target: Domain, rows: DomainRows) -> DomainRows:
        """Return of a target on the device the rows with a label alone."""
        y = encoded(self.net_.task, target.labels, self.net_.engine.device)
        known = None if target.has_label is None else target.has_label.astype(float)
        return DomainRows(rows.rows, y, known, self._loss_weight(target))

    def _loss_weight(self, domain: Domain) -> Tensor | None:
        """Return what the label loss of each labelled row is multiplied by; None for 1."""
        return None

    def _prediction(self, X: Any, method: str) -> tuple[Callable[[Any], Tensor], Rows]:
        """Return what computes a prediction, and checked rows as it takes them."""
        return getattr(self.net_.module_, method), self.net_.engine.rows(X)

    def _forward(self, X, method: str) -> np.ndarray:
        X = check_rows_to_predict(self, X, rows=TorchRows())
        self._check_row_shape(X, "X")
        return self.net_.engine.forward(self.net_.module_, *self._prediction(X, method))

    def _check_row_shape(self, X: Any, name: str) -> None:
        if X.shape[1:] != self.input_shape_:
            raise ValueError(
                f"{name} has rows of shape {X.shape[1:]}, but {type(self).__name__} was fitted on "
                f"rows of shape {self.input_shape_}. Bring {name} to that shape."
            )

    def _for_other_domains(self) -> Any:
        twin = super()._for_other_domains()
        twin.checkpoint = None
        if twin.callbacks is not None:
            twin.callbacks = [given for given in twin.callbacks if not holds_a_domain(given)]
        return twin

    def _unfitted(self) -> Any:
        twin = super()._unfitted()
        if self.warm_start and hasattr(self, "net_"):
            twin.net_ = self.net_  # `_fit` goes on from a copy
        return twin

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")  # `lambda_` is no fitted attribute

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags
