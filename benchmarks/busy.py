"""Time a fit beside neighbours that keep cores busy: python benchmarks/busy.py

An epoch of 20,000 rows of 784 random features, by LDLClassifier (1024, 1024) on every layer of threads that Numba has
here, and by scikit-learn's MLPClassifier (256, 256), alone and beside one and two other processes that do nothing but
compute. Every cell is the median of some fits, in a process of its own.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time

from record import Record

NEIGHBOUR = "while True: pass"
LAYER, SPIN = "NUMBA_THREADING_LAYER", "GOMP_SPINCOUNT"
#: What is fitted, and its environment; 300,000 spins are what libgomp takes by itself.
RUNS = {
    "LDL, as installed": {},
    "LDL, TBB": {LAYER: "tbb"},
    "LDL, OpenMP, 10,000 spins (the default without TBB)": {LAYER: "omp"},
    "LDL, OpenMP as it comes": {LAYER: "omp", SPIN: "300000"},
    "LDL, workqueue": {LAYER: "workqueue"},
    "MLPClassifier": {},
}


def fits(name, n):
    """Print the seconds of ``n`` fits, and the layer of threads."""
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20_000, 784), dtype=np.float32), rng.integers(10, size=20_000)
    if name == "MLPClassifier":
        from sklearn.neural_network import MLPClassifier

        model = MLPClassifier((256, 256), max_iter=1)
    else:
        from ldlrpp import LDLClassifier

        model = LDLClassifier((1024, 1024), max_iter=1)
    model.fit(X[:1000], y[:1000])
    for _ in range(n):
        start = time.perf_counter()
        model.fit(X, y)
        print(time.perf_counter() - start)


@contextlib.contextmanager
def neighbours(n):
    processes = [subprocess.Popen([sys.executable, "-c", NEIGHBOUR]) for _ in range(n)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=9, help="fits of every cell")
    parser.add_argument("--only", help="fit this, in this process, and nothing else")
    Record.argument(parser)
    options = parser.parse_args()
    if options.only:
        fits(options.only, options.fits)
        return
    record = Record(options)
    kept = {name: value for name, value in os.environ.items() if name not in (LAYER, SPIN)}
    add = record.table("fits", "fit", "alone s", "one neighbour s", "one / alone", "two neighbours s", "two / alone")
    for name, environment in RUNS.items():
        cells = []
        for n in range(3):
            command = [sys.executable, __file__, "--only", name, "--fits", str(options.fits)]
            with neighbours(n):
                done = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name} is not there: {done.stderr.strip().splitlines()[-1]}", flush=True)
                break
            cells.append(statistics.median(map(float, done.stdout.split())))
        else:
            add(name, cells[0], cells[1], cells[1] / cells[0], cells[2], cells[2] / cells[0])


if __name__ == "__main__":
    main()
