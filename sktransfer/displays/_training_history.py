"""What a fit has recorded, epoch by epoch."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np

from ._drawing import (
    BLACK,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    SKY,
    SOURCE,
    TARGET,
    import_pyplot,
    make_axes,
    put_legend_above,
)
from ._history import find_history, read_history

STYLES = {
    "label_loss": (SOURCE, "-"),
    "domain_loss": (BLACK, "-"),
    "gradient_penalty_loss": (BLACK, ":"),
    "target_loss": (TARGET, "-"),
    "l2_sp_loss": (PINK, "-"),
    "relational_loss": (PINK, "--"),
    "valid_loss": (GREEN, "-"),
    "train_loss": (GREY, "--"),
    "source_accuracy": (SOURCE, "-"),
    "target_accuracy": (TARGET, "-"),
    "domain_accuracy": (BLACK, "-"),
    "valid_accuracy": (GREEN, "-"),
    "source_r2": (SOURCE, "-"),
    "target_r2": (TARGET, "-"),
    "valid_r2": (GREEN, "-"),
    "target_score": (PINK, "-"),
    "lambda": (GREY, "--"),
}
OTHER_COLORS = [SKY, ORANGE, PINK, GREEN]
NOTHING_RECORDED = "no score was recorded; callbacks.DomainScoring does"
NOTE = {"ha": "center", "va": "center", "color": "0.4"}
THIN_LINE = {"color": "0.6", "linewidth": 0.8}
RIGHT_SCALE_WIDTH = 60  # points
MAGNITUDE = 100  # ratio of two losses' greatest values from which their scale is logarithmic
NARROW_STAGE = 0.15  # share of the epochs beside which the next name needs a row of its own


class TrainingHistoryDisplay:
    """The curves of a fit: losses above, and accuracies and other shares below.

    They tell whether training has settled, whether the domain classifier still
    tells the domains apart (it is right by chance in half of the rows), and which
    stage did what. Make one with `from_estimator`.

    Parameters
    ----------
    epochs : ndarray of shape (n_epochs,)
        Their numbers, from 1.
    losses : dict of str to ndarray of shape (n_epochs,)
        Losses by name; nan where an epoch did not record one. Their scale is
        logarithmic where the greatest values of two differ a hundredfold.
    shares : dict of str to ndarray of shape (n_epochs,)
        Accuracies and other scores that lie between 0 and 1 throughout.
    scores : dict of str to ndarray of shape (n_epochs,) or None, default=None
        Other scores, drawn by a scale of their own on the right.
    lambda_ : ndarray of shape (n_epochs,) or None, default=None
        Weight of the adaptation; with a scale of its own where it exceeds 1.
    stages : list of str or None, default=None
        Name of the stage to which each epoch belongs.
    restored_epoch : int or None, default=None
        The epoch whose weights were restored at the end.

    Attributes
    ----------
    axes_ : ndarray of shape (2,)
        The Axes of losses and of shares.
    right_axes_ : list of Axes
        The scales on the right, of `scores` and of `lambda_`, where they are drawn.
    figure_ : Figure
        The figure that holds them.
    lines_ : dict of str to Line2D
        The curves by name.
    chance_line_ : Line2D or None
        Where `domain_accuracy` is by chance, if there is one.
    restored_lines_ : list of Line2D
        Marks of the restored epoch, one in each Axes, if there is one.
    stage_lines_ : list of Line2D
        Borders between stages, one in each Axes.
    stage_texts_ : list of Text
        Names of the stages, above the losses.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sktransfer import DANNClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.displays import TrainingHistoryDisplay
    >>> Xs, ys, Xt, yt = make_shifted_moons(100, random_state=0)
    >>> clf = DANNClassifier(max_epochs=20, random_state=0).fit(Xs, ys, X_target=Xt)
    >>> display = TrainingHistoryDisplay.from_estimator(clf)
    >>> list(display.losses)
    ['label_loss', 'domain_loss', 'gradient_penalty_loss', 'target_loss', 'train_loss']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        epochs: Any,
        losses: Any,
        shares: Any,
        scores: Any = None,
        lambda_: Any = None,
        stages: Any = None,
        restored_epoch: Any = None,
    ) -> None:
        self.epochs = epochs
        self.losses = losses
        self.shares = shares
        self.scores = scores
        self.lambda_ = lambda_
        self.stages = stages
        self.restored_epoch = restored_epoch

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, line_kwargs: Any = None
    ) -> TrainingHistoryDisplay:
        """Draw what a fitted estimator has recorded.

        Parameters
        ----------
        estimator : estimator with ``history_``
            Fitted; also a pipeline that ends in one, or a search over one, of
            which the best estimator is drawn.
        ax : array-like of 2 Axes or None, default=None
            Where to draw losses and shares; None makes a new figure.
        line_kwargs : dict or None, default=None
            Further arguments of ``Axes.plot`` for all curves.

        Returns
        -------
        TrainingHistoryDisplay
            What was drawn. ``train_loss``, the sum of the losses, is left out
            where there is but one.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            For an estimator that is not fitted or records no history, and for
            `ax` that holds no two Axes.
        """
        import_pyplot(cls.__name__)
        return cls(**read_history(find_history(estimator))).plot(ax, line_kwargs=line_kwargs)

    def plot(self, ax: Any = None, *, line_kwargs: Any = None) -> TrainingHistoryDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : array-like of 2 Axes or None, default=None
            Where to draw losses and shares; None makes a new figure.
        line_kwargs : dict or None, default=None
            Further arguments of ``Axes.plot`` for all curves.

        Returns
        -------
        TrainingHistoryDisplay
            This object.
        """
        size = (7.2 + 0.8 * len(self._right_scales()), 5.6)
        self.axes_ = make_axes(
            ax, ["losses", "shares"], type(self).__name__, size=size, sharex=True
        )
        self.figure_ = self.axes_[0].figure
        self.lines_: dict[str, Any] = {}
        self.right_axes_: list[Any] = []
        self.chance_line_: Any = None
        upper, lower = self.axes_
        self._mark_stages()
        self._mark_restored()
        above = self._draw(upper, self.losses, line_kwargs)
        lowest, highest = _range(self.losses.values())
        if _differ_in_magnitude(self.losses):
            upper.set_yscale("log")
        else:
            lowest = min(0.0, lowest)
        _finish_panel("loss", above, {upper: (lowest, highest)})
        below, limits = self._draw_shares(lower, line_kwargs)
        _finish_panel("share", below + self.restored_lines_[1:], limits)
        if not below:
            lower.text(0.5, 0.5, NOTHING_RECORDED, transform=lower.transAxes, **NOTE)
        lower.set_yticks([0, 0.25, 0.5, 0.75, 1])
        lower.set_xlabel("epoch")
        for ax in self.axes_:
            ax.locator_params(axis="x", integer=True)
        return self

    def _draw(self, ax, columns, line_kwargs) -> list:
        colors = cycle(OTHER_COLORS)
        for name, values in columns.items():
            color, style = STYLES.get(name) or (next(colors), "-")
            recorded = ~np.isnan(values)
            look = {"color": color, "linestyle": style, "label": name.replace("_", " ")}
            if recorded.sum() == 1:
                look["marker"] = "o"
            look |= line_kwargs or {}
            (self.lines_[name],) = ax.plot(self.epochs[recorded], values[recorded], **look)
        return [self.lines_[name] for name in columns]

    def _draw_shares(self, ax, line_kwargs) -> tuple[list, dict]:
        """Draw shares, and on the right what is none; return the legend's lines and the limits."""
        scales, lambda_ = self._right_scales(), {"lambda": self.lambda_}
        if self.lambda_ is None or "lambda" in scales:
            lambda_ = {}
        lines, limits = self._draw(ax, self.shares | lambda_, line_kwargs), {ax: (0.0, 1.0)}
        if "domain_accuracy" in self.shares:
            look = {"color": BLACK, "linestyle": ":", "linewidth": 1}
            self.chance_line_ = ax.axhline(0.5, label="chance (domain)", **look)
            lines.insert(1 + list(self.shares).index("domain_accuracy"), self.chance_line_)
        for label, columns in scales.items():
            right = ax.twinx()
            outward = RIGHT_SCALE_WIDTH * len(self.right_axes_)
            right.spines["right"].set_position(("outward", outward))
            right.set_ylabel(label)
            self.right_axes_.append(right)
            lines += self._draw(right, columns, line_kwargs)
            lowest, highest = _range(columns.values())
            limits[right] = (0.0 if label == "lambda" else lowest, highest)
        return lines, limits

    def _right_scales(self) -> dict[str, dict]:
        """Return, by the label of their scale, the columns that need one of their own."""
        scales = {}
        if self.scores:
            scales[" and ".join(self.scores).replace("_", " ")] = self.scores
        if self.lambda_ is not None and _range([self.lambda_])[1] > 1:
            scales["lambda"] = {"lambda": self.lambda_}
        return scales

    def _mark_stages(self) -> None:
        """Draw a line where a stage begins and its name above, raised where the last is short."""
        self.stage_lines_, self.stage_texts_ = [], []
        if self.stages is None:
            return
        names, n_epochs = self.stages, len(self.epochs)
        starts = [i for i in range(n_epochs) if i == 0 or names[i] != names[i - 1]]
        row = 0
        for start, before in zip(starts, [-n_epochs, *starts], strict=False):
            row = row + 1 if start - before < NARROW_STAGE * n_epochs else 0
            at = self.epochs[start] - 0.5
            if start > 0:
                self.stage_lines_ += [ax.axvline(at, **THIN_LINE) for ax in self.axes_]
            self.stage_texts_.append(
                self.axes_[0].annotate(
                    names[start],
                    (self.epochs[start] if start == 0 else at, 1),
                    xycoords=("data", "axes fraction"),
                    xytext=(0, 3 + 11 * row),
                    textcoords="offset points",
                    fontsize="small",
                )
            )

    def _mark_restored(self) -> None:
        self.restored_lines_ = []
        if self.restored_epoch is not None:
            label = f"restored epoch {self.restored_epoch}"
            self.restored_lines_ = [
                ax.axvline(self.restored_epoch, color=ORANGE, linestyle="-.", label=label)
                for ax in self.axes_
            ]


def _range(columns) -> tuple[float, float]:
    """Return the least and the greatest of all values; (0, 1) where there are none."""
    values = np.concatenate([np.empty(0), *columns])
    values = values[np.isfinite(values)]
    return (values.min(), values.max()) if len(values) else (0.0, 1.0)


def _differ_in_magnitude(losses: dict) -> bool:
    """Return whether a linear scale would show one of the losses as a line at zero."""
    ranges = [_range([values]) for values in losses.values()]
    if not ranges or min(lowest for lowest, _ in ranges) <= 0:
        return False
    tops = [highest for _, highest in ranges]
    return MAGNITUDE * min(tops) < max(tops)


def _finish_panel(label: str, handles: list, limits: dict) -> None:
    ax = next(iter(limits))
    ax.set_ylabel(label)
    ax.grid(axis="y", color="0.93")
    put_legend_above(handles, limits)
