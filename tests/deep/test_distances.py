"""Distances by products of matrices are those of plain loops, far from zero as well."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktransfer.deep._distances import squared_distances

values = st.floats(-10, 10, width=32)
floats = arrays(np.float32, (4, 3), elements=values)


def by_loops(rows, others):
    """Return squared distances of all pairs, in double precision."""
    rows, others = rows.detach().double().numpy(), others.detach().double().numpy()
    return np.array(
        [[sum((a[k] - b[k]) ** 2 for k in range(len(a))) for b in others] for a in rows]
    )


def check_within_roundings(rows, others):
    """Assert that no distance is further from that of the loops than dot products may be."""
    centre = others.double().mean(dim=0)
    lengths = [(Z.double() - centre).square().sum(dim=1) for Z in (rows, others)]
    n_roundings = 2 * rows.shape[1] + 8
    bound = n_roundings * torch.finfo(rows.dtype).eps * (lengths[0][:, None] + lengths[1])
    found = squared_distances(rows, others)
    assert found.dtype == rows.dtype
    assert (found >= 0).all()
    assert (abs(found.double().numpy() - by_loops(rows, others)) <= bound.numpy() + 1e-30).all()


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(7, 5, 20), (1, 6, 3), (6, 1, 3), (40, 33, 300)])
def test_distances_are_those_of_loops_wherever_the_rows_are(shape, dtype, offset):
    n_rows, n_others, width = shape
    generator = torch.Generator().manual_seed(0)
    rows, others = (
        (torch.randn(n, width, generator=generator, dtype=torch.float64) + offset).to(dtype)
        for n in (n_rows, n_others)
    )
    check_within_roundings(rows, others + 1)


@given(floats, floats, st.floats(-1e3, 1e3, width=32))
def test_no_rows_lose_more_than_roundings(rows, others, offset):
    check_within_roundings(torch.from_numpy(rows + offset), torch.from_numpy(others + offset))


@given(floats, floats)
def test_the_other_way_round_they_are_the_same(rows, others):
    rows, others = torch.from_numpy(rows).double(), torch.from_numpy(others).double()
    there, back = squared_distances(rows, others), squared_distances(others, rows)
    torch.testing.assert_close(there, back.T, rtol=1e-10, atol=1e-11)


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_of_equal_rows_they_are_zero_and_send_back_nothing(seed, n_rows):
    generator = torch.Generator().manual_seed(seed)
    row = (5 * torch.randn(1, 50, generator=generator)).exp()  # of many magnitudes
    rows = row.repeat(n_rows, 1).requires_grad_()
    distances = squared_distances(rows, rows[: n_rows // 2 + 1])
    distances.sum().backward()
    assert torch.equal(distances, torch.zeros_like(distances))
    assert torch.equal(rows.grad, torch.zeros(n_rows, 50))


def test_roundings_make_none_negative():
    generator = torch.Generator().manual_seed(0)
    ends = torch.randn(2, 300, generator=generator)
    rows = ends.repeat_interleave(50, dim=0)
    check_within_roundings(rows + 1e-6 * torch.randn(100, 300, generator=generator), rows)


def test_gradients_are_those_of_the_formula_and_finite_where_rows_meet():
    generator = torch.Generator().manual_seed(0)
    rows, others = (
        torch.randn(n, 3, generator=generator, dtype=torch.float64, requires_grad=True)
        for n in (5, 4)
    )
    assert torch.autograd.gradcheck(squared_distances, (rows, others))
    assert torch.autograd.gradgradcheck(squared_distances, (rows, others))
    met = torch.cat([others.detach()[:2], rows.detach()[:3]]).requires_grad_()
    weights = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    gradients = torch.autograd.grad((weights * squared_distances(met, others)).sum(), [met, others])
    gaps = (2 * weights[:, :, None] * (met[:, None] - others[None])).detach()
    torch.testing.assert_close(gradients[0], gaps.sum(dim=1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradients[1], -gaps.sum(dim=0), rtol=1e-9, atol=1e-12)
