"""Handwritten digits, plain and blended with photos (MNIST-M)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import fetch_openml, get_data_home, load_sample_images
from sklearn.utils import Bunch

from ..validation._arguments import check_path, check_random_state
from ._photos import check_photos, fetch_photos, import_pillow, read_photos

_DESCR_M = """Digits on photos (MNIST-M)
--------------------------

Digits, binarised, blended with random patches of colour photos by the absolute
difference of each channel: the target domain of the DANN paper (Ganin et al.,
JMLR 17, 2016, section 5.2.4). Images are uint8, channels first. Photos:

{photos}

"""


def load_mnist_5k(*, return_X_y: bool = False) -> Any:
    """Load 5,000 MNIST digits that come with the package, 500 of each class, shuffled.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch or (data, target)
        ``data`` uint8 of shape (5000, 28, 28), 0 to 255; ``target`` int64 of
        shape (5000,); ``target_names``, a list of str; ``DESCR``, with source and
        licence (CC BY-SA 3.0).

    References
    ----------
    LeCun et al., "Gradient-based learning applied to document recognition", IEEE 86 (1998).

    Examples
    --------
    >>> from sktransfer.datasets import load_mnist_5k
    >>> load_mnist_5k().data.shape
    (5000, 28, 28)
    """
    folder = resources.files(__package__) / "data"
    with (folder / "mnist_5k.npz").open("rb") as file, np.load(file) as digits:
        data, target = digits["data"], digits["target"].astype(np.int64)
    return _bunch(data, target, (folder / "mnist_5k.rst").read_text("utf-8"), return_X_y)


def make_mnist_m(images: Any, photos: Any, *, random_state: Any = None) -> np.ndarray:
    """Blend digits with random patches of photos, as MNIST-M was made.

    ``image[c, i, j] = |photo[row + i, column + j, c] - 255 [digit[i, j] > 0]|``, with
    the photo drawn uniformly for each digit, then ``row`` and ``column`` among those
    where a patch fits. Ink inverts the photo, background leaves it.

    Parameters
    ----------
    images : array-like of shape (n, height, width)
        Digits, integer or bool: 0 is background, all above is ink.
    photos : sequence of uint8 ndarray of shape (H, W, 3)
        Colour photos (one alone may stand without a list), each at least as
        large as a digit.
    random_state : int, RandomState instance or None, default=None
        Decides the patches.

    Returns
    -------
    ndarray of shape (n, 3, height, width)
        uint8, channels first, as torch's convolutions take them.

    Raises
    ------
    ValueError, TypeError
        For images or photos of other shapes or types, none of them, or photos
        smaller than a digit.

    References
    ----------
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17 (2016),
    section 5.2.4: a digit inverts the photo, hence grey levels count as full ink here.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.datasets import make_mnist_m
    >>> photo = np.full((30, 30, 3), 100, dtype=np.uint8)
    >>> digit = np.eye(28, dtype=np.uint8)[np.newaxis]
    >>> make_mnist_m(digit, photo, random_state=0)[0, 0, :2, :2]
    array([[155, 100],
           [100, 155]], dtype=uint8)
    """
    images = np.asarray(images)
    if images.ndim != 3 or 0 in images.shape or images.dtype.kind not in "biu":
        raise ValueError(
            "images must be integers of shape (n, height, width), none of them 0; got "
            f"{images.dtype} of shape {images.shape}. Try images > 0, images.reshape."
        )
    height, width = images.shape[1:]
    photos = check_photos(photos, height, width)
    random_state = check_random_state(random_state)
    blended = np.empty((len(images), 3, height, width), dtype=np.uint8)
    for image, digit in zip(blended, images > 0, strict=True):
        photo = photos[random_state.randint(len(photos))]
        row = random_state.randint(photo.shape[0] - height + 1)
        column = random_state.randint(photo.shape[1] - width + 1)
        patch = photo[row : row + height, column : column + width].transpose(2, 0, 1)
        image[...] = np.where(digit, 255 - patch, patch)  # |patch - 255| or |patch - 0|
    return blended


def load_mnist_m_5k(*, random_state: Any = 0, return_X_y: bool = False) -> Any:
    """Blend the shipped digits with scikit-learn's two sample photos, by `make_mnist_m`.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=0
        Decides the patches.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch or (data, target)
        ``data`` uint8 of shape (5000, 3, 28, 28), image for image the digits of
        `load_mnist_5k`; ``target``, ``target_names`` and ``DESCR`` as there.

    Raises
    ------
    ImportError
        Where Pillow, which reads the photos, is not installed.

    References
    ----------
    See `make_mnist_m`.

    Examples
    --------
    >>> from sktransfer.datasets import load_mnist_m_5k
    >>> load_mnist_m_5k().data.shape
    (5000, 3, 28, 28)
    """
    import_pillow("load_mnist_m_5k")
    digits, samples = load_mnist_5k(), load_sample_images()
    data = make_mnist_m(digits.data, samples.images, random_state=random_state)
    descr = _DESCR_M.format(photos=samples.DESCR) + digits.DESCR
    return _bunch(data, digits.target, descr, return_X_y)


def fetch_mnist_m(
    *, data_home: Any = None, photos: Any = None, random_state: Any = 0, return_X_y: bool = False
) -> Any:
    """Make the full MNIST-M: 70,000 digits of OpenML on the photos of BSDS500.

    Both are downloaded once, kept in `data_home` and blended by `make_mnist_m`. The
    recipe is the paper's; the patches are drawn anew, so no image equals its own.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder for downloads; None is scikit-learn's `get_data_home`.
    photos : str, path-like or None, default=None
        Folder with photos (.jpg, .jpeg or .png), taken in the order of their
        names; None downloads BSDS500 (for research) and keeps its 200 training photos.
    random_state : int, RandomState instance or None, default=0
        Decides the patches.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch or (data, target)
        ``data`` uint8 of shape (70000, 3, 28, 28), the last 10,000 being MNIST's
        test images; ``target`` int64 of shape (70000,); ``target_names``; ``DESCR``.

    Raises
    ------
    ValueError
        Where the folder holds no photos, or photos smaller than a digit.
    ImportError
        Where Pillow is not installed.
    OSError
        Where a download fails or is no archive of photos.

    References
    ----------
    Arbelaez et al., "Contour Detection and Hierarchical Image Segmentation", TPAMI 33 (2011).

    Examples
    --------
    >>> from sktransfer.datasets import fetch_mnist_m
    >>> fetch_mnist_m().data.shape  # doctest: +SKIP
    (70000, 3, 28, 28)
    """
    pillow = import_pillow("fetch_mnist_m")
    data_home = Path(get_data_home(data_home))
    folder = fetch_photos(data_home) if photos is None else Path(check_path(photos, "photos"))
    pictures = read_photos(folder, pillow)
    # scikit-learn's other parser needs pandas, and with pandas 3.1 it fails on integer classes.
    mnist = fetch_openml(
        "mnist_784", version=1, as_frame=False, parser="liac-arff", data_home=data_home
    )
    images = mnist.data.astype(np.uint8).reshape(-1, 28, 28)
    data = make_mnist_m(images, pictures, random_state=random_state)
    origin = "BSDS500, training set (for research)" if photos is None else folder
    descr = _DESCR_M.format(photos=origin) + mnist.DESCR
    return _bunch(data, mnist.target.astype(np.int64), descr, return_X_y)


def _bunch(data, target, descr: str, return_X_y: bool):
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=list("0123456789"), DESCR=descr)
