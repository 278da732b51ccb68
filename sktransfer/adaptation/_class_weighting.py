"""Source rows drawn as often as the target seems to have their classes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from skorch.callbacks import Callback

from ..data._sampler import Sampler
from ..deep._parameters import parameters
from ..engine._net import TransferNet
from ..schedules import dann_ramp
from ..validation._constraints import StrOptions
from ._class_shares import (
    class_shares,
    explained_by_shares,
    left_by_shares,
    shares_differ,
    weights_by_target_shares,
)
from ._diagnosis import AS_THEY_ARE, EXPLAINED, FOLLOWED, LEAST_CLASS_ROWS, gross_shares
from ._some_rows import Looks, Seen

# Progress of training between which shares are looked at: the network knows the source, and what
# makes the domains alike has not yet carried the target's rows to classes that they lack.
FIRST_LOOK, LAST_LOOK = 0.05, 0.15

LEAST_EPOCHS = 3  # that have gone by: after one or two, errors of predictions look like shares

# Other shares explain what is between the domains, where they do so much of it.
LEAST_EXPLAINED = 0.9

# Progress of training at which the target's rows are predicted, twice: the network knows the
# source, and lambda is still small.
EARLY, SETTLED = 0.05, 0.08

# The answers are those of a source that says something of the target, where so many rows are
# predicted as the same class both times.
LEAST_SETTLED = 0.875

# And where the greatest probability of a row is so much in the mean, the second time.
LEAST_SURE = 2 / 3

# And where the gap that shares leave, in variances of the source's features, is no more than this
# of the total variation between the shares: more is a shift of what rows are like, not of how often
# they come, and then rows are taken for another class however sure the answers are.
MOST_LEFT = 2 / 3

# Shares of the source's rows that are predicted right, too, where shares explain the gap or are
# followed without: where classes run into each other, the share of one that is predicted follows
# the share by which it was drawn, until no other is left.
RIGHT_TO_EXPLAIN, RIGHT_TO_FOLLOW = 0.75, 0.875


class ClassWeighting(Callback):
    """Says how often rows of the source come, by the shares that its classes are to have.

    Parameters
    ----------
    sampler : Sampler
        Draws the rows of both domains. Of several sources each is weighed by itself.
    """

    otherwise = AS_THEY_ARE

    def __init__(self, sampler: Sampler):
        assert sampler.source.y is not None
        self.sampler = sampler
        self.streams = sampler.streams["source"].each
        self.y = sampler.source.y.cpu().numpy()
        self.weights = [
            np.ones(stream.n_all) if stream.weights is None else stream.weights
            for stream in self.streams
        ]
        self.all_weights = np.sum(self.weights, axis=0)
        self.n_epochs = 0
        # By which the source is drawn; none as long as it is drawn as it is.
        self.shares: np.ndarray | None = None
        # Shares of the source, of predictions for it and for the target, that were acted on.
        self.found: list[np.ndarray] = []

    @abstractmethod
    def weigh(self, net: TransferNet, seen: Looks) -> None:
        """Say how often rows of the source come in the epoch that begins."""

    def on_epoch_begin(self, net: TransferNet, **kwargs: Any) -> None:
        """Weigh by what is seen now."""
        self.weigh(net, Looks(net, self.sampler))
        self.n_epochs += 1

    @property
    def drawn(self) -> str:
        """How rows of the source were drawn."""
        return EXPLAINED if self.found else self.otherwise

    def own_shares(self, n_classes: int) -> np.ndarray:
        """Return those of all sources together."""
        return class_shares(self.y, self.all_weights, n_classes)

    def set_shares(self, shares: np.ndarray) -> None:
        """Give the classes of each source these shares."""
        self.shares = shares
        for stream, weights in zip(self.streams, self.weights, strict=True):
            stream.weights = weights_by_target_shares(shares, self.y, weights)

    def state_dict(self) -> dict[str, Any]:
        """Return which epoch is next, the shares of the source, and what was found."""
        shares = None if self.shares is None else torch.from_numpy(self.shares)
        found = [torch.from_numpy(part) for part in self.found]
        return {"n_epochs": self.n_epochs, "shares": shares, "found": found}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.n_epochs, self.found = state["n_epochs"], [part.numpy() for part in state["found"]]
        if state["shares"] is not None:
            self.set_shares(state["shares"].numpy())


class ExplainingShares(ClassWeighting):
    """Weighs the source's classes by those predicted for the target, if that explains the gap.

    It looks before each epoch from a twentieth to three twentieths of them all, and not before
    the fourth. Weights are set once, where the source's rows are mostly predicted right, and the
    shares predicted for the target differ grossly from the source's and explain nine tenths of the
    gap between the domains: then the rows of a class look alike in both, and what makes the
    domains alike would mix classes up. Else the source stays as it is.
    """

    def weigh(self, net: TransferNet, seen: Looks) -> None:
        """Look, if it is time."""
        looks = (FIRST_LOOK, LAST_LOOK)
        first, last = (max(LEAST_EPOCHS, round(p * net.max_epochs)) for p in looks)
        if not self.found and first <= self.n_epochs <= last:
            self.found = self._explaining_shares(seen, net.task.n_outputs)
            if self.found:
                self.set_shares(self.found[-1])

    def _explaining_shares(self, seen: Looks, n_classes: int) -> list[np.ndarray]:
        """Return those of the source, of predictions for it, and for the target, or nothing."""
        source, target, drawn = seen.source, seen.target, seen.rows_of_source.numbers.numpy()
        y, weights = self.y[drawn], self.all_weights[drawn]
        known = self.own_shares(n_classes)
        in_source = class_shares(source.classes, weights, n_classes)
        n_target = len(target.features)
        shares = class_shares(target.classes, np.ones(n_target), n_classes)
        gross = gross_shares(known, in_source, shares, n_target)
        right = np.average(source.classes == y, weights=weights)
        if right < RIGHT_TO_EXPLAIN or not gross.any() or not shares[known > 0].any():
            return []
        explained = explained_by_shares(source.features, y, weights, target.features, shares)
        return [known, in_source, shares] if explained >= LEAST_EXPLAINED else []


class TargetShares(ExplainingShares):
    """Weighs them before each epoch by what is predicted then, until something is explained.

    The shares are ``(1 - w) p_k + w q_k``, with ``p_k`` those of the source, ``q_k`` the mean
    probabilities on the target, of `MOST_ROWS` rows at most, and ``w`` the progress of training on
    the ramp of ``lambda``. A network that hardly knows the source says nothing of the target, and
    drawing the source by that would teach it just what it said. Later it is too late: domains
    that were made alike have the shares by which the source was drawn, whichever these are.
    """

    otherwise = FOLLOWED

    def weigh(self, net: TransferNet, seen: Looks) -> None:
        """Set the weights by which the source's rows are drawn in this epoch."""
        super().weigh(net, seen)
        weight = dann_ramp(self.n_epochs / net.max_epochs)
        if self.found or weight == 0:
            return
        predicted = seen.target.probabilities.mean(axis=0)
        own = self.own_shares(len(predicted))
        if np.isfinite(predicted).all():  # what diverged is told by the next loss
            self.set_shares((1 - weight) * own + weight * predicted)


