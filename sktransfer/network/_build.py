"""How the body and its heads are made: the user's modules as copies, or default ones."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._warning import warn
from ._batch_norm import batch_norms
from ._old_classifier import warn_of_old_classifier
from ._probe import Probe, probe

# Inputs of a layer that learns at the learning rate itself.
REFERENCE_INPUTS = 100

# Makes a module, as the user's callable parameters do.
Builder = Callable[..., nn.Module]


def make_mlp(sizes: Sequence[int], *, activate_last: bool) -> nn.Sequential:
    """Chain linear layers of these sizes with ReLU between (and after the last, if asked)."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*(layers if activate_last else layers[:-1]))


def make_module(
    given: nn.Module | Builder | None, name: str, arguments: tuple[Any, ...], default: Builder
) -> nn.Module:
    """Copy the user's module, or call the user's (or the default) function for one."""
    call = f"{name}({', '.join(map(repr, arguments))})"
    if isinstance(given, nn.Module):
        if any(parameter.is_meta for parameter in given.parameters()):
            raise ValueError(
                f"{name} has weights on the device meta, which holds no numbers; give it weights: "
                f"{name}.to_empty(device='cpu'), then those to start at."
            )
        _refuse_scripted(given, name)
        return _copied(given, name, call)
    try:
        module = (default if given is None else given)(*arguments)
    except Exception as error:
        if isinstance(given, type) and issubclass(given, nn.Module):
            raise ValueError(
                f"{name} is the class {given.__name__}, and {call} failed: "
                f"{str(error).rstrip('.')}. Give a module of it, {name}={given.__name__}(...), or "
                "a callable that takes these arguments and returns a torch.nn.Module."
            ) from error
        raise ValueError(
            f"{call} failed: {str(error).rstrip('.')}. A callable must take these arguments and "
            "return a torch.nn.Module."
        ) from error
    if not isinstance(module, nn.Module):
        raise TypeError(f"{call} returned {module!r}; it must return a torch.nn.Module.")
    _refuse_scripted(module, name)
    if given is None:
        module.is_default = True  # type: ignore[assignment]
    return module


def _copied(given: nn.Module, name: str, call: str) -> nn.Module:
    try:
        return copy.deepcopy(given)
    except Exception as error:
        raise ValueError(
            f"{name} cannot be copied, and fit learns on a copy: {str(error).rstrip('.')}. Often "
            "it keeps what an earlier pass made (then delete that), or a lock or an open file. "
            f"Otherwise give a callable that makes the module; it is called as {call}."
        ) from error


def _refuse_scripted(module: nn.Module, name: str) -> None:
    """Refuse what neither layers nor batch statistics can be found in."""
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise TypeError(
            f"{name} is or holds a TorchScript module, in which neither layers nor batch "
            "statistics can be found. Give the torch.nn.Module that it was made of, with the "
            "weights of its state_dict()."
        )


def rates_by_width(network: nn.Module, rate: float) -> list[dict[str, Any]]:
    """Return parameter groups in which default layers learn at a rate by their inputs.

    A layer with weights of ``n_in`` inputs a unit begins with weights of the order
    ``1/sqrt(n_in)``, and Adam moves each of them by about the rate, whatever the
    gradient. ``rate * sqrt(100 / n_in)`` is the same relative step for narrow and wide
    layers (after Yang and Hu, "Tensor Programs IV", ICML 2021, who scale by width as
    well). Modules of the user's, who may know their rate, learn at `rate`.

    Parameters
    ----------
    network : Module
        What learns.
    rate : float
        Step size of a layer with 100 inputs.

    Returns
    -------
    list of dict
        For an optimizer: ``params``, ``lr`` and, for reading, ``scale``.
    """
    scales: dict[int, float] = {}
    for part in network.modules():
        if getattr(part, "is_default", False):
            for layer in part.modules():
                weight = getattr(layer, "weight", None)
                if isinstance(weight, Tensor) and weight.ndim > 1:
                    scale = math.sqrt(REFERENCE_INPUTS / weight[0].numel())
                    scales |= {id(p): scale for p in layer.parameters(recurse=False)}
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in network.parameters():
        groups.setdefault(scales.get(id(parameter), 1.0), []).append(parameter)
    return [
        {"params": parameters, "lr": rate * scale, "scale": scale}
        for scale, parameters in groups.items()
    ]


def row_types(body: nn.Module, given: torch.dtype, default: torch.dtype) -> list[torch.dtype]:
    """List the types in which rows may be meant to reach the body, the likeliest first.

    Parameters
    ----------
    body : Module
        Its weights say the type of floats; an embedding that it may look up integers.
    given : torch.dtype
        Of the rows as the user gave them.
    default : torch.dtype
        Of floats, for a body without weights.
    """
    floats = floating_type(body) or default
    if not looks_up_integers(body):
        return [floats]
    return [floats, torch.int64] if given.is_floating_point else [torch.int64, floats]


