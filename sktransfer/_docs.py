"""Docstring text of parameters and attributes, each written once."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TypeVar

from ._docs_finetuning import FINETUNING_BLOCKS
from ._docs_multitask import MULTITASK_BLOCKS

T = TypeVar("T", bound=type)

BLOCKS = {
    "body_parameters": """\
feature_extractor : torch.nn.Module, callable or None, default=None
    The body, ``(n, *input_shape) -> (n, ...)``, flattened to features. A
    module is copied, never changed; a callable gets the shape of one row, for
    example ``(3, 28, 28)``, and returns a module. Rows arrive in the type of the
    module's weights; as integers, where it takes no floats (token codes). None
    builds an MLP with ReLU by `hidden_layer_sizes`, in the type of `X`.
""",
    "backbone_parameter": """\
backbone : torch.nn.Module, callable or None, default=None
    The body, ``(n, *input_shape) -> (n, ...)``, flattened to features. A module is
    copied, never changed, and may be pretrained; a callable gets the shape of one row,
    for example ``(1, 28, 28)``, and returns a module. Rows arrive in the type of the
    module's weights; as integers, where it takes no floats (token codes). None builds
    an MLP with ReLU by `hidden_layer_sizes`, in the type of `X`.
""",
    "label_classifier_parameter": """\
label_classifier : torch.nn.Module, callable or None, default=None
    The head that maps features to class logits. A callable gets ``(n_features,
    n_classes)``. None is one linear layer.
""",
    "regression_head_parameter": """\
label_regressor : torch.nn.Module, callable or None, default=None
    The head that maps features to the numbers that are predicted, in units of
    `y_scale_` from `y_mean_`. A callable gets ``(n_features, n_outputs)``. None is one
    linear layer.
""",
    "loss_parameter": """\
loss : {"squared_error", "huber"}, default="squared_error"
    Of what a row is off by, ``r = (y - prediction) / y_scale_``, the mean over outputs of
    ``r^2``; or of ``r^2 / 2`` up to ``|r| = 1`` and ``|r| - 1/2`` beyond, for labels with
    outliers.
""",
    "weight_decay_parameter": """\
weight_decay : float, default={weight_decay}
    How strongly weights are drawn towards zero, which holds them against the noise of few
    rows: each step takes ``learning_rate * weight_decay / sqrt(n_rows)`` of every weight
    off it, whatever the optimizer, in modules that are built by default. Less suits
    numbers with hardly any noise, 0 leaves all weights as they are trained.
""",
    "domain_classifier_parameters": """\
domain_classifier : torch.nn.Module, callable or None, default=None
    The head that maps features to one domain logit (above 0 is target). A
    callable gets ``n_features``. None is an MLP by `domain_layer_sizes`. With
    several sources (`domains`) it has an output for each, sorted by name, and a
    last one for the target; a callable gets ``(n_features, n_sources + 1)``.
domain_layer_sizes : int or sequence of int, default=(100,)
    Widths of the hidden layers of the domain classifier, where
    `domain_classifier` is None; ``()`` makes it linear.
gradient_penalty : float, default={gradient_penalty}
    Weight of a penalty on the slopes of the domain classifier, added to its loss:
    ``mean_i ||dz_i / df_i||^2 * mean_j Var(f_j)`` over the rows of both domains,
    with its logits ``z`` and the features ``f`` held fixed, so that the body learns
    nothing of it. It keeps the two players from swinging round each other. 0 is
    the method as published in 2016.
""",
    "target_loss_parameters": """\
target_loss : {"entropy", "mcc", "bnm"}, callable or None, default={target_loss}
    A loss of the predictions on target batches, weighed by `lambda_` and its schedule
    as the domain loss is: their mean entropy (natural logarithm), their class confusion (as in
    `MCCClassifier`, at temperature 2.5) or their nuclear norm ``-1/n ||P||_*``; a
    callable gets logits of shape ``(n, n_classes)`` and returns a scalar tensor. It
    sharpens decisions on the target: a gain where its classes lie apart, a loss
    where they overlap.
target_loss_weight : float, default={target_loss_weight}
    Its weight beside the domain loss; 0.03 to 0.1 for the entropy, 1 for "mcc".
class_weight : dict, "balanced" or None, default=None
    Weights of the classes in the label losses, scaled to mean 1 over the rows of each
    domain. "balanced" weighs a class by one over its number of rows there.
""",
    "class_weighting_parameter": """\