class TrustedShares(ExplainingShares):
    """Weighs them by what is predicted where early answers tell of other shares and are borne out.

    The target's rows are predicted at a twentieth of the epochs, and again a few epochs later.
    Both times the shares of these answers have to differ from the source's, and most rows have to
    be predicted as the same class, and for sure. Where the source says little of the target, it
    is unsure what a row is, or takes it for another class a few epochs later, and shares of such
    answers are no shares of classes. Then the source stays as it is. So it does where no row
    is taken for a class of which ten would be expected, where the source's own rows are often
    taken for another class, and where the target's lie far from all of them.

    From the second look on the shares are ``(1 - w) e_k + w q_k`` with those of the first answers
    ``e_k``, those of the present ones ``q_k``, and ``w`` the progress on the ramp of ``lambda``:
    what makes the domains alike has drawn the present ones towards the source's. Each class
    counts a row more than it has, so that none is lost for good.
    """

    def __init__(self, sampler: Sampler):
        super().__init__(sampler)
        self.early: np.ndarray | None = None  # the classes predicted at the first look
        self.follows = False

    @property
    def drawn(self) -> str:
        """How rows of the source were drawn."""
        return FOLLOWED if self.follows and not self.found else super().drawn

    def weigh(self, net: TransferNet, seen: Looks) -> None:
        """Look, if it is time, and weigh."""
        super().weigh(net, seen)
        if self.found:
            return
        epoch, first = self.n_epochs, max(1, round(EARLY * net.max_epochs))
        second = max(first + 2, round(SETTLED * net.max_epochs))
        if epoch == first:
            self.early = seen.target.classes
        elif epoch == second or self.follows:
            if epoch == second:
                self.follows = self._bears_out(seen, net.task.n_outputs)
            if self.follows:
                self._follow(seen.target, dann_ramp(epoch / net.max_epochs))

    def _bears_out(self, seen: Looks, n_classes: int) -> bool:
        """Whether sure answers are mostly the early ones, and both tell of other shares.

        These are other than those of the source, and than those that are predicted there: a class
        that is not predicted there either is not learned yet. The source's rows are mostly
        predicted right, and the target's lie among them.
        """
        assert self.early is not None
        source, target, drawn = seen.source, seen.target, seen.rows_of_source.numbers.numpy()
        y, weights, n_rows = self.y[drawn], self.all_weights[drawn], len(self.early)
        own, ones = self.own_shares(n_classes), np.ones(n_rows)
        in_source = class_shares(source.classes, weights, n_classes)
        shares = [class_shares(each, ones, n_classes) for each in (self.early, target.classes)]
        left = left_by_shares(source.features, y, weights, target.features, shares[-1])
        variation = np.abs(shares[-1] - own).sum() / 2
        return bool(
            all(shares_differ(of, each, n_rows) for each in shares for of in (own, in_source))
            and np.mean(target.classes == self.early) >= LEAST_SETTLED
            and target.probabilities.max(axis=1).mean() >= LEAST_SURE
            and not any((each[own * n_rows >= LEAST_CLASS_ROWS] == 0).any() for each in shares)
            and np.average(source.classes == y, weights=weights) >= RIGHT_TO_FOLLOW
            and left <= MOST_LEFT * variation
        )

    def _follow(self, target: Seen, weight: float) -> None:
        """Draw classes of the source by the early answers and, with this weight, the present."""
        assert self.early is not None
        n_rows, n_classes = target.outputs.shape
        early, present = (
            (np.bincount(each, minlength=n_classes) + 1) / (n_rows + n_classes)
            for each in (self.early, target.classes)
        )
        self.set_shares((1 - weight) * early + weight * present)

    def state_dict(self) -> dict[str, Any]:
        """Return also what was predicted early, and whether it is followed."""
        early = None if self.early is None else torch.from_numpy(self.early)
        return {**super().state_dict(), "early": early, "follows": self.follows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self.early = None if state["early"] is None else state["early"].numpy()
        self.follows = state["follows"]


@parameters
class ClassWeightingMixin:
    """Weighs classes of the source by the target's; stands before `AdaptationClassifier`."""

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "class_weighting": [StrOptions({"auto", "target"}), None],
    }

    class_weighting: Any = None

    if TYPE_CHECKING:

        def _transfers(self) -> bool: ...
        def _has_own_bodies(self) -> bool: ...

    def _before_epochs(self, sampler: Sampler) -> list[tuple[str, Callback]]:
        if self.class_weighting is None or sampler.target is None or not self._transfers():
            return []
        kind: type[ClassWeighting] = TargetShares
        if self.class_weighting == "auto":
            # A body of its own knows nothing of the target early on.
            kind = ExplainingShares if self._has_own_bodies() else TrustedShares
        return [("class_weighting", kind(sampler))]
