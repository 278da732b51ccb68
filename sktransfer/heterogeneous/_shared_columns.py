"""Frames that share some columns: which ones, and bodies in which these weigh the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..network._build import make_mlp


def find_shared(
    shared: Any, source_names: np.ndarray | None, target_names: np.ndarray | None
) -> np.ndarray | None:
    """Return the names of the columns that count as the same, in the source's order.

    Parameters
    ----------
    shared : bool or array-like of str
        True for all names that both have, False for none.
    source_names, target_names : ndarray of str, or None where rows have no names

    Raises
    ------
    ValueError
        Where there are none, or `shared` has one that a domain lacks.
    """
    wanted = np.atleast_1d(np.asarray(shared))
    if wanted.size == 0 or (wanted.dtype == bool and not wanted.any()):
        return None
    if source_names is None or target_names is None:
        raise ValueError(
            f"shared={shared!r} matches columns by name, but {'X' if source_names is None else ''}"
            f"{' and ' if source_names is None and target_names is None else ''}"
            f"{'X_target' if target_names is None else ''} has no column names: give frames with "
            "names that are strings, or shared=False."
        )
    if wanted.dtype == bool:
        found = source_names[np.isin(source_names, target_names)]
        if len(found) == 0:
            raise ValueError(
                f"shared=True, but X with the columns {source_names[:10].tolist()} and X_target "
                f"with {target_names[:10].tolist()} have no name in common. Name what is the same "
                "alike (DataFrame.rename), or give shared=False."
            )
        return found
    for name, names in (("X", source_names), ("X_target", target_names)):
        lacking = wanted[~np.isin(wanted, names)]
        if len(lacking) > 0:
            raise ValueError(
                f"shared has {lacking[:10].tolist()}, which are no columns of {name}: it has "
                f"{names[:10].tolist()}. Name columns that both frames have, or give shared=True "
                "for all of these."
            )
    return source_names[np.isin(source_names, wanted)]


def find_positions(names: np.ndarray, shared: np.ndarray) -> tuple[list[int], list[int]]:
    """Return where the shared columns stand, in the order of `shared`, and where the rest."""
    place = {name: position for position, name in enumerate(names.tolist())}
    positions = [place[name] for name in shared.tolist()]
    return positions, sorted(set(range(len(names))) - set(positions))


class SharedColumnsLayer(nn.Module):
    """``W_shared x_shared + W_own x_own + b``, a linear layer that has ``W_shared`` in common.

    Parameters
    ----------
    common : Linear
        Without a bias; what multiplies the shared columns, in the order of `shared`.
    shared, own : sequence of int
        Positions of the shared columns and of all others; the latter may be none.
    """

    shared_positions: Tensor
    own_positions: Tensor

    def __init__(self, common: nn.Linear, shared: Sequence[int], own: Sequence[int]) -> None:
        super().__init__()
        self.common = common
        self.own = nn.Linear(len(own), common.out_features, bias=False) if own else None
        self.bias = nn.Parameter(torch.zeros(common.out_features))
        self.register_buffer("shared_positions", torch.tensor(shared), persistent=False)
        self.register_buffer("own_positions", torch.tensor(own), persistent=False)

    def forward(self, X: Tensor) -> Tensor:
        """Return the layer's output, shape (n, n_outputs)."""
        output: Tensor = self.common(X[:, self.shared_positions]) + self.bias
        return output if self.own is None else output + self.own(X[:, self.own_positions])


def make_shared_bodies(
    places: Sequence[tuple[list[int], list[int]]], sizes: Sequence[int], dtype: torch.dtype
) -> list[nn.Module]:
    """Return an MLP with ReLU for each domain, in which shared columns have weights in common.

    Parameters
    ----------
    places : sequence of (shared, own)
        Positions of the columns in each domain, as `find_positions` gives them.
    sizes : sequence of int
        Widths of the layers; those after the first are each domain's own.
    dtype : torch.dtype
        Of the weights.
    """
    common = nn.Linear(len(places[0][0]), sizes[0], bias=False)
    bodies: list[nn.Module] = []
    for shared, own in places:
        first = SharedColumnsLayer(common, shared, own)
        rest = make_mlp(sizes, activate_last=True)
        body = nn.Sequential(first, nn.ReLU(), *rest).to(dtype)
        body.is_default = True  # type: ignore[assignment]
        bodies.append(body)
    return bodies
