"""Photos to blend with digits: given, read from a folder or downloaded."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from sklearn.datasets import fetch_file

# One commit, not a branch: the same seed is to give the same images in years to come.
BSDS500_URL = "https://github.com/BIDS/BSDS500/archive/a04b7c6c3a9f0ace74bf205c72a43d32e1c72722.zip"
BSDS500_TRAIN = "*/BSDS500/data/images/train/*.jpg"


def check_photos(photos, height: int, width: int) -> list[np.ndarray]:
    """Return photos as a list, each large enough for a patch.

    Raises
    ------
    TypeError, ValueError
        Naming the photo that is none, and what is wanted.
    """
    if isinstance(photos, np.ndarray) and photos.ndim in (2, 3):
        photos = [photos]
    wanted = "uint8 arrays of shape (H, W, 3), as np.asarray(image.convert('RGB')) with Pillow"
    if isinstance(photos, str) or not isinstance(photos, Iterable):
        raise TypeError(f"photos must be a sequence of {wanted}; got {photos!r}.")
    photos = list(photos)
    if not photos:
        raise ValueError(f"photos is empty; give at least one. Photos are {wanted}.")
    for i, photo in enumerate(photos):
        is_array = isinstance(photo, np.ndarray)
        got = f"{photo.dtype} of shape {photo.shape}" if is_array else type(photo).__name__
        coloured = is_array and photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
        if not coloured or photo.shape[0] < height or photo.shape[1] < width:
            raise ValueError(
                f"photos[{i}] is {got}; give {wanted}, and leave out those that are not at least "
                f"{height} high and {width} wide."
            )
    return photos


def import_pillow(caller: str):
    """Return Pillow's `Image`; where it is not installed, an error names the extra."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            f"{caller} reads photos with Pillow; install it: pip install 'sktransfer[examples]'."
        ) from error
    return Image


def read_photos(folder: Path, pillow) -> list[np.ndarray]:
    """Return the pictures of a folder, in the order of their names.

    Raises
    ------
    ValueError
        For a folder without pictures, and for a file that is none.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not files:
        raise ValueError(
            f"photos={str(folder)!r} holds no .jpg, .jpeg or .png files; give a folder of photos, "
            "or None to download those of BSDS500."
        )
    pictures = []
    for file in files:
        try:
            with pillow.open(file) as picture:
                pictures.append(np.asarray(picture.convert("RGB")))
        except pillow.UnidentifiedImageError as error:
            raise ValueError(
                f"photos={str(folder)!r} holds {file.name}, which is no picture: take it out."
            ) from error
    return pictures


def fetch_photos(data_home: Path) -> Path:
    """Download BSDS500, unpack its training photos and return their folder."""
    folder = data_home / "bsds500_train"
    if folder.exists():
        return folder
    # All happens aside and is renamed at the end: a broken run leaves nothing to trip the next.
    with tempfile.TemporaryDirectory(dir=data_home) as aside:
        complete = Path(aside) / "train"
        try:
            archive = fetch_file(BSDS500_URL, folder=aside, local_filename="bsds500.zip")
            unpack_photos(archive, complete)
        except (OSError, zipfile.BadZipFile) as error:
            raise OSError(
                f"The photos of BSDS500 could not be fetched from {BSDS500_URL}: {error}. Try "
                "again later, or give photos=, a folder of photos that you have."
            ) from error
        if not folder.exists():  # another process may have been faster, with the same photos
            complete.rename(folder)
    return folder


def unpack_photos(archive: Path, folder: Path):
    """Unpack the training photos of BSDS500 into a folder."""
    with zipfile.ZipFile(archive) as files:
        photos = [m for m in files.infolist() if PurePosixPath(m.filename).match(BSDS500_TRAIN)]
        if not photos:
            raise OSError(f"the archive holds no {BSDS500_TRAIN}")
        for photo in photos:
            photo.filename = PurePosixPath(photo.filename).name
            files.extract(photo, folder)
