"""Try an installed sktransfer that has only what it depends on: smoke.py PACKAGE."""

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import pickle
import pkgutil
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import sktransfer
from sktransfer import (
    CORAL,
    ImportanceWeightingClassifier,
    PriorTransferClassifier,
    make_transfer_pipeline,
)
from sktransfer.datasets import load_mnist_5k, make_shifted_moons


def check_place_and_version(package: str) -> None:
    """Check that the installed package is the one meant."""
    root = importlib.resources.files("sktransfer")
    assert Path(str(root)).is_relative_to(sys.prefix), f"{root} is not in {sys.prefix}"
    version = sktransfer.__version__
    assert importlib.metadata.version("sktransfer") == version
    named = package.removesuffix(".tar.gz").split("-")[1]
    assert named == version, f"{package} has version {version} inside"
    assert root.joinpath("py.typed").is_file()


def check_modules() -> None:
    """Check that every module can be imported where no extra is installed."""
    extras = ("dask", "matplotlib", "ot", "pandas", "peft", "pytest", "transformers")
    assert not any(importlib.util.find_spec(name) for name in extras)
    for module in pkgutil.walk_packages(sktransfer.__path__, "sktransfer."):
        importlib.import_module(module.name)


def check_estimators() -> None:
    """Check that estimators fit, predict and come back from a pickle."""
    Xs, ys, Xt, _ = make_shifted_moons(200, random_state=0)
    dann = sktransfer.DANNClassifier(max_epochs=20, random_state=0).fit(Xs, ys, X_target=Xt)
    assert dann.score(Xs, ys) > 0.8
    digits, labels = load_mnist_5k(return_X_y=True)
    assert digits.shape[0] == labels.shape[0] == 5000
    rows, labels = digits[:500].reshape(500, -1) / np.float32(255), labels[:500]
    tuned = sktransfer.FineTuneClassifier(random_state=0).fit(
        rows[:400], labels[:400], rows[400:], labels[400:]
    )
    for estimator, X in ((dann, Xt), (tuned, rows)):
        twin = pickle.loads(pickle.dumps(estimator))
        np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))


def check_estimators_without_torch() -> None:
    """Check that what needs no network fits and predicts, and imports no torch."""
    Xs, ys, Xt, yt = make_shifted_moons(200, random_state=0)
    aligned = make_transfer_pipeline(CORAL(), LogisticRegression())
    assert aligned.fit(Xs, ys, X_target=Xt).predict(Xt).shape == yt.shape
    weighted = ImportanceWeightingClassifier(random_state=0).fit(Xs, ys, X_target=Xt)
    assert weighted.score(Xt, yt) > 0.6
    prior = PriorTransferClassifier(random_state=0).fit(Xs, ys, Xt[:20], yt[:20])
    assert prior.score(Xt[20:], yt[20:]) > 0.6
    assert "torch" not in sys.modules


if __name__ == "__main__":
    name = Path(sys.argv[1]).name
    check_place_and_version(name)
    check_estimators_without_torch()
    check_modules()
    check_estimators()
    print(f"{name}: fits, predicts and pickles")
