"""Aligners beside skada, ADAPT and POT: the same numbers, seconds and memory.

    python benchmarks/alignment_peers.py same     # what they and we make of the same rows
    python benchmarks/alignment_peers.py speed    # in a process each, one thread

Needs ``pip install skada POT``, and ``adapt`` (with TensorFlow) for the rows that name it.
"""

import importlib.util
import os
import subprocess
import sys
import warnings

import numpy as np
import scipy.linalg
from sklearn import set_config

from sktransfer.alignment import CORAL, TCA, OptimalTransport, SubspaceAlignment
from sktransfer.alignment._base import merge_rows
from sktransfer.alignment._transport_plans import transport_plan
from sktransfer.data._domain import Domain

LIMIT = 150  # seconds


def rows(n, n_features=5, seed=0):
    """Return a source, its labels and a target."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    X = rng.normal(size=(n, n_features)) + y[:, None]
    mixing = np.eye(n_features) + rng.normal(size=(n_features, n_features)) / 4
    return X, y, (rng.normal(size=(n, n_features)) + rng.integers(0, 3, (n, 1))) @ mixing + 1


def difference(ours, theirs, columns=False):
    """Return the largest difference by the largest value; of columns up to one scale and signs."""
    if columns:
        theirs = theirs * np.sign((ours * theirs).sum(axis=0))
        theirs = theirs * np.linalg.norm(ours) / np.linalg.norm(theirs)
    return np.abs(ours - theirs).max() / np.abs(ours).max()


def by_skada(adapter, X, y, X_target):
    """Return the source and the target as a skada adapter maps them."""
    stacked = np.r_[X, X_target]
    domain = np.r_[np.ones(len(X)), -2 * np.ones(len(X_target))]
    labels = np.r_[y, -np.ones(len(X_target), int)]
    aligned = adapter.fit_transform(stacked, labels, sample_domain=domain)
    return aligned[: len(X)], aligned[len(X) :]


def same():
    """Print how far our numbers are from those of the peers."""
    import ot
    from skada._mapping import CORALAdapter, LinearOTMappingAdapter
    from skada._subspace import SubspaceAlignmentAdapter, TransferComponentAnalysisAdapter

    X, y, X_target = rows(200)
    found = {}
    ours = SubspaceAlignment(3).fit_transform(X, X_target=X_target)
    theirs, _ = by_skada(SubspaceAlignmentAdapter(n_components=3), X, y, X_target)
    found["SA, skada"] = difference(ours, theirs, columns=True)
    ours = CORAL(regularization=0.0).fit_transform(X, X_target=X_target) - X_target.mean(axis=0)
    theirs, _ = by_skada(CORALAdapter(reg=None), X, y, X_target)
    found["CORAL, r = 0, skada (both centred)"] = difference(ours, theirs)
    ours = OptimalTransport(regularization=0.0).fit_transform(X, X_target=X_target)
    theirs, _ = by_skada(LinearOTMappingAdapter(), X, y, X_target)
    found["OT linear, r = 0, skada and POT"] = difference(ours, theirs)
    for mu in (1e-9, 0.1):
        tca = TCA(3, gamma=1 / 5, regularization=1 / mu, n_landmarks=None)
        ours = tca.fit_transform(X, X_target=X_target)
        theirs, _ = by_skada(TransferComponentAnalysisAdapter("rbf", 3, mu), X, y, X_target)
        found[f"TCA, mu = {mu:g}, skada"] = difference(ours, theirs, columns=True)
        solved = tca_of_2009(X, X_target, mu)
        found[f"TCA, mu = {mu:g}, skada's matrix, solved as not symmetric"] = difference(
            ours, solved, columns=True
        )
    source = merge_rows(Domain(X, y), with_labels=True)
    target = merge_rows(Domain(X_target), with_labels=True)
    mean = ot.dist(source.X, target.X).mean()
    transports = {
        "exact": ot.da.EMDTransport(),
        "sinkhorn": ot.da.SinkhornTransport(reg_e=0.1 * mean, max_iter=10000, tol=1e-9),
        "class_regularized": ot.da.SinkhornLpl1Transport(
            reg_e=0.1 * mean, reg_cl=0.1 * mean, max_inner_iter=10000, tol=1e-9
        ),
    }
    for method, transport in transports.items():
        transport.fit(Xs=source.X, ys=source.y, Xt=target.X)
        plan = transport_plan(method, source, target, 0.1, 0.1)
        found[f"OT {method} plan, POT"] = difference(plan, transport.coupling_)
    if importlib.util.find_spec("adapt"):
        found.update(same_as_adapt(X, X_target))
    for name, value in found.items():
        print(f"| {name} | {value:.1e} |")


def same_as_adapt(X, X_target):
    """Return how far ADAPT's numbers are."""
    from adapt import feature_based

    sa = feature_based.SA(n_components=3).fit_transform(X, X_target)
    coral = feature_based.CORAL(lambda_=0.0).fit_transform(X, X_target)
    with_ridge = feature_based.CORAL(lambda_=1.0).fit_transform(X, X_target)
    tca = feature_based.TCA(n_components=3, kernel="rbf", gamma=0.2, mu=1e-9)
    papers = [CORAL(regularization=r, align_means=False) for r in (0.0, 1.0)]
    ours = [aligner.fit_transform(X, X_target=X_target) for aligner in papers]
    our_tca = TCA(3, gamma=0.2, regularization=1e9, n_landmarks=None)
    return {
        "SA, ADAPT": difference(SubspaceAlignment(3).fit_transform(X, None, X_target), sa, True),
        "CORAL, r = 0, ADAPT": difference(ours[0], coral),
        "CORAL, r = 1, ADAPT (divides covariances by n - 1)": difference(ours[1], with_ridge),
        "TCA, mu = 1e-9, ADAPT": difference(
            our_tca.fit_transform(X, None, X_target), tca.fit_transform(X, X_target), True
        ),
    }


