"""Low-rank adapters around a body's layers, by the peft library."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

ADAPTABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)


def adaptable_layers(body: nn.Module, layers: Sequence[str]) -> list[str]:
    """Return those of the layers that a low-rank adapter fits.

    Raises
    ------
    ValueError
        Where there is none.
    """
    modules = {name: body.get_submodule(name) for name in layers}
    adaptable = [
        name
        for name, module in modules.items()
        if isinstance(getattr(module, "base_layer", module), ADAPTABLE)
        and not is_parametrized(module)  # whose weight is made in every pass
    ]
    if layers and not adaptable:
        raise ValueError(
            f"adapter=LoRA() fits linear, convolution and embedding layers, but the layers to "
            f"unfreeze are {list(layers)}. Raise unfreeze_depth, or set adapter=None."
        )
    return adaptable


def add_lora(network: nn.Module, layers: Sequence[str], rank: int) -> None:
    """Put an adapter around each of these layers of ``network.body`` that has none.

    A layer's weight becomes ``W + B A`` with ``A`` of `rank` rows, drawn at random,
    and ``B`` zero at first; ``W`` stays as it is (Hu et al., "LoRA: Low-Rank
    Adaptation of Large Language Models", ICLR 2022, eq. 3, with alpha = rank).
    """
    try:
        import peft
    except ImportError as error:
        raise ImportError(
            "adapter=LoRA() needs the peft library: pip install 'sktransfer[lora]'."
        ) from error
    paths = [f"body.{name}" if name else "body" for name in layers]
    paths = [path for path in paths if not hasattr(network.get_submodule(path), "base_layer")]
    if not paths:
        return
    config = peft.LoraConfig(
        r=rank, lora_alpha=rank, target_modules="|".join(re.escape(path) for path in paths)
    )
    peft.inject_adapter_in_model(config, network)
    del network.peft_config  # its note of this adapter, at which it would stumble the next time


def lora_ranks(body: nn.Module) -> dict[str, int]:
    """Return the rank of each layer's adapter, by the layer's name."""
    return {
        name: next(iter(module.r.values()))
        for name, module in body.named_modules()
        if hasattr(module, "base_layer")
    }
