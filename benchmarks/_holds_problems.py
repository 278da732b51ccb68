"""Pairs of domains on which a default has to hold, with and without a shift, and one that harms.

The data lie in ``$SKTRANSFER_DATA``, by default ``../shared/data`` beside the repository.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import scipy.sparse
import torch
from _holds_features import DATA, office_caltech_features
from _holds_visual_words import office_caltech_words
from PIL import Image
from sklearn.preprocessing import StandardScaler, normalize
from torch import nn
from torch.nn import functional as F

from sktransfer.datasets import (
    load_mnist_5k,
    load_mnist_m_5k,
    make_mnist_m,
    make_shifted_moons,
)

ROWS = 600  # of a domain at most; MNIST-M has 5,000
INPUTS = ("raw", "source", "domain")


@dataclass(frozen=True)
class Problem:
    """A task: rows of two domains, and what the user gives besides (a body, epochs)."""

    dataset: str
    task: str
    load: Callable  # of a seed: (X_source, y_source), (X_target, y_target)
    settings: dict = field(default_factory=dict)
    body: Callable | None = None
    inputs: tuple = INPUTS

    @property
    def name(self):
        """Data set and task."""
        return f"{self.dataset}: {self.task}"

    def rows(self, seed, inputs):
        """Return both domains, their rows as they come or standardised."""
        (Xs, ys), (Xt, yt) = self.load(seed)
        if inputs == "raw":
            return Xs, ys, Xt, yt
        of_source = scaler(Xs)
        of_target = of_source if inputs == "source" else scaler(Xt)
        return of_source(Xs), ys, of_target(Xt), yt


def scaler(X):
    """Return what standardises rows by the columns (or image channels) of these."""
    if scipy.sparse.issparse(X):
        return StandardScaler(with_mean=False).fit(X).transform
    if X.ndim == 2:
        return StandardScaler().fit(X).transform
    axes = (0, *range(2, X.ndim))
    mean, std = X.mean(axes, keepdims=True), X.std(axes, keepdims=True)
    return lambda images: ((images - mean) / std).astype(np.float32)


def some(X, y, seed, n_rows=ROWS):
    """Return a draw of the rows."""
    rows = np.random.default_rng(seed).permutation(X.shape[0])[:n_rows]
    return X[rows], y[rows]


@cache
def arrays(name):
    """Return the arrays of a data file by name."""
    with np.load(DATA / f"{name}.npz") as data:
        return dict(data)


def moons(rotation, seed):
    """Return the package's moons, 300 rows each."""
    Xs, ys, Xt, yt = make_shifted_moons(rotation=rotation, random_state=seed)
    return (Xs, ys), (Xt, yt)


@cache
def windows():
    """Return vibrations, 1,024 readings a row, by load."""
    data = arrays("bearings_fan_end")
    X = data["X"].astype(np.float32)
    return {load: (X[data["load"] == load], data["y"][data["load"] == load]) for load in range(4)}


@cache
def spectra():
    """Return the absolute values of their 513 Fourier coefficients."""
    return {
        load: (np.abs(np.fft.rfft(X)).astype(np.float32), y) for load, (X, y) in windows().items()
    }


@cache
def newsgroups():
    """Return tf-idf of 2,000 words, sparse."""
    data = arrays("newsgroups")
    parts = ("data", "indices", "indptr")
    return {
        name: (
            scipy.sparse.csr_array(
                tuple(data[f"{name}_{part}"] for part in parts),
                shape=(len(data[f"{name}_y"]), 2000),
            ),
            data[f"{name}_y"],
        )
        for name in ("comp_vs_sci_1", "comp_vs_sci_2", "rec_vs_talk_1", "rec_vs_talk_2")
    }


@cache
def digits_objects():
    """Return the JDA paper's digits of 256 and objects of 1,024 pixels."""
    data = arrays("jda_digits_objects")
    return {
        name: (data[f"{name}_X"], data[f"{name}_y"]) for name in ("MNIST", "USPS", "COIL1", "COIL2")
    }


@cache
def visual_words():
    """Return how often each of 800 words is in a photo."""
    return office_caltech_words()


@cache
def visual_words_of_length_1():
    """Return the same, each photo's counts divided by their root of squares."""
    return {domain: (normalize(X), y) for domain, (X, y) in visual_words().items()}


def pair(load, source, target, seed):
    """Return draws of two domains of a data set."""
    domains = load()
    return some(*domains[source], seed), some(*domains[target], seed)


def same_domain(shares, seed):
    """Return halves of the digits, those of the target drawn by class with these shares."""
    X, y = some(*digits_objects()["MNIST"], seed, 2000)
    half = len(X) // 2
    wanted = np.asarray(shares)[y[half:] - 1]
    kept = half + np.flatnonzero(np.random.default_rng(seed).random(len(wanted)) < wanted)
    return (X[:half], y[:half]), (X[kept], y[kept])


