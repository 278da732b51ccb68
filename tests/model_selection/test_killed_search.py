"""A search that was killed half-way fits no finished candidate again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
import numpy as np
from skorch.callbacks import Callback
from sklearn.model_selection import GridSearchCV
from sktransfer import DANNClassifier, FitCheckpoint, TargetDomain

class Log(Callback):
    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, net, **kwargs):
        with open(self.path, "a") as file:
            file.write("epoch\\n")

def search(folder, log):
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(size=(2, 60, 3))
    y = (X[:, 0] > 0).astype(int)
    checkpoint = None if folder is None else FitCheckpoint(folder, every_epochs=2)
    clf = DANNClassifier(
        max_epochs=6, random_state=0, checkpoint=checkpoint, callbacks=[Log(log)]
    )
    found = GridSearchCV(clf, {"lambda_": [0.1, 1.0], "batch_size": [16, 32]}, cv=2)
    found.fit(X, y, X_target=TargetDomain(X_target))
    return found.cv_results_["split1_test_score"], found.predict_proba(X)

if __name__ == "__main__":
    search(sys.argv[1], sys.argv[2])
"""
N_FITS = 4 * 2 + 1


@pytest.mark.skipif(sys.platform == "win32", reason="kills by SIGKILL")
def test_finished_candidates_are_not_fitted_again(tmp_path):
    script, folder, log = tmp_path / "script.py", tmp_path / "search", tmp_path / "log"
    script.write_text(SCRIPT)
    folder.mkdir()
    log.touch()
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    call = [sys.executable, str(script), str(folder), str(log)]
    process = subprocess.Popen(call, env=env)
    while len(log.read_text().splitlines()) < 4 * 6 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    n_before = len(log.read_text().splitlines())
    assert 4 * 6 <= n_before < N_FITS * 6
    subprocess.run(call, env=env, check=True)
    n_epochs = len(log.read_text().splitlines())
    assert n_epochs - N_FITS * 6 <= 6  # but for those since the last state of the fit in progress
    files = [file for file in folder.iterdir() if file.suffix == ".checkpoint"]
    assert len(files) == N_FITS
    namespace = {"__name__": "here"}
    exec(SCRIPT, namespace)
    expected = namespace["search"](None, str(tmp_path / "other"))
    resumed = namespace["search"](str(folder), str(log))  # from the files alone
    assert len(log.read_text().splitlines()) == n_epochs
    for mine, its in zip(resumed, expected, strict=True):
        np.testing.assert_array_equal(mine, its)
