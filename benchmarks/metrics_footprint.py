"""Time and peak memory of the metrics on two domains of 50,000 rows of 512 features.

    python benchmarks/metrics_footprint.py

Each figure is taken in a process of its own; the peak is above that of the process with its
data, a gigabyte of blocks is scikit-learn's default ``working_memory``.
"""

import os
import subprocess
import sys

from tabulate import tabulate

MEASURE = """
import resource
import sys
import time
import numpy as np
from sktransfer import metrics

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

n, d, call = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(0)
X_source = rng.standard_normal((n, d), dtype=np.float32)
X_target = rng.standard_normal((n, d), dtype=np.float32)
X_target += 0.05
probabilities = rng.random((n, 100), dtype=np.float32)
probabilities /= probabilities.sum(axis=1, keepdims=True)
y = np.arange(n) % 10
X_source[:, 0] += y
before, start = peak(), time.perf_counter()
value = eval("metrics." + call)
print(time.perf_counter() - start, peak() - before, value)
"""

CALLS = [
    "proxy_a_distance(X_source, X_target, random_state=0)",
    "mmd(X_source, X_target)",
    'mmd(X_source, X_target, kernel="gaussian_mixture")',
    'mmd(X_source, X_target, kernel="linear")',
    "coral_distance(X_source, X_target)",
    "sliced_wasserstein_distance(X_source, X_target, random_state=0)",
    "leep(probabilities, y)",
    "logme(X_source, y)",
    "h_score(X_source, y)",
    'h_score(X_source, y, shrinkage="auto")',
]


def measure(call, n_rows, n_features):
    """Return seconds, bytes and value of one call in a fresh interpreter."""
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(n_rows), str(n_features), call],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    return [float(number) for number in result.stdout.split()]


def main(n_rows=50_000, n_features=512):
    """Return the table as Markdown."""
    lines = []
    for call in CALLS:
        seconds, peak, value = measure(call, n_rows, n_features)
        lines.append([f"`{call}`", seconds, peak / 1e6, value])
    headers = ["metric", "seconds", "peak above the data, MB", "value"]
    return tabulate(lines, headers, "pipe", floatfmt=("", ".1f", ".0f", ".4g"))


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
