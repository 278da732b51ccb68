"""Temporary folders go: with their object, or after their process was killed."""

import errno
import gc
import multiprocessing
import os
import platform
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sktransfer.frozen._temporary import LOCK, YOUNG_SECONDS, ArrayFile, TemporaryFolder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Return where temporary folders are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def aged(path):
    old = time.time() - YOUNG_SECONDS - 60
    os.utime(path, times=(old, old))
    return path


def test_a_folder_goes_when_its_object_does(folder):
    made = TemporaryFolder()
    (made.path / "file").touch()
    assert made.path.parent == folder
    del made
    gc.collect()
    assert os.listdir(folder) == []


def test_a_folder_goes_at_once_where_it_is_removed(folder):
    made = TemporaryFolder()
    made.remove()
    assert os.listdir(folder) == []
    made.remove()


def test_a_child_does_not_remove_its_parents_folder(folder):
    made = TemporaryFolder()
    child = multiprocessing.get_context("fork").Process(target=made.remove)
    child.start()
    child.join()
    assert made.path.exists()


def make_and_wait(connection):
    made = TemporaryFolder()
    connection.send(str(made.path))
    time.sleep(60)


def test_what_a_killed_process_left_is_removed_by_the_next(folder):
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    os.environ["TMPDIR"] = str(folder)
    try:
        process = context.Process(target=make_and_wait, args=(there,))
        process.start()
    finally:
        del os.environ["TMPDIR"]
    left = aged(Path(here.recv()))
    (left / "values").touch()
    aged(left)
    TemporaryFolder()
    assert left.exists()  # its process lives
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    TemporaryFolder()
    assert not left.exists()


def test_only_what_is_old_locked_by_nobody_and_of_this_machine_is_removed(folder):
    prefix = f"sktransfer-{platform.node()}-"
    for name in ("other-x", "sktransfer-elsewhere-x", f"{prefix}old", f"{prefix}young"):
        (folder / name).mkdir()
        (folder / name / LOCK).touch()
        if not name.endswith("young"):
            aged(folder / name)
    for name in ("full", "empty"):
        (folder / f"{prefix}{name}").mkdir()
    (folder / f"{prefix}full" / "file").touch()
    for name in ("full", "empty"):
        aged(folder / f"{prefix}{name}")
    (folder / f"{prefix}link").symlink_to(folder / "other-x")
    os.utime(folder / f"{prefix}link", times=(1, 1), follow_symlinks=False)
    made = TemporaryFolder()
    expected = {"other-x", "sktransfer-elsewhere-x", made.path.name}
    expected |= {f"{prefix}{name}" for name in ("young", "full", "link")}
    assert set(os.listdir(folder)) == expected
    assert (folder / "other-x" / LOCK).exists()


def test_an_array_is_written_row_by_row_and_mapped(folder):
    file, rows = ArrayFile(folder / "a"), torch.arange(20).reshape(5, 4).T
    for part in (rows[:1], rows[1:4]):
        file.append(part)
    assert isinstance(file.mapped(), np.memmap)
    assert file.mapped().dtype == np.int64
    np.testing.assert_array_equal(file.mapped(), rows.numpy())


def test_an_array_without_numbers_needs_no_file(folder):
    file = ArrayFile(folder / "a")
    file.append(torch.ones(3, 0, dtype=torch.float32))
    assert (file.mapped().shape, file.mapped().dtype) == ((3, 0), np.float32)


def test_a_full_disk_is_named_with_the_way_out():
    made = TemporaryFolder()
    error = made.full(OSError(errno.ENOSPC, "No space left on device"))
    assert error.errno == errno.ENOSPC
    for part in ("No space left on device", str(made.path), "TMPDIR", "working_memory"):
        assert part in str(error)