def tca_of_2009(X, X_target, mu):
    """Return the source's components by ``(I + mu K L K)^-1 K H K``, solved as it is."""
    from sklearn.metrics.pairwise import rbf_kernel

    stacked, n = np.r_[X, X_target], len(X) + len(X_target)
    K = rbf_kernel(stacked, gamma=1 / X.shape[1])
    d = np.r_[np.full(len(X), 1 / len(X)), np.full(len(X_target), -1 / len(X_target))]
    H = np.eye(n) - 1 / n
    values, W = scipy.linalg.eig(K @ H @ K, np.eye(n) + mu * np.outer(K @ d, K @ d))
    W = W[:, np.argsort(-values.real)[:3]].real
    return (K @ (W / np.linalg.norm(W, axis=0)))[: len(X)]


OURS = {
    "CORAL": "CORAL()",
    "SA": "SubspaceAlignment(20)",
    "TCA": "TCA(20, random_state=0)",
    "OT linear": "OptimalTransport()",
    "OT exact": 'OptimalTransport("exact")',
    "OT sinkhorn": 'OptimalTransport("sinkhorn")',
    "OT class": 'OptimalTransport("class_regularized")',
    "domain scaler": "DomainStandardScaler()",
    "JDA": "JDA(20, random_state=0)",
    "JDA, rbf": 'JDA(20, kernel="rbf", random_state=0)',
}
SKADA = {
    "CORAL": "_mapping.CORALAdapter(reg=None)",
    "SA": "_subspace.SubspaceAlignmentAdapter(n_components=20)",
    "TCA": '_subspace.TransferComponentAnalysisAdapter("rbf", 20)',
    "OT linear": "_mapping.LinearOTMappingAdapter()",
    # Its default stops before the optimum: 545 in place of 525 at 10,000 rows.
    "OT exact": "_mapping.OTMappingAdapter(max_iter=10**7)",
    # The same problem: regularization in units of the mean cost.
    "OT sinkhorn": "_mapping.EntropicOTMappingAdapter(reg_e=0.1 * mean)",
    "OT class": "_mapping.ClassRegularizerOTMappingAdapter(reg_e=0.1 * mean, reg_cl=0.1 * mean)",
}
MEASURE = """
import resource, sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, "benchmarks")
import numpy as np
from alignment_peers import by_skada, rows
from sktransfer.alignment import *
if {skada}:
    from skada import _mapping, _subspace
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
X, y, X_target = rows({n} // 2, 50)
mean = 2 * (X.var(axis=0).sum() + X_target.var(axis=0).sum()) / 2
mean += ((X.mean(axis=0) - X_target.mean(axis=0)) ** 2).sum()
small = rows(60, 50)
aligner = {call}
if {skada}:
    by_skada(aligner, *small)
else:
    aligner.fit(*small)
before, start = peak(), time.perf_counter()
if {skada}:
    by_skada(aligner, X, y, X_target)
else:
    aligner.fit_transform(X, y, X_target), aligner.transform(X_target)
print(time.perf_counter() - start, peak() - before)
"""


def measure(call, n, skada):
    """Return seconds and MiB above those of the data, or None where it takes too long."""
    code = MEASURE.format(call=call, n=n, skada=skada)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        print(done.stderr[-300:], file=sys.stderr)
        return None
    return [float(number) for number in done.stdout.split()]


def speed(sizes=(1000, 10000), names=tuple(OURS)):
    """Print seconds and memory of each method; rows are those of both domains together."""
    print(
        "| method | rows | s | skada, s | ratio | MiB | skada, MiB |\n|---|---|---|---|---|---|---|"
    )
    for n in sizes:
        for name in names:
            ours = measure(OURS[name], n, False)
            theirs = measure(SKADA[name], n, True) if name in SKADA else None
            missing = f"> {LIMIT}" if name in SKADA else "-"
            cells = (
                [missing, "", ""]
                if theirs is None
                else [f"{theirs[0]:.3f}", "", f"{theirs[1]:.0f}"]
            )
            if ours and theirs:
                cells[1] = f"{theirs[0] / ours[0]:.1f}"
            own = [f"> {LIMIT}", ""] if ours is None else [f"{ours[0]:.3f}", f"{ours[1]:.0f}"]
            print(
                f"| {name} | {n:,} | {own[0]} | {cells[0]} | {cells[1]} | {own[1]} | {cells[2]} |",
                flush=True,
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for part in sys.argv[1:] or ["same", "speed"]:
        globals()[part]()
    set_config(enable_metadata_routing=False)
