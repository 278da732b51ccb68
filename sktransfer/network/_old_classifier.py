"""Whether a pretrained body still ends in the classifier of its old task."""

from __future__ import annotations

import re

from torch import nn

from .._warning import warn
from ._probe import Probe

# Numbers of classes that networks are pretrained for: ImageNet, with a class for none of them, and
# its larger editions; no number that a layer of features has.
OF_IMAGENET = (1000, 1001, 11221, 21841, 21843)

# Whose models have a classifier under one of these names.
LIBRARIES = ("torchvision", "timm", "transformers")
CLASSIFIERS = ("fc", "classifier", "head", "heads", "last_linear")


def warn_of_old_classifier(body: nn.Module, probed: Probe, name: str) -> None:
    """Warn of features that are an old task's logits, where the last layer tells.

    Parameters
    ----------
    body : Module
        What makes the features.
    probed : Probe
        What a pass of a few rows showed of it.
    name : str
        The parameter that holds it.
    """
    layer = probed.ends_in
    if not layer:
        return
    linear = body.get_submodule(layer)
    if not isinstance(linear, nn.Linear):
        return
    library = type(body).__module__.partition(".")[0]
    named = library in LIBRARIES and layer.partition(".")[0] in CLASSIFIERS
    if not named and linear.out_features not in OF_IMAGENET:
        return
    place = re.sub(r"\.(\d+)", r"[\1]", f"{name}.{layer}")
    warn(
        f"{name} ends in {layer!r}, {linear.in_features} to {linear.out_features}: as it seems the "
        "classifier of the task that it was trained for. Its logits are poor features, and an "
        f"unfreeze_depth counts it. Take it off: {place} = torch.nn.Identity()."
    )
