"""What it costs to train on a frozen body, and to search how much of it to unfreeze.

    python benchmarks/finetune_speed.py [repeats]

The contenders take turns; ratios are taken within each repeat.
"""

import sys
import tempfile
import time
import warnings
from statistics import median

import numpy as np
import torch
from _bodies import RowCounter, make_resnet, make_vgg16
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from skorch.callbacks import Freezer
from torch import nn
from torch.nn import functional as F

from sktransfer import FineTuneClassifier
from sktransfer.finetuning import FrozenCache

N_IMAGES = 500
IMAGE_SIZE = 96
N_CLASSES = 5
BATCH_SIZE = 32
HEAD_EPOCHS = 20
FINETUNE_EPOCHS = 10
LEARNING_RATE = 1e-3
DEPTHS = [0, 1, 2, 3]
N_FOLDS = 5
# Rows of a pass without training; what sktransfer takes of images of this size.
PASS_SIZE = 2**20 // (3 * IMAGE_SIZE**2)


def make_images(n_images, size):
    """Return images whose classes differ in brightness, and their labels."""
    rng = np.random.default_rng(0)
    y = np.arange(n_images) % N_CLASSES
    X = rng.normal(size=(n_images, 3, size, size)) + y[:, None, None, None] / N_CLASSES
    return X.astype(np.float32), y


def fit_sktransfer(body, X, y):
    """Train the head with this package."""
    FineTuneClassifier(
        body,
        unfreeze_depth=0,
        head_epochs=HEAD_EPOCHS,
        finetune_epochs=0,
        learning_rate=LEARNING_RATE,
        batch_size=BATCH_SIZE,
        device="cpu",
        random_state=0,
    ).fit(X, y)


def fit_by_hand(body, X, y):
    """Pass the images once and train the head on the features, as one writes it by hand."""
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    head = nn.Linear(512, N_CLASSES)
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(rows) for rows in X.split(PASS_SIZE)])
    optimizer = torch.optim.Adam(head.parameters(), lr=LEARNING_RATE, fused=True)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # faster for so little work, and what sktransfer chooses
    for _ in range(HEAD_EPOCHS):
        for rows in torch.randperm(len(X)).split(BATCH_SIZE):
            loss = F.cross_entropy(head(features[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.set_num_threads(n_threads)


def fit_stock_skorch(body, X, y):
    """Train with stock skorch; its `Freezer` keeps weights, but each epoch passes the body."""
    network = nn.Sequential()
    network.add_module("body", body)
    network.add_module("head", nn.Linear(512, N_CLASSES))
    NeuralNetClassifier(
        network,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=LEARNING_RATE,
        max_epochs=HEAD_EPOCHS,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[Freezer("body.*")],
        verbose=0,
    ).fit(X, y)


def make_dense_resnet(depths=(2, 2, 2, 2)):
    """Return a trunk that costs much before dense layers that cost little."""
    return make_resnet(depths, dense_sizes=(256, 256, 128))


def make_dense_resnet34():
    """Return the same with a trunk of 34 layers."""
    return make_dense_resnet((3, 4, 6, 3))


CONTENDERS = {
    "sktransfer": fit_sktransfer,
    "one pass and a loop by hand": fit_by_hand,
    "stock skorch, `Freezer`": fit_stock_skorch,
}

# Of each body also the number and the side of its images.
BODIES = {
    "ResNet-34, then dense layers of 256, 256 and 128": (make_dense_resnet34, 200, 224),
    "ResNet-18 with the same dense layers, small images": (make_dense_resnet, 500, 96),
    "the 13 convolutions of VGG16, a quarter as wide": (make_vgg16, 500, 96),
}


def search(body, X, y, memory):
    """Search the depth to unfreeze, each candidate in five folds."""
    clf = FineTuneClassifier(
        body,
        head_epochs=HEAD_EPOCHS,
        finetune_epochs=FINETUNE_EPOCHS,
        frozen_cache=FrozenCache(memory=memory),
        batch_size=BATCH_SIZE,
        device="cpu",
        random_state=0,
    )
    GridSearchCV(clf, {"unfreeze_depth": DEPTHS}, cv=N_FOLDS).fit(X, y)


def timed(function, *args):
    """Return the seconds of a call, and what went through the bodies meanwhile."""
    RowCounter.counts.clear()
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start, RowCounter.counts.copy()


def head_table(X, y, repeats):
    """Return the Markdown table of training a head."""
    seconds = {name: [] for name in CONTENDERS}
    rows = {}
    for repeat in range(repeats):
        for name, fit in CONTENDERS.items():
            if fit is fit_stock_skorch and repeat:
                continue  # so slow that once is enough
            elapsed, rows[name] = timed(fit, make_resnet(), X, y)
            seconds[name].append(elapsed)
    lines = [
        f"| head of a frozen ResNet-18, {HEAD_EPOCHS} epochs, {shape_of(X)} | seconds | "
        "sktransfer's time / its time | images passed through the body | rows to look at it |",
        "|---|---|---|---|---|",
    ]
    for name, times in seconds.items():
        pairs = zip(seconds["sktransfer"], times, strict=False)
        ratio = median(a / b for a, b in pairs)
        passes, probes = rows[name]["passes"], rows[name]["probes"]
        lines.append(f"| {name} | {median(times):.2f} | {ratio:.2f} | {passes} | {probes} |")
    return "\n".join(lines)


def search_table():
    """Return the Markdown table of searches with and without memory, each once."""
    lines = [
        f"| `GridSearchCV` of `unfreeze_depth` in {DEPTHS}, cv={N_FOLDS}, {HEAD_EPOCHS} + "
        f"{FINETUNE_EPOCHS} epochs | `memory` | seconds | times as fast | "
        "images passed through the frozen part | rows to look at it |",
        "|---|---|---|---|---|---|",
    ]
    for name, (make_body, n_images, size) in BODIES.items():
        X, y = make_images(n_images, size)
        with tempfile.TemporaryDirectory() as folder:
            shared, rows = timed(search, make_body(), X, y, folder)
        alone, rows_alone = timed(search, make_body(), X, y, None)
        for memory, seconds, counts in (("a folder", shared, rows), ("None", alone, rows_alone)):
            lines.append(
                f"| {name}, {shape_of(X)} | {memory} | {seconds:.1f} | {alone / seconds:.1f} | "
                f"{counts['passes']} | {counts['probes']} |"
            )
    return "\n".join(lines)


def shape_of(X):
    """Say how many images there are, and how large."""
    return f"{len(X)} images of {'x'.join(map(str, X.shape[1:]))}"


def main(repeats=5):
    """Return the tables as Markdown."""
    warnings.simplefilter("ignore")
    X, y = make_images(N_IMAGES, IMAGE_SIZE)
    for fit in CONTENDERS.values():
        fit(make_resnet(), X[: 2 * BATCH_SIZE], y[: 2 * BATCH_SIZE])  # warms up
    return f"{head_table(X, y, repeats)}\n\n{search_table()}"


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
