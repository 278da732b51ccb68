"""What a file may ask for, checked before it costs time or memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..deep._base import BaseDeepEstimator
from ..network._build import check_layer_sizes
from ..network._network import TransferNetwork

# The parameters of which each makes a child of the network, where that is called otherwise.
PARAMETERS_OF = {
    "body": ("feature_extractor", "backbone"),
    "source_body": ("feature_extractor",),
    "label_head": (
        "label_classifier",
        "label_regressor",
        "head",
        "decoder",
        "projection_layer_sizes",
    ),
}

# Two rows are made up, to see what the network makes of them.
MOST_ROW_ELEMENTS = 2**26

# Default layers beyond these learn nothing, and take long to build.
MOST_LAYERS = 1000

# Outputs of a layer whose inputs a module of the user's decides, so that its size is not known.
MOST_OUTPUTS = 2**16
UNKNOWN = 0

# Numbers that no computation here can take.
LARGEST_INTEGER = 2**63 - 1

# Devices that hold values; another, as torch's "meta", would lose the weights.
DEVICES = ("cpu", "cuda", "mps", "xpu")


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check values that stand in a file, beyond what the estimator says of them.

    Raises
    ------
    ValueError
        For a device without values, and for integers that no tensor can hold.
    """
    for name, value in parameters.items():
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise ValueError(f"{name} is an integer of {len(str(value))} digits")
    device = parameters.get("device", "auto")
    if device != "auto" and str(device).partition(":")[0] not in DEVICES:
        raise ValueError(f"device={device!r} holds no weights; load(path, device='cpu') does")


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Check what is read off an estimator after `fit`, in whatever class.

    Raises
    ------
    ValueError, LookupError, TypeError
        For rows of no possible shape.
    """
    shape, source_shape = attributes["input_shape_"], attributes.get("source_shape_")
    _check_shape(shape)
    if source_shape is not None:
        _check_shape(source_shape)
    if attributes.get("n_features_in_", shape[0]) != shape[0]:
        raise ValueError(f"n_features_in_={attributes['n_features_in_']!r} is not {shape[0]}")
    sources = attributes.get("domains_")
    if sources is not None and not (isinstance(sources, np.ndarray) and sources.ndim == 1):
        raise ValueError(f"domains_={sources!r} does not name sources")
    for prefix, of_rows in (("", shape), ("source_", source_shape or shape)):
        names = attributes.get(f"{prefix}feature_names_in_")
        if names is not None and not (
            isinstance(names, np.ndarray)
            and names.shape == of_rows[:1]
            and all(isinstance(name, str) for name in names.tolist())
        ):
            raise ValueError(
                f"{prefix}feature_names_in_={names!r} does not name the {of_rows[0]} features"
            )


def _check_shape(shape: Any) -> None:
    if not (type(shape) is tuple and shape and all(type(s) is int and s > 0 for s in shape)):
        raise ValueError(f"rows of shape {shape!r} cannot be")
    if math.prod(shape) > MOST_ROW_ELEMENTS:
        raise ValueError(f"rows of shape {shape} have more than {MOST_ROW_ELEMENTS:,} numbers")


def check_sizes(estimator: BaseDeepEstimator, tensors: Mapping[str, Tensor]) -> None:
    """Refuse sizes of which the file holds no weights, before memory is taken for them.

    Raises
    ------
    ValueError
        Where default layers by the parameters would be more, or hold more weights, than
        the tensors.
    """
    chains = _default_chains(estimator)
    n_layers = sum(len(chain) - 1 for chain in chains)
    if n_layers > min(MOST_LAYERS, len(tensors)):
        raise ValueError(f"{n_layers} layers are not in it, or are more than {MOST_LAYERS:,}")
    held, wanted = sum(tensor.numel() for tensor in tensors.values()), 0
    for chain in chains:
        for n_in, n_out in pairwise(chain):
            if n_in == UNKNOWN and n_out > MOST_OUTPUTS:
                raise ValueError(
                    f"{n_out} outputs upon a module of the user's are more than {MOST_OUTPUTS:,}"
                )
            wanted += n_in * n_out
    if wanted > held:
        raise ValueError(
            f"default layers of {wanted} weights, with {chains} inputs and outputs, are not in "
            f"it: its tensors hold {held} numbers"
        )


def _default_chains(estimator: BaseDeepEstimator) -> list[list[int]]:
    """List inputs and outputs of the default layers one after the other."""
    given = {name for name, value in estimator.get_params(deep=False).items() if value is not None}
    sizes = {
        name.removesuffix("_layer_sizes"): check_layer_sizes(getattr(estimator, name), name)
        for name in given
        if name.endswith("_layer_sizes")
    }
    widths = sizes.pop("hidden", [])
    features = [UNKNOWN]
    chains: list[list[int]] = []
    for shape, parameters in _bodies(estimator):
        if given.isdisjoint(parameters):
            chains.append([*shape, *widths])
            features = chains[0][-1:]
    if given.isdisjoint(PARAMETERS_OF["label_head"]):
        chains.append([*features, estimator._fitted_task().n_outputs])
    return chains + [[*features, *sizes[n]] for n in sizes if f"{n}_classifier" not in given]


def _bodies(estimator: BaseDeepEstimator) -> list[tuple[tuple[int, ...], tuple[str, ...]]]:
    """List the shape of a row that each body gets, and the parameters of which it may be made."""
    source_shape = getattr(estimator, "source_shape_", None)
    if source_shape is None:
        return [(estimator.input_shape_, PARAMETERS_OF["body"])]
    return [
        (estimator.input_shape_, ("target_feature_extractor",)),
        (source_shape, PARAMETERS_OF["source_body"]),
    ]


def owner_of(estimator: BaseDeepEstimator, child: str) -> str:
    """Return the parameter of which a child of the network was made, or the child's name."""
    if child == "body" and getattr(estimator, "source_shape_", None) is not None:
        return "target_feature_extractor"
    parameters = estimator.get_params(deep=False)
    owners = [owner for owner in PARAMETERS_OF.get(child, ()) if owner in parameters]
    return owners[0] if owners else child


