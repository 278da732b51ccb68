"""Digits and digits on photos."""

import io
import runpy
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

from sktransfer.datasets import (
    _mnist,
    _photos,
    fetch_mnist_m,
    load_mnist_5k,
    load_mnist_m_5k,
    make_mnist_m,
)

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"
DRAW = ROOT / "benchmarks" / "draw_mnist_5k.py"
TRAIN = "BSDS500-a04b7c6/BSDS500/data/images/train/"


def noise_photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_shipped_digits_are_five_hundred_of_each():
    digits = load_mnist_5k()
    assert digits.data.shape == (5000, 28, 28)
    assert digits.data.dtype == np.uint8
    assert digits.target.dtype == np.int64
    np.testing.assert_array_equal(np.bincount(digits.target), [500] * 10)
    assert digits.target_names == [str(digit) for digit in range(10)]
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


@pytest.mark.skipif(not (REAL / "mnist.npz").exists(), reason="needs the full MNIST")
@pytest.mark.skipif(not DRAW.exists(), reason="needs the repository")
def test_shipped_digits_can_be_drawn_again():
    with np.load(REAL / "mnist.npz") as mnist:
        X, y = runpy.run_path(str(DRAW))["draw"](mnist["X_train"], mnist["y_train"])
    np.testing.assert_array_equal(X, load_mnist_5k().data)
    np.testing.assert_array_equal(y, load_mnist_5k().target)


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


@given(arrays(np.uint8, (1, 5, 4)), st.integers(0, 1000))
def test_blending_twice_gives_the_photo_back(digit, seed):
    photo = noise_photo(5, 4, seed)  # of the digit's size: one patch alone can be drawn
    once = make_mnist_m(digit, photo, random_state=seed)
    twice = make_mnist_m(digit, once[0].transpose(1, 2, 0), random_state=seed)
    np.testing.assert_array_equal(twice[0], photo.transpose(2, 0, 1))


@given(st.tuples(*[st.integers(1, 6)] * 3), st.integers(0, 1000))
def test_shape_is_channels_first_and_the_seed_decides_all(shape, seed):
    digits, photos = np.ones(shape, dtype=bool), [noise_photo(9, 8, i) for i in range(3)]
    blended = make_mnist_m(digits, photos, random_state=seed)
    assert blended.shape == (shape[0], 3, *shape[1:])
    assert blended.dtype == np.uint8
    np.testing.assert_array_equal(blended, make_mnist_m(digits, photos, random_state=seed))


def test_all_ink_counts_in_full():
    photo = np.full((2, 2, 3), 100, dtype=np.uint8)
    digit = np.array([[[0, 1], [128, 255]]])
    assert make_mnist_m(digit, photo)[0, 0].tolist() == [[100, 155], [155, 155]]


def test_every_patch_of_a_photo_can_be_drawn():
    photo = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    blended = make_mnist_m(np.zeros((200, 1, 1), int), photo, random_state=0)
    assert set(blended[:, 0, 0, 0].tolist()) == set(photo[:, :, 0].ravel().tolist())


def test_blending_changes_neither_its_input_nor_the_global_generator():
    digits, photo = np.eye(4, dtype=int)[None], noise_photo(6, 6)
    copies, state = (digits.copy(), photo.copy()), np.random.get_state()
    make_mnist_m(digits, photo, random_state=0)
    np.testing.assert_array_equal(digits, copies[0])
    np.testing.assert_array_equal(photo, copies[1])
    np.testing.assert_equal(np.random.get_state(), state)


BLANK = np.zeros((1, 4, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    ("images", "photos", "message"),
    [
        (np.zeros((3, 784), int), noise_photo(30, 30), r"images must be .* shape \(3, 784\)"),
        (np.zeros((0, 4, 4), int), noise_photo(30, 30), "images must be .* none of them 0"),
        (np.zeros((1, 0, 4), int), noise_photo(30, 30), "images must be .* none of them 0"),
        (np.full((1, 2, 2), "a"), noise_photo(30, 30), "images must be integers"),
        (BLANK / 255, noise_photo(30, 30), "images must be integers .* float64 .* images > 0"),
        (BLANK, [], "photos is empty"),
        (BLANK, noise_photo(3, 9), r"photos\[0\] is uint8 of shape \(3, 9, 3\).* 4 high"),
        (BLANK, [noise_photo(4, 4), noise_photo(9, 3)], r"photos\[1\] is uint8 of shape \(9, 3, 3"),
        (BLANK, [noise_photo(5, 5) / 255], r"photos\[0\] is float64"),
        (BLANK, [noise_photo(5, 5)[..., 0]], r"photos\[0\] .* \(5, 5\); give uint8"),
        (BLANK, noise_photo(5, 5)[..., 0], r"photos\[0\] .* \(5, 5\); give uint8"),
        (BLANK, [noise_photo(5, 5).tolist()], r"photos\[0\] is list"),
        (BLANK, ["photo.jpg"], r"photos\[0\] is str"),
    ],
)
def test_bad_images_and_photos_are_named(images, photos, message):
    with pytest.raises(ValueError, match=message):
        make_mnist_m(images, photos)


@pytest.mark.parametrize("photos", [None, "folder", Path("folder"), 3])
def test_photos_that_are_no_sequence_are_named(photos):
    with pytest.raises(TypeError, match=f"photos must be a sequence .* got .*{photos}"):
        make_mnist_m(BLANK, photos)


def test_shipped_digits_on_photos_match_the_digits():
    blended, digits = load_mnist_m_5k(), load_mnist_5k()
    assert blended.data.shape == (5000, 3, 28, 28)
    np.testing.assert_array_equal(blended.target, digits.target)
    np.testing.assert_array_equal(blended.data, load_mnist_m_5k(return_X_y=True)[0])
    assert not np.array_equal(blended.data, load_mnist_m_5k(random_state=1).data)
    assert "CC BY-SA 3.0" in blended.DESCR
    assert "china.jpg" in blended.DESCR


def test_missing_pillow_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"load_mnist_m_5k reads photos.*sktransfer\[examples\]"):
        load_mnist_m_5k()


