"""The tasks of the deep family: those of `holds.py`, all pairs of spectra, digits as images."""

from dataclasses import replace
from functools import partial
from itertools import permutations

import torch
from _holds_problems import PROBLEMS, Problem, arrays, some, spectra, tasks
from torch import nn
from torch.nn import functional as F

ROWS_OF = {"mnist": 2000, "usps": 1800}  # the sample of Long et al., 2013
SCREENED = ("moons", "spectra", "newsgroups", "office", "no_shift")
FIRST = {"moons": 2, "spectra": 4, "newsgroups": 2, "office": 2, "no_shift": 1}


def lenet():
    """Return two convolutions and a layer of 100 on images of 16x16, with batch statistics."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5, padding=2), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 48, 5, padding=2), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(768, 100), nn.BatchNorm1d(100), nn.ReLU()),
    )


def digits(name, seed):
    """Return 2,000 or 1,800 digits of 16x16 pixels between 0 and 1."""
    X, y = arrays(name)["X_train"], arrays(name)["y_train"].astype(int)
    X, y = some(X, y, seed, ROWS_OF[name])
    images = torch.tensor(X / 255, dtype=torch.float32)[:, None]
    if name == "mnist":  # its margin of 4 pixels is no matter of the digits
        images = F.interpolate(images[:, :, 4:24, 4:24], (16, 16), mode="bilinear", antialias=True)
    return images.numpy(), y


def digit_pair(source, target, seed):
    """Return both domains."""
    return digits(source, seed), digits(target, seed)


SPECTRA = tasks("spectra", spectra, permutations(range(4), 2), inputs=("source",))
DIGITS = [
    Problem("lenet", f"{s} -> {t}", partial(digit_pair, s, t), {"max_epochs": 20}, lenet, ("raw",))
    for s, t in (("mnist", "usps"), ("usps", "mnist"))
]


def _family():
    """Return all problems by their part: those that defaults are chosen on, and those kept back."""
    parts, counts = {"screened": [], "kept back": []}, {}
    known = {problem.name for problem in PROBLEMS if problem.dataset == "spectra"}
    others = [problem for problem in SPECTRA if problem.name not in known]
    for problem in [*PROBLEMS, *others]:
        if problem.body is not None or problem.dataset == "windows":
            continue
        counts[problem.dataset] = counts.get(problem.dataset, 0) + 1
        screened = counts[problem.dataset] <= FIRST.get(problem.dataset, 0)
        parts["screened" if screened else "kept back"].append(replace(problem, inputs=("source",)))
    parts["kept back"] += DIGITS
    return parts


FAMILY = _family()
