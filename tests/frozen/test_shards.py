"""A shard is what was written, or it is none."""

import hashlib
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.frozen import RowStore
from sktransfer.frozen._digests import digest_rows
from sktransfer.frozen._found import Shard, as_bytes
from sktransfer.frozen._shards import ALIGNMENT, MAGIC, BrokenShardError, read_shard, write_shard

ROWS = np.arange(20.0).reshape(10, 2)
DIGESTS = digest_rows(ROWS)
ARRAYS = [ROWS, ROWS[:, 0].astype(np.int32), np.empty((10, 0, 3)), ROWS[:, ::-1] > 3]
LAYOUT = (((2,), "float64"), ((), "int32"), ((0, 3), "float64"), ((2,), "bool"))


@pytest.fixture
def path(tmp_path):
    write_shard(tmp_path / "unfinished", "shard", Shard(DIGESTS, ARRAYS))
    assert os.listdir(tmp_path) == ["shard"]
    return tmp_path / "shard"


def test_what_was_written_is_read(path):
    shard = read_shard(path, None, LAYOUT)
    np.testing.assert_array_equal(shard.digests, DIGESTS)
    for found, array in zip(shard.arrays, ARRAYS, strict=True):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
        assert found.ctypes.data % ALIGNMENT == 0 or found.size == 0


def test_a_shard_without_any_of_the_rows_is_not_read_on(path):
    others = set(as_bytes(digest_rows(ROWS + 0.5)))
    assert read_shard(path, others, LAYOUT) is None
    assert read_shard(path, {*others, *as_bytes(DIGESTS[3:4])}, LAYOUT) is not None


