"""What a pass of a few rows shows of a module: its output, its layers' order, its work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ._layouts import layout_that_fits


@dataclass(frozen=True)
class Probe:
    """What a pass of a few rows has shown of a module.

    Parameters
    ----------
    output : Tensor of shape (n, ...)
        What it returned.
    called : dict of str to int
        Its modules, itself as ``""``, in the order of their first call.
    work : dict of str to float
        FLOPs for one row of its linear, convolution and other weight layers.
    dtype : torch.dtype
        In which the rows came.
    draws : bool
        Whether it drew random numbers, though in evaluation mode.
    ends_in : str or None
        The layer whose output it returned just so, where there is one.
    """

    output: Tensor
    called: dict[str, int]
    work: dict[str, float]
    dtype: torch.dtype
    draws: bool
    ends_in: str | None


@torch.no_grad()
def probe(module: nn.Module, name: str, X: Tensor, wanted: str) -> Probe:
    """Pass a few rows through a module of the user's.

    Raises
    ------
    ValueError
        Where the module cannot take the batch, or gives back no float tensor
        with a row for each of it.
    """
    arrives = f"a batch of shape {tuple(X.shape)} and type {X.dtype}"
    called: dict[str, int] = {}
    work: dict[str, float] = {}
    last: list[tuple[str, object]] = []
    module.eval()
    generator = torch.default_generator.get_state()
    try:
        with _watched(module, len(X), called, work, last):
            output = module(X)
    except Exception as error:
        raise ValueError(
            f"{name} failed on {arrives}: {str(error).rstrip('.')}. It must map such a batch to "
            f"{wanted}.{layout_that_fits(module, X)}"
        ) from error
    is_tensor = isinstance(output, Tensor)
    if is_tensor and output.ndim > 1 and len(output) == len(X) and output.numel() > 0:
        if output.is_floating_point():
            draws = not torch.equal(generator, torch.default_generator.get_state())
            ends_in = next((layer for layer, made in last if made is output), None)
            return Probe(output, called, work, X.dtype, draws, ends_in)
    got = f"shape {tuple(output.shape)}, {output.dtype}" if is_tensor else type(output).__name__
    raise ValueError(f"{name} made of {arrives}: {got}. It must give {wanted}.{_way_out(output)}")


def _way_out(output: object) -> str:
    """Return how to make a tensor of what a module gave instead of one."""
    parts = output if isinstance(output, Mapping) else getattr(output, "__dict__", {})
    named = "sktransfer.backbones.from_transformers(model)"
    if parts.get("last_hidden_state") is not None:
        return f" This is what models of transformers answer: {named} makes features of it."
    if parts.get("logits") is not None:
        return (
            " This is what models of transformers with a head of their own answer: load the model "
            f"without, AutoModel and not AutoModelFor..., and give {named}."
        )
    if isinstance(output, (Mapping, tuple, list)):
        return " Wrap it in a module whose forward returns one of these tensors."
    return ""


@contextlib.contextmanager
def _watched(
    module: nn.Module,
    n_rows: int,
    called: dict[str, int],
    work: dict[str, float],
    last: list[tuple[str, object]],
) -> Iterator[None]:
    """Note the modules called, their work, and the last layer's name and output."""

    def note_call(name: str, *_: object) -> None:
        called.setdefault(name, len(called))

    def note_work(name: str, layer: nn.Module, _: object, output: object) -> None:
        last[:] = last if any(True for _ in layer.children()) else [(name, output)]
        weight = getattr(layer, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1 and isinstance(output, Tensor):
            positions = output.numel() / (n_rows * weight.shape[0])
            work[name] = work.get(name, 0.0) + 2.0 * weight.numel() * positions

    with contextlib.ExitStack() as stack:
        for name, child in module.named_modules():
            for hook in (
                child.register_forward_pre_hook(partial(note_call, name)),
                child.register_forward_hook(partial(note_work, name)),
            ):
                stack.callback(hook.remove)
        yield
