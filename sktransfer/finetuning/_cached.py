"""What the frozen part of a body makes of rows, computed once for training and prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..data._rows import Rows
from ..engine._engine import Engine
from ..engine._runtime import limited_threads
from ..frozen import (
    INPUT,
    ActivationRows,
    BodyGraph,
    PrivateActivations,
    RowStore,
    SharedActivations,
    examine,
    memory_folder,
)
from ._network import FineTuneNetwork
from ._settings import FrozenCache
from ._stages import TrainingRows


def pass_frozen(
    network: FineTuneNetwork,
    engine: Engine,
    cache: FrozenCache,
    depths: Sequence[Sequence[str]],
    rows: TrainingRows,
) -> list[list[str] | None]:
    """Pass rows through what is frozen in all stages, and keep what crosses into the rest.

    Parameters
    ----------
    network : FineTuneNetwork
        Its ``activations`` are set.
    engine : Engine
        What passes the rows.
    cache : FrozenCache
        Whether and where values are kept.
    depths : sequence of sequences of str
        The layers that learn in each stage.
    rows : TrainingRows
        Gets the values, as do those held out.

    Returns
    -------
    list
        For each stage the names of the values where it begins; None where that is the
        input itself.
    """
    network.activations = None
    if not cache.enabled or all(network.has_all(layers) for layers in depths):
        return [None] * len(depths)
    network.freeze([], freeze_batch_norm=True)
    activations = _make_activations(network, engine, cache, rows.domain.X, depths)
    network.activations = activations
    crossings = [activations.graph.crossing(network.live(layers)) for layers in depths]
    used = [
        None if crossing == [INPUT] or network.has_all(layers) else crossing
        for crossing, layers in zip(crossings, depths, strict=True)
    ]
    names = sorted({name for crossing in used if crossing for name in crossing} - {INPUT})
    for some in (rows, rows.held_out):
        if some is not None and names:
            some.frozen = activations.values(some.domain.X, names)
            if any(crossing and INPUT in crossing for crossing in used):
                some.frozen[INPUT] = engine.rows(some.domain.X)
    return used


def rows_from(rows: TrainingRows, crossing: list[str] | None, engine: Engine) -> Rows:
    """Return rows as they enter a stage: as they are, or as values of the frozen part."""
    if crossing is None:
        return engine.rows(rows.domain.X)
    return ActivationRows(tuple(rows.frozen[name] for name in crossing))


def features_before(
    network: FineTuneNetwork, engine: Engine, rows: TrainingRows, crossing: list[str] | None
) -> Tensor:
    """Return the features of rows before a stage, from what of them enters it."""
    if crossing is not None:
        network.go_on_from(crossing, network.activations.graph)
    features = engine.forward(network, network.features, rows_from(rows, crossing, engine))
    return torch.from_numpy(features).to(engine.device, network.feature_type)


def keep_for_prediction(network: FineTuneNetwork) -> None:
    """Keep of the activations what predictions can use: what a store shares and is still so."""
    if isinstance(network.activations, SharedActivations):
        network.activations.keep_only_frozen(network.live(network.unfrozen))
    else:
        network.activations = None


def prediction_rows(
    network: FineTuneNetwork, engine: Engine, cache: FrozenCache, X: Any
) -> tuple[Callable[[Any], Tensor], Rows]:
    """Return how features come of rows to predict for, and these; from a store if there is one."""
    folder = None if cache.memory is None else memory_folder(cache.memory)
    has_store = cache.enabled and folder is not None and folder.exists()
    if not has_store or network.has_all(network.unfrozen):
        return network.features, engine.rows(X)
    activations = network.activations
    if activations is None:  # after unpickling, or a fit with augment
        activations = _make_activations(network, engine, cache, X, [network.unfrozen])
        assert isinstance(activations, SharedActivations)
        activations.keep_only_frozen(network.live(network.unfrozen))
        network.activations = activations  # another thread may do the same meanwhile
    crossing = activations.graph.crossing(network.live(network.unfrozen))
    if crossing == [INPUT]:
        return network.features, engine.rows(X)
    rest = activations.graph.rest(crossing, training=False)
    values = activations.values(X, [name for name in crossing if name != INPUT])
    if INPUT in crossing:
        values[INPUT] = engine.rows(X)
    rows = ActivationRows(tuple(values[name] for name in crossing))
    return lambda batch: rest(*batch).flatten(1), rows


def _make_activations(
    network: FineTuneNetwork,
    engine: Engine,
    cache: FrozenCache,
    X: Any,
    depths: Sequence[Sequence[str]],
) -> PrivateActivations | SharedActivations:
    """Trace the body; say where values for these sets of unfrozen layers are kept."""
    layers = list(network.layers.weights)
    row = engine.rows(X[:1]).slice(0, 1)
    folder = None if cache.memory is None else memory_folder(cache.memory)
    # One thread is enough for few rows; that of another fit might draw meanwhile, which
    # would seem the body's doing.
    with limited_threads(0), engine.generators.fresh().lent():
        if folder is None:
            return PrivateActivations(BodyGraph(network.body, layers, row), engine)
        context = f"{engine.input_shape} {engine.dtype} {engine.device} torch {torch.__version__}"
        graph, keys = examine(network.body, layers, row, context)
    wanted = [graph.crossing(network.live(depth)) for depth in depths]
    others = (
        graph.crossing(network.live(layers[len(layers) - depth :])) for depth in range(len(layers))
    )
    store = RowStore(folder, cache.memory_limit)
    return SharedActivations(graph, engine, store, keys, wanted, others)
