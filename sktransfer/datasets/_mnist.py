"""Handwritten digits, plain and blended with photos (MNIST-M)."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_file, fetch_openml, get_data_home, load_sample_images
from sklearn.utils import Bunch, check_random_state

BSDS500_URL = "https://github.com/BIDS/BSDS500/archive/refs/heads/master.zip"
BSDS500_TRAIN = "BSDS500/data/images/train/"

_DESCR_M = """Digits on photos (MNIST-M)
--------------------------

Digits, binarised, blended with random patches of colour photos by the absolute
difference of each channel: the target domain of the DANN paper (Ganin et al.,
JMLR 17, 2016, section 5.2). Images are uint8, channels first.

"""


def load_mnist_5k(*, return_X_y=False):
    """Load 5,000 handwritten digits that come with the package.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch or (data, target)
        ``data`` uint8 of shape (5000, 28, 28), 0 to 255; ``target`` int64 of
        shape (5000,); ``target_names``, a list of str; ``DESCR``, with source and
        licence.

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


def make_mnist_m(images, photos, *, random_state=None):
    """Blend digits with random patches of photos, as MNIST-M was made.

    ``image[c, i, j] = |photo[row + i, column + j, c] - 255 [digit[i, j] > 0]|``, the
    photo and the patch drawn uniformly for each digit.

    Parameters
    ----------
    images : array-like of shape (n, height, width)
        Digits, 0 where there is background.
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
    ValueError
        For images or photos of other shapes or types.

    References
    ----------
    Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17
    (2016), section 5.2 (MNIST -> MNIST-M).

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.datasets import make_mnist_m
    >>> photo = np.full((30, 30, 3), 100, dtype=np.uint8)
    >>> digit = np.eye(28)[np.newaxis]
    >>> make_mnist_m(digit, photo, random_state=0)[0, 0, :2, :2]
    array([[155, 100],
           [100, 155]], dtype=uint8)
    """
    images = np.asarray(images)
    if images.ndim != 3 or len(images) == 0 or images.dtype.kind not in "biuf":
        raise ValueError(
            f"images must be numbers of shape (n, height, width), n > 0; got {images.dtype} of "
            f"shape {images.shape}."
        )
    photos = _check_photos(photos, images.shape[1:])
    random_state = check_random_state(random_state)
    height, width = images.shape[1:]
    blended = np.empty((len(images), 3, height, width), dtype=np.uint8)
    for image, digit in zip(blended, images > 0, strict=True):
        photo = photos[random_state.randint(len(photos))]
        row = random_state.randint(photo.shape[0] - height + 1)
        column = random_state.randint(photo.shape[1] - width + 1)
        patch = photo[row : row + height, column : column + width].transpose(2, 0, 1)
        image[...] = np.where(digit, 255 - patch, patch)  # |patch - 255| or |patch - 0|
    return blended


def load_mnist_m_5k(*, random_state=0, return_X_y=False):
    """Blend the shipped digits with scikit-learn's two sample photos.

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

    Examples
    --------
    >>> from sktransfer.datasets import load_mnist_m_5k
    >>> load_mnist_m_5k().data.shape
    (5000, 3, 28, 28)
    """
    _import_pillow("load_mnist_m_5k")
    digits = load_mnist_5k()
    data = make_mnist_m(digits.data, load_sample_images().images, random_state=random_state)
    return _bunch(data, digits.target, _DESCR_M + digits.DESCR, return_X_y)


def fetch_mnist_m(*, data_home=None, photos=None, random_state=0, return_X_y=False):
    """Make the full MNIST-M: 70,000 digits of OpenML on the photos of BSDS500.

    Both are downloaded once and kept in `data_home`.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        Folder for downloads; None is scikit-learn's `get_data_home`.
    photos : str, path-like or None, default=None
        Folder with photos (.jpg, .jpeg or .png), taken in the order of their
        names; None downloads the 200 training photos of BSDS500.
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
        Where the folder holds no photos.
    ImportError
        Where Pillow is not installed.

    References
    ----------
    Arbelaez et al., "Contour Detection and Hierarchical Image Segmentation",
    IEEE TPAMI 33 (2011): the photos (for research).

    Examples
    --------
    >>> from sktransfer.datasets import fetch_mnist_m
    >>> fetch_mnist_m().data.shape  # doctest: +SKIP
    (70000, 3, 28, 28)
    """
    _import_pillow("fetch_mnist_m")
    data_home = Path(get_data_home(data_home))
    folder = _fetch_photos(data_home) if photos is None else Path(photos)
    pictures = _read_photos(folder)
    mnist = fetch_openml(
        "mnist_784", version=1, as_frame=False, parser="liac-arff", data_home=data_home
    )
    images = mnist.data.reshape(-1, 28, 28)
    data = make_mnist_m(images, pictures, random_state=random_state)
    return _bunch(data, mnist.target.astype(np.int64), _DESCR_M, return_X_y)


def _bunch(data, target, descr: str, return_X_y: bool):
    if return_X_y:
        return data, target
    names = [str(digit) for digit in range(10)]
    return Bunch(data=data, target=target, target_names=names, DESCR=descr)


def _check_photos(photos, smallest: tuple[int, ...]) -> Sequence[np.ndarray]:
    photos = [photos] if isinstance(photos, np.ndarray) and photos.ndim == 3 else list(photos)
    if not photos:
        raise ValueError("photos is empty; give at least one uint8 array of shape (H, W, 3).")
    for i, photo in enumerate(photos):
        shape, dtype = np.shape(photo), getattr(photo, "dtype", type(photo).__name__)
        large = len(shape) == 3 and shape[0] >= smallest[0] and shape[1] >= smallest[1]
        if dtype != np.uint8 or not large or shape[2] != 3:
            raise ValueError(
                f"photos[{i}] is {dtype} of shape {shape}; it must be uint8 of shape (H, W, 3), at "
                f"least {smallest[0]} high and {smallest[1]} wide."
            )
    return photos


def _import_pillow(caller: str):
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            f"{caller} reads photos with Pillow; install it: pip install 'sktransfer[examples]'."
        ) from error
    return Image


def _read_photos(folder: Path) -> list[np.ndarray]:
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not files:
        raise ValueError(
            f"photos={str(folder)!r} holds no .jpg, .jpeg or .png files; give a folder of photos, "
            "or None to download those of BSDS500."
        )
    image = _import_pillow("fetch_mnist_m")
    pictures = []
    for file in files:
        with image.open(file) as picture:
            pictures.append(np.asarray(picture.convert("RGB")))
    return pictures


def _fetch_photos(data_home: Path) -> Path:
    """Download BSDS500, unpack its training photos and return their folder."""
    folder = data_home / "bsds500_train"
    if folder.exists():
        return folder
    archive = fetch_file(BSDS500_URL, folder=data_home, local_filename="bsds500.zip")
    # Unpacked aside and renamed at the end: a broken run leaves no half-filled folder.
    with tempfile.TemporaryDirectory(dir=data_home) as aside:
        complete = Path(aside) / "train"
        complete.mkdir()
        with zipfile.ZipFile(archive) as files:
            for name in files.namelist():
                if BSDS500_TRAIN in name and name.endswith(".jpg"):
                    with files.open(name) as photo, open(complete / Path(name).name, "wb") as copy:
                        shutil.copyfileobj(photo, copy)
        complete.rename(folder)
    Path(archive).unlink()
    return folder
