"""Docstring text of networks that learn several tasks."""

from __future__ import annotations

MULTITASK_BLOCKS = {
    "task_network_parameters": """\
backbone : torch.nn.Module, callable or None, default=None
    The body of all tasks, ``(n, *input_shape) -> (n, ...)``, flattened to features. A module is
    copied, never changed; a callable gets the shape of one row and returns a module. None
    builds an MLP with ReLU by `hidden_layer_sizes`, in the type of `X`.
head : torch.nn.Module, callable or None, default=None
    What maps features to the outputs of one task; each task gets its own. A callable gets
    ``(n_features, n_outputs)``. None is one linear layer.
strength : float, default={strength}
    Draws the heads of one kind to their mean, by the penalty above; they start alike. Heads are
    of one kind where `task` says each row's task and the tasks have the same classes, or
    numbers. With a column for each task no head is drawn to another.
weighting : {"uniform", "uncertainty", "pcgrad", "gradnorm"}, default={weighting}
    How the tasks share the body, see above.
gradnorm_alpha : float, default={gradnorm_alpha}
    With "gradnorm" how much more tasks get that are behind in learning: their gradients are to
    have norms in proportion to ``r_t^alpha``. 0 gives all the same norm.
hidden_layer_sizes : int or sequence of int, default={hidden_layer_sizes}
    Widths of the MLP, where `backbone` is None; the last is that of the features.
average_weights : float in [0, 1], default={average_weights}
    Share of the training steps, the last ones, over which the network's weights are averaged.
    0 keeps the last ones.""",
    "task_network_training": """\
learning_rate : float, default={learning_rate}
    Step size of the optimizer for modules of yours; default layers learn at
    ``learning_rate * sqrt(100 / n_inputs)``.
batch_size : int, default={batch_size}
    Most rows in a training step.
max_epochs : int, default={max_epochs}
    Passes over the rows.""",
    "task_weighting": """\
With ``l_t = 1/n sum loss`` over a batch's labels of task ``t``, of ``n`` labels in all, training
minimises ``sum_t w_t l_t + strength/T sum_t ||v_t - mean v||^2 + 1/N sum_t (b_t - mean b)^2``
with the heads' weights ``v_t`` and intercepts ``b_t`` (one row more at the mean; ``N`` labels
in all). `weighting` says what the body learns:

- "uniform": ``w_t = 1``, every label counts alike. `sample_weight` changes that.
- "uncertainty": the noise of each task is learned, ``sum_t d e^-s_t l_t + n_t/n s_t/2`` with
  ``d`` 1/2 for squared errors and 1 for other losses (Kendall et al.); ``w_t = d e^-s_t``.
- "pcgrad": a task's gradient loses what it has against that of another, ``g_i -= (g_i .
  g_j)/||g_j||^2 g_j`` where ``g_i . g_j < 0``, the others in random order and each as it was (Yu
  et al.). ``w_t`` is what ``g_t`` is multiplied by in the sum of what is left.
- "gradnorm": the ``w_t`` move towards norms of the gradients of the body's last layer in
  proportion to ``r_t^alpha``, with ``r_t`` the ratio of a task's loss to that of outputs 0, over
  the tasks' mean (Chen et al.); their sum stays ``T``.

"pcgrad" and "gradnorm" take a backward pass for each task in a batch.""",
    "task_network_attributes": """\
tasks_ : ndarray of shape (n_tasks,)
    Names of the tasks: values of `task`, or names or numbers of columns.
task_layout_ : {"single", "columns", "rows"}
    How labels were given.
weights_ : ndarray of shape (n_epochs, n_tasks)
    ``w_t`` at the end of each epoch (of "pcgrad" its means), as ``history_[:, "weights"]``.""",
    "tasks_of_networks": """\
``fit(X, y, task=task)`` gets one label a row and the row's task, and so do `predict` and `score`;
``fit(X, Y)`` gets a column of labels for each task, where None and NaN are not known. Without
either there is one task, and a warning.""",
    "loss_of_task_networks": "The loss is of a row's standardised error.",
    "task_network_references": """\
References
----------
Kendall, Gal and Cipolla, "Multi-task learning using uncertainty to weigh losses", CVPR 2018,
eqs. 7 and 10. https://arxiv.org/abs/1705.07115

Yu et al., "Gradient surgery for multi-task learning", NeurIPS 2020, algorithm 1.
https://arxiv.org/abs/2001.06782

Chen et al., "GradNorm: gradient normalization for adaptive loss balancing in deep multitask
networks", ICML 2018, eqs. 1 and 2. https://arxiv.org/abs/1711.02257""",
}
