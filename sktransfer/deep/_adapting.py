"""`adapt`: a fitted network learns from further target rows, without the source's."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from .._task import Task
from ..data._batch import Batch
from ..data._domain import Domain, Domains
from ..data._sampler import DomainRows, Sampler
from ..engine._checks import check_device
from ..engine._net import callback_dataset
from ..engine._processes import draw_seeds, join_processes
from ..engine._run import Run
from ..engine._runtime import PrivateGenerators, limited_threads, own_modes
from ..engine._stage import GradientStep, Stage
from ..network._network import TransferNetwork
from ..validation._arrays import as_array
from ..validation._constraints import refuse_booleans
from ..validation._domains import check_rows_to_predict
from ..validation._target_labels import with_labels
from ..validation._torch_rows import TorchRows
from ._making import NetMaking

# With labels the fitted weights are a good start, which large steps would leave.
RATE_SHARE = 0.1


def label_losses(task: Task, network: TransferNetwork, batch: Batch) -> dict[str, Tensor]:
    """Pass labelled rows of the target, the batch's source, and return their weighted loss."""
    view = batch.source
    view.features = network.features(view.X)
    batch.source_outputs = network.label_head(view.features)
    assert view.y is not None
    return {"label_loss": task.loss(batch.source_outputs, view.y, view.weight)}


