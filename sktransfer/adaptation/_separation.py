"""Rows of a target set apart: those that resemble a class of the source, and those that do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from ..data._sampler import Sampler
from ..engine._net import TransferNet
from ._class_weighting import even_rows
from ._two_groups import unknown_probabilities

# Share of the epochs in which the source alone is learned, before rows are set apart.
SEPARATE_AFTER = 0.5

N_NEIGHBOURS = 5  # of the source, by whose distance what resembles it is known
CHUNK = 1000  # of target rows that are compared at once


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


def squared_distances(features: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return the square of the mean distance of each row to its nearest ones of the source.

    There are `N_NEIGHBOURS` of them, and rows are scaled to length 1: a distance is
    ``sqrt(2 - 2 cos)`` of the angle. A row of length 0 has a cosine of 0 with any other.

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
    n_nearest = min(N_NEIGHBOURS, len(source))
    scaled = of_length_1(source).T
    distances = np.empty(len(features))
    for start in range(0, len(features), CHUNK):
        cosines = of_length_1(features[start : start + CHUNK]) @ scaled
        nearest = -np.partition(-cosines, n_nearest - 1, axis=1)[:, :n_nearest]
        apart = np.sqrt(np.maximum(2 - 2 * nearest, 0))
        distances[start : start + CHUNK] = apart.mean(axis=1)
    return np.square(distances)


def of_length_1(rows: np.ndarray) -> np.ndarray:
    """Return the rows divided by their lengths, but for those of length 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return scaled


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
            source, _ = even_rows(self.source).look(net, network.source_features)
            leads, classes = class_leads(logits, self.unknown)
            scores = resemblances(leads, squared_distances(features, source))
            said = unknown_probabilities(scores, classes, logits.shape[1], self.share)
            self.probabilities.copy_(torch.from_numpy(said))
        self.n_epochs += 1

    def state_dict(self) -> dict[str, Any]:
        """Return which epoch is next, and what is said of each row."""
        return {"n_epochs": self.n_epochs, "probabilities": self.probabilities}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.n_epochs = state["n_epochs"]
        self.probabilities.copy_(state["probabilities"])
