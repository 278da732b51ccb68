"""VGG16 under the layer names of Keras."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of each block, the number of its convolutions and of their filters.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))

# Five poolings halve a side; a shorter one would vanish.
LEAST_SIDE = 2 ** len(BLOCKS)

# Where the convolutions stand in the ``features`` of torchvision's VGG16.
TORCHVISION_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


class VGG16(nn.Module):
    """The convolutions of VGG16, without its classifier, under the layer names of Keras.

    Five blocks, ``block1_conv1``, ``block1_conv2``, ``block1_pool`` to
    ``block5_conv3``, ``block5_pool``. A convolution is 3 by 3, keeps the size and
    ends in ``max(0, x)``, which is part of the layer; a pooling halves each side,
    rounded down. Images of shape ``(3, 150, 150)`` become 512 maps of 4 by 4.

    Weights are drawn from torch's generator: normal with variance ``2 / fan_in``,
    which keeps the size of the signal through ReLUs (Keras draws them uniform
    with variance ``2 / (fan_in + fan_out)``, half as much); biases are 0. For
    pretrained ones there is `from_torchvision`.

    Parameters
    ----------
    input_shape : tuple of int, default=(3, 150, 150)
        Channels, height and width of an image, channels first. Sides are at least
        32. Images of other sides pass as well.

    Attributes
    ----------
    input_shape : tuple of int
        As given.

    Raises
    ------
    ValueError
        For a shape that is none of an image, and in a pass for images that have
        other channels or sides below 32.

    References
    ----------
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015, configuration D.

    He et al., "Delving Deep into Rectifiers", ICCV 2015, eq. 10 (initial weights).

    Examples
    --------
    >>> import torch
    >>> from sktransfer import FineTuneClassifier
    >>> from sktransfer.backbones import VGG16
    >>> VGG16((3, 150, 150))(torch.zeros(1, 3, 150, 150)).shape
    torch.Size([1, 512, 4, 4])
    >>> clf = FineTuneClassifier(VGG16, unfreeze_depth="block5_conv1")
    """

    def __init__(self, input_shape: tuple[int, int, int] = (3, 150, 150)):
        super().__init__()
        self.input_shape = check_image_shape(input_shape)
        n_in = self.input_shape[0]
        for block, (n_convolutions, n_filters) in enumerate(BLOCKS, start=1):
            for number in range(1, n_convolutions + 1):
                self.add_module(f"block{block}_conv{number}", _make_convolution(n_in, n_filters))
                n_in = n_filters
            self.add_module(f"block{block}_pool", nn.MaxPool2d(2))

    def forward(self, X: Tensor) -> Tensor:
        """Return the maps of the last pooling, shape (n, 512, height // 32, width // 32)."""
        if isinstance(X, Tensor):  # not the stand-in of a symbolic trace
            self._check_images(X)
        for block, (n_convolutions, _) in enumerate(BLOCKS, start=1):
            for number in range(1, n_convolutions + 1):
                X = F.relu(getattr(self, f"block{block}_conv{number}")(X))
            X = getattr(self, f"block{block}_pool")(X)
        return X

    @classmethod
    def from_torchvision(
        cls,
        weights: Mapping[str, Tensor] | str | os.PathLike[str],
        input_shape: tuple[int, int, int] = (3, 150, 150),
    ) -> VGG16:
        """Build the network with the weights of torchvision's ``vgg16``.

        They expect RGB images with values in [0, 1], of which the mean ``(0.485,
        0.456, 0.406)`` of the channels was subtracted and which were divided by
        their standard deviation ``(0.229, 0.224, 0.225)``.

        Parameters
        ----------
        weights : mapping of str to Tensor, str or path
            The state dict, ``torchvision.models.vgg16(weights="DEFAULT").state_dict()``,
            or a file of it as ``torch.save`` writes it. It is copied. What
            torchvision's classifier holds (``classifier.*``) is left out.
        input_shape : tuple of int, default=(3, 150, 150)
            As in `VGG16`; the weights take 3 channels.

        Returns
        -------
        VGG16
            On the CPU, with float32 weights.

        Raises
        ------
        ValueError
            For a file that holds no weights, and where weights of the convolutions
            are missing, have other shapes, or are not the only ones.
        TypeError
            For what is neither mapping nor path.

        Examples
        --------
        >>> import torch
        >>> from sktransfer.backbones import VGG16
        >>> body = VGG16.from_torchvision("vgg16-397923af.pth")  # doctest: +SKIP
        """
        with torch.device("meta"):  # neither memory nor random numbers for what is replaced
            network = cls(input_shape)
        names = {
            f"features.{index}.{kind}": f"{layer}.{kind}"
            for index, layer in zip(TORCHVISION_INDICES, network._convolutions(), strict=True)
            for kind in ("weight", "bias")
        }
        given = _read_state_dict(weights)
        wanted = {old: tuple(network.get_parameter(new).shape) for old, new in names.items()}
        _check_state_dict(given, wanted)
        network.to_empty(device="cpu")
        network.load_state_dict({new: given[old] for old, new in names.items()})
        return network

    def extra_repr(self) -> str:
        """Show `input_shape` in the printed network."""
        return f"input_shape={self.input_shape}"

    def _convolutions(self) -> list[str]:
        return [name for name, child in self.named_children() if isinstance(child, nn.Conv2d)]

    def _check_images(self, X: Tensor) -> None:
        n_channels = self.input_shape[0]
        if X.ndim == 4 and X.shape[1] == n_channels and min(X.shape[2:]) >= LEAST_SIDE:
            return
        hint = ""
        if X.ndim == 4 and X.shape[3] == n_channels:
            hint = " Channels come first: numpy.moveaxis(X, -1, 1) brings them there."
        raise ValueError(
            f"VGG16(input_shape={self.input_shape}) got images of shape {tuple(X.shape[1:])}; it "
            f"takes {n_channels} channels of sides of at least {LEAST_SIDE}, shape "
            f"(n, {n_channels}, height, width).{hint}"
        )


def _make_convolution(n_in: int, n_out: int) -> nn.Conv2d:
    convolution = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1)
    assert convolution.bias is not None
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias)
    return convolution


