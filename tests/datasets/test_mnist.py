"""Digits and digits on photos."""

import io
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.utils import Bunch

from sktransfer.datasets import _mnist, fetch_mnist_m, load_mnist_5k, load_mnist_m_5k, make_mnist_m

REAL = Path(__file__).parents[3] / "shared" / "data"


def noise_photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_shipped_digits_are_five_hundred_of_each():
    digits = load_mnist_5k()
    assert digits.data.shape == (5000, 28, 28)
    assert digits.data.dtype == np.uint8
    assert digits.target.dtype == np.int64
    np.testing.assert_array_equal(np.bincount(digits.target), [500] * 10)
    assert "CC BY-SA 3.0" in digits.DESCR
    X, y = load_mnist_5k(return_X_y=True)
    np.testing.assert_array_equal(X, digits.data)
    np.testing.assert_array_equal(y, digits.target)


@pytest.mark.skipif(not (REAL / "mnist.npz").exists(), reason="needs the full MNIST")
def test_shipped_digits_are_digits_of_mnist():
    with np.load(REAL / "mnist.npz") as mnist:
        known = {x.tobytes(): y for x, y in zip(mnist["X_train"], mnist["y_train"], strict=True)}
    X, y = load_mnist_5k(return_X_y=True)
    assert [known[x.tobytes()] for x in X] == y.tolist()


def test_blended_digits_equal_the_recipe_by_plain_loops():
    photos = [noise_photo(30, 33, 0), noise_photo(28, 40, 1)]
    digits = load_mnist_5k().data[:5]
    blended = make_mnist_m(digits, photos, random_state=3)
    rng = np.random.RandomState(3)
    for digit, image in zip(digits, blended, strict=True):
        photo = photos[rng.randint(2)]
        row, column = rng.randint(photo.shape[0] - 27), rng.randint(photo.shape[1] - 27)
        for i in range(28):
            for j in range(28):
                for c in range(3):
                    ink = 255 if digit[i, j] > 0 else 0
                    assert image[c, i, j] == abs(int(photo[row + i, column + j, c]) - ink)


@given(arrays(np.uint8, (2, 5, 4)), st.integers(0, 1000))
def test_ink_inverts_the_photo_and_background_leaves_it(digits, seed):
    photos = [noise_photo(9, 8)]
    blended = make_mnist_m(digits, photos, random_state=seed).astype(int)
    blank = make_mnist_m(np.zeros_like(digits), photos, random_state=seed).astype(int)
    ink = np.repeat((digits > 0)[:, None], 3, axis=1)
    np.testing.assert_array_equal(blended[~ink], blank[~ink])
    np.testing.assert_array_equal(blended[ink], 255 - blank[ink])


def test_every_patch_of_a_photo_can_be_drawn():
    photo = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    blended = make_mnist_m(np.zeros((200, 1, 1)), photo, random_state=0)
    assert set(blended[:, 0, 0, 0].tolist()) == set(photo[:, :, 0].ravel().tolist())


def test_blending_changes_neither_its_input_nor_the_global_generator():
    digits, photo = np.eye(4)[None], noise_photo(6, 6)
    copies, state = (digits.copy(), photo.copy()), np.random.get_state()[1].copy()
    make_mnist_m(digits, photo, random_state=0)
    np.testing.assert_array_equal(digits, copies[0])
    np.testing.assert_array_equal(photo, copies[1])
    np.testing.assert_array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize(
    ("images", "photos", "message"),
    [
        (
            np.zeros((3, 784)),
            noise_photo(30, 30),
            r"images must be .* got float64 of shape \(3, 78",
        ),
        (np.zeros((0, 4, 4)), noise_photo(30, 30), "images must be .* n > 0"),
        (np.full((1, 2, 2), "a"), noise_photo(30, 30), "images must be numbers"),
        (np.zeros((1, 4, 4)), [], "photos is empty"),
        (np.zeros((1, 4, 4)), noise_photo(3, 9), r"photos\[0\] is uint8 of shape \(3, 9, 3\)"),
        (np.zeros((1, 4, 4)), [noise_photo(5, 5) / 255], r"photos\[0\] is float64"),
        (np.zeros((1, 4, 4)), [noise_photo(5, 5)[..., 0]], r"photos\[0\] .* \(5, 5\); it must"),
        (np.zeros((1, 4, 4)), ["photo.jpg"], r"photos\[0\] is str"),
    ],
)
def test_bad_images_and_photos_are_named(images, photos, message):
    with pytest.raises(ValueError, match=message):
        make_mnist_m(images, photos)


