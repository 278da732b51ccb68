"""The epochs as a progress bar: in a terminal, and in a notebook that is kept."""

from __future__ import annotations

import html
import sys
from typing import Any, Protocol

from skorch import NeuralNet
from skorch.callbacks import Callback


class Bar(Protocol):
    """What shows how far training is: a tqdm, or a line in a notebook."""

    def set_description(self, desc: str | None, refresh: bool) -> None:
        """Say what is done."""

    def set_postfix(self, ordered_dict: dict[str, str]) -> None:
        """Say what was measured."""

    def update(self) -> Any:
        """Advance by one."""

    def close(self) -> None:
        """Show no more."""


class NotebookBar:
    """A bar in the output of a notebook's cell.

    It is plain HTML and stays in the saved notebook, also as nbconvert shows it; a bar of
    widgets would need their state and JavaScript.

    Parameters
    ----------
    total : int
        Epochs in all.
    """

    def __init__(self, total: int):
        from IPython.display import display

        self.total, self.n = total, 0
        self.description, self.figures = "", ""
        self._handle = display(self, display_id=True)

    def set_description(self, desc: str | None, refresh: bool = True) -> None:
        """Say what is done."""
        self.description = desc or ""

    def set_postfix(self, ordered_dict: dict[str, str]) -> None:
        """Say what was measured."""
        self.figures = ", ".join(f"{name}={value}" for name, value in ordered_dict.items())

    def update(self) -> None:
        """Advance by one epoch."""
        self.n += 1
        self._handle.update(self)

    def close(self) -> None:
        """Leave what was shown last."""

    def __repr__(self) -> str:
        before = f"{self.description}: " if self.description else ""
        after = f" [{self.figures}]" if self.figures else ""
        return f"{before}{self.n}/{self.total} epochs{after}"

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self.n}" max="{self.total}"></progress>'
        return f"<div>{bar} <code>{html.escape(repr(self))}</code></div>"


def is_in_notebook() -> bool:
    """Whether output goes to a notebook; IPython is not imported for the question."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


def make_bar(total: int) -> Bar:
    """Return a bar for where output goes."""
    if is_in_notebook():
        return NotebookBar(total)
    from tqdm import tqdm

    bar: Bar = tqdm(total=total, unit="epoch")
    return bar


class EpochProgressBar(Callback):
    """Show the epochs as a progress bar with the latest losses and domain accuracy."""

    shown = ("label_loss", "domain_loss", "domain_accuracy", "target_accuracy", "valid_accuracy")

    bar_: Bar

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = make_bar(net.max_epochs)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Advance the bar by one epoch."""
        epoch = net.history[-1]
        self.bar_.set_description(epoch.get("stage"), refresh=False)
        self.bar_.set_postfix({k: f"{epoch[k]:.3f}" for k in self.shown if k in epoch})
        self.bar_.update()

    def on_train_end(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Close the bar; an open one could not be pickled."""
        self.bar_.close()
        del self.bar_