def check_image_shape(shape: Any) -> tuple[int, int, int]:
    """Return channels, height and width as integers.

    Raises
    ------
    ValueError
        Where they are not three, not positive integers, or sides are too short.
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    whole = all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes)
    if len(sizes) == 3 and whole and sizes[0] > 0 and min(sizes[1:]) >= LEAST_SIDE:
        return int(sizes[0]), int(sizes[1]), int(sizes[2])
    hint = ""
    if len(sizes) == 3 and whole and 0 < sizes[2] <= 4 and min(sizes[:2]) >= LEAST_SIDE:
        hint = f" Channels come first: {(sizes[2], *sizes[:2])}."
    raise ValueError(
        f"input_shape={shape!r} must be (channels, height, width) of an image: three positive "
        f"integers, height and width at least {LEAST_SIDE}, for example (3, 150, 150).{hint}"
    )


def _read_state_dict(weights: Any) -> Mapping[str, Tensor]:
    given = weights
    if isinstance(weights, (str, os.PathLike)):
        try:
            given = torch.load(weights, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, LookupError, RuntimeError, EOFError) as error:
            raise ValueError(
                f"weights={weights!r} is no file of plain tensors, which alone are read "
                f"({type(error).__name__}). Write it by torch.save(model.state_dict(), path)."
            ) from error
    if not isinstance(given, Mapping):
        source = "" if given is weights else f" in {weights!r}"
        raise TypeError(
            f"weights must be a state dict or the path of a file of one; got "
            f"{type(given).__name__}{source}. Of a module, give module.state_dict()."
        )
    return given


def _check_state_dict(given: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError where the convolutions' weights are not exactly what is wanted."""
    missing = [name for name in wanted if name not in given]
    others = [
        name for name in given if name not in wanted and not str(name).startswith("classifier.")
    ]
    wrong = []
    for name in wanted.keys() & given.keys():
        value = given[name]
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if got != wanted[name]:
            wrong.append(f"{name} is {got}, not {wanted[name]}")
    problems = [
        f"{what}: {', '.join(map(str, names[:4]))}" + (", ..." if len(names) > 4 else "")
        for what, names in (
            ("missing", missing),
            ("unknown", others),
            ("of another shape", sorted(wrong)),
        )
        if names
    ]
    if problems:
        raise ValueError(
            f"weights are not those of torchvision's vgg16 for this input_shape: "
            f"{'; '.join(problems)}. Give the state dict of torchvision.models.vgg16 (not vgg16_bn "
            "or vgg19) and an input_shape of 3 channels."
        )
