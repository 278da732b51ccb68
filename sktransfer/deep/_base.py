"""What all deep transfer estimators share: encode, build, plan, run, transform."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from torch import Tensor, nn

from .._estimator import BaseTransferEstimator
from .._task import Task, encoded
from ..callbacks import holds_a_domain
from ..data._domain import Domain, Domains
from ..data._rows import Rows, few_rows
from ..data._sampler import DomainRows, Sampler
from ..data._spread import warn_where_a_network_is_blind
from ..engine._checks import check_device, check_schedule, copy_callbacks
from ..engine._engine import Engine
from ..engine._net import TransferNet
from ..engine._optimizers import LEARNING_RATE_SCHEDULES, look_up, make_optimizer, take_over
from ..engine._processes import Processes, draw_seeds, join_processes
from ..engine._progress import EpochProgressBar
from ..engine._run import Run
from ..engine._runtime import PrivateGenerators
from ..engine._stage import Stage
from ..network._network import TransferNetwork
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
    optimizer: Any
    learning_rate: float
    learning_rate_schedule: Any
    batch_size: int
    callbacks: Any
    checkpoint: Any
    data_parallel: bool
    num_workers: int
    device: Any
    random_state: Any
    warm_start: bool
    verbose: int

    net_: TransferNet

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
    def _make_network(self, X: Tensor, default: torch.dtype, n_outputs: int) -> TransferNetwork:
        """Build the network for rows like `X`, on the CPU, and check that it takes them.

        `default` is the type of floats where the modules do not say it.
        """

    @abstractmethod
    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        """Yield the stages that train `net_`; what is to happen between them stands between."""

    def _check(self, fitted, X, y, X_target, y_target, sample_weight) -> Domains:
        rows = TorchRows(self.num_workers)
        return check_domains(fitted, X, y, X_target, y_target, sample_weight, rows=rows)

    def _fit(self, domains: Domains) -> None:
        task = self._make_task(domains)
        processes = join_processes(self.data_parallel, check_device(self.device))
        before = self.__dict__.pop("net_", None)
        journal = open_journal(self, domains, before, processes)
        seeds = processes.agree(draw_seeds(check_random_state(self.random_state), 2))
        network_seed, order_seed = seeds if journal is None else journal.first_seeds(seeds)
        if before is None:
            self._build(self._rows_to_predict(domains), task, network_seed, processes)
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

    def _build(self, X: Any, task: Task, seed: int, processes: Processes) -> None:
        """Make the net, for rows like `X`."""
        device = processes.device
        generators = PrivateGenerators(seed, device)
        double = X.dtype == np.float64 and device.type != "mps"  # which knows no float64
        default = torch.float64 if double else torch.float32  # scikit-learn's rule: that of X
        with generators.lent():
            network = self._make_network(few_rows(X), default, task.n_outputs)
        if getattr(network.body, "is_default", False):
            warn_where_a_network_is_blind(self, X)
        if self.batch_size == 1 and any(isinstance(m, nn.BatchNorm1d) for m in network.modules()):
            raise ValueError(
                "batch_size=1 leaves BatchNorm1d nothing to normalise by; give a batch_size of at "
                "least 2, or a module with LayerNorm instead."
            )
        self._hold(network, task, generators, processes, X.shape[1:])

    def _continue(self, before: TransferNet, X: Any, task: Task, processes: Processes) -> None:
        """Make the net of an earlier one: copies of its weights and of its optimizer's state."""
        shape = before.engine.input_shape
        if self._source_names() != before.sources:
            raise ValueError(
                f"warm_start=True continues a fit on the sources {before.sources}; got domains of "
                f"{self._source_names()}. Set warm_start=False to start afresh."
            )
        if X.shape[1:] != shape or not task.equals(before.task):
            raise ValueError(
                f"warm_start=True continues a fit on rows of shape {shape}, {before.task}; got "
                f"rows of shape {X.shape[1:]}, {task}. Set warm_start=False to start afresh."
            )
        generators = PrivateGenerators(before.engine.generators.seed, processes.device)
        if before.engine.device.type == processes.device.type:
            generators.load_state_dict(before.engine.generators.state_dict())
        network = copy.deepcopy(before.module_)
        self._hold(network, before.task, generators, processes, shape)
        take_over(self.net_.optimizer_, before.optimizer_.state_dict())
        self.net_.history = copy.deepcopy(before.history)

    def _hold(
        self,
        network: TransferNetwork,
        task: Task,
        generators: PrivateGenerators,
        processes: Processes,
        input_shape: tuple[int, ...],
    ) -> None:
        """Put the network on the device and set `net_`, ready to train."""
        device = processes.device
        network.eval().to(device)
        processes.copy_first(network)
        engine = Engine(
            dtype=network.row_type,
            generators=generators,
            processes=processes,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            input_shape=tuple(input_shape),
            row_flops=network.row_flops(),
        )
        schedule = look_up(self.learning_rate_schedule, LEARNING_RATE_SCHEDULES)
        shown = self.verbose and processes.rank == 0
        progress_bar = [("progress_bar", EpochProgressBar())] if shown else []
        self.net_ = TransferNet(
            network,
            engine=engine,
            task=task,
            sources=self._source_names(),
            optimizer=make_optimizer(self.optimizer, device),
            lr=self.learning_rate,
            learning_rate_schedule=check_schedule(schedule, "learning_rate_schedule"),
            batch_size=self.batch_size,
            device=str(device),
            callbacks=[*copy_callbacks(self.callbacks), *progress_bar],
        )
        self.net_.initialize()
        groups = self._parameter_groups_of(network)
        self.net_.optimizer_ = self.net_.optimizer(groups, lr=self.learning_rate)
        self.input_shape_ = engine.input_shape

    def _source_names(self) -> list[Any] | None:
        """List the names of several sources, sorted; None for one."""
        names = getattr(self, "domains_", None)
        return None if names is None else names.tolist()

    def _parameter_groups_of(self, network: TransferNetwork) -> list[dict[str, Any]]:
        """Say how fast what learns, for stages that do not say it themselves."""
        return [{"params": list(network.parameters())}]

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
