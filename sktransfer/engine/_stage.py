"""A part of training: which rows, how a batch changes weights, how long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from skorch.callbacks import Callback
from torch import Tensor, nn

from ..data._batch import Batch

# The losses of a batch by name; training minimises their sum.
Objective = Callable[[Batch], dict[str, Tensor]]


class Update(Protocol):
    """Takes one optimizer step down the sum of losses, for these parameters or (None) all."""

    def __call__(
        self, losses: dict[str, Tensor], parameters: Iterable[nn.Parameter] | None = None
    ) -> None: ...


# How a batch changes weights: it calls `update` once or more often, and returns the losses.
Step = Callable[[Batch, Update], dict[str, Tensor]]


@dataclass(frozen=True)
class GradientStep:
    """One optimizer step down the sum of the objective's losses.

    Parameters
    ----------
    objective : callable
        Returns the losses of a batch by name.
    """

    objective: Objective

    def __call__(self, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Take the step."""
        losses = self.objective(batch)
        update(losses)
        return losses


@dataclass(frozen=True)
class Move:
    """What one player does in its turn.

    Parameters
    ----------
    objective : callable
        Its losses of a batch by name.
    parameters : sequence of Parameter
        What it may change.
    repeats : int
        How often it moves in its turn.
    """

    objective: Objective
    parameters: Sequence[nn.Parameter]
    repeats: int = 1


@dataclass(frozen=True)
class AlternatingStep:
    """Players that move in turn, each down its own losses and with its own parameters.

    The optimizer passes by the parameters of all others, whatever state it keeps for
    them: it is as if each player had its own.

    Parameters
    ----------
    moves : sequence of Move
        In the order of the turns.
    """

    moves: Sequence[Move]

    def __call__(self, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Let all move; return the losses of each player's last move."""
        seen: dict[str, Tensor] = {}
        for move in self.moves:
            for _ in range(move.repeats):
                losses = move.objective(batch)
                update(losses, move.parameters)
            seen |= losses
        return seen


class BatchSource(Protocol):
    """What a stage asks of that which makes its batches: a `Sampler`, or one of a method's own.

    It owns its generators, so that its state is all that decides which batches follow.
    """

    @property
    def rows_per_step(self) -> int:
        """Most rows, of all domains, that a step passes through the network."""

    def epoch(self, done: float, share: float) -> Iterator[Batch]:
        """Yield an epoch's batches: from progress `done`, of which the epoch is a `share`."""

    def state_dict(self) -> dict[str, Any]:
        """Return where its generators stand."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` stood."""


class Follower(Protocol):
    """What goes along with training: a teacher, an average of the weights."""

    def after_step(self, batch: Batch) -> None:
        """Look at the weights after a step."""

    def finish(self) -> None:
        """Act at the end, before callbacks do."""

    def state_dict(self) -> dict[str, Any]:
        """Return what it has learned so far: tensors, numbers, lists and dicts of these."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` stood; tensors come on the CPU."""


@dataclass(frozen=True)
class Stage:
    """A part of training.

    Parameters
    ----------
    sampler : BatchSource
        Its batches.
    step : callable
        How a batch changes weights.
    epochs : int
        Passes over the batches.
    row_flops : float
        Forward work of one row, which decides the number of threads.
    groups : list of dict or None
        Parameter groups with their learning rates, for an optimizer of the stage's own.
        None goes on with the one there is.
    progress : tuple of float
        Where schedules stand at the beginning and the end.
    followers : sequence of Follower
        Called after each step and at the end.
    callbacks : list of (name, callback)
        Called besides those of the user, and before them.
    dataset : skorch Dataset or None
        Rows and labels for callbacks that ask for those trained on.
    modules : sequence of Module
        What is trained and is no part of the network.
    """

    sampler: BatchSource
    step: Step
    epochs: int
    row_flops: float
    groups: list[dict[str, Any]] | None = None
    progress: tuple[float, float] = (0.0, 1.0)
    followers: Sequence[Follower] = ()
    callbacks: Sequence[tuple[str, Callback]] = ()
    dataset: Any = None
    modules: Sequence[nn.Module] = ()
