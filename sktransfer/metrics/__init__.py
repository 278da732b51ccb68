"""How far apart two domains are, and which pretrained model serves a target, as numbers."""

from ._domain_distances import coral_distance, proxy_a_distance, sliced_wasserstein_distance
from ._mmd import mmd
from ._open_set import open_set_score
from ._source_ranking import h_score, leep, logme

__all__ = [
    "coral_distance",
    "h_score",
    "leep",
    "logme",
    "mmd",
    "open_set_score",
    "proxy_a_distance",
    "sliced_wasserstein_distance",
]
