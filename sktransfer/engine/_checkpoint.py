"""What a fit writes while it trains, so that the same call goes on where it was killed."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any, ClassVar

from skorch.history import History
from torch import Tensor

from .._settings import Settings
from .._values import from_json, to_json
from .._warning import warn
from ..validation._constraints import Integral, Interval, Real
from ._processes import Processes
from ._states import TornFile, pack, previous, read_states, unpack, write_states

# A file that was being written when its process was killed, and is so many seconds old.
ABANDONED_SECONDS = 600


class FitCheckpoint(Settings):
    """Where and how often `fit` writes its whole state, to go on from after it was killed.

    Parameters
    ----------
    path : str or path
        A file, for one fit; or a folder that is there, in which each candidate and fold
        of a search has a file of its own. Beside it stands the checkpoint before, with
        the ending ``.previous``.
    every_epochs : int or None, default=None
        Write after so many epochs.
    every_seconds : float or None, default=60.0
        Write after the epoch in which so many seconds have passed since the last time.

    Examples
    --------
    >>> import os, tempfile
    >>> from sktransfer import DANNClassifier, FitCheckpoint
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, _ = make_shifted_moons(100, random_state=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "moons.checkpoint")
    >>> checkpoint = FitCheckpoint(path, every_epochs=2)
    >>> clf = DANNClassifier(max_epochs=5, checkpoint=checkpoint, random_state=0)
    >>> first = clf.fit(Xs, ys, X_target=Xt).predict_proba(Xt)
    >>> bool((clf.fit(Xs, ys, X_target=Xt).predict_proba(Xt) == first).all())  # from the file
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "path": [str, os.PathLike],
        "every_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "every_seconds": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self, path: Any, *, every_epochs: int | None = None, every_seconds: float | None = 60.0
    ) -> None:
        self.path = path
        self.every_epochs = every_epochs
        self.every_seconds = every_seconds


class Journal:
    """The states of a fit: of each stage that is over, and of the one in progress.

    Parameters
    ----------
    path : Path
        The file.
    settings : FitCheckpoint
        How often it is written.
    processes : Processes
        Those that train together; the first one writes.

    Attributes
    ----------
    identity : dict
        Which fit the file belongs to; empty where there is none yet.
    """

    def __init__(self, path: Path, settings: FitCheckpoint, processes: Processes):
        self.path, self.settings, self.processes = path, settings, processes
        self.tensors: dict[str, Tensor] = {}
        self.stages: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.number, self.n_epochs, self.wrote_at = 0, 0, time.monotonic()
        found = self._read()
        self.identity: dict[str, Any] = found.get("identity", {})
        self.seeds: list[int] = found.get("seeds", [])
        self.was_complete: bool = found.get("complete", False)
        self.found_stages: list[dict[str, Any]] = found.get("stages", [])
        self.found_current: dict[str, Any] | None = found.get("current")
        self.found_history = [from_json(epoch) for epoch in found.get("history", [])]

    def first_seeds(self, seeds: list[int]) -> list[int]:
        """Return the seeds of the first call, which are these where there was none."""
        self.seeds = self.seeds or seeds
        return self.seeds

    def next_state(self) -> tuple[dict[str, Any] | None, bool]:
        """Return where the next stage is to go on from, if anywhere, and whether it is over."""
        number, self.number = self.number, self.number + 1
        if number < len(self.found_stages):
            self.stages.append(self.found_stages[number])
            return self._unpacked(self.found_stages[number]), True
        if number == len(self.found_stages) and self.found_current is not None:
            return self._unpacked(self.found_current), False
        return None, False

    def forget_optimizer(self) -> None:
        """Keep no more of the stage before what one with its own optimizer does not need."""
        if self.stages:
            self.stages[-1].pop("optimizer", None)

    def history_until(self, n_epochs: int) -> History:
        """Return the first epochs of the history that was found."""
        return History(self.found_history[:n_epochs])

    def after_epoch(self, state: Any, history: History) -> None:
        """Write, if it is time: `state` is a function that returns the stage's."""
        self.n_epochs += 1
        epochs, seconds = self.settings.every_epochs, self.settings.every_seconds
        is_due = (epochs is not None and self.n_epochs >= epochs) or (
            seconds is not None and time.monotonic() - self.wrote_at >= seconds
        )
        if self.processes.agree([is_due])[0]:
            self._write(self._packed(state(), {**self.tensors}), history)

    def end_stage(self, state: dict[str, Any]) -> None:
        """Take note of a stage that is over."""
        packed, tensors = self._packed(state, self.tensors)
        self.tensors = tensors
        self.stages.append(packed)

    def complete(self, history: History) -> None:
        """Write that the fit is over; what it needed on the way goes."""
        if not self.was_complete:
            self._write(None, history)
        if self.processes.rank == 0:
            previous(self.path).unlink(missing_ok=True)

    def _packed(
        self, state: dict[str, Any], tensors: dict[str, Tensor]
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {name: pack(value, tensors) for name, value in state.items()}, tensors

    def _unpacked(self, state: dict[str, Any]) -> dict[str, Any]:
        return {name: unpack(value, self.tensors) for name, value in state.items()}

    def _write(
        self, current: tuple[dict[str, Any], dict[str, Tensor]] | None, history: History
    ) -> None:
        if self.processes.rank == 0:
            states = {
                "identity": self.identity,
                "seeds": self.seeds,
                "complete": current is None,
                "history": [to_json(dict(epoch)) for epoch in history],
                "stages": self.stages,
                "current": None if current is None else current[0],
            }
            write_states(self.path, states, self.tensors if current is None else current[1])
        self.n_epochs, self.wrote_at = 0, time.monotonic()

    def _read(self) -> dict[str, Any]:
        """Return what is found: the file, or where that is torn the one before."""
        if self.processes.rank == 0:
            self._remove_abandoned()
        torn: TornFile | None = None
        for path in (self.path, previous(self.path)):
            if not path.exists():
                continue
            try:
                states, self.tensors = read_states(path)
            except TornFile as error:
                torn = torn or error
                continue
            if torn is not None:
                warn(
                    f"The checkpoint {self.path} is damaged ({torn}); the fit goes on from the "
                    f"one before, {path}."
                )
            return states
        if torn is not None:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is no checkpoint of this version, or damaged "
                f"({torn}), and there is none before it. Delete it to fit from the beginning, or "
                "give another path."
            )
        return {}

    def _remove_abandoned(self) -> None:
        for left in self.path.parent.glob(".*.unfinished"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    left.unlink()
