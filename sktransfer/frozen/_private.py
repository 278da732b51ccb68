"""The frozen part's values of rows, for one fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ._found import Found
from ._graph import BodyGraph
from ._rows import Batcher, StoredRows, TensorRows, fits_memory, passes
from ._temporary import ArrayFile, TemporaryFolder
from ._trace import INPUT


class PrivateActivations:
    """The frozen part's values of rows, computed for one fit.

    What is larger than scikit-learn's ``working_memory`` lies in a temporary
    file, which goes when the rows are no longer used.

    Parameters
    ----------
    graph : BodyGraph
        Of the body.
    batcher : Batcher
        Knows the device, the type and the number of threads.
    """

    def __init__(self, graph: BodyGraph, batcher: Batcher):
        self.graph, self.batcher = graph, batcher

    def values(self, X: Any, wanted: Sequence[str]) -> dict[str, Any]:
        """Pass checked rows through the frozen part, once.

        Parameters
        ----------
        X : ndarray or CSR of shape (n_rows, ...)
            The rows.
        wanted : sequence of str
            Names of values.

        Returns
        -------
        dict
            For each name a value, nested as its structure says, of rows.

        Raises
        ------
        OSError
            Where they fit neither in memory nor on the disk of temporary files.
        """
        part = self.graph.frozen_part([INPUT], wanted)
        made = passes(part, self.batcher.rows(X), self.batcher)
        batches = (pytree.tree_leaves(values) for values in made)
        described = [self.graph.values[name] for name in wanted]
        size = sum(value.row_bytes for value in described) * X.shape[0]
        rows = iter(self._in_memory(batches, X) if fits_memory(size) else self._on_disk(batches))
        return {
            name: pytree.tree_unflatten(islice(rows, value.structure.num_leaves), value.structure)
            for name, value in zip(wanted, described, strict=True)
        }

    def _in_memory(self, batches: Iterator[list[Tensor]], X: Any) -> list[Any]:
        arrays: list[Tensor] = []
        filled = 0
        for leaves in batches:
            arrays = arrays or [leaf.new_empty((X.shape[0], *leaf.shape[1:])) for leaf in leaves]
            for array, leaf in zip(arrays, leaves, strict=True):
                array[filled : filled + len(leaf)] = leaf
            filled += len(leaves[0])
        return [TensorRows(array) for array in arrays]

    def _on_disk(self, batches: Iterator[list[Tensor]]) -> list[Any]:
        folder, files = TemporaryFolder(), list[ArrayFile]()
        try:
            for leaves in batches:
                names = [folder.path / str(number) for number in range(len(leaves))]
                files = files or [ArrayFile(name) for name in names]
                try:
                    for file, leaf in zip(files, leaves, strict=True):
                        file.append(leaf)
                except OSError as error:
                    raise folder.full(error) from error
            arrays = [file.mapped() for file in files]
        except BaseException:  # Ctrl-C among them
            folder.remove()
            raise
        everything = np.arange(len(arrays[0]))
        found = Found([arrays], np.zeros_like(everything), everything, folder)
        device = torch.device(self.batcher.device)
        return [StoredRows(found, number, device) for number in range(len(arrays))]