@given(st.data())
def test_no_byte_can_change_without_notice(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("shards")
    write_shard(folder / "unfinished", "shard", Shard(DIGESTS, ARRAYS))
    content = bytearray((folder / "shard").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / "shard").write_bytes(content)
    try:
        shard = read_shard(folder / "shard", None, None)
    except BrokenShardError:
        return
    for found, array in zip(shard, (DIGESTS, ARRAYS), strict=True):  # between two arrays
        assert all(np.array_equal(a, b) for a, b in zip(found, array, strict=True))


@pytest.mark.parametrize("size", [0, 5, 16, 40, 700])
def test_no_end_can_be_lost_without_notice(path, size):
    os.truncate(path, size)
    with pytest.raises(BrokenShardError):
        read_shard(path, None, None)


def test_nothing_can_be_added_without_notice(path):
    with open(path, "ab") as file:
        file.write(b"0")
    with pytest.raises(BrokenShardError, match="bytes, not"):
        read_shard(path, None, None)


def test_a_change_after_the_first_reading_is_noticed(path):
    read_shard(path, None, None)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    with pytest.raises(BrokenShardError, match="have changed"):
        read_shard(path, None, None)


def test_content_is_checked_once_as_long_as_the_file_stays(path, monkeypatch):
    checked = []
    monkeypatch.setattr("sktransfer.frozen._shards._check_bytes", lambda *a: checked.append(a))
    read_shard(path, None, None)
    assert not checked  # this process has written it
    os.utime(path, ns=(1, 1))
    for _ in range(3):
        read_shard(path, None, None)
    assert len(checked) == 2  # the digests, the values
    assert [len(described) for _, _, described, _ in checked] == [1, 4]


def test_arrays_of_any_number_of_bytes_are_checked_to_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr("sktransfer.frozen._shards.BLOCK_BYTES", 16)
    for n_bytes in (1, 15, 16, 17, 33):
        path = tmp_path / f"shard{n_bytes}"
        values = np.arange(n_bytes, dtype=np.uint8).reshape(1, -1)
        write_shard(tmp_path / "unfinished", path.name, Shard(DIGESTS[:1], [values]))
        os.utime(path, ns=(1, 1))
        np.testing.assert_array_equal(read_shard(path, None, None).arrays[0], values)


@pytest.mark.parametrize(
    "layout",
    [
        LAYOUT[:3],
        (*LAYOUT, ((), "int32")),
        (((3,), "float64"), *LAYOUT[1:]),
        (((2,), "float32"), *LAYOUT[1:]),
    ],
)
def test_another_kind_of_value_is_no_value(path, layout):
    with pytest.raises(BrokenShardError, match="holds"):
        read_shard(path, None, layout)


@pytest.mark.parametrize(
    ("digests", "arrays"),
    [
        (DIGESTS, [ROWS[:9]]),
        (DIGESTS, [ROWS, ROWS[:9]]),
        (DIGESTS[:9], [ROWS]),
        (DIGESTS[:, :8], [ROWS]),
        (DIGESTS.view(np.int8), [ROWS]),
    ],
)
def test_rows_and_digests_belong_together(tmp_path, digests, arrays):
    write_shard(tmp_path / "unfinished", "shard", Shard(digests, arrays))
    with pytest.raises(BrokenShardError, match="other numbers of digests and values"):
        read_shard(tmp_path / "shard", None, None)


def test_objects_are_neither_written_nor_read(path, tmp_path):
    with pytest.raises(TypeError, match="cannot be kept"):
        write_shard(tmp_path / "a", "b", Shard(DIGESTS, [np.array([None] * 10)]))
    assert os.listdir(tmp_path) == ["shard"]
    content = path.read_bytes()
    start = len(MAGIC) + 8
    size = int.from_bytes(content[len(MAGIC) : start], "little")
    header = json.loads(content[start : start + size])
    header[1]["dtype"] = "|O"
    changed = json.dumps(header).encode().ljust(size)
    proof = hashlib.sha256(changed).digest()
    path.write_bytes(content[:start] + changed + proof + content[start + size + 32 :])
    with pytest.raises(BrokenShardError, match="holds no numbers"):
        read_shard(path, None, None)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x40
    path.write_bytes(content)


def replace(path, arrays):
    path.unlink()
    write_shard(path.with_name("x"), path.name, Shard(DIGESTS, arrays))


def make_folder(path):
    path.unlink()
    path.mkdir()
    np.save(path / "value0.npy", ROWS)


DAMAGE = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "flipped": flip,
    "text": lambda path: path.write_text("no shard"),
    "header of another length": lambda path: path.write_bytes(MAGIC + b"\xff" * 100),
    "fewer rows": lambda path: replace(path, [ROWS[:5]]),
    "an array less": lambda path: replace(path, []),
    "an array more": lambda path: replace(path, [ROWS, ROWS]),
    "other width": lambda path: replace(path, [ROWS[:, :1]]),
    "other type": lambda path: replace(path, [ROWS.astype(np.float32)]),
    "a folder": make_folder,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_broken_shard_is_removed_and_its_rows_are_missing(tmp_path, damage):
    store = RowStore(tmp_path, None)
    layout = (((2,), "float64"),)
    with store.writing() as writer:
        writer.add("key", DIGESTS, [ROWS])
    (path,) = tmp_path.glob("key/shard-*")
    damage(path)
    assert store.find("key", DIGESTS, layout).missing.all()
    assert os.listdir(tmp_path / "key") == []


def test_a_link_is_removed_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "precious").touch()
    (tmp_path / "s" / "key").mkdir(parents=True)
    store = RowStore(tmp_path / "s", 0)
    for name in ("shard-x", "removed-x"):
        (tmp_path / "s" / "key" / name).symlink_to(tmp_path / "victim")
    assert store.find("key", DIGESTS).missing.all()
    with store.writing():
        store.shrink()
    assert os.listdir(tmp_path / "s" / "key") == []
    assert os.listdir(tmp_path / "victim") == ["precious"]


def test_what_cannot_be_read_now_stays(tmp_path, monkeypatch):
    store = RowStore(tmp_path, None)
    with store.writing() as writer:
        writer.add("key", DIGESTS, [ROWS])

    def refuse(*args):
        raise OSError("too many open files")

    monkeypatch.setattr("sktransfer.frozen._shards.open", refuse, raising=False)
    assert store.find("key", DIGESTS).missing.all()
    monkeypatch.undo()
    assert not store.find("key", DIGESTS).missing.any()