class_weighting : {"auto", "target"} or None, default={class_weighting}
    For targets that have other shares of the classes than the source, or lack some. None draws
    all rows as often.

    "auto" draws the source's rows by the shares of the target's classes where early predictions
    tell of other shares and are borne out. It predicts up to 2,000 rows of the target at a
    twentieth of the epochs and again at a twelfth. Both times ``1/2 sum_k |e_k - p_k|`` has to be
    above 0.12, and above 1.5 times what chance makes of it, for the shares ``e_k`` of the
    predicted classes and ``p_k`` of the source's, and of those predicted there; seven of eight
    rows have to keep their class, with a mean greatest probability of two thirds the second time;
    and no class of which ten rows are expected may have none. Seven of eight rows of the source
    have to be predicted right, and the shares may leave no gap that is large beside them,
    ``||m_T - sum_k e_k m_k||^2 / sum_j v_j <= 1/3 sum_k |e_k - p_k|`` for the ``e_k`` of the second
    time, with the mean features ``m_T`` of the target and ``m_k`` of the source's classes, and the
    variances ``v_j`` of the source's features. From then on classes of the source
    have the shares ``(1 - w) e_k + w q_k``, with the shares ``q_k`` of the present predictions and
    ``w = 2 / (1 + exp(-10 p)) - 1`` at progress ``p`` (a row more counted of each class).
    Before each epoch from a twentieth to three twentieths of them all it also looks whether
    shares explain the gap between the domains,
    ``1 - ||m_T - sum_k q_k m_k||^2 / ||m_T - sum_k p_k m_k||^2 >= 0.9``, some class has a fifth of
    its share in the source or five times as much, and three of four rows of the source are
    predicted right; by such shares it draws to the end.

    "target" asks for no such evidence: the shares are ``(1 - w) p_k + w q_k`` with the mean
    ``q_k`` of the predicted probabilities (after Cao et al., "Partial Adversarial Domain
    Adaptation", ECCV 2018, whose weights multiply the losses). It is for targets that lack
    classes. Predictions that are wrong about the shares feed on themselves.
""",
    "adaptation_parameters": """\
lambda_ : float, default={lambda_}
    Weight of the adaptation; 0 trains on the source alone (where a target is
    given, batch normalisation still predicts with its statistics).
lambda_schedule : {"ramp", "constant"} or callable, default="ramp"
    Factor of `lambda_` over the training progress ``p`` in [0, 1]: "ramp" is
    ``2 / (1 + exp(-10 p)) - 1``, a callable gets ``p``.
target_weight : float, default=1.0
    Weight of the target rows whose labels `y_target` tells. Up to a batch of them is in every
    step, and ``target_weight min(1, m / n)`` times their mean loss is added to that of the
    source's, with ``m`` and ``n`` the rows of both in the step: at 1 a row counts as one of
    the source does.
hidden_layer_sizes : int or sequence of int, default=(100,)
    Widths of the MLP body, where `feature_extractor` is None.
average_weights : float in [0, 1], default={average_weights}
    Share of the training steps, the last ones, over which the weights are averaged:
    `fit` ends with ``1/n sum_k theta_k`` over their ``n`` steps and with batch
    statistics estimated anew, not with the last step's weights, which in a game of two
    players may be anywhere on their way round each other. ``history_`` shows the
    steps' own losses. 0 keeps the last weights.
learning_rate : float, default={learning_rate}
    Step size of the optimizer for modules of yours. Layers that are built by default (the
    MLP, the linear head, the domain classifier) learn at ``learning_rate * sqrt(100 /
    n_inputs)``, the same relative step for narrow and wide rows.
batch_size : int, default=64
    Most rows of the source, and of the target, in a training step; several sources
    share it evenly.
max_epochs : int, default=100
    Passes over the longer domain; the shorter one cycles meanwhile. Several sources are
    as long as the longest of them times their number.
""",
    **FINETUNING_BLOCKS,
    **MULTITASK_BLOCKS,
    "optimizer_parameters": """\
optimizer : {"adam", "adamw", "game_adam", "rmsprop", "sgd"} or callable, default={optimizer}
    "game_adam" is Adam with ``betas=(0.5, 0.999)``, whose short memory suits players that
    move against each other; "sgd" has momentum 0.9. A callable is called with
    ``(params, lr=...)``, for example ``functools.partial(torch.optim.SGD, nesterov=True,
    momentum=0.9)``.
learning_rate_schedule : {"constant", "cosine", "dann"} or callable, default="constant"
    Factor of the learning rate over the training progress ``p`` in [0, 1]: "cosine"
    is ``(1 + cos(pi p)) / 2``, "dann" that paper's ``1 / (1 + 10 p)^0.75``, a
    callable gets ``p``.
""",
    "pretrained_body_parameters": """\
backbone : torch.nn.Module, callable or None, default=None
    The body that learns, ``(n, *input_shape) -> (n, ...)``, flattened to features. A
    module is copied, never changed; a callable gets the shape of one row and returns a
    module. None builds an MLP with ReLU by `hidden_layer_sizes`, in the type of `X`.
""",
    "pretraining_parameters": """\
hidden_layer_sizes : int or sequence of int, default={hidden_layer_sizes}
    Widths of the MLP, where `backbone` is None; the last is that of the features.
learning_rate : float, default={learning_rate}
    Step size of the optimizer for modules of yours; default layers learn at
    ``learning_rate * sqrt(100 / n_inputs)``.
batch_size : int, default={batch_size}
    Most rows of each domain in a training step.
max_epochs : int, default={max_epochs}
    Passes over the longer domain; the shorter one cycles meanwhile.
""",
    "training_parameters": """\
callbacks : list of skorch callbacks or None, default=None
    Called during training, as skorch does; copies of them are used.
checkpoint : str, path, FitCheckpoint or None, default=None
    File to which `fit` writes its state every minute, and from which the same call goes
    on after the process was killed; or a folder of such files, for a search. A fit that
    is over is returned from it. ``FitCheckpoint(path, every_epochs=5)`` says how often.
device : str or torch.device, default="auto"
    "auto" is CUDA where there is one, else the CPU.
random_state : int, RandomState instance or None, default=None
    Decides initial weights, dropout and the order of rows.
warm_start : bool, default=False
    Whether `fit` goes on from the last fit's network (in adaptation with its
    optimizer, too), with the learning rate, batch size, epochs and callbacks as
    they are now; schedules start anew.