def test_shipped_digits_on_photos_match_the_digits():
    blended, digits = load_mnist_m_5k(), load_mnist_5k()
    assert blended.data.shape == (5000, 3, 28, 28)
    np.testing.assert_array_equal(blended.target, digits.target)
    np.testing.assert_array_equal(blended.data, load_mnist_m_5k(return_X_y=True)[0])
    assert not np.array_equal(blended.data, load_mnist_m_5k(random_state=1).data)


def test_missing_pillow_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"load_mnist_m_5k reads photos.*sktransfer\[examples\]"):
        load_mnist_m_5k()


@pytest.fixture
def openml(monkeypatch):
    """Stand in for OpenML's MNIST with 20 of the shipped digits."""
    digits = load_mnist_5k()

    def fetch_openml(name, *, version, as_frame, parser, data_home):
        assert (name, version, as_frame) == ("mnist_784", 1, False)
        return Bunch(data=digits.data[:20].reshape(20, 784), target=digits.target[:20].astype(str))

    monkeypatch.setattr(_mnist, "fetch_openml", fetch_openml)
    return digits


def test_full_mnist_m_is_made_of_a_folder_of_photos(openml, tmp_path):
    for i in range(3):
        Image.fromarray(noise_photo(40, 50, i)).save(tmp_path / f"{i}.png")
    (tmp_path / "readme.txt").write_text("no photo")
    blended = fetch_mnist_m(data_home=tmp_path / "home", photos=tmp_path, random_state=1)
    photos = [noise_photo(40, 50, i) for i in range(3)]
    expected = make_mnist_m(openml.data[:20], photos, random_state=1)
    np.testing.assert_array_equal(blended.data, expected)
    np.testing.assert_array_equal(blended.target, openml.target[:20])


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """Serve the folder that is returned from this machine, in the place of BSDS500's host."""
    folder = tmp_path / "remote"
    folder.mkdir()
    handler = partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/master.zip"
        monkeypatch.setattr(_mnist, "BSDS500_URL", url)
        yield folder
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def as_jpeg(photo):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "jpeg")
    return file.getvalue()


def test_photos_are_downloaded_once_and_unpacked_into_one_folder(openml, remote, tmp_path):
    train = "BSDS500-master/BSDS500/data/images/train/"
    with zipfile.ZipFile(remote / "master.zip", "w") as archive:
        archive.writestr(train + "0.jpg", as_jpeg(noise_photo(40, 50)))
        archive.writestr(train + "Thumbs.db", b"no photo")
        archive.writestr("BSDS500-master/BSDS500/data/images/test/9.jpg", b"not of these")
        archive.writestr(train + "../../../../../../1.jpg", as_jpeg(noise_photo(40, 50)))
    home = tmp_path / "home"
    first = fetch_mnist_m(data_home=home)
    (remote / "master.zip").unlink()
    np.testing.assert_array_equal(fetch_mnist_m(data_home=home).data, first.data)
    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*"))
    assert found == ["home/bsds500_train/0.jpg", "home/bsds500_train/1.jpg"]


def test_a_broken_download_leaves_no_folder_behind(openml, remote, tmp_path):
    (remote / "master.zip").write_bytes(b"not a zip")
    with pytest.raises(zipfile.BadZipFile):
        fetch_mnist_m(data_home=tmp_path / "home")
    assert not (tmp_path / "home" / "bsds500_train").exists()


def test_a_folder_without_photos_is_named(openml, tmp_path):
    with pytest.raises(ValueError, match=r"photos=.* holds no \.jpg, \.jpeg or \.png files"):
        fetch_mnist_m(photos=tmp_path, data_home=tmp_path)