@pytest.fixture
def openml(monkeypatch):
    """Stand in for OpenML's MNIST with 20 of the shipped digits, typed as it types them."""
    digits = load_mnist_5k()

    def fetch_openml(name, *, version, as_frame, parser, data_home):
        assert (name, version, as_frame, parser) == ("mnist_784", 1, False, "liac-arff")
        data = digits.data[:20].reshape(20, 784).astype(np.float64)
        target = digits.target[:20].astype(str).astype(object)
        return Bunch(data=data, target=target, DESCR="MNIST by OpenML")

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
    assert blended.target.dtype == np.int64
    assert "MNIST by OpenML" in blended.DESCR
    X, y = fetch_mnist_m(data_home=tmp_path / "home", photos=tmp_path, return_X_y=True)
    assert X.shape == (20, 3, 28, 28)
    np.testing.assert_array_equal(y, blended.target)


@pytest.mark.skipif(not (REAL / "bsds500_train").exists(), reason="needs BSDS500")
def test_photos_of_bsds500_can_be_blended(openml, tmp_path):
    folder = REAL / "bsds500_train"
    assert len(_photos.read_photos(folder, Image)) == 200
    blended = fetch_mnist_m(data_home=tmp_path, photos=folder)
    assert blended.data.shape == (20, 3, 28, 28)


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """Serve the folder that is returned from this machine, in the place of BSDS500's host."""
    folder = tmp_path / "remote"
    folder.mkdir()
    handler = partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/photos.zip"
        monkeypatch.setattr(_photos, "BSDS500_URL", url)
        yield folder
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def as_jpeg(photo):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "jpeg")
    return file.getvalue()


def zip_files(archive, **contents):
    with zipfile.ZipFile(archive, "w") as files:
        for name, content in contents.items():
            files.writestr(name, content)


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_photos_are_downloaded_once_and_unpacked_into_one_folder(openml, remote, tmp_path):
    photo = as_jpeg(noise_photo(40, 50))
    contents = {
        TRAIN + "0.jpg": photo,
        TRAIN + "Thumbs.db": b"no photo",
        TRAIN.replace("train", "test") + "9.jpg": b"not of these",
        TRAIN + "../../../../../../1.jpg": b"outside",
        "../" + TRAIN + "2.jpg": photo,
    }
    zip_files(remote / "photos.zip", **contents)
    home = tmp_path / "home"
    first = fetch_mnist_m(data_home=home)
    (remote / "photos.zip").unlink()
    np.testing.assert_array_equal(fetch_mnist_m(data_home=home).data, first.data)
    unpacked = ["bsds500_train", "bsds500_train/0.jpg", "bsds500_train/2.jpg"]
    assert files_below(home) == unpacked
    assert {p.name for p in tmp_path.iterdir()} == {"home", "remote"}
    assert "BSDS500" in first.DESCR


def test_a_broken_download_leaves_nothing_behind_and_can_be_tried_again(openml, remote, tmp_path):
    home, archive = tmp_path / "home", remote / "photos.zip"
    archive.write_bytes(b"not a zip")
    with pytest.raises(OSError, match=r"could not be fetched from http.* not a zip .* photos="):
        fetch_mnist_m(data_home=home)
    zip_files(archive, **{"elsewhere/0.jpg": b""})
    with pytest.raises(OSError, match=r"holds no .*train"):
        fetch_mnist_m(data_home=home)
    zip_files(archive, **{TRAIN + "0.jpg": b"cut short" * 9})
    archive.write_bytes(archive.read_bytes().replace(b"cut short", b"cut*short"))
    with pytest.raises(OSError, match="Bad CRC-32"):
        fetch_mnist_m(data_home=home)
    assert files_below(home) == []
    zip_files(archive, **{TRAIN + "0.jpg": as_jpeg(noise_photo(40, 50))})
    assert fetch_mnist_m(data_home=home).data.shape == (20, 3, 28, 28)


def test_a_process_that_was_faster_is_no_error(openml, remote, tmp_path, monkeypatch):
    zip_files(remote / "photos.zip", **{TRAIN + "0.jpg": as_jpeg(noise_photo(40, 50))})
    unpack = _photos.unpack_photos

    def unpack_late(archive, folder):
        unpack(archive, tmp_path / "home" / "bsds500_train")
        unpack(archive, folder)

    monkeypatch.setattr(_photos, "unpack_photos", unpack_late)
    assert fetch_mnist_m(data_home=tmp_path / "home").data.shape == (20, 3, 28, 28)
    assert files_below(tmp_path / "home") == ["bsds500_train", "bsds500_train/0.jpg"]


def test_a_folder_without_photos_is_named(openml, tmp_path):
    with pytest.raises(ValueError, match=r"photos=.* holds no \.jpg, \.jpeg or \.png files"):
        fetch_mnist_m(photos=tmp_path, data_home=tmp_path)