def check_structure(network: TransferNetwork, structure: Any, tensors: Iterable[Tensor]) -> None:
    """Refuse adapters of ranks of which the file holds no weights.

    A rank ``r`` for a layer with a weight of shape ``(n_out, ...)`` and ``n`` numbers
    costs at least ``r (n_out + n / n_out)``. A plain number counts kept rows of features.

    Raises
    ------
    ValueError, AttributeError, TypeError
        Where the ranks by layer cost more than the tensors hold, or there is no such layer.
    """
    held, wanted = sum(tensor.numel() for tensor in tensors), 0
    for ranks in structure.values():
        wanted += _numbers_in_rows(ranks, network.n_features)
        for layer, rank in ranks.items() if isinstance(ranks, dict) else ():
            weight = network.body.get_submodule(layer).weight
            if not isinstance(weight, Tensor) or type(rank) is not int or rank < 1:
                raise ValueError(f"the layer {layer!r} has no adapter of rank {rank!r}")
            wanted += rank * (len(weight) + weight[0].numel())
    if wanted > held:
        raise ValueError(
            f"adapters of {wanted} weights are not in it, or kept rows of so many numbers: it "
            f"holds {held}"
        )


def _numbers_in_rows(n_rows: Any, n_features: int) -> int:
    if type(n_rows) is not int:
        return 0
    if n_rows < 1:
        raise ValueError(f"it keeps {n_rows} rows of features")
    return n_rows * n_features


def find_nonfinite(network: nn.Module) -> str | None:
    """Name a weight that is not finite, or a buffer with NaN; a mask may hold infinities."""
    for name, weight in network.named_parameters():
        if not _readable(weight).isfinite().all():
            return name
    for name, buffer in network.named_buffers():
        if _readable(buffer).isnan().any():
            return name
    return None


def _readable(tensor: Tensor) -> Tensor:
    """Return 8-bit floats, of which torch knows little, as floats of 32 bits."""
    tensor = tensor.detach()
    return (
        tensor.to(torch.float32) if tensor.is_floating_point() and tensor.itemsize == 1 else tensor
    )
