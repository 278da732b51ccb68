"""Rows on disk: whole or not at all, one writer at a time, bounded."""

import errno
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest

from sktransfer.frozen import RowStore, memory_folder
from sktransfer.frozen._digests import digest_rows
from sktransfer.frozen._store import (
    LEFT_SECONDS,
    MOST_SMALL_SHARDS,
    REMOVED,
    UNFINISHED,
    _unfinished,
)

ROWS = np.arange(20.0).reshape(10, 2)
DIGESTS = digest_rows(ROWS)


def filled(folder, max_bytes=None, key="key"):
    store = RowStore(folder, max_bytes)
    with store.writing() as writer:
        writer.add(key, DIGESTS[:4], [ROWS[:4], ROWS[:4, 0].astype(int)])
        writer.add(key, DIGESTS[4:8], [ROWS[4:8], ROWS[4:8, 0].astype(int)])
    return store


def shards_in(folder):
    return sorted(folder.glob("*/shard-*"))


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
    assert len(found.shards) == 2


def test_other_keys_and_folders_have_other_rows(tmp_path):
    filled(tmp_path / "a")
    assert RowStore(tmp_path / "a", None).find("other", DIGESTS).missing.all()
    assert RowStore(tmp_path / "b", None).find("key", DIGESTS).missing.all()


def test_many_small_shards_become_one(tmp_path):
    store = RowStore(tmp_path, None)
    rows = np.arange(100.0).reshape(100, 1)
    digests = digest_rows(rows)
    with store.writing() as writer:
        for i in range(100):
            writer.add("key", digests[i : i + 1], [rows[i : i + 1]])
    assert len(shards_in(tmp_path)) == 100 - 3 * MOST_SMALL_SHARDS
    found = store.find("key", digests)
    np.testing.assert_array_equal(found.take(0, np.arange(100)), rows)


def test_large_shards_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr("sktransfer.frozen._store.SMALL_BYTES", 1)
    store = RowStore(tmp_path, None)
    with store.writing() as writer:
        for i in range(MOST_SMALL_SHARDS + 2):
            writer.add("key", DIGESTS[i % 10 : i % 10 + 1], [ROWS[i % 10 : i % 10 + 1]])
    assert len(shards_in(tmp_path)) == MOST_SMALL_SHARDS + 2


def test_a_broken_shard_is_left_out_when_small_ones_become_one(tmp_path):
    store = RowStore(tmp_path, None)
    with store.writing() as writer:
        for _ in range(MOST_SMALL_SHARDS):
            writer.add("key", DIGESTS[:2], [ROWS[:2]])
        shards_in(tmp_path)[3].write_bytes(b"")
        kept = writer.add("key", DIGESTS[2:4], [ROWS[2:4]])
        assert len(shards_in(tmp_path)) == 1
        assert len(kept.digests) == 2 * MOST_SMALL_SHARDS
    np.testing.assert_array_equal(store.find("key", DIGESTS).take(0, np.arange(4)), ROWS[:4])


def test_unfinished_shards_are_not_read_and_are_cleared_away(tmp_path):
    store = filled(tmp_path)
    whole = shards_in(tmp_path)[0]
    rows = store.find("key", DIGESTS[:8]).missing.sum()
    mine, removed = tmp_path / "key" / f"{_unfinished('x')}", tmp_path / "key" / f"{REMOVED}x"
    whole.rename(mine)
    removed.mkdir()
    assert store.find("key", DIGESTS[:8]).missing.sum() == rows + 4
    with store.writing():
        assert not mine.exists()
        assert not removed.exists()


def test_what_another_machine_writes_is_left_alone_for_a_day(tmp_path):
    store = filled(tmp_path)
    others = tmp_path / "key" / f"{UNFINISHED}elsewhere-x"
    longer = tmp_path / "key" / f"{_unfinished('')}longer-x"
    for path in (others, longer):
        path.touch()
    with store.writing():
        assert others.exists()
        assert longer.exists()
    os.utime(others, times=(time.time() - LEFT_SECONDS - 60,) * 2)
    with store.writing():
        assert not others.exists()


def test_what_was_longest_not_used_goes_first(tmp_path):
    store = filled(tmp_path)
    old, new = shards_in(tmp_path)
    size = old.stat().st_size
    os.utime(old, ns=(0, 0))
    RowStore(tmp_path, 2 * size).shrink()
    assert old.exists()
    RowStore(tmp_path, None).shrink()
    assert old.exists()
    RowStore(tmp_path, 2 * size - 1).shrink()
    assert not old.exists()
    assert new.exists()
    RowStore(tmp_path, 0).shrink()
    assert not new.exists()
    assert store.find("key", DIGESTS).missing.all()
    assert os.listdir(tmp_path / "key") == []


def test_a_use_counts_for_the_shard_that_has_the_row_alone(tmp_path):
    store = filled(tmp_path)
    for path in shards_in(tmp_path):
        os.utime(path, ns=(0, 0))
    store.find("key", DIGESTS[:1])
    used = [path for path in shards_in(tmp_path) if path.stat().st_mtime > 0]
    assert len(used) == 1
    before = used[0].stat().st_mtime_ns
    store.find("key", DIGESTS[:1])
    assert used[0].stat().st_mtime_ns == before  # noted once a minute


