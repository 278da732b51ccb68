"""Data larger than memory: time and memory of a fit as a mapped file grows.

python benchmarks/large_data.py

An epoch of DANN on n rows of 500 float32 features in each domain, both in one mapped file, and
the same through a torch Dataset. Each fit is a process of its own; its memory is the peak of
what is no file's (RssAnon), above that of a fit on 1,000 rows.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tabulate import tabulate

N_ROWS = (10_000, 100_000, 1_000_000)
N_FEATURES = 500

FIT = """
import sys
import threading
import time
import numpy as np
import torch
from sktransfer import DANNClassifier

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

class Rows(torch.utils.data.Dataset):
    def __init__(self, X):
        self.X = X
    def __len__(self):
        return len(self.X)
    def __getitem__(self, i):
        return np.array(self.X[i])

path, n_rows, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
X = np.load(path, mmap_mode="r")[:n_rows]
y = np.arange(n_rows) % 2
clf = DANNClassifier(max_epochs=1, batch_size=500, random_state=0)
clf.fit(X[:1000], y[:1000], X[:1000]).predict(X[:1000])
before, peak, done = anonymous(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, anonymous())
        time.sleep(0.01)

watcher = threading.Thread(target=watch)
watcher.start()
start = time.perf_counter()
rows = X if kind == "memmap" else Rows(X)
clf.fit(rows, y, rows)
fitted = time.perf_counter()
clf.predict(rows)
predicted = time.perf_counter()
done = True
watcher.join()
print(fitted - start, predicted - fitted, (peak - before) / 1024)
"""


def write_rows(path):
    """Write the rows in pieces, so that this process does not hold them either."""
    shape = (max(N_ROWS), N_FEATURES)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    rng = np.random.default_rng(0)
    for start in range(0, len(file), 10_000):
        file[start : start + 10_000] = rng.standard_normal((10_000, N_FEATURES), np.float32)
    file.flush()


def main():
    """Return the table as Markdown."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        write_rows(path)
        for kind in ("memmap", "Dataset"):
            for n_rows in N_ROWS:
                command = [sys.executable, "-c", FIT, str(path), str(n_rows), kind]
                result = subprocess.run(command, capture_output=True, text=True, check=True)
                fit, predict, megabytes = map(float, result.stdout.split())
                size = n_rows * N_FEATURES * 4 / 2**20
                per_row = fit / n_rows * 1e6
                lines.append([kind, n_rows, size, fit, per_row, predict, megabytes])
    headers = ["rows of", "rows", "MiB of data", "fit s", "us a row", "predict s", "MiB of memory"]
    return tabulate(lines, headers, "pipe", floatfmt=("", ",d", ".0f", ".1f", ".1f", ".1f", ".0f"))


if __name__ == "__main__":
    print(main())
