"""Rotated moons: the truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_moons

from sktransfer.datasets import make_shifted_moons
from sktransfer.datasets._moons import CENTRE


def turned(X, degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = (X - CENTRE).T
    return np.column_stack([cosine * x - sine * y, sine * x + cosine * y]) + CENTRE


def arc(label, n):
    """Return a noise-free moon by a plain loop, from left to right."""
    angles = [math.pi * i / max(n - 1, 1) for i in range(n)]
    if label == 0:
        return sorted((math.cos(t), math.sin(t)) for t in angles)
    return sorted((1 - math.cos(t), 0.5 - math.sin(t)) for t in angles)


@given(st.integers(2, 30), st.floats(-720, 720), st.integers(0, 100))
def test_both_domains_are_the_known_arcs(n_samples, rotation, seed):
    Xs, ys, Xt, yt = make_shifted_moons(n_samples, rotation=rotation, noise=0.0, random_state=seed)
    for X, y in ((Xs, ys), (turned(Xt, -rotation), yt)):
        for label, n in ((0, n_samples // 2), (1, n_samples - n_samples // 2)):
            moon = X[y == label]
            np.testing.assert_allclose(moon[moon[:, 0].argsort()], arc(label, n), atol=1e-9)


def test_no_rotation_leaves_the_second_draw_of_make_moons():
    generator = np.random.RandomState(3)
    draws = [make_moons(20, noise=0.1, random_state=generator) for _ in range(2)]
    Xs, ys, Xt, yt = make_shifted_moons(20, rotation=0.0, noise=0.1, random_state=3)
    np.testing.assert_array_equal(Xs, draws[0][0])
    np.testing.assert_array_equal(ys, draws[0][1])
    np.testing.assert_allclose(Xt, draws[1][0], atol=1e-12)
    np.testing.assert_array_equal(yt, draws[1][1])


def test_numbers_of_numpy_are_numbers():
    params = {"rotation": np.int64(35), "noise": np.float32(0.25), "random_state": 0}
    plain = make_shifted_moons(np.int64(10), rotation=35, noise=0.25, random_state=0)
    for a, b in zip(make_shifted_moons(10, **params), plain, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_seed_leaves_the_global_generator():
    state = np.random.get_state()
    make_shifted_moons(10, random_state=0)
    np.testing.assert_equal(np.random.get_state(), state)


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
        ({"noise": np.inf}, "noise"),
        ({"noise": None}, "noise"),
        ({"rotation": np.inf}, "rotation"),
        ({"rotation": np.nan}, "rotation"),
        ({"rotation": "35"}, "rotation"),
    ],
)
def test_bad_parameters_are_named(params, name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        make_shifted_moons(**params)
