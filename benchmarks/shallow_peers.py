"""Weights beside ADAPT and skada, on the same rows in one run.

    python benchmarks/shallow_peers.py

What is not in the environment is left out. All have one kernel for KMM and seven bandwidths to
choose from for KLIEP and uLSIF.
"""

import sys
import time

import numpy as np

from sktransfer.instance import KLIEP, KMM, ULSIF


def load_peers():
    """Return fits by other libraries that are installed."""
    peers = {}
    try:
        import skada

        def skada_fit(kind, **parameters):
            def fit(X, Z):
                rows = np.concatenate([X, Z])
                domain = np.repeat([1, -1], [len(X), len(Z)])
                adapter = kind(**parameters)
                adapter.fit(rows, sample_domain=domain)

            return fit

        widths = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
        peers["KMM", "skada"] = skada_fit(skada.KMMReweightAdapter, gamma=0.1)
        peers["KLIEP", "skada"] = skada_fit(skada.KLIEPReweightAdapter, gamma=widths)
    except ImportError as error:
        print(f"without skada: {error}")
    try:
        from adapt.instance_based import KLIEP as AdaptKLIEP
        from adapt.instance_based import KMM as AdaptKMM
        from adapt.instance_based import ULSIF as AdaptULSIF

        widths = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
        peers["KMM", "ADAPT"] = lambda X, Z: AdaptKMM(
            kernel="rbf", gamma=0.1, verbose=0
        ).fit_weights(X, Z)
        peers["KLIEP", "ADAPT"] = lambda X, Z: AdaptKLIEP(
            kernel="rbf", gamma=widths, verbose=0
        ).fit_weights(X, Z)
        peers["ULSIF", "ADAPT"] = lambda X, Z: AdaptULSIF(
            kernel="rbf", gamma=widths, lambdas=[0.001, 0.01, 0.1, 1, 10], verbose=0
        ).fit_weights(X, Z)
    except ImportError as error:
        print(f"without ADAPT: {error}")
    return peers


def speed(sizes=(1000, 10_000)):
    """Show seconds beside other libraries, on the same rows in one run."""
    peers = load_peers()
    own = {"KMM": lambda **seed: KMM(0.1, **seed), "KLIEP": KLIEP, "ULSIF": ULSIF}
    for n_rows in sizes:
        rng = np.random.default_rng(0)
        X, Z = rng.normal(size=(n_rows, 10)), rng.normal(0.3, 1, size=(n_rows, 10))
        for name, make in own.items():
            start = time.perf_counter()
            make(random_state=0).fit(X, X_target=Z)
            ours = time.perf_counter() - start
            print(f"{n_rows} rows, {name}: {ours:.2f} s")
            for (method, library), fit in peers.items():
                if method == name:
                    start = time.perf_counter()
                    try:
                        fit(X, Z)
                    except Exception as error:  # what a peer cannot do is a result, too
                        print(f"    {library}: {type(error).__name__} {error}")
                        continue
                    theirs = time.perf_counter() - start
                    print(f"    {library}: {theirs:.2f} s, {theirs / ours:.1f} times")
            sys.stdout.flush()


if __name__ == "__main__":
    speed()
