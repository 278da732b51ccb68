"""What a search over the depth of fine-tuning has found."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._depth_search import PARAMETER, find_parameter, find_score, read_search
from ._drawing import BLUE, VERMILION, import_pyplot, make_axes, put_legend_above

MOST_LETTERS = 50  # of all depths' names, that stand beside each other


class UnfreezeDepthDisplay:
    """The score of a search against the number of unfrozen layers.

    A line joins the mean test scores over the folds, in a band of one standard
    deviation to each side; the depth that the search has chosen is marked. Depths
    whose bands overlap its band are ringed: the folds tell them and the chosen one
    hardly apart. Where the search varied other parameters as well, each depth is
    shown at its best: by the candidate of highest mean score, for the chosen depth
    by the chosen one.
    Make one with `from_search`.

    Parameters
    ----------
    depths : list of int and str
        Numbers ascending, then names of layers in the order given, then "all".
    mean_scores : ndarray of shape (n_depths,)
        Mean test score over the folds at each depth.
    std_scores : ndarray of shape (n_depths,)
        Their standard deviation over the folds.
    fold_scores : ndarray of shape (n_depths, n_folds)
        Test score of each fold.
    best_depth : int, str or None, default=None
        The depth chosen.
    params : list of dict or None, default=None
        The candidate shown at each depth.
    n_resources : ndarray of shape (n_depths,) or None, default=None
        In a halving search, what each depth had in its last round. Depths that
        had less than others were dropped before, and are drawn hollow.
    score_name : str, default="score"
        What the scores are called.

    Attributes
    ----------
    ax_ : Axes
        Where it is drawn.
    figure_ : Figure
        The figure that holds it.
    line_ : Line2D
        The mean scores.
    band_ : PolyCollection
        One standard deviation to each side.
    best_point_ : Line2D or None
        Mark of the depth chosen.
    overlapping_points_ : Line2D or None
        Rings around the depths whose bands overlap that of the depth chosen.
    dropped_points_ : Line2D or None
        Marks of the depths that a halving search has dropped.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.model_selection import GridSearchCV
    >>> from torch import nn
    >>> from sktransfer import FineTuneClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> from sktransfer.displays import UnfreezeDepthDisplay
    >>> X, y, _, _ = make_shifted_moons(60, random_state=0)
    >>> body = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 8))
    >>> clf = FineTuneClassifier(body, head_epochs=5, finetune_epochs=5, random_state=0)
    >>> search = GridSearchCV(clf, {"unfreeze_depth": ["all", 0, 1]}, cv=2).fit(X, y)
    >>> display = UnfreezeDepthDisplay.from_search(search)
    >>> display.depths
    [0, 1, 'all']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        depths: Any,
        mean_scores: Any,
        std_scores: Any,
        fold_scores: Any,
        best_depth: Any = None,
        params: Any = None,
        n_resources: Any = None,
        score_name: str = "score",
    ) -> None:
        self.depths = depths
        self.mean_scores = mean_scores
        self.std_scores = std_scores
        self.fold_scores = fold_scores
        self.best_depth = best_depth
        self.params = params
        self.n_resources = n_resources
        self.score_name = score_name

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        scoring: Any = None,
        ax: Any = None,
        line_kwargs: Any = None,
        fill_kwargs: Any = None,
    ) -> UnfreezeDepthDisplay:
        """Draw what a fitted search over `unfreeze_depth` has found.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV or their like
            Fitted, over `unfreeze_depth` of a `FineTuneClassifier`, bare or within
            a pipeline.
        scoring : str or None, default=None
            Which score to draw, where the search has several; None is the one
            that it was refitted by.
        ax : Axes or None, default=None
            Where to draw; None makes a new figure.
        line_kwargs, fill_kwargs : dict or None, default=None
            Further arguments of ``Axes.plot`` for the line and of
            ``Axes.fill_between`` for the band.

        Returns
        -------
        UnfreezeDepthDisplay
            What was drawn.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            For what is no fitted search over `unfreeze_depth`, and for a score
            that it does not have.
        """
        import_pyplot(cls.__name__)
        check_is_fitted(search)
        if not hasattr(search, "cv_results_"):
            raise TypeError(
                f"search is a {type(search).__name__} without cv_results_; give a fitted search, "
                f'for example GridSearchCV(FineTuneClassifier(backbone), {{"{PARAMETER}": [0, 1, '
                '"all"]}).fit(X, y).'
            )
        found = read_search(search, find_parameter(search), find_score(search, scoring))
        return cls(**found).plot(ax, line_kwargs=line_kwargs, fill_kwargs=fill_kwargs)

    def plot(
        self, ax: Any = None, *, line_kwargs: Any = None, fill_kwargs: Any = None
    ) -> UnfreezeDepthDisplay:
        """Draw the scores.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; None makes a new figure.
        line_kwargs, fill_kwargs : dict or None, default=None
            Further arguments of ``Axes.plot`` for the line and of
            ``Axes.fill_between`` for the band.

        Returns
        -------
        UnfreezeDepthDisplay
            This object.
        """
        (self.ax_,) = make_axes(ax, ["scores"], type(self).__name__)
        self.figure_ = self.ax_.figure
        x, mean, std = np.arange(len(self.depths)), self.mean_scores, self.std_scores
        n_folds = self.fold_scores.shape[1]
        look: dict[str, Any] = {"color": BLUE, "marker": "o", "label": f"mean of {n_folds} folds"}
        (self.line_,) = self.ax_.plot(x, mean, **look | (line_kwargs or {}))
        look = {"color": self.line_.get_color(), "alpha": 0.15, "linewidth": 0}
        look["label"] = "one standard deviation"
        self.band_ = self.ax_.fill_between(x, mean - std, mean + std, **look | (fill_kwargs or {}))
        self._mark_dropped()
        self._mark_best()
        names = [str(depth) for depth in self.depths]
        leaning: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        is_long = sum(map(len, names)) > MOST_LETTERS
        self.ax_.set_xticks(x, names, **leaning if is_long else {})
        self.ax_.set(xlabel=PARAMETER, ylabel=self.score_name)
        self.ax_.grid(axis="y", color="0.93")
        handles = [self.line_, self.band_, self.best_point_, self.overlapping_points_]
        handles.append(self.dropped_points_)
        limits = {self.ax_: (np.nanmin(mean - std), np.nanmax(mean + std))}
        put_legend_above([handle for handle in handles if handle is not None], limits)
        return self

    def _mark_best(self) -> None:
        self.best_point_ = self.overlapping_points_ = None
        if self.best_depth is not None:
            at = self.depths.index(self.best_depth)
            look = {"marker": "*", "markersize": 15, "linestyle": "", "color": VERMILION}
            (self.best_point_,) = self.ax_.plot(
                at, self.mean_scores[at], label=f"chosen: {self.best_depth}", **look
            )
            self._mark_overlapping(at)

    def _mark_overlapping(self, best: int) -> None:
        mean, std = self.mean_scores, self.std_scores
        at = np.flatnonzero(find_overlapping_bands(mean, std, best))
        if len(at):
            look = {"marker": "o", "markersize": 13, "linestyle": "", "markerfacecolor": "none"}
            look |= {"color": VERMILION, "label": "band overlaps the chosen's"}
            (self.overlapping_points_,) = self.ax_.plot(at, mean[at], **look)

    def _mark_dropped(self) -> None:
        self.dropped_points_ = None
        if self.n_resources is not None and len(set(self.n_resources)) > 1:
            at = np.flatnonzero(self.n_resources < self.n_resources.max())
            look = {"marker": "o", "linestyle": "", "markerfacecolor": "white"}
            look["color"] = self.line_.get_color()
            (self.dropped_points_,) = self.ax_.plot(
                at, self.mean_scores[at], label="dropped in an earlier round", **look
            )


def find_overlapping_bands(mean: np.ndarray, std: np.ndarray, at: int) -> np.ndarray:
    """Return which bands ``mean ± std`` reach into the one at index `at`, itself left out."""
    overlaps = np.abs(mean - mean[at]) < std + std[at]
    overlaps[at] = False
    return overlaps
