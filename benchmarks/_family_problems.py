"""The tasks of the deep family: those of `holds.py`, and more of spectra, windows and digits."""

from dataclasses import replace
from functools import partial
from itertools import permutations

import torch
from _holds_features import LastBlock, office_caltech_maps
from _holds_problems import IMAGES, PROBLEMS, Problem, arrays, grey_body, some, spectra, tasks
from other_classes import PAIRS, make_case
from torch import nn
from torch.nn import functional as F

ROWS_OF = {"mnist": 2000, "usps": 1800}  # the sample of Long et al., 2013
TAKEN = {"moons", "spectra", "newsgroups", "office", "digits,objects", "no_shift"}
FIRST = {"visual_words": 2, "windows": 2}
CLASS_SETS = ("partial", "shares")
# What a pretrained network learns on with: small steps, and few of them.
END_TO_END = {"max_epochs": 10, "learning_rate": 1e-4}
# Of most data sets one task: what is chosen without labels is tried on these.
CHOICES = (
    "moons: 35 degrees",
    "spectra: 0 -> 3",
    "newsgroups: comp_vs_sci_1 -> comp_vs_sci_2",
    "office: amazon -> dslr",
    "digits,objects: MNIST -> USPS",
    "no_shift: digits",
)


def lenet():
    """Return two convolutions and a layer of 100 on images of 16x16, with batch statistics."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5, padding=2), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 48, 5, padding=2), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(768, 100), nn.BatchNorm1d(100), nn.ReLU()),
    )


def window_body():
    """Return two convolutions along 1,024 readings, the first of 64, with batch statistics."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 1024)),
        *(nn.Conv1d(1, 16, 64, stride=16), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(16, 32, 5), nn.BatchNorm1d(32), nn.ReLU(), nn.AdaptiveAvgPool1d(4)),
        nn.Flatten(),
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


def class_set(case, pair, seed):
    """Return both domains of a case of `other_classes.py`."""
    Xs, ys, Xt, yt = make_case(case, pair, seed)
    return (Xs, ys), (Xt, yt)


def _family():
    """Return all problems, in the order of the tables."""
    counts, problems = {}, []
    known = {problem.name for problem in PROBLEMS}
    for problem in PROBLEMS:
        name = problem.dataset
        counts[name] = counts.get(name, 0) + 1
        if name not in TAKEN and counts[name] > FIRST.get(name, 0):
            continue
        # Standardised by MNIST, whose border is empty, USPS is out of all bounds.
        own = {"inputs": ("raw" if name == "digits,objects" else "source",)}
        if name == "windows":  # the default MLP reads .22 there
            own = {"inputs": ("raw",), "body": window_body, "settings": {"max_epochs": 30}}
        problems.append(replace(problem, **own))
    pairs = tasks("spectra", spectra, permutations(range(4), 2), inputs=("source",))
    problems += [problem for problem in pairs if problem.name not in known]
    for source, target in (("mnist", "usps"), ("usps", "mnist")):
        load = partial(digit_pair, source, target)
        problems.append(Problem("lenet", f"{source} -> {target}", load, IMAGES, lenet, ("raw",)))
    pairs = [("amazon", "dslr"), ("webcam", "amazon")]
    options = {"settings": END_TO_END, "body": LastBlock, "inputs": ("raw",)}
    problems += tasks("end_to_end", office_caltech_maps, pairs, **options)
    for case in CLASS_SETS:
        for pair in PAIRS:
            load = partial(class_set, case, pair)
            problems.append(Problem(case, pair, load, IMAGES, grey_body, ("raw",)))
    return problems


FAMILY = _family()
