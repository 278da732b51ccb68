"""What is frozen is computed once: a body cut in two, and the values of its first part kept.

Nothing here knows an estimator or a net: how rows become batches on a device is asked of a
`Batcher`.
"""

from ._examine import examine
from ._graph import BodyGraph
from ._private import PrivateActivations
from ._rows import ActivationRows, Batcher
from ._shared import SharedActivations
from ._store import RowStore, memory_folder
from ._trace import INPUT

__all__ = [
    "INPUT",
    "ActivationRows",
    "Batcher",
    "BodyGraph",
    "PrivateActivations",
    "RowStore",
    "SharedActivations",
    "examine",
    "memory_folder",
]
