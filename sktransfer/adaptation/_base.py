"""What all adaptation methods share: a target without labels, weighed by lambda."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import schedules
from .._base import BaseTransferClassifier, look_up
from .._batches import DomainBatch, DomainBatches, Rows
from .._network import TransferNetwork, make_body, make_head
from .._old_checks import Integral, Interval, Real, StrOptions, TrainingData, check_schedule
from ._diagnosis import describe_failure, domain_gradient

LAMBDA_SCHEDULES = {"ramp": schedules.dann_ramp, "constant": schedules.constant}


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of the predictions, ``-1/n sum_i sum_k p_ik log p_ik``."""
    log_probabilities = F.log_softmax(logits, dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1).mean()


class BaseAdaptationClassifier(BaseTransferClassifier):
    """Minimises ``label loss + domain loss + w entropy_weight target entropy``.

    Here ``w`` is the value of `lambda_schedule`. A method gives the domain loss.
    ``w lambda_`` weighs the gradient that it sends to the body, not the loss
    itself, so that ``history_`` shows the plain loss and the method's own heads
    learn at full rate.
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        **BaseTransferClassifier._parameter_constraints,
        "feature_extractor": [callable, None],
        "label_classifier": [callable, None],
        "lambda_": [Interval(Real, 0, None, closed="left")],
        "lambda_schedule": [StrOptions(set(LAMBDA_SCHEDULES)), callable],
        "entropy_weight": [Interval(Real, 0, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        feature_extractor=None,
        *,
        label_classifier=None,
        lambda_=1.0,
        lambda_schedule="ramp",
        entropy_weight=0.0,
        hidden_layer_sizes=(100,),
        optimizer="adam",
        learning_rate=1e-3,
        learning_rate_schedule="constant",
        batch_size=64,
        max_epochs=100,
        callbacks=None,
        device="auto",
        random_state=None,
        warm_start=False,
        data_parallel=False,
        num_workers=0,
        verbose=0,
    ):
        self.feature_extractor = feature_extractor
        self.label_classifier = label_classifier
        self.lambda_ = lambda_
        self.lambda_schedule = lambda_schedule
        self.entropy_weight = entropy_weight
        self.hidden_layer_sizes = hidden_layer_sizes
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.warm_start = warm_start
        self.data_parallel = data_parallel
        self.num_workers = num_workers
        self.verbose = verbose

    @abstractmethod
    def domain_loss(self, batch: DomainBatch) -> Tensor:
        """Return the loss that tells how far apart the domains' features are.

        Its gradient to the features must be weighed by ``batch.lambda_``:
        `sktransfer.layers` has what reverses and scales gradients.
        """

    @abstractmethod
    def _make_heads(self, features: Tensor) -> dict[str, nn.Module]:
        """Return further modules that the domain loss needs, by name."""

    def objective(self, batch: DomainBatch) -> dict[str, Tensor]:
        """Return the losses of a batch by name."""
        self.net_.module_.forward_domains(batch)
        losses = {"label_loss": F.cross_entropy(batch.source_logits, batch.y_source)}
        if batch.X_target is not None:
            share = look_up(self.lambda_schedule, LAMBDA_SCHEDULES)(batch.progress)
            batch.lambda_ = self.lambda_ * share
            batch.metrics["lambda"] = batch.lambda_
            losses["domain_loss"] = self.domain_loss(batch)
            if self.entropy_weight > 0:
                logits = self.net_.module_.label_classifier(batch.target_features)
                losses["entropy_loss"] = self.entropy_weight * share * entropy(logits)
        return losses

    def _make_network(self, X: Tensor, n_classes: int) -> TransferNetwork:
        body, probed = make_body(
            self.feature_extractor, "feature_extractor", X, self.hidden_layer_sizes
        )
        features = probed.output.flatten(1)
        label_classifier = make_head(
            self.label_classifier,
            "label_classifier",
            features,
            n_classes,
            (features.shape[1], n_classes),
            nn.Linear,
        )
        return TransferNetwork(body, label_classifier, self._make_heads(features), probed)

    def _labels(self, data: TrainingData) -> tuple[str, np.ndarray]:
        return "y", data.y

    def _prediction_rows(self, X) -> Rows:
        return self.net_.rows(X)

    def _train(self, data: TrainingData, y_indices: np.ndarray, seed: int) -> None:
        batches = DomainBatches(
            self.net_.rows(data.X),
            torch.as_tensor(y_indices, device=self.net_.device),
            None if data.X_target is None else self.net_.rows(data.X_target),
            data.sample_weight,
            self.batch_size,
            seed,
            self.net_.processes,
        )
        check_schedule(look_up(self.lambda_schedule, LAMBDA_SCHEDULES), "lambda_schedule")
        if batches.target is None and (self.lambda_ > 0 or self.entropy_weight > 0):
            warnings.warn(
                f"{type(self).__name__} was fitted without X_target: no adaptation took place and "
                "it is a plain classifier of the source. Pass X_target to adapt, or set lambda_=0 "
                "where this is wanted.",
                UserWarning,
                stacklevel=3,
            )
        dataset = self.net_.dataset(data.X, data.y)
        self.net_.train(batches, self.objective, self.max_epochs, dataset=dataset)
        if batches.target is not None:
            with self.net_.step_threads(batches):
                failure = self._find_failure(batches)
                self._fit_statistics(batches)
            if failure is not None:
                warnings.warn(failure, UserWarning, stacklevel=3)

    def _find_failure(self, batches: DomainBatches) -> str | None:
        batch = next(batches.epoch(done=1.0, share=0.0))
        with self.net_.generators:
            self.net_.module_.train()
            gradient = domain_gradient(self.objective(batch)["domain_loss"], batch)
        return describe_failure(self.net_.history, batch.lambda_, gradient)

    def _fit_statistics(self, batches: DomainBatches) -> None:
        source, target = (
            (batch.X_source for batch in batches.epoch(1.0, 0.0)),
            (batch.X_target for batch in batches.epoch(1.0, 0.0)),
        )
        self.net_.module_.estimate_statistics(source, target, batches.n_target)
        self.net_.processes.average_statistics(self.net_.module_)
