"""Peak memory of a fit on uint8 images, and what importing the package costs.

    python benchmarks/footprint.py

Each figure is taken in processes of its own.
"""

import os
import subprocess
import sys
from statistics import median

PEAK = """
import resource
import numpy as np
from torch import nn
from sktransfer import DANNClassifier

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def make_images(n):
    return rng.integers(0, 256, size=(n, 3, 28, 28), dtype=np.uint8)

rng = np.random.default_rng(0)
body = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU())
clf = DANNClassifier(body, max_epochs=1, batch_size=512, random_state=0)
clf.fit(make_images(600), np.arange(600) % 10, make_images(600))  # loads the libraries whole
libraries = peak()
n = 100_000
X, Z, y = make_images(n), make_images(n), rng.integers(0, 10, n)
clf.fit(X, y, Z).predict(Z)
parameters = sum(p.nbytes for p in clf.net_.module_.parameters())
print(libraries, peak(), X.nbytes + Z.nbytes, 4 * parameters)  # gradients, Adam's two means
"""

IMPORT = """
import time
import numpy, scipy, sklearn, sklearn.base, sklearn.metrics, sklearn.pipeline, skorch, torch
start = time.perf_counter()
import sktransfer
print(time.perf_counter() - start)
"""


def run(code, *arguments):
    """Return the numbers that a fresh interpreter prints."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    return [float(number) for number in result.stdout.split()]


def main():
    """Return both figures as Markdown."""
    libraries, peak, data, model = run(PEAK)
    bound = 1.3 * data + model + 200e6
    seconds = [run(IMPORT)[0] for _ in range(7)]
    return (
        "| figure | measured | bound |\n|---|---|---|\n"
        f"| peak memory of fit and predict on {data / 1e6:.0f} MB of uint8 images, above the "
        f"{libraries / 1e6:.0f} MB of a process that has fitted a few rows | "
        f"{(peak - libraries) / 1e6:.0f} MB | 1.3 x data + model + 200 MB = "
        f"{bound / 1e6:.0f} MB |\n"
        f"| `import sktransfer` after its dependencies, median of 7 | "
        f"{1e3 * median(seconds):.0f} ms | 50 ms |"
    )


if __name__ == "__main__":
    print(main())
