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
from record import Record
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


def breakdown(record, name, model, X, y):
    """Where the time of an epoch goes: parts of more than a hundredth, by the function that takes it."""
    profile = cProfile.Profile()
    profile.runcall(model.partial_fit, X, y)
    stats = pstats.Stats(profile)
    total = stats.total_tt
    rows = sorted(((own, Path(file).name, name) for (file, _, name), (_, _, own, _, _) in stats.stats.items()))
    add = record.table(f"an epoch of {name}, with the profiler", "part", "s", "share")
    add("all", total, 1.0)
    for own, file, name in reversed(rows):
        if own > total / 100:
            add(f"`{file.removesuffix('.py')}.{name}`", own, own / total)


FIRST_USE = """
import time
import numba, numpy, sklearn.neural_network
start = time.perf_counter()
import ldlrpp
print(time.perf_counter() - start)
X = numpy.random.default_rng(0).normal(size=(400, 50)).astype("f")
for estimator in (ldlrpp.LDLClassifier, ldlrpp.RPPClassifier):
    model = estimator(learning_rate="cosine", max_iter=1)
    start = time.perf_counter()
    model.fit(X, X[:, 0] > 0)
    print(time.perf_counter() - start)
"""


WARMUP = """
import time, numpy, ldlrpp
start = time.perf_counter()
ldlrpp.warmup(numpy.float32)
print(time.perf_counter() - start)
"""


def first_use(record):
    """After numba and scikit-learn are imported; RPP's fit comes after LDL's, `warmup()` is in a process of its own."""
    add = record.table(
        "first use", "Numba's cache", "import ldlrpp s", "first fit, LDL s", "first fit, RPP s", "warmup() s"
    )
    with tempfile.TemporaryDirectory() as fits, tempfile.TemporaryDirectory() as warm:
        for name in ("cold", "filled"):
            seconds = []
            for program, cache in ((FIRST_USE, fits), (WARMUP, warm)):
                environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
                printed = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
                seconds += map(float, printed.split())
            add(name, *seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dense", type=int, nargs="+", help="time MLPClassifier of these widths, and nothing else")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of an epoch of MLPClassifier that is timed")
    Record.argument(parser)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    _, X, y, _, _ = load(options.data)
    X = X - X.mean()
    if options.dense:
        rows = min(options.rows, len(X))
        mlp = MLPClassifier(tuple(options.dense), random_state=0)
        print(epoch(mlp, X[:rows], y[:rows], 2) * len(X) / rows)
        return
    record = Record(options)
    print(f"{len(X)} rows of {X.shape[1]} features; batches of 200")
    add = record.table(
        "epochs", "net", "MLPClassifier s / epoch", "ours s / epoch", "times faster", "rows predicted a second",
        "one row ms",
    )  # fmt: skip
    models = {}
    for name, (estimator, widths, parameters) in NETS.items():
        dense = dense_epoch(options.data, widths, options.rows)
        models[name] = model = estimator(widths, random_state=0, **parameters)
        ours = epoch(model, X, y, 3)
        rate, row = prediction(model, X)
        add(name, dense, ours, dense / ours, round(rate), row)
    for name, model in models.items():
        breakdown(record, name, model, X, y)
    first_use(record)


if __name__ == "__main__":
    main()
