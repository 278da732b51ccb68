"""What estimators share that learn from episodes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from .._docs import BLOCKS
from .._task import Classification, encoded
from ..data._batch import Batch
from ..data._domain import Domain
from ..data._sampler import DomainRows
from ..deep._base import BaseDeepEstimator
from ..deep._parameters import parameters
from ..deep._training import TrainingParameters
from ..engine._net import callback_dataset
from ..engine._stage import GradientStep, Stage
from ..network._augment import features_of
from ..validation._arguments import check_takes
from ..validation._constraints import Integral, Interval, StrOptions
from ._episodes import Episode, EpisodeSampler, EpisodeSize
from ._support import SupportMixin

BLOCKS["episode_parameters"] = """\
n_way : int, default=20
    Most classes of an episode. More are harder to tell apart than those that will be
    asked for, which helps.
n_shot : int, default=5
    Most rows of each class to learn from; best as many as there will be.
n_query : int, default=5
    Most rows of each class to be asked about. Classes with fewer rows give their share.
episodes : int, default=500
    Training steps, an episode each; an epoch of ``history_`` has 50. 0 leaves the body
    as it is. With `data_parallel` each process has episodes of its own.
augment : callable or None, default=None
    Gets the rows of an episode (a tensor of shape ``(n, *input_shape)``, on the device)
    and returns them changed in ways that leave a class what it is: moved or turned a
    little, for images. It draws from torch's generator, which `random_state` decides.
hidden_layer_sizes : int or sequence of int, default=(100,)
    Widths of the MLP body, where `backbone` is None.
learning_rate : float, default=1e-3
    Step size of the optimizer.
"""

# Episodes after which callbacks and `history_` hear of it: an epoch.
EPISODES_PER_EPOCH = 50


@parameters
class BaseEpisodic(SupportMixin, TrainingParameters, BaseDeepEstimator):
    """Learns on episodes of the classes of `y`, and then classes from the support alone."""

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "backbone": [callable, None],
        "distance": [StrOptions({"euclidean", "cosine"})],
        "n_way": [Interval(Integral, 2, None, closed="left")],
        "n_shot": [Interval(Integral, 1, None, closed="left")],
        "n_query": [Interval(Integral, 1, None, closed="left")],
        "episodes": [Interval(Integral, 0, None, closed="left")],
        "augment": [callable, None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    }

    backbone: Any = field(default=None, kw_only=False)
    distance: str = "euclidean"
    n_way: int = 20
    n_shot: int = 5
    n_query: int = 5
    episodes: int = 500
    augment: Any = None
    hidden_layer_sizes: Any = (100,)

    @property
    def batch_size(self) -> int:  # type: ignore[override]
        """Most rows of an episode."""
        return self.n_way * (self.n_shot + self.n_query)

    @abstractmethod
    def _logits(self, queries: Tensor, support: Tensor, codes: Tensor, n_way: int) -> Tensor:
        """Return the logits of queries, (n, n_way), by the features of a support."""

    def _train(self, source: Domain, seed: int) -> Iterator[Stage]:
        if self.episodes == 0:
            return
        if self.augment is not None:
            check_takes(self.augment, "augment", "X")
        task, engine = Classification.of_labels(source.labels, "y"), self.net_.engine
        y = encoded(task, source.labels, engine.device)
        if np.bincount(y.cpu().numpy(), source.sample_weight).max() < 2:
            raise ValueError(
                f"Each class of y has one row; an episode of {type(self).__name__} learns from "
                "some rows of a class and is asked about others. Give more rows of each class, or "
                "episodes=0, which leaves the body as it is."
            )
        sampler = EpisodeSampler(
            DomainRows(engine.rows(source.X), y, source.sample_weight),
            source.X,
            EpisodeSize(self.n_way, self.n_shot, self.n_query),
            self.episodes,
            seed + 10_007 * engine.processes.rank,
            engine.device,
        )
        yield Stage(
            sampler,
            GradientStep(self._losses),
            math.ceil(self.episodes / EPISODES_PER_EPOCH),
            self.net_.module_.row_flops(),
            dataset=callback_dataset(source.X, source.labels),
        )

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean cross-entropy of an episode's queries."""
        assert isinstance(batch, Episode)
        assert batch.source.y is not None
        features = features_of(self.net_.module_, batch.source.X, self.augment)
        batch.source.features = features
        n_support, y = batch.n_support, batch.source.y
        support, queries = features[:n_support], features[n_support:]
        batch.source_outputs = self._logits(queries, support, y[:n_support], batch.n_way)
        return {"label_loss": F.cross_entropy(batch.source_outputs, y[n_support:])}
