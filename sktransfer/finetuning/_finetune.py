"""Fine-tuning in five steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .._docs import with_shared_docs
from .._warning import warn
from ..data._domain import Domain, Domains
from ..deep._class_weights import weigh_classes
from ..deep._classifier import DeepClassifierMixin
from ..deep._parameters import parameters
from ..engine._stage import Stage
from ..network._build import floating_type
from ..validation._constraints import StrOptions
from ._base import BaseFineTuning
from ._settings import SourceTraining
from ._stages import TrainingRows

# With fewer confident rows for each class than this, pseudo-labels are not used.
LEAST_PSEUDO_LABELS = 2


@with_shared_docs
@parameters
class FineTuneClassifier(DeepClassifierMixin, BaseFineTuning):
    """Fine-tuning: a new head on a pretrained body, of which the last layers learn on.

    The five steps: (1) put a new head on the body, (2) freeze the body, (3) train
    the head, (4) unfreeze the body's last layers, (5) train head and unfrozen
    layers with a small learning rate. What a layer before them makes of a row is
    computed once and used in all epochs.

    Take it where some rows of the target have labels and the body has seen something like them,
    or there is a source to learn it from. Compare with logistic regression on the labelled rows,
    which does as well where the source is of little use.

    - ``fit(X, y)`` fine-tunes a pretrained `backbone` on labelled rows.
    - ``fit(X, y, X_target=Xt, y_target=yt)`` first trains body and head on the
      source, then takes the five steps on the labelled target, whose classes may
      be others.
    - ``fit(X, y, X_target=Xt)`` trains on the source and then, with the same
      head, on those rows of the target of whose class it is sure.

    The loss is

    ``1/n sum_i w[y_i] (-log p_i[y_i]) + l2_sp/2 sum (theta - theta_0)^2``

    with class weights ``w`` and, in step 5, the body's unfrozen weights ``theta``
    and what they were before, ``theta_0``. With ``relational_weight`` it has besides, in
    step 5, that weight times what distances and angles among the rows of a batch are off
    by from those of the body before it (RKD-DA, `Unfreezing`).

    Parameters
    ----------
    {finetuning_body_parameters}
    {finetuning_head_parameter}
    {finetuning_parameters}
    {finetuning_class_weight_parameter}
    {optimizer_parameters}
    batch_size : int, default=32
        Most rows in a training step.
    {training_parameters}

    Attributes
    ----------
    {classes_attribute}
    {fitted_attributes}
    backbone_ : torch.nn.Module
        The trained body, for example to be the `backbone` of another fit.
    head_ : torch.nn.Module
        The trained head.
    unfrozen_layers_ : list of str
        The layers that learned in step 5, in forward order.
    n_pseudo_labels_ : int
        Rows of the target of whose class the model was sure, where it had no labels.

    Warns
    -----
    UserWarning
        Where there is neither a pretrained body nor a target, and where too few
        rows of the target have a sure class: the model is then the source's.

    See Also
    --------
    FineTuneRegressor : For numbers.
    DANNClassifier : Adapts to a target without labels.

    References
    ----------
    Yosinski et al., "How transferable are features in deep neural networks?",
    NeurIPS 2014.

    Howard and Ruder, "Universal Language Model Fine-tuning", ACL 2018 (`unfreezing`).

    Li et al., "Explicit Inductive Bias for Transfer Learning with Convolutional Networks",
    ICML 2018, eq. 3 (``l2_sp``; the head, which the paper shrinks as well, is left free here).

    Hu et al., "LoRA", ICLR 2022.

    Park, Kim, Lu and Cho, "Relational Knowledge Distillation", CVPR 2019, eqs. 4-9
    (``relational_weight``).

    Lee, "Pseudo-Label", ICML workshops 2013.

    Examples
    --------
    >>> from sktransfer import FineTuneClassifier
    >>> from sktransfer.datasets import make_shifted_moons
    >>> Xs, ys, Xt, yt = make_shifted_moons(300, random_state=0)
    >>> clf = FineTuneClassifier(random_state=0)
    >>> clf.fit(Xs, ys, X_target=Xt[:20], y_target=yt[:20]).predict(Xt).shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    class_weight: Any = None

    def _plan(self, domains: Domains, seed: int) -> Iterator[Stage]:
        self.n_pseudo_labels_ = 0
        return super()._plan(domains, seed)

    def _plan_without_labels(
        self, source: Domain, target: Domain, seeds: np.ndarray
    ) -> Iterator[Stage]:
        if not self._continues():
            part = [self._source_part()]
            yield from self._stages(part, self._training_rows(source), seeds[0])
        rows = self._pseudo_labelled(target.X)
        if rows is not None:
            yield from self._five_steps(rows, seeds[1])

    def _pseudo_labelled(self, X_target) -> TrainingRows | None:
        threshold = SourceTraining.of(self.source_training, "source_training")
        least = threshold.pseudo_label_threshold
        probabilities = self.net_.predict_proba(X_target)
        sure = np.flatnonzero(probabilities.max(axis=1) >= least)
        y = self.net_.classes[probabilities[sure].argmax(axis=1)]
        needed = LEAST_PSEUDO_LABELS * len(self.net_.classes)
        self.n_pseudo_labels_ = len(sure)
        if len(sure) >= needed and len(np.unique(y)) > 1:
            return self._training_rows(Domain(X_target[sure], y))
        warn(
            f"{len(sure)} of the {len(probabilities)} rows of X_target have a class of probability "
            f"{least} or more, of {len(np.unique(y))} classes; fine-tuning needs {needed} rows of "
            "several classes. The model is that of the source. Lower pseudo_label_threshold of "
            "SourceTraining, or give y_target."
        )
        return None

    def _class_weights(self, domain: Domain) -> Tensor | None:
        classes, y = self.net_.classes, self.net_.task.encode(domain.labels)
        weights = weigh_classes(self.class_weight, classes, y, domain.sample_weight)
        if weights is None:
            return None
        dtype = floating_type(self.net_.module_) or torch.float32
        return torch.as_tensor(weights, device=self.net_.engine.device, dtype=dtype)
