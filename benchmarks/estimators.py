"""Time the estimators' training against MLPClassifier of the same widths: python benchmarks/estimators.py --data FILE

FILE is what examples/fashion_mnist_rpp.py takes with --data. An epoch is the fastest of several, after compilation,
with the default batch size; all networks see the same rows of float32, scaled to mean 0. MLPClassifier uses BLAS with
all its threads, in a process of its own, as Numba's threads would disturb it.
"""

import argparse
import cProfile
import os
import pstats
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from common import best
from from_examples import load
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from ldlrpp import LDLClassifier, RPPClassifier

NETS = {
    "LDL (1024, 1024)": (LDLClassifier, (1024, 1024), {}),
    "LDL (4096, 4096)": (LDLClassifier, (4096, 4096), {}),
    "RPP (1000, 1000), k = 100": (RPPClassifier, (1000, 1000), {"n_permutations": 100}),
}


def epoch(model, X, y, n):
    """Seconds of the fastest of ``n`` epochs."""
    model.partial_fit(X[:400], y[:400], classes=np.unique(y))
    times = []
    for _ in range(n):
        start = time.perf_counter()
        model.partial_fit(X, y)
        times.append(time.perf_counter() - start)
    return min(times)


def prediction(model, X):
    """Rows a second of the whole data, and milliseconds of one row."""
    return len(X) / best(lambda: model.predict(X), 5), 1e3 * best(lambda: model.predict(X[:1]), 200)


def dense_epoch(file, widths, n_rows):
    """Seconds of an epoch of MLPClassifier, from that of some rows, in a process of its own."""
    command = [sys.executable, __file__, "--data", str(file), "--dense", *map(str, widths), "--rows", str(n_rows)]
    return float(subprocess.check_output(command, text=True))


def breakdown(model, X, y):
    """Where the time of an epoch goes: parts of more than a hundredth, by the function that takes it."""
    profile = cProfile.Profile()
    profile.runcall(model.partial_fit, X, y)
    stats = pstats.Stats(profile)
    total = stats.total_tt
    rows = sorted(((own, Path(file).name, name) for (file, _, name), (_, _, own, _, _) in stats.stats.items()))
    print(f"\nAn epoch of {model}, {total:.2f} s with the profiler\n\n| part | share |\n|---|---|")
    for own, file, name in reversed(rows):
        if own > total / 100:
            print(f"| `{file.removesuffix('.py')}.{name}` | {own / total:.0%} |")


FIRST_USE = """
import time
import numba, numpy, sklearn.neural_network
start = time.perf_counter()
import ldlrpp
print(f"import {time.perf_counter() - start:.2f} s", end="")
X = numpy.random.default_rng(0).normal(size=(400, 50)).astype("f")
for estimator in (ldlrpp.LDLClassifier, ldlrpp.RPPClassifier):
    model = estimator(learning_rate="cosine", max_iter=1)
    start = time.perf_counter()
    model.fit(X, X[:, 0] > 0)
    print(f", {type(model).__name__} {time.perf_counter() - start:.2f} s", end="")
print()
"""


def first_use():
    print("\nAfter numba and scikit-learn are imported: ldlrpp, and the first fits, cold and with Numba's cache")
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            print("  " + subprocess.check_output([sys.executable, "-c", FIRST_USE], env=environment, text=True), end="")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dense", type=int, nargs="+", help="time MLPClassifier of these widths, and nothing else")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of an epoch of MLPClassifier that is timed")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    _, X, y, _, _ = load(options.data)
    X = X - X.mean()
    if options.dense:
        rows = min(options.rows, len(X))
        mlp = MLPClassifier(tuple(options.dense), random_state=0)
        print(epoch(mlp, X[:rows], y[:rows], 2) * len(X) / rows)
        return
    print(f"{len(X)} rows of {X.shape[1]} features; batches of 200\n")
    print("| net | MLPClassifier s / epoch | ours s / epoch | times faster | rows predicted a second | one row ms |")
    print("|---|---|---|---|---|---|")
    models = []
    for name, (estimator, widths, parameters) in NETS.items():
        dense = dense_epoch(options.data, widths, options.rows)
        model = estimator(widths, random_state=0, **parameters)
        ours = epoch(model, X, y, 3)
        rate, row = prediction(model, X)
        print(f"| {name} | {dense:.2f} | {ours:.2f} | {dense / ours:.1f} | {rate:,.0f} | {row:.2f} |", flush=True)
        models.append(model)
    for model in models:
        breakdown(model, X, y)
    first_use()


if __name__ == "__main__":
    main()
