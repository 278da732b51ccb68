"""Domain pairs: shipped (`load_`), generated (`make_`) and downloaded (`fetch_`)."""

from ._mnist import fetch_mnist_m, load_mnist_5k, load_mnist_m_5k, make_mnist_m
from ._moons import make_shifted_moons

__all__ = [
    "fetch_mnist_m",
    "load_mnist_5k",
    "load_mnist_m_5k",
    "make_mnist_m",
    "make_shifted_moons",
]
