"""Did adaptation happen? What the history and the last gradient tell about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch.history import History
from torch import Tensor

from ..data._batch import Batch

# A domain loss that changes by less than this share of itself stands still.
LEAST_CHANGE = 1e-6

# A domain loss that changes by more than this share of chance's in the last quarter of the
# epochs, or stands so far above it, is that of two players who lose each other.
MOST_SWING = 0.2
LEAST_LATE_EPOCHS = 5  # of fewer there is no telling

# A domain classifier that is right so often tells the domains apart.
CERTAIN_ACCURACY = 0.995


# Predicted shares of target classes that differ from the source's by more than this factor are
# no matter of chance, where so many rows at least are expected or seen.
MOST_RATIO = 5
LEAST_CLASS_ROWS = 10

# By what shares rows of the source were drawn: their own, those predicted before each epoch, or
# from one epoch on by those that explained what is between the domains.
AS_THEY_ARE, FOLLOWED, EXPLAINED = "as they are", "followed", "explained"


def gross_shares(
    known: np.ndarray, in_source: np.ndarray, in_target: np.ndarray, n_target: int
) -> np.ndarray:
    """Say for each class whether its share in the target is another by far.

    Parameters
    ----------
    known, in_source, in_target : ndarray of shape (n_classes,)
        Shares in the source, in the predictions for it (a class that is not predicted
        there either is not learned, which is another matter), and in those for the target.
    n_target : int
        Rows of the target.
    """
    gross: np.ndarray = known > 0
    for of_source in (known, in_source):
        least, most = np.minimum(of_source, in_target), np.maximum(of_source, in_target)
        gross &= (most > MOST_RATIO * least) & (n_target * most >= LEAST_CLASS_ROWS)
    return gross


def describe_shares(
    names: list[Any],
    shares: Sequence[np.ndarray],
    n_target: int,
    drawn: str = AS_THEY_ARE,
    can_weigh: bool = True,
) -> str | None:
    """Say which classes have another share in the predictions than in the source, or return None.

    Parameters
    ----------
    names : list
        The classes.
    shares : three ndarray of shape (n_classes,)
        Their shares in the source, in the predictions for it and in those for the target.
    n_target : int
        Rows of the target.
    drawn : {"as they are", "followed", "explained"}
        How rows of the source were drawn.
    can_weigh : bool
        Whether the estimator has ``class_weighting``.
    """
    known, in_source, in_target = (np.asarray(share) for share in shares)
    gross = gross_shares(known, in_source, in_target, n_target)
    if not gross.any():
        return None
    named = [
        f"{names[k]!r} {in_target[k]:.1%} (source {known[k]:.1%})"
        for k in np.flatnonzero(gross)[:5]
    ]
    more = f" and {gross.sum() - 5} more" if gross.sum() > 5 else ""
    return (
        "The predicted shares of the target's classes differ grossly from the source's: "
        f"{', '.join(named)}{more}. {_advice(drawn, can_weigh)}"
    )


def _advice(drawn: str, can_weigh: bool) -> str:
    if drawn == EXPLAINED:
        return (
            "These shares explain what is between the domains, so rows of the source were drawn by "
            "them (class_weighting; None draws them as they are). Where only the shares differ, "
            "LabelShiftClassifier needs no training anew."
        )
    if drawn == FOLLOWED:
        return (
            "Rows of the source were drawn by what is predicted (class_weighting). "
            "Either the shares do differ, or adaptation has gone astray and feeds on what it "
            "predicts: compare with source_only(), lower lambda_, or draw the source as it is with "
            "class_weighting=None where you know that the shares are alike."
        )
    weighting = 'class_weighting="target" leaves missing classes out, and ' if can_weigh else ""
    return (
        "Either adaptation has gone astray (compare with source_only(), "
        "lower lambda_), or the shares do differ (label shift) or classes are missing in the "
        "target (partial adaptation): what makes the domains alike then mixes classes up. "
        f"{weighting}LabelShiftClassifier estimates shares, by which class_weight and "
        "sample_weight can weigh the source."
    )


def domain_gradient(loss: Tensor, batch: Batch) -> float:
    """Return the norm of the domain loss's gradient to the features of both domains."""
    assert batch.target is not None
    joint = batch.joint_features
    features = [batch.source.features, batch.target.features] if joint is None else [joint]
    features = [tensor for tensor in features if tensor.requires_grad]
    if not features or not loss.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(loss, features, allow_unused=True)
    return sum(float(g.norm()) for g in gradients if g is not None)


def chance(n_sources: int) -> float:
    """Return ``2 ln 2 + ln k``, the domain loss of ``k`` sources of which nothing is known.

    That is the sources, as many rows of each, weigh as much together as the target does.
    """
    return 2 * math.log(2) + math.log(n_sources)


def describe_failure(
    history: History, lambda_: float, gradient: float, n_sources: int = 1, needs: str | None = None
) -> str | None:
    """Say what kept the features from adapting, or return None.

    Parameters
    ----------
    history : skorch History
        With ``domain_loss`` and perhaps ``domain_accuracy`` for each epoch.
    lambda_ : float
        Weight at the end of training; at 0 no adaptation is wanted.
    gradient : float
        Norm of the domain loss's gradient to the features, weighed by `lambda_`.
    n_sources : int, default=1
        How many sources the domain classifier, if there is one, tells from each other.
    needs : str or None, default=None
        What has to be so, for the method's domain loss to depend on the features.
    """
    if lambda_ == 0:
        return None
    if gradient == 0:
        also = f"; and that {needs}" if needs else ""
        return (
            "No adaptation took place: the domain loss sends no gradient to the features. Check "
            "that X_target is scaled as X is (make_transfer_pipeline does it), as rows far off "
            "leave no unit active; that feature_extractor has weights and does not detach its "
            f"output{also}."
        )
    losses = [epoch["domain_loss"] for epoch in history if "domain_loss" in epoch]
    if len(losses) > 1 and max(losses) - min(losses) <= LEAST_CHANGE * abs(losses[0]):
        return (
            f"The domain loss stood still at {losses[-1]:.6g} from the first epoch to the last, so "
            f"the features did not adapt. {f'Check that {needs}, and raise' if needs else 'Raise'} "
            "learning_rate or max_epochs."
        )
    if "domain_accuracy" not in history[-1]:
        return None  # there is no adversary
    late, level = losses[-(len(losses) // 4) :], chance(n_sources)
    if len(late) >= LEAST_LATE_EPOCHS and (
        max(late) - min(late) > MOST_SWING * level or min(late) > (1 + MOST_SWING) * level
    ):
        return (
            f"The domain loss went between {min(late):.2f} and {max(late):.2f} in the last "
            f"quarter of the epochs, where chance is {level:.2f}: body and domain classifier "
            "lose each other, and how the target is predicted depends on the epoch in which "
            "training ended. Raise gradient_penalty (5 is the default), lower learning_rate, or "
            "average more weights (average_weights=0.5)."
        )
    accuracy = history[-1]["domain_accuracy"]
    if accuracy >= CERTAIN_ACCURACY:
        return (
            f"The domain classifier still tells source from target in {accuracy:.1%} of the rows "
            "at the end of training: the features are not domain-invariant, and predictions on "
            "the target may be no better than without adaptation (adaptation_report compares). "
            "Raise lambda_ or max_epochs, or give a weaker domain_classifier or a "
            "feature_extractor that can adapt."
        )
    return None
