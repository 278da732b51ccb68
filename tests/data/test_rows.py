"""Rows as a device takes them: what stays in memory, and what a batch of it is."""

import numpy as np
import pytest
import scipy.sparse
import torch
from torch.overrides import TorchFunctionMode

from sktransfer.adaptation._some_rows import even_rows
from sktransfer.data._rows import DenseRows, make_rows
from sktransfer.data._sampler import DomainRows

CPU = torch.device("cpu")


def test_small_integers_stay_in_memory_and_are_cast_by_batch():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    rows = make_rows(images, CPU, torch.float32)
    assert rows.rows.dtype == torch.uint8
    assert rows.rows.data_ptr() == images.ctypes.data
    assert rows.take(torch.tensor([1])).dtype == torch.float32
    np.testing.assert_array_equal(rows.take(torch.tensor([1, 0])).numpy(), images[::-1])


def test_sparse_rows_equal_dense_rows_and_are_never_dense_as_a_whole():
    X = scipy.sparse.random(30, 7, density=0.3, format="csr", random_state=0)
    rows = make_rows(X, CPU, torch.float64)
    assert rows.rows is X
    order = torch.tensor([3, 3, 29, 0])
    np.testing.assert_array_equal(rows.take(order).numpy(), X.toarray()[order])
    np.testing.assert_array_equal(rows.slice(5, 9).numpy(), X.toarray()[5:9])


def test_read_only_arrays_give_no_warning():
    X = np.ones((3, 2))
    X.setflags(write=False)
    assert make_rows(X, CPU, torch.float64).take(torch.tensor([0])).sum() == 2


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array])
def test_numbers_with_a_fraction_are_no_integers(kind):
    whole, broken = np.array([[1.0, 0.0]]), np.array([[1.5, 0.0]])
    assert make_rows(kind(whole), CPU, torch.int64).slice(0, 1).tolist() == [[1, 0]]
    with pytest.raises(ValueError, match="whole"):
        make_rows(kind(broken), CPU, torch.int64)


class IndexesOnTheSameDevice(TorchFunctionMode):
    """Refuses what a GPU refuses, and other devices do not."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.index_select:
            assert args[0].device == args[2].device
        return function(*args, **(kwargs or {}))


def test_numbers_of_rows_may_come_from_the_cpu():
    rows = DenseRows(np.ones((5, 2)), torch.device("meta"), torch.float32)
    with IndexesOnTheSameDevice():
        assert rows.take(torch.tensor([0, 3])).shape == (2, 2)
        assert even_rows(DomainRows(rows)).slice(1, 4).shape == (3, 2)
