"""What all transfer classifiers share: check, encode, build, train, predict."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from torch import Tensor, nn

from . import schedules
from ._batches import Rows, make_rows
from ._network import TransferNetwork, row_type
from ._old_checks import (
    Integral,
    Interval,
    Real,
    StrOptions,
    TrainingData,
    check_callbacks,
    check_device,
    check_features,
    check_fit_data,
    check_schedule,
)
from ._processes import Processes, draw_seeds, join_processes
from ._runtime import PrivateGenerators
from ._training import TransferNet
from .callbacks import EpochProgressBar

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}
LEARNING_RATE_SCHEDULES = {
    "constant": schedules.constant,
    "cosine": schedules.cosine_annealing,
    "dann": schedules.dann_annealing,
}


class BaseTransferClassifier(
    ClassNamePrefixFeaturesOutMixin,
    ClassifierMixin,
    TransformerMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Holds a skorch net and gives it the shape of a scikit-learn classifier.

    A family of methods says which labels it learns, how its network is made and
    how it is trained.
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": True}

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "learning_rate_schedule": [StrOptions(set(LEARNING_RATE_SCHEDULES)), callable],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "callbacks": ["array-like", None],
        "data_parallel": ["boolean"],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    # What `fit` reads; each family's `__init__` sets it.
    optimizer: Any
    learning_rate: float
    learning_rate_schedule: Any
    batch_size: int
    callbacks: Any
    data_parallel: bool
    num_workers: int
    device: Any
    random_state: Any
    warm_start: bool
    verbose: int

    def fit(self, X, y=None, X_target=None, y_target=None, sample_weight=None):
        """Fit on a labelled source and a target.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_source, n_features) or (n_source, ...)
            Rows of the source domain. Those of a ``numpy.memmap`` are read batch by
            batch and never all at once, as are those of a map-style
            ``torch.utils.data.Dataset``, which yields rows or pairs ``(row, label)``.
        y : array-like of shape (n_source,)
            Their labels: numbers, strings, anything scikit-learn takes. None with a
            Dataset of pairs: one pass over it then reads the labels.
        X_target : like X, of shape (n_target, n_features) or (n_target, ...), default=None
            Rows of the target domain; a Dataset may yield pairs, whose labels are
            not looked at. Without any there is no other domain than that of
            `X`; where a method then transfers nothing, it warns.
        y_target : array-like of shape (n_target,), default=None
            Labels of the target rows, for methods that use them, as
            fine-tuning does; adaptation methods need none and pass them by.
        sample_weight : array-like of shape (n_source,), default=None
            Weights of the source rows, by which they are drawn into batches.
            An integer weight is a count, as if the row stood there so often; an
            epoch then has as many rows as the counts sum to. Other weights are
            scaled to mean 1 over the rows of weight above zero.

        Returns
        -------
        self : object
            The fitted estimator. Training stopped by Ctrl-C or by a callback
            (early stopping) leaves it usable, with what it has learned so far.

        Raises
        ------
        ValueError, TypeError
            For parameters or data that cannot be used, with what is wanted
            instead, and where a loss is no longer finite.
        """
        self._validate_params()
        data = check_fit_data(self, X, y, X_target, y_target, sample_weight)
        name, labels = self._labels(data)
        classes, y_indices = encode(labels, name)
        processes, device = join_processes(self.data_parallel, check_device(self.device))
        seeds = draw_seeds(check_random_state(self.random_state), 2)
        network_seed, order_seed = processes.agree(seeds, device)
        if self.warm_start and hasattr(self, "net_"):
            self._continue(classes, data, processes)
        else:
            self.net_ = self._make_net(data, classes, network_seed, device, processes)
            self.classes_, self.input_shape_ = classes, data.X.shape[1:]
        self._train(data, y_indices, order_seed)
        self.net_.module_.eval()
        self.history_ = self.net_.history
        self.n_iter_ = len(self.history_)
        return self

    def predict(self, X):
        """Predict the class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows, as a rule of the target.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels out of `classes_`.
        """
        logits = self._forward(X, "forward")
        return self.classes_[logits.argmax(axis=1)]

    def predict_proba(self, X):
        """Predict the probability of each class for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows, as a rule of the target.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; the softmax of the label head's logits.
        """
        return softmax(self._forward(X, "forward"), axis=1)

    def transform(self, X):
        """Return the features on which the label head decides.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features) or (n_samples, ...)
            Rows of either domain.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The body's output, flattened.
        """
        return self._forward(X, "features")

    @property
    def _n_features_out(self) -> int:
        return int(self.net_.module_.n_features)

    @abstractmethod
    def _labels(self, data: TrainingData) -> tuple[str, np.ndarray]:
        """Return the labels to predict and the name of the argument that holds them."""

    @abstractmethod
    def _make_network(self, X: Tensor, n_classes: int) -> TransferNetwork:
        """Build the network for rows like `X`, on the CPU, and check that it takes them."""

    @abstractmethod
    def _train(self, data: TrainingData, y_indices: np.ndarray, seed: int) -> None:
        """Train `net_`; `y_indices` are the labels as numbers of `classes_`."""

    @abstractmethod
    def _prediction_rows(self, X) -> Rows:
        """Put checked rows where `net_` can take them batch by batch."""

    def _forward(self, X, method: str) -> np.ndarray:
        X = check_features(self, X)
        return self.net_.forward_rows(self._prediction_rows(X), method)

    def _make_net(
        self,
        data: TrainingData,
        classes: np.ndarray,
        seed: int,
        device: torch.device,
        processes: Processes,
    ) -> TransferNet:
        generators = PrivateGenerators(seed, device)
        few = make_rows(data.X[:2], torch.device("cpu"), _default_type(data.X, device)).slice(0, 2)
        with generators:
            network = self._make_network(few, len(classes))
        dtype = row_type(network.body, few.dtype)
        if self.batch_size == 1 and any(isinstance(m, nn.BatchNorm1d) for m in network.modules()):
            raise ValueError(
                "batch_size=1 leaves BatchNorm1d nothing to normalise by; give a batch_size of at "
                "least 2, or a module with LayerNorm instead."
            )
        network.eval().to(device)
        processes.copy_first(network)
        net = TransferNet(
            network,
            optimizer=_make_optimizer(self.optimizer, device),
            device=str(device),
            generators=generators,
            row_flops=network.row_flops(),
            dtype=dtype,
            classes=classes,
            input_shape=data.X.shape[1:],
            **self._training_params(processes),
        )
        net.initialize()
        return net

    def _training_params(self, processes: Processes) -> dict[str, Any]:
        """Return what a warm start may change, as the net calls it."""
        schedule = look_up(self.learning_rate_schedule, LEARNING_RATE_SCHEDULES)
        shown = self.verbose and processes.rank == 0
        progress_bar = [("progress_bar", EpochProgressBar())] if shown else []
        return {
            "lr": self.learning_rate,
            "learning_rate_schedule": check_schedule(schedule, "learning_rate_schedule"),
            "batch_size": self.batch_size,
            "num_workers": self.num_workers,
            "processes": processes,
            "callbacks": [*check_callbacks(self.callbacks), *progress_bar],
        }

    def _continue(self, classes: np.ndarray, data: TrainingData, processes: Processes) -> None:
        same_rows = data.X.shape[1:] == self.input_shape_
        if not (same_rows and np.array_equal(classes, self.classes_)):
            raise ValueError(
                f"warm_start=True continues a fit on rows of shape {self.input_shape_} with the "
                f"classes {list(self.classes_)}; got rows of shape {data.X.shape[1:]} with the "
                f"classes {list(classes)}. Set warm_start=False to start afresh."
            )
        self.net_.set_params(**self._training_params(processes))
        self.net_.initialize_callbacks()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")  # `lambda_` is no fitted attribute

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _default_type(X, device: torch.device) -> torch.dtype:
    # scikit-learn's rule, computation in the type of X; MPS knows no float64.
    double = X.dtype == np.float64 and device.type != "mps"
    return torch.float64 if double else torch.float32


def encode(labels: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes and each label as a number of its class.

    Raises
    ------
    ValueError
        For a single class.
    """
    classes, indices = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"{name} holds one class, {classes[0]!r}; a classifier needs at least 2 classes. With "
            "1 sample or 1 class there is nothing to tell apart."
        )
    return classes, indices


def look_up(given: Any, known: dict[str, Any]) -> Any:
    """Return what a name stands for, or what was given instead of a name."""
    return known[given] if isinstance(given, str) else given


def _make_optimizer(given, device: torch.device):
    optimizer = look_up(given, OPTIMIZERS)
    if given in ("adam", "adamw") and device.type in ("cpu", "cuda"):
        return partial(optimizer, fused=True)
    return optimizer