def floating_type(module: nn.Module) -> torch.dtype | None:
    """Return the type of the module's first floating-point weight, if it has any."""
    weights = (p.dtype for p in module.parameters() if p.is_floating_point())
    return next(weights, None)


def looks_up_integers(module: nn.Module) -> bool:
    """Whether the module holds a table of tokens, categories or positions."""
    return any(isinstance(child, (nn.Embedding, nn.EmbeddingBag)) for child in module.modules())


def make_body(
    given: Any,
    name: str,
    X: Tensor,
    default: torch.dtype,
    hidden_layer_sizes: int | Sequence[int],
) -> tuple[nn.Module, Probe]:
    """Return the user's body as a copy, or an MLP, and what a few rows show of it.

    Parameters
    ----------
    given : Module, callable or None
        The user's parameter; a callable gets the shape of one row.
    name : str
        Its name, for messages.
    X : Tensor of shape (n, ...)
        A few rows in the type the user gave.
    default : torch.dtype
        Type of floats, where the body does not say it.
    hidden_layer_sizes : int or sequence of int
        Widths of the MLP, where `given` is None.

    Returns
    -------
    body : Module
        On the CPU.
    probed : Probe
        Its pass of the rows.
    """
    sizes = check_layer_sizes(hidden_layer_sizes, "hidden_layer_sizes")
    if given is None and X.ndim > 2:
        raise ValueError(
            f"{name}=None builds an MLP, which takes 2-D X, but X has rows of shape "
            f"{tuple(X.shape[1:])}. Give a torch module that takes such rows, or flatten them: "
            "X.reshape(len(X), -1)."
        )

    def mlp(input_shape: tuple[int, ...]) -> nn.Module:
        return make_mlp([*input_shape, *sizes], activate_last=True).to(default)

    body = make_module(given, name, (tuple(X.shape[1:]),), mlp).cpu()
    probed = probe_as(row_types(body, X.dtype, default), body, name, X)
    if given is not None:
        warn_of_old_classifier(body, probed, name)
        _warn_of_batch_dependence(body, name)
    return body, probed


def probe_as(types: Sequence[torch.dtype], module: nn.Module, name: str, X: Tensor) -> Probe:
    """Pass a few rows through the user's body, in the first type that it takes.

    Raises
    ------
    ValueError
        What it says of the first type, where it takes none.
    """
    errors = []
    for dtype in types:
        try:
            return probe(module, name, X.to(dtype), "a float tensor of shape (n, ...)")
        except ValueError as error:
            errors.append(error)
    raise errors[0]


def check_layer_sizes(sizes: Any, name: str) -> list[int]:
    """Return widths of layers as a list of positive integers."""
    widths = np.atleast_1d(np.asarray(sizes))
    are_numbers = widths.dtype.kind in "iuf" and widths.ndim == 1
    if not are_numbers or any(int(width) != width or width < 1 for width in widths.tolist()):
        raise ValueError(
            f"{name} must hold positive integers, the widths of the layers; got {sizes!r}."
        )
    return [int(width) for width in widths]


def make_head(
    given: nn.Module | Builder | None,
    name: str,
    features: Tensor,
    n_outputs: int,
    arguments: tuple[Any, ...],
    default: Builder,
) -> nn.Module:
    """Return the user's head as a copy, or the default one, checked on features.

    Parameters
    ----------
    given : Module, callable or None
        The user's parameter; a callable gets `arguments`, as `default` does.
    name : str
        Its name, for messages.
    features : Tensor of shape (n, n_features)
        What the body made of a few rows.
    n_outputs : int
        Columns that the head must give.
    """
    head = make_module(given, name, arguments, default).cpu().to(features.dtype)
    wanted = f"a float tensor of shape (n, {n_outputs})"
    output = probe(head, name, features, wanted).output
    if output.shape != (len(features), n_outputs):
        raise ValueError(
            f"{name} gave shape {tuple(output.shape)} for features of shape "
            f"{tuple(features.shape)}; it must give {wanted}, logits without a final activation."
        )
    _warn_of_activation(head, name)
    _warn_of_batch_dependence(head, name)
    return head


def _warn_of_activation(head: nn.Module, name: str) -> None:
    """Warn of a head that ends in what the loss applies itself."""
    last = list(head.modules())[-1]
    if isinstance(last, (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.LogSigmoid)):
        warn(
            f"{name} ends in {type(last).__name__}, and the loss applies another to what it gives: "
            "it will learn little. Leave the last activation out, a head gives logits."
        )


def _warn_of_batch_dependence(module: nn.Module, name: str) -> None:
    """Warn of layers that predict, too, by the rows that happen to be together."""
    if any(not norm.track_running_stats for norm in batch_norms(module)):
        warn(
            f"{name} normalises by the batch in predict, too (track_running_stats=False): what is "
            "said of a row depends on the rows beside it, and one row by itself is refused. Make "
            "the layers with track_running_stats=True, which keeps the target's statistics."
        )
