"""Docstring text of what fine-tuning takes."""

FINETUNING_BLOCKS = {
    "finetuning_body_parameters": """\
backbone : torch.nn.Module, callable or None, default=None
    The body, ``(n, *input_shape) -> (n, ...)``, flattened to features: a
    pretrained network without its last layer. A module is copied, never
    changed; a callable gets the shape of one row, for example ``(3, 150, 150)``,
    and returns a module. Rows arrive in the type of its weights; as
    integers, where it takes no floats (token codes). None builds an MLP with ReLU by
    `hidden_layer_sizes`, which starts from random weights and so needs a
    source to learn from.
""",
    "finetuning_head_parameter": """\
head : torch.nn.Module, callable or None, default=None
    What maps features to class logits. A callable gets ``(n_features,
    n_classes)``. None is one linear layer. Where the classes are those of an
    earlier fit, its ``head_`` is the better start.
""",
    "finetuning_regression_head_parameter": """\
head : torch.nn.Module, callable or None, default=None
    What maps features to the numbers that are predicted, in units of `y_scale_` from
    `y_mean_`. A callable gets ``(n_features, n_outputs)``. None is one linear layer.
""",
    "finetuning_parameters": """\
unfreeze_depth : int, "all" or str, default=1
    The layers that learn in step 5. A number means the last so many layers
    that hold weights (batch normalisation is one) and that the features depend on,
    in the order in which the body uses them; 0 leaves all frozen, without step 5
    (feature extraction). ``"last_2_blocks"`` begins with the last two blocks: entries
    of a ``ModuleList`` or ``Sequential``, of one class, such as the layers of a
    transformer. A layer's name, or a glob such as ``"block5_*"``, means the first layer
    it fits and all after it.
unfreezing : Unfreezing or None, default=None
    How these layers learn: discriminative rates (``layer_decay``), one after the
    other (``gradual``), held near their pretrained values (``l2_sp``), held to the
    distances and angles among rows that the pretrained body gives
    (``relational_weight``), without batch normalisation (``freeze_batch_norm``). None
    is ``Unfreezing()``.
source_training : SourceTraining or None, default=None
    Where the body learns from the source first: epochs, step size, and from which
    probability on a row of an unlabelled target is used. None is ``SourceTraining()``.
head_epochs : int, default=100
    Passes over the labelled rows in step 3; 0 goes on to step 5.
learning_rate : float, default=3e-3
    Step size there.
finetune_epochs : int, default=50
    Passes over the labelled rows in step 5. With ``unfreeze_depth="all"`` and
    ``head_epochs=0`` it is plain training of the whole network.
finetune_learning_rate : float, default=3e-4
    Step size there, best a tenth of `learning_rate` or less.
early_stopping : HeldOut or None, default=None
    ``HeldOut(fraction=0.1, patience=10)`` holds out a share of the labelled rows,
    ends a stage after so many epochs without a smaller loss on them, and returns to
    the weights of the best epoch.
augment : callable or None, default=None
    Gets a training batch (a tensor of shape ``(n, *input_shape)``, on the
    device) and returns it augmented. It draws from torch's generator, which
    `random_state` decides. Frozen layers are then computed in each step.
adapter : LoRA or None, default=None
    ``LoRA(rank=8)`` trains, in place of the weights of the layers to unfreeze,
    low-rank additions to them. Needs the extra ``lora``.
frozen_cache : FrozenCache or None, default=None
    What is frozen is computed once. ``FrozenCache(memory="folder")`` shares it among
    the candidates and folds of a search; ``FrozenCache(enabled=False)`` passes each
    batch through the whole body. None is ``FrozenCache()``: kept for one fit.
hidden_layer_sizes : int or sequence of int, default=(100,)
    Widths of the MLP, where `backbone` is None.
""",
    "finetuning_weight_decay_parameter": """\
weight_decay : float, default={weight_decay}
    How strongly the weights of the head, and of a body that learns from the source first, are
    drawn towards zero, which holds them against the noise of few rows: each step takes
    ``learning_rate * weight_decay / sqrt(n_rows)`` of every weight off it, at the stage's rate
    and of its rows, in modules that are built by default. Less suits numbers with hardly any
    noise.
""",
    "finetuning_class_weight_parameter": """\
class_weight : dict, "balanced" or None, default=None
    Weights of the classes, scaled to mean 1 over the rows. "balanced" weighs
    a class by one over its number of rows. They act where the labels are
    those of `classes_`.
""",
}
