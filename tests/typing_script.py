"""What a user writes, for `mypy --strict`: `make lint` checks it, a test runs it."""

import tempfile
from pathlib import Path

import numpy as np

import sktransfer
from sktransfer import DANNClassifier, FineTuneClassifier, TargetDomain, make_transfer_pipeline
from sktransfer.datasets import make_shifted_moons
from sktransfer.finetuning import SourceTraining
from sktransfer.metrics import mmd, proxy_a_distance
from sktransfer.model_selection import NeighborAgreementScorer, adaptation_report


def main(folder: Path) -> list[float]:
    """Fit, score, save and load; return what was measured."""
    Xs, ys, Xt, yt = make_shifted_moons(60, random_state=0)
    clf = DANNClassifier(max_epochs=2, callbacks=None, device="cpu", random_state=0)
    adapted = clf.fit(Xs, ys, X_target=TargetDomain(Xt))
    labels: np.ndarray = adapted.predict(Xt)
    confident = float(adapted.predict_proba(Xt).max(axis=1).mean())
    agreement: float = NeighborAgreementScorer(Xt)(adapted, Xs, ys)
    tuned = FineTuneClassifier(
        source_training=SourceTraining(epochs=1), head_epochs=1, finetune_epochs=1, random_state=0
    )
    tuned.fit(Xs, ys, X_target=Xt[:20], y_target=yt[:20])
    pipe = make_transfer_pipeline(DANNClassifier(max_epochs=2, random_state=0))
    pipe.fit(Xs, ys, X_target=Xt)
    path = folder / "moons.safetensors"
    sktransfer.save(adapted, path)
    again: np.ndarray = sktransfer.load(path, device="cpu").predict(Xt)
    report = str(adaptation_report(adapted, Xs, ys, Xt))
    distances = [mmd(Xs, Xt), proxy_a_distance(Xs, Xt, random_state=0)]
    known = sktransfer.datasets.load_mnist_5k(return_X_y=True)
    return [
        confident,
        agreement,
        *distances,
        float(np.mean(labels == again)),
        float(len(known)),
        float(len(report)),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(main(Path(name)))
