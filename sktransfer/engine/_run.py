"""A stage of training in progress."""

from __future__ import annotations

import contextlib
import dis
import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import torch
from skorch.utils import TeeGenerator
from torch import Tensor, nn

from ..data._batch import Batch
from ._checkpoint import Journal
from ._net import TransferNet
from ._recording import EpochRecorder, diverged, total
from ._runtime import PrivateGenerators, limited_threads, reproducible_kernels, watched_draws
from ._stage import Stage
from ._state_of_run import restore, state_of

BATCH_EVENTS = ("on_batch_begin", "on_batch_end")


class Run:
    """One stage in progress, on top of what was trained before.

    Parameters
    ----------
    net : TransferNet
        What is trained.
    stage : Stage
        How.
    journal : Journal or None
        What keeps states to go on from after this process was killed.

    Raises
    ------
    ValueError
        In `train`, where a loss or a weight is no longer finite.
    """

    def __init__(self, net: TransferNet, stage: Stage, journal: Journal | None = None):
        self.net, self.stage, self.journal = net, stage, journal
        self.engine = engine = net.engine
        if stage.groups is not None:
            net.optimizer_ = net.optimizer(stage.groups, lr=stage.groups[0]["lr"])
            if journal is not None:
                journal.forget_optimizer()
        engine.processes.copy_first(net.module_)  # to which the stage may have added modules
        self.generators = self._own_generators()
        groups = net.optimizer_.param_groups
        self.trained = [parameter for group in groups for parameter in group["params"]]
        self.rates = [group["lr"] for group in groups]
        self.factor = 1.0
        self.draws = True
        self.batch_events = net.has_listener(*BATCH_EVENTS)
        self.gradient_events = net.has_listener("on_grad_computed")

    def train(self) -> None:
        """Train all epochs, or until a callback ends it; from where an earlier call was."""
        engine, net, stage, journal = self.engine, self.net, self.stage, self.journal
        found, is_over = (None, False) if journal is None else journal.next_state()
        if is_over:
            with self._callbacks_of_stage():
                self._go_on_from(found, is_over)
            return
        net.max_epochs = stage.epochs
        share = (stage.progress[1] - stage.progress[0]) / max(1, stage.epochs)
        step_flops = stage.row_flops * stage.sampler.rows_per_step
        rows = {} if stage.dataset is None else {"X": stage.dataset.X, "y": stage.dataset.y}
        data = {"dataset_train": stage.dataset, "dataset_valid": None}
        callbacks = self._callbacks_of_stage()
        with callbacks, limited_threads(step_flops), reproducible_kernels(engine.device):
            net.notify("on_train_begin", **{"X": None, "y": None, **rows})
            for epoch in range(self._go_on_from(found, is_over), stage.epochs):
                net.notify("on_epoch_begin", **data)
                self._train_epoch(stage.progress[0] + epoch * share, share)
                if not self._goes_on_after(data):
                    break
                if journal is not None:
                    journal.after_epoch(partial(state_of, self, epoch + 1), net.history)
            self._set_learning_rates(1.0)
            for follower in stage.followers:
                follower.finish()
            net.notify("on_train_end", **{"X": None, "y": None, **rows})
            net.module_.eval()
            self._check_finite()
            if journal is not None:
                journal.end_stage(state_of(self, stage.epochs))

    @contextlib.contextmanager
    def _callbacks_of_stage(self) -> Iterator[None]:
        """Have the net call the stage's callbacks, too, and so keep their states."""
        net = self.net
        added = [(name, callback.initialize()) for name, callback in self.stage.callbacks]
        # First, so that those of the user, which may end training, find all recorded.
        before, net.callbacks_ = net.callbacks_, [*added, *net.callbacks_]
        try:
            yield
        finally:
            net.callbacks_ = before

    def _go_on_from(self, found: dict[str, Any] | None, is_over: bool) -> int:
        """Bring all to a state that was found, if any was; return the epochs that it has had."""
        if found is None or self.journal is None:
            return 0
        self.net.history = self.journal.history_until(found["n_epochs"])
        restore(self, found, is_over=is_over)
        return int(found["epoch"])

    def _train_epoch(self, done: float, share: float) -> None:
        net, stage = self.net, self.stage
        recorder = EpochRecorder(epoch=len(net.history))
        net.module_.train()
        self.draws = True  # the first step of an epoch tells whether the others draw numbers
        for batch in stage.sampler.epoch(done, share):
            self._set_learning_rates(net.learning_rate_schedule(batch.progress))
            if self.batch_events:
                net.notify("on_batch_begin", batch=batch, training=True)
            losses = self._step(batch)
            for follower in stage.followers:
                follower.after_step(batch)
            recorder.add(losses, batch.metrics)
            if self.batch_events:
                seen = {"loss": total(losses).detach(), "y_pred": batch.source_outputs.detach()}
                net.notify("on_batch_end", batch=batch, training=True, **seen)
        self.engine.processes.average_statistics(net.module_)
        net.module_.eval()
        self._record(recorder)

    def _step(self, batch: Batch) -> dict[str, Tensor]:
        """Change weights by a batch, with the generators lent where numbers are drawn."""
        if not self.draws:
            return self.stage.step(batch, self._update)
        with watched_draws(self.generators) as drew:
            losses = self.stage.step(batch, self._update)
        self.draws = drew[0]
        return losses

    def _update(
        self, losses: dict[str, Tensor], parameters: Iterable[nn.Parameter] | None = None
    ) -> None:
        net = self.net
        learning: list[nn.Parameter] | None = None
        if parameters is not None:
            learning = [parameter for parameter in parameters if parameter.requires_grad]
            if not learning:  # of a player whose layers are all frozen, or that has none
                return
        for parameter in self.trained:
            parameter.grad = None
        total(losses).backward(inputs=learning)
        self.engine.processes.average_gradients(self.trained)
        if self.gradient_events:
            named = TeeGenerator(self._named_parameters())
            net.notify("on_grad_computed", named_parameters=named, training=True)
        net.optimizer_.step()

    def _named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield what learns by name; what is no part of the network has the stage's name."""
        names = {id(p): name for name, p in self.net.module_.named_parameters()}
        for number, parameter in enumerate(self.trained):
            yield names.get(id(parameter), f"stage.{number}"), parameter

    def _set_learning_rates(self, factor: float) -> None:
        """Scale the rates, unless they are so already: a callback may have set them."""
        if factor == self.factor:
            return
        for group, rate in zip(self.net.optimizer_.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.factor = factor

    def _record(self, recorder: EpochRecorder) -> None:
        net = self.net
        for name, value in self.engine.processes.average_records(recorder.finish()).items():
            net.history.record(name, value)
        first = net.optimizer_.param_groups[0]
        net.history.record("learning_rate", first["lr"] / first.get("scale", 1.0))
        if not net.history[-1, "batches"]:
            net.history.new_batch()  # skorch's Checkpoint asks for the last one to name its files
        loss = net.history[-1, "train_loss"]
        earlier = (e["train_loss"] for e in net.history[:-1] if "train_loss" in e)
        net.history.record("train_loss_best", loss < min(earlier, default=math.inf))

    def _goes_on_after(self, data: dict[str, Any]) -> bool:
        """Tell the callbacks that an epoch is over; say whether they let training go on."""
        try:
            self.net.notify("on_epoch_end", **data)
        except KeyboardInterrupt as error:
            if _was_raised_by_code(error):  # how skorch's callbacks end training
                return False
            raise
        except Exception as error:
            recorded = [name for name in self.net.history[-1] if name != "batches"]
            for name, callback in self.net.callbacks_:
                monitor = getattr(callback, "monitor", None) or ""
                named = isinstance(monitor, str) and repr(monitor) in str(error)
                if named and monitor.removesuffix("_best") not in recorded:
                    raise _unknown_monitor(name, callback, recorded) from error
            raise
        return True

    def _check_finite(self) -> None:
        finite = [p.isfinite().all() for p in self.trained]
        if finite and not torch.stack(finite).all():
            raise diverged("A weight became NaN or infinite", "the last step of training")

    def _own_generators(self) -> PrivateGenerators:
        """Return generators of this process, as its dropout is to differ from the others'."""
        rank, generators = self.engine.processes.rank, self.engine.generators
        if rank == 0:
            return generators
        seed = generators.seed + 10_007 * rank + len(self.net.history)
        return PrivateGenerators(seed, generators.device)


def _unknown_monitor(name: str, callback: Any, recorded: list[str]) -> ValueError:
    """Return the error of a callback that looks at what is not recorded, with the ways out."""
    kind = type(callback).__name__
    best = "_best" if callback.monitor.endswith("_best") else ""
    if callback.monitor.removesuffix("_best") != "valid_loss":
        return ValueError(
            f"The callback {name} ({kind}) monitors {callback.monitor!r}, which training does not "
            f"record; it records {recorded}. Give {kind}(monitor='train_loss{best}'), say."
        )
    return ValueError(
        f"The callback {name} ({kind}) monitors {callback.monitor!r}, the loss of rows held out, "
        f"and this stage of training holds none out; it records {recorded}. To keep the epoch that "
        "is best for the target, and stop there, give callbacks=[TargetValidation(InfoMaxScorer, "
        "patience=10)] instead, which needs none of its labels; fine-tuning holds rows out by "
        f"early_stopping=HeldOut(). {kind}(monitor='train_loss{best}') looks at the loss of "
        "training itself."
    )


def _was_raised_by_code(error: BaseException) -> bool:
    """Whether a `raise` statement raised this, and not the user's Ctrl-C."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]