def test_rows_found_before_stay_readable_when_their_shard_goes(tmp_path):
    store = filled(tmp_path)
    found = store.find("key", DIGESTS[:8])
    RowStore(tmp_path, 0).shrink()
    np.testing.assert_array_equal(found.take(0, np.arange(8)), ROWS[:8])


def write_slowly(folder, first, log):
    store = RowStore(folder, None)
    with store.writing() as writer:
        with open(log, "a") as file:
            file.write(f"in{first} ")
        time.sleep(0.2)
        writer.add("key", DIGESTS[first : first + 2], [ROWS[first : first + 2]])
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
        unfinished = Path(folder) / "key" / _unfinished("mine")
        unfinished.parent.mkdir(parents=True)
        unfinished.write_bytes(b"half a shard")
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
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"memory='.*file' is a file; give the folder"):
        memory_folder(tmp_path / "file")


def test_a_folder_that_cannot_be_written_to_is_read_with_one_warning(tmp_path, monkeypatch):
    filled(tmp_path)
    store = RowStore(tmp_path, None)
    before = sorted(tmp_path.rglob("*"))
    make_read_only(monkeypatch)
    assert not store.find("key", DIGESTS[:8]).missing.any()
    message = rf"memory: nothing more can be kept in '{tmp_path}' \(Read-only file system\)"
    with pytest.warns(UserWarning, match=message) as warned:
        assert add_twice(store, [ROWS[8:], ROWS[8:, 0].astype(int)]) == [None, None]
    assert len(warned) == 1
    with store.writing() as writer:
        assert writer.add("key", DIGESTS[8:], [ROWS[8:]]) is None
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_is_named_with_the_folder_and_leaves_nothing_behind(tmp_path, monkeypatch):
    store = filled(tmp_path)
    fill_disk(monkeypatch)
    before = sorted(tmp_path.rglob("*"))
    values = [np.zeros((2, 2**17)), np.zeros(2, int)]
    with pytest.warns(UserWarning, match=r"No space left on device.*lower memory_limit") as warned:
        assert add_twice(store, values) == [None, None]
    assert len(warned) == 1
    assert sorted(tmp_path.rglob("*")) == before
    monkeypatch.undo()
    with store.writing() as writer:  # there is room again
        assert writer.add("key", DIGESTS[8:], values) is not None


def test_an_interrupted_writer_leaves_nothing_behind(tmp_path, monkeypatch):
    store = filled(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt), store.writing() as writer:
        writer.add("key", DIGESTS[8:], [ROWS[8:], ROWS[8:, 0].astype(int)])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_shard_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    events = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(handle):
        name = Path(os.readlink(f"/proc/self/fd/{handle}")).name
        events.append(("fsync", name.split("-")[0], os.fstat(handle).st_size))
        fsync(handle)

    def note_rename(source, target):
        events.append(("rename", Path(source).name.split("-")[0], Path(target).stem.split("-")[0]))
        rename(source, target)

    monkeypatch.setattr("os.fsync", note_fsync)
    monkeypatch.setattr("os.rename", note_rename)
    store = RowStore(tmp_path, None)
    with store.writing() as writer:
        writer.add("key", DIGESTS, [ROWS])
    (path,) = shards_in(tmp_path)
    assert [event[:2] for event in events] == [
        ("fsync", "unfinished"),
        ("rename", "unfinished"),
        ("fsync", "key"),
    ]
    assert events[0][2] == path.stat().st_size


def test_many_threads_write_and_read_side_by_side(tmp_path):
    rows = np.arange(600.0).reshape(-1, 1)
    digests = digest_rows(rows)
    wrong = []

    def work(seed):
        random, store = np.random.default_rng(seed), RowStore(tmp_path, 20_000)
        for _ in range(20):
            part = random.permutation(len(rows))[:20]
            found = store.find("key", digests[part])
            there = np.flatnonzero(~found.missing)
            if len(there) and not np.array_equal(found.take(0, there), rows[part[there]]):
                wrong.append(seed)
            with store.writing() as writer:
                if writer.add("key", digests[part], [rows[part]]) is None:
                    wrong.append(seed)
                store.shrink()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert not wrong


def add_twice(store, values):
    with store.writing() as writer:
        return [writer.add("key", DIGESTS[8:], values) for _ in range(2)]


def make_read_only(monkeypatch):
    """Let nothing be written, as on a mount that is only read."""

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("os.utime", "os.rename", "os.unlink", "os.fsync"):
        monkeypatch.setattr(name, refuse)
    monkeypatch.setattr("sktransfer.frozen._store.FileLock", refuse)


def fill_disk(monkeypatch):
    """Let nothing be written to files, as on a disk that is full."""

    def open_full(path, mode="r"):
        if mode[0] not in "xa":
            return open(path, mode)
        Path(path).touch()
        return open("/dev/full", "wb")

    for module in ("_shards", "_temporary"):
        monkeypatch.setattr(f"sktransfer.frozen.{module}.open", open_full, raising=False)
