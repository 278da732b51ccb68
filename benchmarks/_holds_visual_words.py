"""Office-Caltech10 as bags of 800 visual words, once: counts of a photo's patches, kept in a file.

    python benchmarks/_holds_visual_words.py

A patch is told by the orientations of its gradients (4 x 4 cells of 4 pixels, 8 orientations, at
three sizes of the photo). Those 400 of a photo with the strongest gradients are counted by the
nearest of 800 words, which k-means has learned from patches of amazon's photos. All photos take
two minutes.
"""

from pathlib import Path

import numpy as np
from _holds_features import DATA, DOMAINS
from PIL import Image
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import get_data_home

COUNTS = Path(get_data_home()) / "sktransfer_office_caltech_words.npz"
SIZES = (224, 160, 112)
CELL, CELLS, ORIENTATIONS = 4, 4, 8
PATCHES, WORDS = 400, 800
LEARNED_FROM = 60_000


def cells(grey):
    """Return the gradient's strength by cell and orientation, shape (rows, columns, 8)."""
    vertical, horizontal = np.gradient(grey)
    strength = np.hypot(vertical, horizontal)
    angle = np.arctan2(vertical, horizontal) % (2 * np.pi)
    orientation = (angle * ORIENTATIONS / (2 * np.pi)).astype(int) % ORIENTATIONS
    by_orientation = strength[..., None] * np.eye(ORIENTATIONS, dtype=np.float32)[orientation]
    n = len(grey) // CELL
    return by_orientation.reshape(n, CELL, n, CELL, ORIENTATIONS).sum(axis=(1, 3))


def patches(photo):
    """Return the strongest patches of a photo, shape (400, 128), of length 1 each."""
    found = []
    for size in SIZES:
        grey = np.asarray(photo.convert("L").resize((size, size)), dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(cells(grey), (CELLS, CELLS), (0, 1))
        found.append(windows[::2, ::2].reshape(-1, ORIENTATIONS * CELLS**2))
    found = np.concatenate(found)
    lengths = np.linalg.norm(found, axis=1)
    strongest = np.argsort(-lengths, kind="stable")[:PATCHES]
    return found[strongest] / np.maximum(lengths[strongest], 1e-6)[:, None]


def learn_words(found):
    """Return k-means of patches drawn from these, an array for each photo."""
    drawn = np.random.default_rng(0).permutation(len(found) * PATCHES)[:LEARNED_FROM]
    kmeans = MiniBatchKMeans(WORDS, batch_size=4096, n_init=1, max_iter=30, random_state=0)
    return kmeans.fit(np.concatenate(found)[drawn])


def office_caltech_words():
    """Return ``{domain: (counts, y)}``, computed at the first call."""
    if not COUNTS.exists():
        arrays, kmeans = {}, None
        for domain in DOMAINS:  # amazon is the first
            files = sorted((DATA / "office_caltech" / domain).glob("*/*"))
            found = [patches(Image.open(file)) for file in files]
            kmeans = learn_words(found) if kmeans is None else kmeans
            words = [np.bincount(kmeans.predict(p), minlength=WORDS) for p in found]
            arrays[f"{domain}_X"] = np.array(words, dtype=np.float32)
            arrays[f"{domain}_y"] = np.array([file.parent.name for file in files])
        COUNTS.parent.mkdir(parents=True, exist_ok=True)
        np.savez(COUNTS, **arrays)
    with np.load(COUNTS) as data:
        return {domain: (data[f"{domain}_X"], data[f"{domain}_y"]) for domain in DOMAINS}


if __name__ == "__main__":
    for domain, (X, _) in office_caltech_words().items():
        print(domain, X.shape)
