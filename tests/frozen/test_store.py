"""Rows on disk: whole or not at all, one writer at a time, bounded."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import joblib
import numpy as np
import pytest

from sktransfer.frozen._digests import digest_rows
from sktransfer.frozen._store import UNFINISHED, RowStore, memory_folder

ROWS = np.arange(20.0).reshape(10, 2)
DIGESTS = digest_rows(ROWS)


def filled(folder, max_bytes=None, key="key"):
    store = RowStore(folder, max_bytes)
    with store.writing():
        store.add(key, DIGESTS[:4], [ROWS[:4], ROWS[:4, 0].astype(int)])
        store.add(key, DIGESTS[4:8], [ROWS[4:8], ROWS[4:8, 0].astype(int)])
    return store


def test_rows_are_found_by_their_content_in_any_order(tmp_path):
    found = filled(tmp_path).find("key", DIGESTS[[7, 0, 9, 3]])
    assert found.missing.tolist() == [False, False, True, False]
    np.testing.assert_array_equal(found.take(0, np.array([0, 3, 1])), ROWS[[7, 3, 0]])
    np.testing.assert_array_equal(found.take(1, np.array([1])), [0])
    np.testing.assert_array_equal(found.of(np.array([3, 0])).take(0, np.array([1])), ROWS[[7]])
    assert found.n_bytes == 4 * (16 + 8)


def test_values_are_mapped_and_not_read(tmp_path):
    found = filled(tmp_path).find("key", DIGESTS)
    assert all(isinstance(value, np.memmap) for shard in found.shards for value in shard)


def test_other_keys_and_folders_have_other_rows(tmp_path):
    filled(tmp_path / "a")
    assert RowStore(tmp_path / "a", None).find("other", DIGESTS).missing.all()
    assert RowStore(tmp_path / "b", None).find("key", DIGESTS).missing.all()


def test_many_small_shards_become_one(tmp_path):
    store = RowStore(tmp_path, None)
    rows = np.arange(100.0).reshape(100, 1)
    digests = digest_rows(rows)
    with store.writing():
        for i in range(100):
            store.add("key", digests[i : i + 1], [rows[i : i + 1]])
    assert len(list(tmp_path.glob("key/shard-*"))) < 40
    found = store.find("key", digests)
    np.testing.assert_array_equal(found.take(0, np.arange(100)), rows)


def test_unfinished_shards_are_not_read_and_are_cleared_away(tmp_path):
    store = filled(tmp_path)
    left = tmp_path / "key" / f"{UNFINISHED}x"
    left.mkdir()
    np.save(left / "digests.npy", DIGESTS[8:])
    assert store.find("key", DIGESTS[8:]).missing.all()
    with store.writing():
        assert not left.exists()


def test_damaged_shards_are_passed_over(tmp_path):
    store = filled(tmp_path)
    shard = sorted((tmp_path / "key").glob("shard-*"))[0]
    (shard / "value0.npy").write_bytes(b"no array")
    assert store.find("key", DIGESTS[:8]).missing.sum() == 4


def test_what_was_longest_not_used_goes_first(tmp_path):
    store = filled(tmp_path)
    size = sum(f.stat().st_size for f in tmp_path.glob("key/*/*")) // 2
    shards = {s.name: s for s in tmp_path.glob("key/shard-*")}
    by_rows = {len(np.load(s / "digests.npy")): s for s in shards.values()}
    assert set(by_rows) == {4}
    old, new = sorted(shards.values())
    os.utime(old, ns=(0, 0))
    RowStore(tmp_path, size).shrink()
    assert not old.exists()
    assert new.exists()
    RowStore(tmp_path, 0).shrink()
    assert not new.exists()
    assert store.find("key", DIGESTS).missing.all()


def test_rows_found_before_stay_readable_when_their_shard_goes(tmp_path):
    store = filled(tmp_path)
    found = store.find("key", DIGESTS[:8])
    RowStore(tmp_path, 0).shrink()
    np.testing.assert_array_equal(found.take(0, np.arange(8)), ROWS[:8])


def write_slowly(folder, first, log):
    store = RowStore(folder, None)
    with store.writing():
        with open(log, "a") as file:
            file.write(f"in{first} ")
        time.sleep(0.2)
        store.add("key", DIGESTS[first : first + 2], [ROWS[first : first + 2]])
        with open(log, "a") as file:
            file.write(f"out{first} ")


def test_writers_take_turns(tmp_path):
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    writers = [
        context.Process(target=write_slowly, args=(tmp_path / "s", first, log))
        for first in (0, 2, 4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    events = log.read_text().split()
    assert [e.replace("in", "out") for e in events[::2]] == events[1::2]
    assert not RowStore(tmp_path / "s", None).find("key", DIGESTS[:6]).missing.any()


def hang(folder):
    store = RowStore(folder, None)
    with store.writing():
        unfinished = Path(folder) / "key" / f"{UNFINISHED}mine"
        unfinished.mkdir(parents=True)
        np.save(unfinished / "value0.npy", ROWS[:1])
        (Path(folder) / "ready").touch()
        time.sleep(60)


def test_a_killed_writer_leaves_neither_lock_nor_half_a_shard(tmp_path):
    writer = multiprocessing.get_context("fork").Process(target=hang, args=(tmp_path,))
    writer.start()
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    store = filled(tmp_path)
    assert not store.find("key", DIGESTS[:8]).missing.any()
    assert not list(tmp_path.glob(f"*/{UNFINISHED}*"))


def test_memory_is_a_path_or_a_joblib_memory(tmp_path):
    expected = tmp_path / "sktransfer"
    assert memory_folder(str(tmp_path)) == expected
    assert memory_folder(tmp_path) == expected
    assert memory_folder(joblib.Memory(tmp_path, verbose=0)) == expected
    assert memory_folder(joblib.Memory(None)) is None
    with pytest.raises(TypeError, match=r"is neither a path nor a joblib\.Memory"):
        memory_folder(3)
