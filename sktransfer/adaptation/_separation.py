"""Rows of a target set apart: those that resemble a class of the source, and those that do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from ..data._sampler import Sampler
from ..engine._net import TransferNet
from ._some_rows import even_rows, look
from ._two_groups import unknown_probabilities

# Share of the epochs in which the source alone is learned, before rows are set apart.
SEPARATE_AFTER = 0.5

N_NEIGHBOURS = 5  # of the source, to which it is how far; of the target, with which it is averaged
N_MEANS = 3  # so often, which reaches neighbours of neighbours of neighbours
CHUNK = 1000  # of target rows that are compared at once

# A row of the target is set apart where it is known or unknown with this probability.
SURE = 0.9


def class_leads(logits: np.ndarray, unknown: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``max over k != unknown of z_ik, less the mean of z_i``, and that class ``k``.

    A probability would not do: what is unlike everything may be given to one class
    surely, but by less of a lead than rows of it have.

    Parameters
    ----------
    logits : ndarray of shape (n, n_classes)
    unknown : int
        The class of all that is unknown.

    Returns
    -------
    leads : ndarray of shape (n,)
    classes : ndarray of int of shape (n,)
    """
    known = logits.copy()
    known[:, unknown] = -np.inf
    classes = known.argmax(axis=1)
    return known.max(axis=1) - logits.mean(axis=1), classes


