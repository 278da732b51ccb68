"""Rotated moons: the truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.datasets import make_shifted_moons
from sktransfer.datasets._moons import CENTRE


def distance_to_moons(X, y):
    """Return how far each row is from its arc: circles about (0, 0) and (1, 0.5)."""
    centres = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    return np.abs(np.linalg.norm(X - centres, axis=1) - 1)


def turned(X, degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = (X - CENTRE).T
    return np.column_stack([cosine * x - sine * y, sine * x + cosine * y]) + CENTRE


@given(st.floats(-720, 720), st.integers(0, 100))
def test_target_turned_back_lies_on_the_moons(rotation, seed):
    Xs, ys, Xt, yt = make_shifted_moons(20, rotation=rotation, noise=0.0, random_state=seed)
    np.testing.assert_allclose(distance_to_moons(Xs, ys), 0, atol=1e-9)
    np.testing.assert_allclose(distance_to_moons(turned(Xt, -rotation), yt), 0, atol=1e-9)


@given(st.floats(-180, 180), st.integers(0, 100))
def test_full_turns_change_nothing(rotation, seed):
    once = make_shifted_moons(10, rotation=rotation, random_state=seed)
    again = make_shifted_moons(10, rotation=rotation + 360, random_state=seed)
    for a, b in zip(once, again, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_a_quarter_turn_is_counter_clockwise():
    _, _, flat, y = make_shifted_moons(10, rotation=0.0, noise=0.0, random_state=0)
    _, _, turned_, _ = make_shifted_moons(10, rotation=90.0, noise=0.0, random_state=0)
    np.testing.assert_allclose(
        turned_ - CENTRE, np.column_stack([-(flat - CENTRE)[:, 1], (flat - CENTRE)[:, 0]])
    )
    assert sorted(y.tolist()) == [0] * 5 + [1] * 5


def test_domains_are_drawn_independently_and_by_the_seed():
    Xs, _, Xt, _ = make_shifted_moons(50, rotation=0.0, random_state=0)
    assert not np.allclose(np.sort(Xs, axis=0), np.sort(Xt, axis=0))
    np.testing.assert_array_equal(Xs, make_shifted_moons(50, rotation=0.0, random_state=0)[0])


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"n_samples": 1}, "n_samples"),
        ({"n_samples": 2.5}, "n_samples"),
        ({"noise": -1}, "noise"),
        ({"rotation": np.inf}, "rotation"),
        ({"rotation": "35"}, "rotation"),
    ],
)
def test_bad_parameters_are_named(params, name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        make_shifted_moons(**params)