class LaterAdaptation(NetMaking):
    """Gives a deep estimator `adapt`, by plans that know nothing of the source."""

    # Of the estimator that this is mixed into.
    data_parallel: bool
    device: Any
    max_epochs: int
    random_state: Any
    _validate_params: Callable[[], None]

    def adapt(self, X_target: Any, y_target: Any = None, *, method: Any = None) -> Self:
        """Adapt the fitted network to further target rows; the source is not needed.

        - Without labels and with batch normalisation, its statistics become those of
          the rows, ``(N s + n t) / (N + n)`` with the present ones ``s``, those of the
          ``n`` rows ``t`` and ``N = 16``. No weight moves.
        - Without labels and without batch normalisation, the body of a classifier learns
          under a label head that stays as it is, as `HypothesisTransfer` tells.
        - With labels, the network is trained on the labelled rows from where it is,
          in small steps, and then its statistics are moved by all rows. Labels must
          be out of `classes_`, and weigh by `class_weight`, if there is one.

        Parameters
        ----------
        X_target : {array-like, sparse matrix, tensor} of shape (n_target, n_features) or \
                (n_target, ...)
            Rows as `predict` takes them. One row is enough, many are better.
        y_target : array-like of shape (n_target,), default=None
            Labels of the rows; None, NaN, ``pandas.NA`` or masked where one is not
            known.
        method : HypothesisTransfer, default=None
            What a classifier is to do in place of the above, between two moves of the
            statistics of batch normalisation, if there is any. Known labels stand
            in for its pseudo-labels.

        Returns
        -------
        self : object
            The adapted estimator. Where this fails it is left as it was.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For rows unlike those of `fit`, for labels that were not among those of
            `fit`, and where without labels there is nothing that could adapt.

        Notes
        -----
        It begins from the present weights with an optimizer and generators of its own,
        which `random_state` decides, so that after `save` and `load` the bits are the
        same. ``history_`` grows by the epochs that it takes.
        """
        check_is_fitted(self)
        self._validate_params()
        refuse_booleans(self)
        learning = self._adaptation_method(method)
        target = self._check_target(X_target, y_target)
        adapted: Any = copy.copy(self)
        adapted._adapt(target, learning, takes_labels=method is None)
        self.__dict__ = vars(adapted)
        return self

    def _adaptation_method(self, given: Any) -> Any:
        """Return what `_plan_adaptation` is to know of the argument `method`."""
        if given is not None:
            raise TypeError(
                f"method={given!r:.80} is for classifiers, which have a label head to learn under; "
                f"leave it out for {type(self).__name__}."
            )
        return None

    def _plan_adaptation(self, target: Domain, seed: int, method: Any) -> Iterator[Stage]:
        """Yield the stages that adapt the fitted `net_` to a target without labels.

        The seam for source-free methods. What is here is for networks with batch
        statistics, which `adapt` moves before and after what is yielded, and refuses
        all others. A method that can do more overrides this and yields stages as `_plan`
        does: `net_` is a trained copy, so weights may change; ``self._target_sampler``
        draws from the rows (they are ``batch.source``; there is no other domain); each
        stage brings `groups`, its own optimizer. What is to happen between stages, or
        after the last one, stands between the yields. To refuse a target, raise before
        the first yield: the estimator then stays as it was.

        Parameters
        ----------
        target : Domain
            Checked rows; some labels at most.
        seed : int
            Decides what is drawn here; the network's own draws are the engine's affair.
        method : object
            What `_adaptation_method` made of the user's.
        """
        if not self.net_.module_.has_statistics():
            raise ValueError(
                f"adapt without y_target gives batch normalisation the target's statistics, and "
                f"the network of this {type(self).__name__} has none. Give y_target for some rows, "
                "a body with batch normalisation, or fit again with these rows as X_target."
            )
        yield from ()

    def _plan_refinement(self, labelled: Domain, seed: int) -> Iterator[Stage]:
        """Yield the stages that train the fitted `net_` on labelled rows, in small steps."""
        net, network = self.net_, self.net_.module_
        groups = self._parameter_groups_of(network)
        rates = [RATE_SHARE * group.get("lr", self.learning_rate) for group in groups]
        yield Stage(
            self._target_sampler(labelled, seed),
            GradientStep(partial(label_losses, net.task, network)),
            self.max_epochs,
            network.row_flops(),
            groups=[{**group, "lr": lr} for group, lr in zip(groups, rates, strict=True)],
            dataset=callback_dataset(labelled.X, labelled.labels),
        )

    def _learning_without_labels(self) -> list[nn.Parameter]:
        """List what of the body learns from a target alone."""
        return [p for p in self.net_.module_.body.parameters() if p.requires_grad]

    def _target_sampler(self, target: Domain, seed: int) -> Sampler:
        """Return what draws batches of the target alone, as their `source`."""
        return self._sampler(self._domain_rows(target), None, seed)

    @abstractmethod
    def _sampler(self, source: DomainRows, target: DomainRows | None, seed: int) -> Sampler:
        """Return what draws batches."""

    @abstractmethod
    def _domain_rows(self, domain: Domain) -> DomainRows:
        """Put a domain on the device."""

    @abstractmethod
    def _check_row_shape(self, X: Any, name: str) -> None:
        """Refuse rows of another shape than those of `fit`."""

    def _check_target(self, X_target: Any, y_target: Any) -> Domain:
        rows = TorchRows(self.num_workers)
        X = check_rows_to_predict(self, X_target, rows=rows, name="X_target")
        self._check_row_shape(X, "X_target")
        if y_target is None:
            return Domain(X)
        return with_labels(self, Domain(X), as_array(y_target, "y_target"))

    @own_modes()
    def _adapt(self, target: Domain, method: Any, *, takes_labels: bool) -> None:
        """Set the fitted attributes anew; runs on a copy."""
        processes = join_processes(self.data_parallel, check_device(self.device))
        seeds = draw_seeds(check_random_state(self.random_state), 3)
        draws, order, passes = processes.agree(seeds)
        before = self.net_
        self._continue(before, target.X, before.task, processes)
        self.net_.engine.generators = PrivateGenerators(draws, processes.device)
        self.net_.domains_ = Domains(target, target)  # for callbacks, in training
        if takes_labels and target.y is not None:
            plan = self._plan_refinement(target.labelled(), order)
        else:
            plan = self._plan_adaptation(target, order, method)
        self._move_statistics(Domain(target.X), passes)
        n_before = len(self.net_.history)
        for stage in plan:
            Run(self.net_, stage).train()
        if len(self.net_.history) > n_before:
            self._move_statistics(Domain(target.X), passes)
        del self.net_.domains_
        self.history_ = self.net_.history
        self.n_iter_ = len(self.history_)

    def _move_statistics(self, target: Domain, seed: int) -> None:
        network = self.net_.module_
        if network.has_statistics():
            sampler = self._target_sampler(target, seed)
            with limited_threads(network.row_flops() * self.batch_size):
                batches = (batch.source.X for batch in sampler.epoch(1.0, 0.0))
                network.move_statistics(batches, len(target))
            self.net_.engine.processes.average_statistics(network)

    def _settle(self, sampler: Sampler) -> None:
        """Estimate the batch statistics of the weights that a stage has ended with."""
        network = self.net_.module_
        with limited_threads(network.row_flops() * self.batch_size):
            batches = (batch.source.X for batch in sampler.epoch(1.0, 0.0))
            network.estimate_statistics(batches, None, 0)
        self.net_.engine.processes.average_statistics(network)
