"""Schedules over the training progress."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.schedules import constant, dann_annealing, dann_ramp

progress = st.floats(0, 1)


@given(progress, st.floats(0.1, 50))
def test_ramp_equals_the_paper_and_stays_in_bounds(p, gamma):
    assert dann_ramp(p, gamma) == pytest.approx(2 / (1 + math.exp(-gamma * p)) - 1)
    assert 0 <= dann_ramp(p, gamma) <= 1


@given(progress)
def test_annealing_equals_the_paper_and_stays_in_bounds(p):
    assert dann_annealing(p) == pytest.approx((1 + 10 * p) ** -0.75)
    assert 0 < dann_annealing(p) <= 1


@given(progress, progress)
def test_ramp_rises_and_annealing_falls(p, q):
    low, high = sorted((p, q))
    assert dann_ramp(low) <= dann_ramp(high)
    assert dann_annealing(low) >= dann_annealing(high)
    assert constant(low) == constant(high) == 1.0