data_parallel : bool, default=False
    True trains in step with the other processes that ``torchrun`` or ``accelerate
    launch`` has started: each takes its share of every batch, of `batch_size` rows
    a domain, and gradients are averaged (extra ``distributed``). All processes
    must be given the same data, and each ends with the same model. Without a
    launcher it changes nothing.
num_workers : int, default=0
    Processes that read ahead the rows of a torch Dataset; 0 reads them here.
verbose : int or bool, default=0
    Whether to show a progress bar with losses and accuracies.
""",
    "classes_attribute": """\
classes_ : ndarray of shape (n_classes,)
    The labels that `predict` answers with.
""",
    "regression_attributes": """\
y_mean_, y_scale_ : ndarray of shape () or (n_outputs,)
    Mean and standard deviation of the labels, weighted where their rows are: training
    is on ``(y - y_mean_) / y_scale_``, and `predict` undoes it.
""",
    "fitted_attributes": """\
n_features_in_ : int
    Size of the second axis of `X`.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Column names of `X`, where it has string names.
input_shape_ : tuple of int
    Shape of one row.
n_iter_ : int
    Epochs trained.
history_ : skorch History
    For each epoch the means of ``label_loss`` and of the method's other losses,
    their sum ``train_loss``, the ``learning_rate`` at its end, the seconds
    ``dur``, and what else the method tells (adaptation ``domain_loss``,
    ``target_loss``, ``"lambda"``; fine-tuning ``stage``): ``history_[:, "label_loss"]``.
net_ : skorch NeuralNet
    The trained net; ``net_.module_`` is the network.
""",
    "target_scorer_parameters": """\
X_target : {array-like, sparse matrix, tensor} of shape (n_target, n_features) or (n_target, ...)
    Rows of the target to score on, at least 2, as the estimator's `predict`
    takes them; for a pipeline, before its transformers. Best rows that are not
    trained on, where there are enough.
""",
    "importance_parameters": """\
loss : {"zero_one", "log_loss", "squared_error"}, default="zero_one"
    ``1[predict(x) != y]`` or ``-log p_y(x)`` of a classifier, ``(y - predict(x))^2`` of a
    regressor (the mean over its outputs).
domain_classifier : scikit-learn classifier or None, default=None
    Tells source from target by features (those of `transform`, or the rows
    themselves where the estimator has none); with `predict_proba`. None is
    logistic regression with ``C = 1 / n_features`` on standardised features, as
    with many features and few rows the usual ``C = 1`` gives weights that are
    wrong by orders of magnitude.
""",
}


def with_shared_docs(cls: T) -> T:
    """Fill ``{body_parameters}`` and the like, and ``default={name}``, in a class's docstring."""
    doc = cls.__doc__
    if doc is not None:  # python -OO strips docstrings
        for name, text in BLOCKS.items():
            block = textwrap.indent(text.rstrip(), "    ").lstrip()
            doc = doc.replace(f"{{{name}}}", block)
        parameters = inspect.signature(cls).parameters
        defaults = {name: _written(parameter.default) for name, parameter in parameters.items()}
        doc = re.sub(r"default=\{(\w+)\}", lambda m: f"default={defaults[m[1]]}", doc)
        cls.__doc__ = doc
    return cls


def _written(default: object) -> str:
    """Return a default as docstrings write it, strings in double quotes."""
    return f'"{default}"' if isinstance(default, str) else repr(default)