def resemblances(leads: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return ``s_i = l_i / (1 + d_i / mean of d)`` of leads ``l`` and squared distances ``d``.

    A network's outputs grow with the length of the features, far from every row that it has
    learned, too: who leads far off resembles the class less than who leads near by.

    Parameters
    ----------
    leads : ndarray of shape (n,)
    distances : ndarray of shape (n,)
        Squared, to the source; 0 or more.

    Returns
    -------
    ndarray of shape (n,)
    """
    mean = distances.mean()
    scores: np.ndarray = leads / (1 + (distances / mean if mean > 0 else 0))
    return scores


def nearest(rows: np.ndarray, others: np.ndarray, n_nearest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines and numbers of the others that are nearest to each row by angle.

    A row of length 0 has a cosine of 0 with any other.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features)
    others : ndarray of shape (n_others, n_features)
    n_nearest : int
        Of which there are `n_others` at most.

    Returns
    -------
    cosines : ndarray of shape (n, n_nearest)
    numbers : ndarray of int of shape (n, n_nearest)
        In no order.
    """
    n_nearest = min(n_nearest, len(others))
    scaled = of_length_1(others).T
    cosines = np.empty((len(rows), n_nearest))
    numbers = np.empty((len(rows), n_nearest), dtype=np.intp)
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        of_all = of_length_1(rows[part]) @ scaled
        numbers[part] = np.argpartition(-of_all, n_nearest - 1, axis=1)[:, :n_nearest]
        cosines[part] = np.take_along_axis(of_all, numbers[part], axis=1)
    return cosines, numbers


def squared_distances(features: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return the square of the mean distance of each row to its nearest ones of the source.

    There are `N_NEIGHBOURS` of them, and rows are scaled to length 1: a distance is
    ``sqrt(2 - 2 cos)`` of the angle.

    Parameters
    ----------
    features : ndarray of shape (n, n_features)
        Of the target.
    source : ndarray of shape (n_source, n_features)
        Of the source.

    Returns
    -------
    ndarray of shape (n,)
    """
    cosines, _ = nearest(features, source, N_NEIGHBOURS)
    squares: np.ndarray = np.square(np.sqrt(np.maximum(2 - 2 * cosines, 0)).mean(axis=1))
    return squares


def neighbour_means(values: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Return values that became the mean of their neighbours', `N_MEANS` times.

    ``v_i <- 1/k sum over j in J_i of v_j``. Rows of one class lie together: what a network says
    of each by itself is less sure than what it says of all of them.

    Parameters
    ----------
    values : ndarray of shape (n, ...)
    neighbours : ndarray of int of shape (n, k)
        ``J_i``, the row itself among them.

    Returns
    -------
    ndarray of shape (n, ...)
    """
    for _ in range(N_MEANS):
        values = values[neighbours].mean(axis=1)
    return values


def target_scores(
    logits: np.ndarray, distances: np.ndarray, neighbours: np.ndarray, unknown: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each row of a target resembles a class of the source, and which.

    They are the `resemblances` of what the `neighbour_means` of logits and distances say.

    Parameters
    ----------
    logits : ndarray of shape (n, n_classes)
    distances : ndarray of shape (n,)
        Squared, to the source.
    neighbours : ndarray of int of shape (n, k)
        In the target, the row itself among them.
    unknown : int
        The class of all that is unknown.

    Returns
    -------
    scores : ndarray of shape (n,)
    classes : ndarray of int of shape (n,)
    """
    leads, classes = class_leads(neighbour_means(logits, neighbours), unknown)
    return resemblances(leads, neighbour_means(distances, neighbours)), classes


def of_length_1(rows: np.ndarray) -> np.ndarray:
    """Return the rows divided by their lengths, but for those of length 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return scaled


def separation_loss(logits: Tensor, unknown: int, probabilities: Tensor) -> Tensor:
    """Return ``-1/m (sum over U of log p_iu + sum over K of log(1 - p_iu))``, softmax ``p``.

    ``U`` and ``K`` are the rows that are unknown and known with a probability of `SURE`, ``m``
    together; 0 where there are none.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Of target rows.
    unknown : int
        The class ``u`` of all that is unknown.
    probabilities : Tensor of shape (n,), in [0, 1]
        Of being unknown.
    """
    log_probabilities = logits.log_softmax(dim=1)
    of_known = [log_probabilities[:, :unknown], log_probabilities[:, unknown + 1 :]]
    as_known = torch.cat(of_known, dim=1).logsumexp(dim=1)
    is_unknown, is_known = probabilities >= SURE, probabilities <= 1 - SURE
    apart = torch.cat([log_probabilities[is_unknown, unknown], as_known[is_known]])
    return -apart.sum() / max(1, len(apart))


class Separation(Callback):
    """Says once, when the source is known, how likely each target row is of no class of it.

    Parameters
    ----------
    sampler : Sampler
        Draws the rows of both domains. The target's have room in ``y`` for the probabilities:
        NaN as long as nothing is said.
    unknown : int
        The class of all that is unknown.
    share : float or None
        Of unknown rows, where it is told.
    """

    def __init__(self, sampler: Sampler, unknown: int, share: float | None):
        assert sampler.target is not None
        assert sampler.target.y is not None
        self.source, self.rows = sampler.source, sampler.target.rows
        self.probabilities = sampler.target.y
        self.unknown, self.share = unknown, share
        self.n_epochs = 0

    def on_epoch_begin(self, net: TransferNet, **kwargs: Any) -> None:
        """Set the rows apart, if it is time."""
        if self.n_epochs == max(1, math.ceil(SEPARATE_AFTER * net.max_epochs)):
            network, forward = net.module_, net.engine.forward
            logits = forward(network, network.forward, self.rows).astype(np.float64)
            features = forward(network, network.features, self.rows)
            source = look(net, even_rows(self.source), network.source_features)
            distances = squared_distances(features, source.features)
            _, neighbours = nearest(features, features, N_NEIGHBOURS + 1)  # and itself
            scores, classes = target_scores(logits, distances, neighbours, self.unknown)
            said = unknown_probabilities(scores, classes, logits.shape[1], self.share)
            if self.share is None:  # surely so is what its neighbours are, too
                said = said[neighbours].mean(axis=1)
            self.probabilities.copy_(torch.from_numpy(said))
        self.n_epochs += 1

    def state_dict(self) -> dict[str, Any]:
        """Return which epoch is next, and what is said of each row."""
        return {"n_epochs": self.n_epochs, "probabilities": self.probabilities}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.n_epochs = state["n_epochs"]
        self.probabilities.copy_(state["probabilities"])