def grey_images(name, seed):
    """Return digits of 16x16 pixels between 0 and 1."""
    X, y = arrays(name)["X_train"], arrays(name)["y_train"].astype(int)
    X, y = some(X, y, seed, 2 * ROWS)
    images = torch.tensor(X / 255, dtype=torch.float32)[:, None]
    if name == "mnist":  # its margin of 4 pixels is no matter of the digits
        images = F.interpolate(images[:, :, 4:24, 4:24], (16, 16), mode="bilinear", antialias=True)
    return images.numpy(), y


def usps_mnist(source, target, seed):
    """Return one of both as the source."""
    return grey_images(source, seed), grey_images(target, seed)


@cache
def photos():
    """Return the training photos of BSDS500."""
    files = sorted((DATA / "bsds500_train").glob("*.jpg"))
    return [np.asarray(Image.open(file).convert("RGB")) for file in files]


def colours(X):
    """Return grey images with three channels."""
    return np.repeat(X[:, np.newaxis], 3, axis=1)


def mnist_m(n_rows, seed):
    """Return digits, and other digits on photos of BSDS500."""
    X, y = some(arrays("mnist")["X_train"], arrays("mnist")["y_train"], seed, 2 * n_rows)
    target = make_mnist_m(X[-n_rows:], photos(), random_state=seed)
    return (colours(X[:n_rows]), y[:n_rows]), (target, y[-n_rows:])


def shipped_mnist_m(seed):
    """Return the shipped digits, and the same digits on scikit-learn's two photos."""
    X, y = load_mnist_5k(return_X_y=True)
    return (colours(X), y), load_mnist_m_5k(return_X_y=True)


def convolutions(n_channels, kernel, first=()):
    """Return two convolutions with batch normalisation."""
    layers = list(first)
    for n_in, n_out in ((n_channels, 16), (16, 32)):
        convolution = nn.Conv2d(n_in, n_out, kernel, padding=kernel % 5 // 2)
        layers += [convolution, nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers)


def tasks(dataset, load, pairs, **options):
    """Return a problem for each pair of domains."""
    return [
        Problem(dataset, f"{source} -> {target}", partial(pair, load, source, target), **options)
        for source, target in pairs
    ]


IMAGES = {"max_epochs": 20}
OFFICE = [("amazon", "dslr"), ("webcam", "amazon"), ("caltech10", "webcam"), ("dslr", "caltech10")]
grey_body = partial(convolutions, 1, 3)
colour_body = partial(convolutions, 3, 5)
standardising_body = partial(convolutions, 3, 5, [nn.InstanceNorm2d(3)])
GREY_DIGITS = [
    Problem("grey_images", f"{s} -> {t}", partial(usps_mnist, s, t), IMAGES, grey_body)
    for s, t in (("mnist", "usps"), ("usps", "mnist"))
]
COLOUR_DIGITS = [
    Problem("mnist-m", "raw", partial(mnist_m, 5000), IMAGES, colour_body, ("raw",)),
    Problem("mnist-m", "shipped", shipped_mnist_m, IMAGES, standardising_body, ("raw",)),
]
PROBLEMS = [
    *[Problem("moons", f"{angle} degrees", partial(moons, angle)) for angle in (20, 35, 50)],
    *tasks("spectra", spectra, [(0, 3), (3, 0), (1, 2), (2, 1)]),
    *tasks("windows", windows, [(0, 3), (3, 1)]),
    *tasks(
        "newsgroups",
        newsgroups,
        [
            (f"{pair}_{source}", f"{pair}_{target}")
            for pair in ("comp_vs_sci", "rec_vs_talk")
            for source, target in ((1, 2), (2, 1))
        ],
    ),
    *tasks("office", office_caltech_features, OFFICE),
    *tasks("visual_words", visual_words, OFFICE),
    *tasks("visual_words_1", visual_words_of_length_1, OFFICE, inputs=("raw",)),
    *tasks(
        "digits,objects",
        digits_objects,
        [("MNIST", "USPS"), ("USPS", "MNIST"), ("COIL1", "COIL2"), ("COIL2", "COIL1")],
    ),
    Problem("no_shift", "digits", partial(same_domain, [1.0] * 10)),
    Problem("harm", "two of ten digits", partial(same_domain, [1.0] * 2 + [0.0] * 8)),
    *GREY_DIGITS,
    *COLOUR_DIGITS,
]
FULL = Problem("full_mnist-m", "raw", partial(mnist_m, 30000), IMAGES, colour_body, ("raw",))
