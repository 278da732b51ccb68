"""Docstring text that several estimators share, written once."""

from __future__ import annotations

import textwrap
from typing import TypeVar

T = TypeVar("T", bound=type)

BODY_PARAMETERS = """\
feature_extractor : torch.nn.Module, callable or None, default=None
    The body, ``(n, *input_shape) -> (n, ...)``, flattened to features. A
    module is copied, never changed; a callable gets the shape of one row, for
    example ``(3, 28, 28)``, and returns a module. Rows arrive in the type of the
    module's weights (integers, where it holds an ``nn.Embedding``). None
    builds an MLP with ReLU by `hidden_layer_sizes`, in the type of `X`.
"""

ADAPTATION_PARAMETERS = """\
label_classifier : torch.nn.Module, callable or None, default=None
    The head that maps features to class logits. A callable gets ``(n_features,
    n_classes)``. None is one linear layer.
lambda_ : float, default=1.0
    Weight of the adaptation; 0 trains on the source alone (where a target is
    given, batch normalisation still predicts with its statistics).
lambda_schedule : {"ramp", "constant"} or callable, default="ramp"
    Factor of `lambda_` over the training progress ``p`` in [0, 1]: "ramp" is
    ``2 / (1 + exp(-10 p)) - 1``, a callable gets ``p``.
entropy_weight : float, default=0.0
    Weight of the mean entropy of the predictions on target batches (natural
    logarithm), added to the loss under the same schedule as `lambda_`. It
    sharpens decisions on the target: a gain where its classes lie apart, a
    loss where they overlap.
hidden_layer_sizes : int or sequence of int, default=(100,)
    Widths of the MLP body, where `feature_extractor` is None.
learning_rate : float, default=1e-3
    Step size of the optimizer.
batch_size : int, default=64
    Most rows of each domain in a training step.
max_epochs : int, default=100
    Passes over the longer domain; the shorter one cycles meanwhile.
"""

OPTIMIZER_PARAMETERS = """\
optimizer : {"adam", "adamw", "rmsprop", "sgd"} or callable, default="adam"
    "sgd" has momentum 0.9. A callable is called with ``(params, lr=...)``, for
    example ``functools.partial(torch.optim.SGD, nesterov=True, momentum=0.9)``.
learning_rate_schedule : {"constant", "cosine", "dann"} or callable, default="constant"
    Factor of the learning rate over the training progress ``p`` in [0, 1]: "cosine"
    is ``(1 + cos(pi p)) / 2``, "dann" that paper's ``1 / (1 + 10 p) ** 0.75``, a
    callable gets ``p``.
"""

TRAINING_PARAMETERS = """\
callbacks : list of skorch callbacks or None, default=None
    Called during training, as skorch does; copies of them are used.
device : str or torch.device, default="auto"
    "auto" is CUDA where there is one, else the CPU.
random_state : int, RandomState instance or None, default=None
    Decides initial weights, dropout and the order of rows.
warm_start : bool, default=False
    Whether `fit` goes on from the last fit's network and optimizer, with the
    learning rate, batch size, epochs and callbacks as they are now; schedules
    start anew.
verbose : int or bool, default=0
    Whether to show a progress bar with losses and accuracies.
"""

FITTED_ATTRIBUTES = """\
classes_ : ndarray of shape (n_classes,)
    The labels that `predict` answers with.
n_features_in_ : int
    Size of the second axis of `X`.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Column names of `X`, where it has string names.
input_shape_ : tuple of int
    Shape of one row.
n_iter_ : int
    Epochs trained.
history_ : skorch History
    For each epoch the means of ``label_loss`` and of the method's other losses,
    their sum ``train_loss``, the ``learning_rate`` at its end, the seconds
    ``dur``, and what else the method tells (adaptation ``domain_loss``,
    ``lambda``; fine-tuning ``stage``): ``history_[:, "label_loss"]``.
net_ : skorch NeuralNet
    The trained net; ``net_.module_`` is the network.
"""

BLOCKS = {
    "body_parameters": BODY_PARAMETERS,
    "adaptation_parameters": ADAPTATION_PARAMETERS,
    "optimizer_parameters": OPTIMIZER_PARAMETERS,
    "training_parameters": TRAINING_PARAMETERS,
    "fitted_attributes": FITTED_ATTRIBUTES,
}


def with_shared_docs(cls: T) -> T:
    """Fill ``{body_parameters}`` and the like in the docstring of a class."""
    doc = cls.__doc__
    if doc is not None:  # python -OO strips docstrings
        for name, text in BLOCKS.items():
            block = textwrap.indent(text.rstrip(), "    ").lstrip()
            doc = doc.replace(f"{{{name}}}", block)
        cls.__doc__ = doc
    return cls
